//! Ending the browser's session at the provider.

use url::Url;

use super::super::{Claim, ScriptedUpstream, Violation, attempt::Trial};
use crate::provider::{BrowserStep, SignOut, WayOut};

const RETURN_TO: &str = "https://portal.example/_usher/signed-out";

/// Whoever is offered to sign out is taken to the provider, by an encrypted way or to where attempts begin anyway; the
/// browser is sent back only if that was asked for, and nothing secret goes along.
pub async fn a_person_can_sign_out_where_it_is_offered(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    let attempt = trial.attempt().await?;
    let proof = trial.prove(&attempt).await?;
    let return_to = Url::parse(RETURN_TO).expect("a valid URL");
    for return_to in [None, Some(&return_to)] {
        let wish = SignOut { return_to, locale: "en", keepsake: proof.keepsake.as_ref() };
        let step = trial.provider.sign_out(&trial.ctx(), &wish).await;
        let step = step.map_err(|error| Violation::new(format!("nobody can sign out: {error:?}")))?;
        let is_offered = trial.provider.offers_sign_out();
        Violation::unless(step.is_some() == is_offered, || {
            format!("to sign out is offered: {is_offered}, and possible: {}", step.is_some())
        })?;
        let Some(WayOut { step, .. }) = step else { continue };
        let (place, carried) = match &step {
            BrowserStep::Redirect(url) => {
                (url, url.query_pairs().map(|(_, value)| value.into_owned()).collect::<Vec<_>>())
            }
            BrowserStep::PostForm { action, fields } => {
                (action, fields.iter().map(|(_, value)| value.clone()).collect())
            }
            BrowserStep::Ask(_) => return Err(Violation::new("who signs out is asked where they are from")),
        };
        let is_web = matches!(place.scheme(), "https" | "http") && place.has_host();
        Violation::unless(is_web, || format!("to sign out leads to {:?}", place.scheme()))?;
        Violation::unless(return_to.is_some() || carried.iter().all(|value| value != RETURN_TO), || {
            "the browser is sent back although nobody asked for it".to_owned()
        })?;
        let secrets = upstream.secrets().into_iter().chain([attempt.state.as_str().to_owned()]);
        for secret in secrets.filter(|secret| !secret.is_empty()) {
            let is_told =
                carried.iter().any(|value| value.contains(&secret)) || place.as_str().contains(&secret);
            Violation::unless(!is_told, || "to sign out tells a secret".to_owned())?;
        }
    }
    Ok(())
}
