//! The person has chosen their homeserver on a page; or the page is to be shown once more.

use std::net::IpAddr;

use ruma_common::{OwnedServerName, ServerName};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use usher_core::{Handle, ProviderId};
use usher_store::{AttemptHash, pending};

use super::{
    Attempt, Choice, Failed, FinishError, Finished, Jar, Step,
    land::{Arrival, land},
    sealed::Expected,
};
use crate::app::App;

/// What the page's form brings back.
#[derive(Clone, Debug)]
pub struct ChooseForm {
    /// The provider the person signed in at.
    pub provider: ProviderId,
    /// The attempt.
    pub handle: Handle,
    /// The form's token.
    pub csrf: String,
    /// What they chose.
    pub homeserver: OwnedServerName,
    /// The client's `redirectUrl`.
    pub redirect_url: Option<String>,
}

/// Goes on with the homeserver that a form names. Sent twice, it leads to the same account and the same token.
pub async fn choose(app: &App, form: &ChooseForm, client: IpAddr, jar: &Jar) -> Result<Finished, Failed> {
    let ChooseForm { provider, handle, csrf, homeserver, redirect_url } = form;
    tracing::Span::current().record("provider.id", provider.as_str()).record("attempt.id", handle.as_str());
    let early = |error| Failed { error, attempt: None };
    let cookie = jar.get(handle).ok_or_else(|| early(FinishError::UnknownAttempt))?;
    let open = |step| Attempt::open(&app.keyring, cookie, handle, provider, "login", step);
    // Who was then asked about the client's site and went back chooses anew.
    let attempt = open(Expected::Choose).or_else(|| open(Expected::Confirm));
    let (attempt, choice) = attempt
        .and_then(|attempt| choice_of(&attempt).map(|choice| (attempt, choice)))
        .ok_or_else(|| early(FinishError::UnknownAttempt))?;
    app.limits.click(client).map_err(|limited| early(limited.into()))?;
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    if !bool::from(digest(&choice.csrf).ct_eq(&digest(csrf))) {
        return Err(early(FinishError::Csrf));
    }
    let attempt = attempt.with_client(redirect_url.as_deref()).ok_or_else(|| early(FinishError::Csrf))?;
    resume(app, attempt, choice, Some(homeserver), jar).await
}

/// What was sealed when the person was asked, if they were.
fn choice_of(attempt: &Attempt) -> Option<Choice> {
    match &attempt.step {
        Step::Answer(_) => None,
        Step::Choose(choice) => Some(choice.clone()),
        Step::Confirm(confirmation) => Some(Choice {
            csrf: confirmation.chooser_csrf.clone()?,
            token: confirmation.token.clone(),
            upstream_session: confirmation.upstream_session.clone(),
        }),
    }
}

/// Goes on with somebody who waits in the database.
pub(super) async fn resume(
    app: &App,
    attempt: Attempt,
    choice: Choice,
    answer: Option<&ServerName>,
    jar: &Jar,
) -> Result<Finished, Failed> {
    let failed = |error| Failed { error, attempt: Some(Box::new(attempt.clone())) };
    if attempt.started.plus(app.config.login.attempt_lifetime) <= app.clock.now() {
        return Err(failed(FinishError::Expired));
    }
    let hash = AttemptHash::of(&attempt.handle);
    let identity = match pending::find(&app.store, &hash, app.clock.now()).await {
        Ok(Some(identity)) => identity,
        Ok(None) => return Err(failed(FinishError::Expired)),
        Err(error) => return Err(failed(error.into())),
    };
    let arrival = Arrival { identity: &identity, spend: Vec::new(), choice: Some(choice), answer };
    land(app, attempt.clone(), arrival, jar).await.map_err(failed)
}
