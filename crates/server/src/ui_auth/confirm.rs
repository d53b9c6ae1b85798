//! A person has come back from the provider: their session is confirmed, if they are its person.
//!
//! `accept` judges, by the account that is linked to them on the session's homeserver. What provider and homeserver
//! require of people holds as at every sign-in: a login token is another one. The attempt is spent in the transaction that
//! confirms the session, with the provider's one-time keys. No link is ever made here.

use ruma_common::{OwnedServerName, ServerName, UserId};
use usher_core::{Freshness, Handle, Identity, Purpose, Refusal, accept, provider::OneTime};
use usher_store::{
    AttemptHash, PersonKey, StoreError, UiAuthHandleHash, UpstreamSessionHash, links,
    ui_auth_sessions::{self, Confirmation, State},
};

use crate::{
    app::{App, ConfiguredProvider},
    attempt::{Attempt, is_admitted, meets},
    login::spend_keys,
};

/// Why a session is not confirmed, one variant per page.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmationError {
    /// The person is not the session's, or did not authenticate anew.
    #[error("the answer is not enough for what was asked")]
    Refused(#[from] Refusal),
    /// The person does not meet what their provider's section requires.
    #[error("the person does not meet what the provider requires")]
    NotAdmitted,
    /// The person does not meet what their homeserver's section requires.
    #[error("the person does not meet what {0} requires")]
    NotAllowed(OwnedServerName),
    /// There is no such session, or none any more.
    #[error("there is no such session")]
    Unknown,
    /// The session's time is over.
    #[error("the session has expired")]
    Expired,
    /// The session was confirmed, or the attempt or the provider's answer used, before.
    #[error("the session was confirmed before")]
    AlreadyUsed,
    /// The person said that it was not theirs.
    #[error("the session was denied")]
    Denied,
    /// The database.
    #[error("the database did not answer")]
    Store(#[from] StoreError),
}

/// Whether a session still waits, before the provider is asked about an answer that would be of no use. `Ok(false)`: it
/// is confirmed already.
pub(crate) async fn still_open(app: &App, handle: &Handle) -> Result<bool, ConfirmationError> {
    let found = ui_auth_sessions::find_by_handle(&app.store, &UiAuthHandleHash::of(handle)).await?;
    let session = found.ok_or(ConfirmationError::Unknown)?;
    match session.state {
        State::Denied => Err(ConfirmationError::Denied),
        State::Spent => Err(ConfirmationError::AlreadyUsed),
        State::Pending | State::Confirmed | State::Claimed if session.expires_at <= app.clock.now() => {
            Err(ConfirmationError::Expired)
        }
        State::Pending => Ok(true),
        State::Confirmed | State::Claimed => Ok(false),
    }
}

/// Confirms the session of an attempt. `spend`: the provider's one-time keys.
pub(crate) async fn confirm(
    app: &App,
    configured: &ConfiguredProvider,
    attempt: &Attempt,
    identity: &Identity,
    spend: &[OneTime],
) -> Result<(), ConfirmationError> {
    let Purpose::UiAuth { session, homeserver, expected } = &attempt.purpose else {
        return Err(ConfirmationError::Unknown);
    };
    let handle = Handle::parse(session.as_str()).map_err(|_| ConfirmationError::Unknown)?;
    let linked = linked_account(app, identity, homeserver).await?;
    let now = app.clock.now();
    accept(&attempt.purpose, attempt.freshness, identity, linked.as_deref(), configured.skew, now)?;
    if !is_admitted(app, identity) {
        return Err(ConfirmationError::NotAdmitted);
    }
    if !app.homeservers.get(homeserver).is_some_and(|homeserver| meets(homeserver, identity)) {
        return Err(ConfirmationError::NotAllowed(homeserver.clone()));
    }
    let upstream_session = identity
        .upstream_session
        .as_ref()
        .map(|session| UpstreamSessionHash::of(&identity.provider, &identity.issuer, session));
    let confirmation = Confirmation {
        attempt: &AttemptHash::of(&attempt.handle),
        mxid: expected,
        person: PersonKey::from(identity),
        upstream_session: upstream_session.as_ref(),
        is_fresh: matches!(attempt.freshness, Freshness::Since(_)),
        now,
    };
    let handle_hash = UiAuthHandleHash::of(&handle);
    let mut tx = app.store.begin().await?;
    if !spend_keys(&mut tx, &identity.provider, spend).await? {
        return Err(ConfirmationError::AlreadyUsed);
    }
    let Some(description) = ui_auth_sessions::confirm(&mut tx, &handle_hash, &confirmation).await? else {
        drop(tx);
        // Why: or another was faster, which is as good.
        return match still_open(app, &handle).await {
            Ok(_) => Err(ConfirmationError::AlreadyUsed),
            Err(error) => Err(error),
        };
    };
    tx.commit().await?;
    tracing::info!(
        user.mxid = %expected,
        provider.id = %identity.provider,
        attempt.id = %attempt.handle,
        description,
        "the person has signed in again and confirmed a request"
    );
    Ok(())
}

/// The account that a person is linked to on a homeserver.
async fn linked_account(
    app: &App,
    identity: &Identity,
    homeserver: &ServerName,
) -> Result<Option<impl std::ops::Deref<Target = UserId>>, StoreError> {
    let found = links::find(&app.store, &PersonKey::from(identity), homeserver).await?;
    Ok(found.map(|link| link.mxid))
}
