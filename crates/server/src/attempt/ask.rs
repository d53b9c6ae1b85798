//! Asks the person which homeserver they want. Who they are waits in the database, under the attempt's hash, until the
//! attempt's time is over: reloading, going back and choosing once more, a homeserver that is down and a process that
//! dies cost nobody their place.

use usher_core::{Candidate, Identity, provider::OneTime};
use usher_store::{AttemptHash, pending};

use super::{Attempt, Choice, ClientRedirect, FinishError, Finished, Jar, Step, begin::keep, land::Arrival};
use crate::{app::App, config::UsedAttributes, login::spend_keys};

/// Shows the page that asks, for the first time or again.
pub(super) async fn ask(
    app: &App,
    mut attempt: Attempt,
    arrival: Arrival<'_>,
    candidates: Vec<Candidate>,
    jar: &Jar,
) -> Result<Finished, FinishError> {
    let client = ClientRedirect::of(&attempt.purpose).ok_or(FinishError::UnknownAttempt)?;
    let Arrival { identity, spend, choice, answer: _ } = arrival;
    let choice = match choice {
        Some(earlier) => earlier,
        None => keep_person(app, &attempt, identity, &spend).await?,
    };
    let csrf = choice.csrf.clone();
    attempt.step = Step::Choose(choice);
    let cookies = if let Some(cookies) = keep(app, &attempt, jar) {
        cookies
    } else {
        // A long address, and a long name or ticket beside it: the page's form carries the address.
        attempt = attempt.without_client();
        keep(app, &attempt, jar).ok_or(FinishError::TooLarge)?
    };
    Ok(Finished::Choose { attempt: Box::new(attempt), csrf, client, candidates, cookies })
}

/// Has the person wait in the database. The provider's answer is used up here: the page may be left open, and it must not
/// be good twice.
async fn keep_person(
    app: &App,
    attempt: &Attempt,
    identity: &Identity,
    spend: &[OneTime],
) -> Result<Choice, FinishError> {
    let expires_at = attempt.started.plus(app.config.login.attempt_lifetime);
    let kept = kept(identity, &app.used_attributes);
    let hash = AttemptHash::of(&attempt.handle);
    let mut tx = app.store.begin().await?;
    if !spend_keys(&mut tx, &identity.provider, spend).await?
        || !pending::insert(&mut tx, &hash, &kept, expires_at).await?
    {
        return Err(FinishError::AlreadyUsed);
    }
    tx.commit().await?;
    tracing::info!(attempt.id = %attempt.handle, "signed in; the person is asked for their homeserver");
    Ok(Choice {
        csrf: app.entropy.base64url::<16>(),
        token: crate::login::new_token(&app.keyring, &*app.entropy),
        upstream_session: identity.upstream_session.clone(),
    })
}

/// The person without what no rule of the config looks at. The upstream's session stays in the browser's sealed cookie:
/// in the database it would open something.
fn kept(identity: &Identity, used: &UsedAttributes) -> Identity {
    let mut kept = identity.clone();
    kept.attributes.retain(|name, _| used.contains(name));
    kept.upstream_session = None;
    kept
}

#[cfg(test)]
mod tests {
    use usher_core::{Evidence, Issuer, ProviderId, Subject, provider::UpstreamSession};

    use super::*;

    #[test]
    fn no_more_is_kept_than_the_config_looks_at() {
        let values = |name: &str| (name.to_owned(), vec![name.to_owned()]);
        let identity = Identity {
            provider: ProviderId::parse("corp").expect("an id"),
            issuer: Issuer::parse("https://cas.example").expect("an issuer"),
            subject: Subject::parse("alice").expect("a subject"),
            evidence: Evidence::Unstated,
            attributes: [values("mail"), values("birthday")].into(),
            upstream_session: Some(UpstreamSession::Unique("ST-1".to_owned())),
        };
        let named = UsedAttributes::Named(["mail".to_owned(), "absent".to_owned()].into());
        let expected =
            Identity { attributes: [values("mail")].into(), upstream_session: None, ..identity.clone() };
        assert_eq!(kept(&identity, &named), expected);
        let all = Identity { upstream_session: None, ..identity.clone() };
        assert_eq!(kept(&identity, &UsedAttributes::All), all);
    }
}
