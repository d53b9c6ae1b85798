//! Somebody was logged out at their provider (OIDC back-channel logout, CAS and SAML single logout): the sessions that Usher
//! opened for them end at their homeservers, and logins under way come to nothing.
//!
//! The notice is kept in one transaction and answered; the homeservers are told in the background (`worker`) until they
//! have done it. A login that was begun before is refused wherever it has come to (`usher_store::logouts`).

mod worker;

use std::net::IpAddr;

use usher_core::{
    Callback, Ctx, ProviderError,
    provider::{BrowserLogout, BrowserStep, EndedSession, LogoutNotice, LogoutProof},
};
use usher_store::{
    EndedSessionHash, StoreError, UpstreamSessionHash, endings,
    logouts::{self, NewLogout},
};

pub(crate) use worker::{Endings, settle};

use crate::{
    app::{App, ConfiguredProvider},
    attempt::{Jar, Occasion, SetCookie, forget, open_keepsake},
    limits::{Limited, Mention},
    login::spend_keys,
};

/// Why a notice was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogoutError {
    /// It is none, or not believable.
    #[error("the logout notice was refused{mention}")]
    Provider {
        /// Why.
        #[source]
        error: ProviderError,
        /// Anybody can send one.
        mention: Mention,
    },
    /// Too many from this address.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// Too many others are being verified.
    #[error("too many logout notices are being verified")]
    Busy,
    /// It was seen before.
    #[error("the logout notice was used before")]
    Replayed,
    /// It names neither a person nor a session.
    #[error("the logout notice is about nobody")]
    Nobody,
    /// The database.
    #[error("the database did not answer")]
    Store(#[from] StoreError),
}

/// Takes a notice of `configured` that a machine sent.
pub(crate) async fn receive(
    app: &App,
    configured: &ConfiguredProvider,
    callback: &Callback,
) -> Result<(), LogoutError> {
    // Anybody can send one, and each may cost a signature to verify.
    let hearing = configured.hearing.try_acquire().map_err(|_| LogoutError::Busy)?;
    let notice = configured.provider.logout(&ctx(app, configured), callback).await;
    drop(hearing);
    keep(app, configured, notice.map_err(|error| refused(app, configured, error))?).await
}

/// What becomes of a browser that brought something of single logout.
pub(crate) enum Onward {
    /// It takes an answer to the provider.
    Answer(BrowserStep),
    /// It is back from signing out.
    SignedOut(Vec<SetCookie>),
}

/// Takes what a browser brought.
pub(crate) async fn receive_from_browser(
    app: &App,
    configured: &ConfiguredProvider,
    callback: &Callback,
    client: IpAddr,
    jar: &Jar,
) -> Result<Onward, LogoutError> {
    app.limits.callback(client)?;
    let provider = &configured.provider.descriptor().id;
    let awaited = open_keepsake(app, jar, provider, Occasion::Departure);
    let hearing = configured.hearing.try_acquire().map_err(|_| LogoutError::Busy)?;
    let brought = configured.provider.browser_logout(&ctx(app, configured), callback, awaited.as_ref()).await;
    drop(hearing);
    match brought.map_err(|error| refused(app, configured, error))? {
        BrowserLogout::Notice { notice, answers } => {
            keep(app, configured, notice).await?;
            Ok(Onward::Answer(if configured.ends_sessions { answers.ended } else { answers.not_ended }))
        }
        BrowserLogout::SignedOut(notice) => {
            keep(app, configured, notice).await?;
            let gone = [Occasion::Session, Occasion::Departure].map(|occasion| forget(provider, occasion));
            Ok(Onward::SignedOut(gone.into()))
        }
        BrowserLogout::Unheeded { reason, step } => {
            tracing::warn!(reason, "a logout notice could not be heeded");
            Ok(Onward::Answer(step))
        }
    }
}

fn refused(app: &App, configured: &ConfiguredProvider, error: ProviderError) -> LogoutError {
    let mention = app.limits.mention(&configured.provider.descriptor().id, &error);
    LogoutError::Provider { error, mention }
}

fn ctx<'a>(app: &'a App, configured: &ConfiguredProvider) -> Ctx<'a> {
    tracing::Span::current().record("provider.id", configured.provider.descriptor().id.as_str());
    Ctx { now: app.clock.now(), skew: configured.skew, entropy: &*app.entropy }
}

async fn keep(app: &App, configured: &ConfiguredProvider, notice: LogoutNotice) -> Result<(), LogoutError> {
    let provider = &configured.provider.descriptor().id;
    // Only now: keys may have had to be fetched, and logins went on meanwhile.
    let now = app.clock.now();
    let LogoutNotice { issuer, subject, sessions, proof, spend } = notice;
    match &proof {
        LogoutProof::Signed if subject.is_none() && sessions.is_empty() => return Err(LogoutError::Nobody),
        LogoutProof::Signed => {}
        LogoutProof::Knowledge { attempt } => {
            let [EndedSession::One(session)] = &sessions[..] else { return Err(LogoutError::Nobody) };
            let session = UpstreamSessionHash::of(provider, &issuer, session);
            if !logouts::is_known(&app.store, &session, attempt).await? {
                // Anybody can make one up: no row is written for it. The CAS server also says it of sessions that ended
                // long ago, so it is no failure.
                tracing::debug!("a logout notice about a session that is not known");
                return Ok(());
            }
        }
    }
    // A row for each; one without a session's name, if none is named.
    let mut named: Vec<_> =
        sessions.iter().map(|ended| Some(EndedSessionHash::of(provider, &issuer, ended))).collect();
    if named.is_empty() {
        named.push(None);
    }
    // The longest that a login under way then can still take: its attempt, or the request for a login token that was
    // confirmed, and its token.
    let keep_until = now.plus(
        app.config.login.attempt_lifetime.max(app.config.ui_auth.session_lifetime)
            + app.config.login.token_lifetime,
    );
    let mut tx = app.store.begin().await?;
    if !spend_keys(&mut tx, provider, &spend).await? {
        return Err(LogoutError::Replayed);
    }
    for upstream_session in &named {
        let logout = NewLogout {
            provider,
            issuer: &issuer,
            subject: subject.as_ref(),
            upstream_session: upstream_session.as_ref(),
            ends_sessions: configured.ends_sessions,
            received_at: now,
            keep_until,
        };
        logouts::insert(&mut tx, &logout, &*app.entropy).await?;
    }
    let noted = endings::insert_due(&mut tx, now).await?;
    tx.commit().await?;
    tracing::info!(provider.id = %provider, sessions = noted, "somebody was logged out at their provider");
    for homeserver in app.homeservers.iter() {
        homeserver.endings.notify_one();
    }
    Ok(())
}
