//! A request with a session of ours: the same request once more. If its person has signed in, it is done, once.
//!
//! The session is bound to all that the request was: account, device, method, path and body. A body of `auth` alone stands
//! for the stored one. A lease keeps two repetitions from doing it twice; a homeserver that fails gives the session back,
//! and one that stays silent lets the lease run out.

use std::time::Duration;

use usher_store::{
    Lease, UiAuthSessionHash,
    ui_auth_sessions::{self, Session, State},
};

use super::{
    Asked, Challenged, Identified, UiAuthError,
    body::canonical,
    perform::{Claim, is_definite, perform},
    session_id::is_ours,
};
use crate::app::{App, ServedHomeserver};

/// Beyond the homeserver's deadline and what clocks may differ by: what is left of the lease ends the session.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Does the request, if its person has signed in for it.
pub(crate) async fn resume(
    app: &App,
    homeserver: &ServedHomeserver,
    who: &Identified,
    asked: &Asked,
    session_id: &str,
) -> Result<Challenged, UiAuthError> {
    if asked.endpoint.operation().is_none() {
        return Err(UiAuthError::NoPassword);
    }
    if !is_ours(&app.keyring, session_id) {
        return Err(UiAuthError::UnknownSession);
    }
    let hash = UiAuthSessionHash::of(session_id);
    let session = ui_auth_sessions::find(&app.store, &hash).await?.ok_or(UiAuthError::UnknownSession)?;
    if !is_bound_to(&session, who, asked) {
        return Err(UiAuthError::Mismatch);
    }
    let now = app.clock.now();
    match session.state {
        State::Spent => return Err(UiAuthError::Spent),
        State::Denied => return Err(UiAuthError::Denied),
        State::Pending | State::Confirmed | State::Claimed if session.expires_at <= now => {
            return Err(UiAuthError::Expired);
        }
        State::Pending => {
            return Ok(Challenged::SignIn { session: session_id.to_owned(), failure: session.failure });
        }
        State::Confirmed | State::Claimed => {}
    }
    let lease = Lease::generate(&*app.entropy);
    // To a replica whose clock is ahead it must not have run out while the homeserver may still be doing it.
    let lease_until = now.plus(homeserver.config.timeout + app.providers.greatest_skew() + LEASE_MARGIN);
    let Some(confirmed) = ui_auth_sessions::claim(&app.store, &hash, &lease, now, lease_until).await? else {
        return Err(why_not(app, &hash).await?);
    };
    let client = asked.origin.client;
    let claim =
        Claim { session_id, hash: &hash, session: &session, lease: &lease, confirmed: &confirmed, client };
    match perform(app, homeserver, &claim).await {
        Ok(answer) => {
            tracing::info!(
                user.mxid = %session.mxid,
                device.id = ?session.device_id.as_str(),
                operation = %session.operation,
                description = session.description,
                provider.id = %confirmed.provider,
                "a confirmed request was done"
            );
            Ok(Challenged::Done(answer))
        }
        Err(error) => {
            if is_definite(&error) {
                give_back(app, &hash, &lease).await;
            }
            Err(error)
        }
    }
}

/// MSC2454, "one request only": a session is good for the very request it was begun for.
fn is_bound_to(session: &Session, who: &Identified, asked: &Asked) -> bool {
    session.mxid == who.user
        && session.device_id == who.device
        && session.method == asked.endpoint.method()
        && session.path == asked.endpoint.path()
        && (asked.body.is_empty() || session.body == canonical(&asked.body))
}

/// Only on the way to a refusal.
async fn why_not(app: &App, hash: &UiAuthSessionHash) -> Result<UiAuthError, UiAuthError> {
    let now = app.clock.now();
    let Some(session) = ui_auth_sessions::find(&app.store, hash).await? else {
        return Ok(UiAuthError::UnknownSession);
    };
    Ok(match session.state {
        State::Spent => UiAuthError::Spent,
        // Confirmed and not to be claimed: whoever confirmed it is linked no longer.
        State::Denied | State::Pending | State::Confirmed => UiAuthError::Denied,
        State::Claimed => {
            let until = session.claimed_until.unwrap_or(now);
            UiAuthError::InUse { retry_after: until.since(now).max(Duration::from_secs(1)) }
        }
    })
}

/// If the database is away the lease runs out by itself.
async fn give_back(app: &App, hash: &UiAuthSessionHash, lease: &Lease) {
    if let Err(error) = ui_auth_sessions::release(&app.store, hash, lease).await {
        tracing::warn!(%error, "a session could not be given back; its lease will run out");
    }
}
