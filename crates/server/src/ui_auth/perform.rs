//! Does what was confirmed, as the person. Nothing of the client's request is forwarded: what is sent is built from the
//! stored request, and the query is the homeserver client's own.

use ruma_common::UserId;
use serde_json::{Map, Value, json};
use usher_store::{
    AttemptHash, Lease, TokenHash, UiAuthSessionHash,
    login_tokens::{self, NewLoginToken},
    ui_auth_sessions::{self, Confirmed, Operation, Session},
};

use super::{
    Asked, UiAuthError,
    body::canonical,
    endpoint::{Deed, deed},
    session_id::handle_of,
};
use crate::{
    app::{App, ServedHomeserver},
    login::new_token,
};

/// Whether a failure leaves nothing undecided, so that the session can be given back at once.
pub(super) fn is_definite(error: &UiAuthError) -> bool {
    match error {
        UiAuthError::Homeserver(error) => error.is_definite(),
        UiAuthError::Token(_)
        | UiAuthError::ForeignUser(_)
        | UiAuthError::Body(_)
        | UiAuthError::Shape(_)
        | UiAuthError::NoPassword
        | UiAuthError::UnknownSession
        | UiAuthError::Expired
        | UiAuthError::Mismatch
        | UiAuthError::Spent
        | UiAuthError::Denied
        | UiAuthError::InUse { .. }
        | UiAuthError::TooManyOpen { .. }
        | UiAuthError::Limited(_)
        | UiAuthError::Refused(_)
        | UiAuthError::Corrupt
        | UiAuthError::Store(_) => true,
    }
}

/// A claimed session.
pub(super) struct Claim<'a> {
    pub session_id: &'a str,
    pub hash: &'a UiAuthSessionHash,
    pub session: &'a Session,
    pub lease: &'a Lease,
    pub confirmed: &'a Confirmed,
    pub client: std::net::IpAddr,
}

/// Does what a claimed session asks for, and ends it.
pub(super) async fn perform(
    app: &App,
    homeserver: &ServedHomeserver,
    claim: &Claim<'_>,
) -> Result<Map<String, Value>, UiAuthError> {
    let session = claim.session;
    match deed(session.operation, &session.path, &session.body).ok_or(UiAuthError::Corrupt)? {
        Deed::LoginToken => mint(app, claim).await,
        Deed::AtHomeserver(act) => {
            let answer = homeserver.client.act(&session.mxid, claim.client, &act).await?;
            // It is done. Whether that could be written down does not change it: a lease that runs out instead
            // lets the same request be done once more, which changes nothing.
            match ui_auth_sessions::spend(&app.store, claim.hash, claim.lease).await {
                Ok(true) => {}
                Ok(false) => tracing::warn!("a request was done after its lease had run out"),
                Err(error) => {
                    tracing::error!(%error, "a request was done, and its session could not be ended");
                }
            }
            Ok(answer)
        }
    }
}

/// What is done within the grace period, without a session.
pub(super) async fn act(
    homeserver: &ServedHomeserver,
    user: &UserId,
    asked: &Asked,
    operation: Operation,
) -> Result<Map<String, Value>, UiAuthError> {
    match deed(operation, &asked.endpoint.path(), &canonical(&asked.body)).ok_or(UiAuthError::Corrupt)? {
        Deed::AtHomeserver(act) => Ok(homeserver.client.act(user, asked.origin.client, &act).await?),
        Deed::LoginToken => Err(UiAuthError::Corrupt),
    }
}

/// `POST /login/get_token` (client-server API v1.19): a login token of ours, in the transaction that ends the session.
async fn mint(app: &App, claim: &Claim<'_>) -> Result<Map<String, Value>, UiAuthError> {
    let session = claim.session;
    app.limits.issue(&session.mxid)?;
    let token = new_token(&app.keyring, &*app.entropy);
    let now = app.clock.now();
    let lifetime = app.config.login.token_lifetime;
    let expires_at = now.plus(lifetime);
    let (token_hash, attempt) = (TokenHash::of(&token), AttemptHash::of(&handle_of(claim.session_id)));
    let new = NewLoginToken {
        token: &token_hash,
        // The session is what it spends: no other token can ever be made of it.
        attempt: &attempt,
        mxid: &session.mxid,
        person: claim.confirmed.person(),
        upstream_session: claim.confirmed.upstream_session.as_ref(),
        // A logout before they signed in again is about another session of theirs at the provider.
        begun_at: claim.confirmed.at,
        issued_at: now,
        expires_at,
        keep_until: expires_at,
    };
    let mut tx = app.store.begin().await?;
    if !ui_auth_sessions::spend(&mut tx, claim.hash, claim.lease).await?
        || !login_tokens::insert(&mut tx, &new).await?
    {
        return Err(UiAuthError::Spent);
    }
    tx.commit().await?;
    let millis = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
    Ok(Map::from_iter([
        ("login_token".to_owned(), json!(token)),
        ("expires_in_ms".to_owned(), json!(millis)),
    ]))
}
