//! Begins an attempt: no database, nothing but a sealed cookie and the browser's next step.

use ruma_common::{OwnedServerName, UserId};
use usher_core::{
    Ctx, Freshness, Handle, Issuer, ProviderError, ProviderId, Purpose,
    provider::{BrowserStep, Challenge, Hints, ReturnTrip},
};

use super::{
    Attempt, ClientRedirect, Jar, SetCookie, Step,
    jar::{MAX_COOKIE_BYTES, cookie_name},
};
use crate::app::App;

/// An attempt that has begun.
#[derive(Debug)]
pub struct Begun {
    /// What the browser does next.
    pub step: BrowserStep,
    /// The attempt's cookie, and older ones that made room for it.
    pub cookies: Vec<SetCookie>,
}

/// Why an attempt could not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// No provider has that id.
    #[error("there is no such provider")]
    UnknownProvider,
    /// The provider could not say where to go.
    #[error("the provider could not begin")]
    Provider(#[from] ProviderError),
    /// What must be remembered does not fit a cookie.
    #[error("the attempt does not fit a cookie")]
    TooLarge,
}

/// Sends a browser to `provider` for a login token; of the homeserver `only`, if the login began at that one's host.
pub async fn begin(
    app: &App,
    provider: &ProviderId,
    client: &ClientRedirect,
    only: Option<OwnedServerName>,
    hints: Hints,
    jar: &Jar,
) -> Result<Begun, BeginError> {
    let purpose = Purpose::Login { client_redirect_url: client.as_str().to_owned(), only };
    begin_for(app, provider, purpose, None, hints, jar).await
}

/// Sends a browser to `provider`, to the IdP that the person is linked at if that is one, to have them authenticate anew for the UI-auth
/// session of `session`.
pub(crate) async fn begin_ui_auth(
    app: &App,
    provider: &ProviderId,
    session: &Handle,
    user: &UserId,
    issuer: Option<Issuer>,
    jar: &Jar,
) -> Result<Begun, BeginError> {
    let purpose = Purpose::UiAuth {
        session: session.as_str().to_owned(),
        homeserver: user.server_name().to_owned(),
        expected: user.to_owned(),
    };
    begin_for(app, provider, purpose, issuer, Hints::default(), jar).await
}

async fn begin_for(
    app: &App,
    provider: &ProviderId,
    purpose: Purpose,
    issuer: Option<Issuer>,
    hints: Hints,
    jar: &Jar,
) -> Result<Begun, BeginError> {
    tracing::Span::current().record("provider.id", provider.as_str());
    let configured = app.providers.get(provider).ok_or(BeginError::UnknownProvider)?;
    let now = app.clock.now();
    let freshness = match &purpose {
        // The operator's word: this provider cannot prove more.
        Purpose::UiAuth { .. } if configured.live_session_is_enough => Freshness::AnySession,
        Purpose::UiAuth { .. } | Purpose::Login { .. } => purpose.freshness(now),
    };
    let mut attempt = Attempt {
        handle: Handle::generate(&*app.entropy),
        provider: provider.clone(),
        purpose,
        freshness,
        issuer,
        hints,
        client_hash: None,
        returns_by: ReturnTrip::Navigation,
        started: now,
        step: Step::Answer(usher_core::provider::ProviderState::new(String::new())),
    };
    let ctx = Ctx { now, skew: configured.skew, entropy: &*app.entropy };
    let challenge = configured.provider.begin(&ctx, &attempt.demand(jar)).await?;
    let (step, cookies) = remember(app, &mut attempt, challenge, jar)?;
    // Not an outcome, and anybody can begin as many as they like.
    tracing::debug!(attempt.id = %attempt.handle, "attempt begun");
    Ok(Begun { step, cookies })
}

/// Seals what a challenge asks us to remember into the attempt's cookie.
pub(super) fn remember(
    app: &App,
    attempt: &mut Attempt,
    challenge: Challenge,
    jar: &Jar,
) -> Result<(BrowserStep, Vec<SetCookie>), BeginError> {
    attempt.step = Step::Answer(challenge.state);
    attempt.returns_by = challenge.returns_by;
    let forgotten = match &challenge.step {
        BrowserStep::Ask(page) if page.is_forgotten => {
            Some(SetCookie::Origin(attempt.provider.clone(), None))
        }
        BrowserStep::Ask(_) | BrowserStep::Redirect(_) | BrowserStep::PostForm { .. } => None,
    };
    if let Some(mut cookies) = keep(app, attempt, jar) {
        cookies.extend(forgotten);
        return Ok((challenge.step, cookies));
    }
    // A long address: the client's wishes are on their way by now, and need not be remembered.
    attempt.hints = Hints { register: attempt.hints.register, ..Hints::default() };
    let mut cookies = keep(app, attempt, jar).ok_or(BeginError::TooLarge)?;
    cookies.extend(forgotten);
    Ok((challenge.step, cookies))
}

/// The attempt's cookie and those that make room for it; `None` if it is too large.
pub(super) fn keep(app: &App, attempt: &Attempt, jar: &Jar) -> Option<Vec<SetCookie>> {
    let value = attempt.seal(&app.keyring, &*app.entropy);
    let bytes = cookie_name(&attempt.handle).len() + value.len();
    if bytes > MAX_COOKIE_BYTES {
        return None;
    }
    let room = jar.make_room(&attempt.handle, bytes);
    let mut cookies: Vec<_> = room.into_iter().map(SetCookie::Drop).collect();
    let (handle, max_age) = (attempt.handle.clone(), app.config.login.attempt_lifetime);
    cookies.push(SetCookie::Keep { handle, value, max_age, same_site: attempt.returns_by.into() });
    Some(cookies)
}
