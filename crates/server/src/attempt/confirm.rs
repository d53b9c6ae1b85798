//! The person says that a site may have their login token.

use std::{fmt, net::IpAddr};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use usher_core::{Handle, ProviderId};
use usher_store::{StoreError, TokenHash, login_tokens};

use super::{Attempt, ClientRedirect, Failed, Jar, SetCookie, Step, sealed::Expected};
use crate::{
    app::App,
    limits::Limited,
    login::{Issue, issue},
};

/// Back to the client.
pub struct Confirmed {
    /// The client's `redirectUrl` with the token: a bearer value, not for a log.
    pub location: String,
    /// The attempt's cookie goes.
    pub cookies: Vec<SetCookie>,
}

impl fmt::Debug for Confirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirmed").finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// This browser has no such attempt at this step.
    #[error("no such attempt waits for a confirmation in this browser")]
    UnknownAttempt,
    /// The form is not the page's.
    #[error("the form does not carry the page's token")]
    Csrf,
    /// The attempt ended in another account: the page is an old one.
    #[error("the attempt has been used for another account")]
    AlreadyUsed,
    /// The attempt began too long ago.
    #[error("the attempt has expired")]
    Expired,
    /// The address clicks too often.
    #[error("the address is limited")]
    Limited(#[from] Limited),
    /// The database.
    #[error("the database did not answer")]
    Store(#[from] StoreError),
}

/// What the page's form brings back.
#[derive(Clone)]
pub struct ConfirmForm {
    /// The provider the person signed in at.
    pub provider: ProviderId,
    /// The attempt.
    pub handle: Handle,
    /// The form's token.
    pub csrf: String,
    /// The client's `redirectUrl`, where the attempt's cookie has its hash alone.
    pub redirect_url: Option<String>,
}

/// Issues the login token that was chosen when the page was shown. A form that is sent twice leads to the
/// same token twice, which is good once.
pub async fn confirm(
    app: &App,
    form: &ConfirmForm,
    client: IpAddr,
    jar: &Jar,
) -> Result<Confirmed, Failed<ConfirmError>> {
    let ConfirmForm { provider, handle, .. } = form;
    tracing::Span::current().record("provider.id", provider.as_str()).record("attempt.id", handle.as_str());
    let open = |cookie| Attempt::open(&app.keyring, cookie, handle, provider, "login", Expected::Confirm);
    let attempt = jar
        .get(handle)
        .and_then(open)
        .ok_or(Failed { error: ConfirmError::UnknownAttempt, attempt: None })?;
    let confirmed = conclude(app, &attempt, form, client).await;
    confirmed.map_err(|error| Failed { error, attempt: Some(Box::new(attempt)) })
}

async fn conclude(
    app: &App,
    attempt: &Attempt,
    form: &ConfirmForm,
    client: IpAddr,
) -> Result<Confirmed, ConfirmError> {
    let Step::Confirm(confirmation) = &attempt.step else { return Err(ConfirmError::UnknownAttempt) };
    app.limits.click(client)?;
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    if !bool::from(digest(&confirmation.csrf).ct_eq(&digest(&form.csrf))) {
        return Err(ConfirmError::Csrf);
    }
    if attempt.started.plus(app.config.login.attempt_lifetime) <= app.clock.now() {
        return Err(ConfirmError::Expired);
    }
    let with_client = attempt.clone().with_client(form.redirect_url.as_deref()).ok_or(ConfirmError::Csrf)?;
    let client = ClientRedirect::of(&with_client.purpose).ok_or(ConfirmError::UnknownAttempt)?;
    let is_first = issue(app, &Issue { attempt, confirmation, spend: &[] }).await?;
    let token = TokenHash::of(&confirmation.token);
    if !is_first && !login_tokens::is_issued(&app.store, &token, &confirmation.user).await? {
        return Err(ConfirmError::AlreadyUsed);
    }
    tracing::info!(user.mxid = %confirmation.user, is_first, "the client's site was confirmed");
    let location = client.with_token(&confirmation.token);
    Ok(Confirmed { location, cookies: vec![SetCookie::Drop(attempt.handle.clone())] })
}
