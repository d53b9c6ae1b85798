//! Finishes an attempt: from the provider's callback to a login token on the person's own homeserver.

use std::net::IpAddr;

use ruma_common::{OwnedServerName, OwnedUserId};
use usher_core::{
    Callback, Candidate, Ctx, Handle, Outcome, Proof, ProviderError, ProviderId, Purpose, Refusal,
    SelectError, accept,
    provider::{BrowserStep, Challenge, Origin},
};
use usher_store::StoreError;

use super::{
    Attempt, BeginError, ClientRedirect, EstablishError, Jar, SetCookie, Step,
    begin::remember,
    choose::resume,
    keepsake::{self, Occasion},
    land::{Arrival, land},
    sealed::Expected,
};
use crate::{
    app::{App, ConfiguredProvider},
    limits::{Limited, Mention},
    sign_out,
    ui_auth::{self, ConfirmationError},
};

/// What the browser is told.
#[derive(Debug)]
pub enum Finished {
    /// Back to the client, with a login token in the query.
    ToClient {
        /// The client's `redirectUrl` with the token: a bearer value, not for a log.
        location: String,
        /// The attempt's cookie goes.
        cookies: Vec<SetCookie>,
    },
    /// A page asks which homeserver the person wants.
    Choose {
        /// The attempt, for the form's action.
        attempt: Box<Attempt>,
        /// What the form must bring back.
        csrf: String,
        /// Where the person is going.
        client: ClientRedirect,
        /// What they may have.
        candidates: Vec<Candidate>,
        /// The attempt's cookie, now at another step.
        cookies: Vec<SetCookie>,
    },
    /// A page asks whether this site may have a login token.
    Confirm {
        /// The attempt, for the form's action.
        attempt: Box<Attempt>,
        /// What the form must bring back.
        csrf: String,
        /// Where the person is going.
        client: ClientRedirect,
        /// Who they are there.
        user: OwnedUserId,
        /// The attempt's cookie, now at another step.
        cookies: Vec<SetCookie>,
    },
    /// A request at a homeserver is confirmed: on to that homeserver's own host.
    Confirmed {
        /// Where its completion page is.
        location: String,
        /// The attempt's cookie goes.
        cookies: Vec<SetCookie>,
    },
    /// One more step at the provider.
    Continue {
        /// Which.
        step: BrowserStep,
        /// The attempt's cookie with what must be remembered now.
        cookies: Vec<SetCookie>,
    },
}

impl Finished {
    /// The same with one more cookie.
    fn with(mut self, cookie: Option<SetCookie>) -> Self {
        let (Self::ToClient { cookies, .. }
        | Self::Choose { cookies, .. }
        | Self::Confirm { cookies, .. }
        | Self::Confirmed { cookies, .. }
        | Self::Continue { cookies, .. }) = &mut self;
        cookies.extend(cookie);
        self
    }
}

/// Why an attempt did not lead to a homeserver. One variant per page.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// This browser has no such attempt under way: another browser, another provider, another step, or no cookies.
    #[error("no such attempt is under way in this browser")]
    UnknownAttempt,
    /// The attempt began too long ago.
    #[error("the attempt has expired")]
    Expired,
    /// The attempt, or the provider's answer, was used before.
    #[error("the attempt has been used")]
    AlreadyUsed,
    /// It cannot even be said which attempt the answer is to.
    #[error("the provider's answer belongs to no attempt{mention}")]
    Stray {
        /// Why not.
        #[source]
        error: ProviderError,
        /// Anybody can send one.
        mention: Mention,
    },
    /// The provider's answer was refused.
    #[error("the provider's answer does not sign anybody in")]
    Provider(#[source] ProviderError),
    /// One more step does not fit a cookie.
    #[error("the attempt does not fit a cookie")]
    TooLarge,
    /// The person is proven, and that is not enough.
    #[error("the answer is not enough for what was asked")]
    Refused(#[from] Refusal),
    /// A form is not the page's.
    #[error("the form does not carry the page's token")]
    Csrf,
    /// The person does not meet what their provider's section requires.
    #[error("the person does not meet what the provider requires")]
    NotAdmitted,
    /// The person does not meet what the homeserver of the selection requires.
    #[error("the person does not meet what {0} requires")]
    NotAllowed(OwnedServerName),
    /// The person chose something that they would not be asked about.
    #[error("the person chose a homeserver that was not offered")]
    NotOffered,
    /// No selector knows where the person belongs.
    #[error("no homeserver is configured for this person")]
    NoHomeserver,
    /// Too many others were choosing for the same person.
    #[error("the choice did not come to rest")]
    Contended,
    /// The login began at another homeserver's host than the one the person belongs to.
    #[error("the person's homeserver is {0}, and the login began at another's")]
    Elsewhere(OwnedServerName),
    /// The person belongs to a homeserver that is not served.
    #[error("the person's homeserver {0} is not served")]
    HomeserverGone(OwnedServerName),
    /// A selector could not decide.
    #[error("the homeserver could not be selected")]
    Select(#[from] SelectError),
    /// The person has no account on their homeserver, and it could not be made.
    #[error("the account on {homeserver} could not be established")]
    Establish {
        /// Where it belongs.
        homeserver: OwnedServerName,
        /// Why not.
        #[source]
        error: EstablishError,
    },
    /// The person has signed in for a request at a homeserver, and it is not confirmed by that.
    #[error("the request is not confirmed")]
    UiAuth(#[source] ConfirmationError),
    /// The address comes back, or the person signs in, too often.
    #[error("the address or the account is limited")]
    Limited(#[from] Limited),
    /// The database.
    #[error("the database did not answer")]
    Store(#[from] StoreError),
}

/// A refusal, and the attempt it is about if this browser has it: the page can then offer to start again.
#[derive(Debug)]
pub struct Failed<E = FinishError> {
    /// Why.
    pub error: E,
    /// Which.
    pub attempt: Option<Box<Attempt>>,
}

/// Reads `callback` of `provider` as the answer to an attempt of this browser, which is at `client`.
pub async fn finish(
    app: &App,
    provider: &ProviderId,
    callback: &Callback,
    client: IpAddr,
    jar: &Jar,
) -> Result<Finished, Failed> {
    tracing::Span::current().record("provider.id", provider.as_str());
    let early = |error| Failed { error, attempt: None };
    let configured = app.providers.get(provider).ok_or_else(|| early(FinishError::UnknownAttempt))?;
    let attempt = opened(app, configured, callback, jar).map_err(early)?;
    // Only now: whoever sends garbage uses up nothing of those who share their address.
    app.limits.callback(client).map_err(|limited| early(limited.into()))?;
    if let Step::Choose(choice) = &attempt.step {
        // The callback once more, after a page that asks: the page once more.
        let choice = choice.clone();
        return resume(app, attempt, choice, None, jar).await;
    }
    let failed = |error| Failed { error, attempt: Some(Box::new(attempt.clone())) };
    if attempt.started.plus(app.config.login.attempt_lifetime) <= app.clock.now() {
        return Err(failed(FinishError::Expired));
    }
    if let Some(page) = confirmed_again(&attempt) {
        return Ok(page);
    }
    match conclude(app, configured, attempt.clone(), callback, jar).await {
        Ok(finished) => Ok(finished),
        Err(error) => {
            ui_auth::note_failure(app, &attempt, &error).await;
            Err(failed(error))
        }
    }
}

/// For a request at a homeserver: whether it waits still. Before the provider is asked, so that an answer to one that is
/// over is not used up.
async fn confirmed_before(app: &App, attempt: &Attempt) -> Result<Option<Finished>, FinishError> {
    let Purpose::UiAuth { session, .. } = &attempt.purpose else { return Ok(None) };
    let handle = Handle::parse(session.as_str()).map_err(|_| FinishError::UnknownAttempt)?;
    match ui_auth::still_open(app, &handle).await {
        Ok(true) => Ok(None),
        Ok(false) => completed(app, attempt).map(Some),
        Err(error) => Err(FinishError::UiAuth(error)),
    }
}

/// Back to the homeserver's own host, whose message the client waits for.
fn completed(app: &App, attempt: &Attempt) -> Result<Finished, FinishError> {
    let Purpose::UiAuth { session, homeserver, .. } = &attempt.purpose else {
        return Err(FinishError::UnknownAttempt);
    };
    let handle = Handle::parse(session.as_str()).map_err(|_| FinishError::UnknownAttempt)?;
    let served = app.homeservers.get(homeserver);
    let served = served.ok_or_else(|| FinishError::HomeserverGone(homeserver.clone()))?;
    Ok(Finished::Confirmed {
        location: ui_auth::completion_url(&served.config, &handle),
        cookies: vec![SetCookie::Drop(attempt.handle.clone())],
    })
}

/// Opens the attempt that the callback names, with this browser's own cookie and nothing else.
fn opened(
    app: &App,
    configured: &ConfiguredProvider,
    callback: &Callback,
    jar: &Jar,
) -> Result<Attempt, FinishError> {
    let provider = &configured.provider.descriptor().id;
    let stray = |error| FinishError::Stray { mention: app.limits.mention(provider, &error), error };
    let handle = configured.provider.handle(callback).map_err(stray)?;
    tracing::Span::current().record("attempt.id", handle.as_str());
    let cookie = jar.get(&handle).ok_or(FinishError::UnknownAttempt)?;
    let open = |purpose, step| Attempt::open(&app.keyring, cookie, &handle, provider, purpose, step);
    open("login", Expected::Answer)
        .or_else(|| open("login", Expected::Choose))
        .or_else(|| open("login", Expected::Confirm))
        .or_else(|| open("ui_auth", Expected::Answer))
        .ok_or(FinishError::UnknownAttempt)
}

/// The page that asks about the client's site, shown again for an attempt that has come so far. Nothing new is made or
/// set: what it needs is in the cookie that is there.
fn confirmed_again(attempt: &Attempt) -> Option<Finished> {
    let Step::Confirm(confirmation) = &attempt.step else { return None };
    Some(Finished::Confirm {
        csrf: confirmation.csrf.clone(),
        client: ClientRedirect::of(&attempt.purpose)?,
        user: confirmation.user.clone(),
        attempt: Box::new(attempt.clone()),
        cookies: Vec::new(),
    })
}

/// The same attempt with one more step. `origin` is where the person said they were from.
fn go_on(
    app: &App,
    mut attempt: Attempt,
    challenge: Challenge,
    origin: Option<Origin>,
    jar: &Jar,
) -> Result<Finished, FinishError> {
    let (step, mut cookies) = remember(app, &mut attempt, challenge, jar).map_err(|error| match error {
        BeginError::Provider(error) => FinishError::Provider(error),
        BeginError::UnknownProvider | BeginError::TooLarge => FinishError::TooLarge,
    })?;
    if let Some(origin) = origin {
        cookies.push(SetCookie::Origin(attempt.provider, Some(origin)));
    }
    Ok(Finished::Continue { step, cookies })
}

async fn conclude(
    app: &App,
    configured: &ConfiguredProvider,
    attempt: Attempt,
    callback: &Callback,
    jar: &Jar,
) -> Result<Finished, FinishError> {
    let Step::Answer(state) = attempt.step.clone() else { return Err(FinishError::UnknownAttempt) };
    if let Some(confirmed) = confirmed_before(app, &attempt).await? {
        return Ok(confirmed);
    }
    let busy = |_| FinishError::Provider(ProviderError::unavailable("too many answers are being verified"));
    let verifying = configured.verifying.try_acquire().map_err(busy)?;
    let ctx = Ctx { now: app.clock.now(), skew: configured.skew, entropy: &*app.entropy };
    let outcome = configured
        .provider
        .complete(&ctx, &attempt.demand(jar), state, callback)
        .await
        .map_err(FinishError::Provider)?;
    drop(verifying);
    let Proof { identity, spend, keepsake } = match outcome {
        Outcome::Done(proof) => proof,
        Outcome::Continue(challenge) => return go_on(app, attempt, challenge, None, jar),
        Outcome::From(origin, challenge) => return go_on(app, attempt, challenge, Some(origin), jar),
    };
    let kept = keepsake
        .filter(|_| sign_out::offered(app, &attempt.provider).is_some())
        .map(|keepsake| keepsake::keep(app, &attempt.provider, Occasion::Session, &keepsake));
    let finished = if let Purpose::UiAuth { .. } = &attempt.purpose {
        ui_auth::confirm(app, configured, &attempt, &identity, &spend).await.map_err(FinishError::UiAuth)?;
        completed(app, &attempt)?
    } else {
        accept(&attempt.purpose, attempt.freshness, &identity, None, configured.skew, app.clock.now())?;
        let arrival = Arrival { identity: &identity, spend, choice: None, answer: None };
        land(app, attempt, arrival, jar).await?
    };
    Ok(finished.with(kept))
}
