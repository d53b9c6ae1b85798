//! A request without a session: it is stored, and its person is to sign in again - unless the homeserver wants no UI auth
//! for it, or they have just done so.
//!
//! Two things are decided elsewhere: whether an upload of cross-signing keys needs UI auth is the homeserver's to say
//! (MSC3967: a first upload and the same keys again do not), so it is asked with the person's own token; and whether a
//! device may delete devices within `ui_auth.grace` of a proven authentication is the operator's.

use std::net::IpAddr;

use secrecy::SecretString;
use serde_json::{Map, Value};
use usher_homeserver::Asked as Upload;
use usher_store::{
    UiAuthHandleHash, UiAuthSessionHash,
    ui_auth_sessions::{self, Failure, NewSession, Operation},
};

use super::{
    Endpoint, Identified, UiAuthError,
    body::canonical,
    description::describe,
    endpoint::plain,
    perform::act,
    session_id::{handle_of, new_session_id},
};
use crate::app::{App, ServedHomeserver};

/// So many sessions more than may wait make room for one request; the next one goes on.
const MOST_AT_ONCE: u64 = 31;

/// A request, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// For what.
    pub endpoint: Endpoint,
    /// Its body, `auth` taken out.
    pub body: ruma_common::canonical_json::CanonicalJsonObject,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a request came from, for the person to recognise.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The client's address.
    pub client: IpAddr,
    /// The client's own name for itself, short and printable.
    pub user_agent: String,
}

/// What the client is told.
#[derive(Debug)]
pub(crate) enum Challenged {
    /// It was done; the homeserver's answer.
    Done(Map<String, Value>),
    /// Its person is to sign in again.
    SignIn {
        /// The session's id, a bearer value.
        session: String,
        /// Why the last try to do so came to nothing.
        failure: Option<Failure>,
    },
}

/// Stores the request, or does it if nobody need be asked.
pub(crate) async fn challenge(
    app: &App,
    homeserver: &ServedHomeserver,
    who: &Identified,
    token: &SecretString,
    asked: &Asked,
) -> Result<Challenged, UiAuthError> {
    let Asked { endpoint, body, origin } = asked;
    let operation = endpoint.operation().ok_or(UiAuthError::NoPassword)?;
    endpoint.check(body)?;
    match operation {
        Operation::UploadCrossSigning => {
            let body = plain(body).ok_or(UiAuthError::Corrupt)?;
            let said = homeserver.client.upload_cross_signing_as_person(token, origin.client, &body).await;
            match said.map_err(UiAuthError::Homeserver)? {
                Upload::Done(answer) => return Ok(Challenged::Done(answer)),
                // With their own token: it is about them, and for their client.
                Upload::Refused(refusal) => return Err(UiAuthError::Token(refusal)),
                Upload::NeedsUiAuth => {}
            }
        }
        Operation::DeleteDevice | Operation::DeleteDevices => {
            if let Some(answer) = within_grace(app, homeserver, who, asked, operation).await? {
                return Ok(Challenged::Done(answer));
            }
        }
        Operation::AddThreepid | Operation::Deactivate | Operation::GetLoginToken => {}
    }
    let session = store(app, who, asked, operation).await?;
    Ok(Challenged::SignIn { session, failure: None })
}

async fn store(
    app: &App,
    who: &Identified,
    asked: &Asked,
    operation: Operation,
) -> Result<String, UiAuthError> {
    let session = new_session_id(&app.keyring, &*app.entropy);
    let config = &app.config.ui_auth;
    let now = app.clock.now();
    let (path, body) = (asked.endpoint.path(), canonical(&asked.body));
    let description = describe(operation, &path, &body);
    let hash = UiAuthSessionHash::of(&session);
    let new = NewSession {
        session: &hash,
        handle: &UiAuthHandleHash::of(&handle_of(&session)),
        mxid: &who.user,
        device_id: &who.device,
        operation,
        method: asked.endpoint.method(),
        path: &path,
        body: &body,
        description: &description,
        client: &asked.origin.client.to_string(),
        user_agent: &asked.origin.user_agent,
        created_at: now,
        expires_at: now.plus(config.session_lifetime),
    };
    if !ui_auth_sessions::insert(&app.store, &new, config.max_open).await? {
        return Err(UiAuthError::TooManyOpen { retry_after: config.session_lifetime });
    }
    // As many as were too many when this request came, itself among them: those that come at once make room together.
    for _ in config.max_open.into()..=who.open.min(u64::from(config.max_open) + MOST_AT_ONCE) {
        ui_auth_sessions::delete_oldest(&app.store, &who.user, &who.device, &hash, config.max_open, now)
            .await?;
    }
    tracing::info!(
        user.mxid = %who.user,
        device.id = ?who.device.as_str(),
        operation = %operation,
        description,
        "a request waits for its person to sign in again"
    );
    Ok(session)
}

/// The homeserver's answer, if this device may delete devices without asking its person again.
async fn within_grace(
    app: &App,
    homeserver: &ServedHomeserver,
    who: &Identified,
    asked: &Asked,
    operation: Operation,
) -> Result<Option<Map<String, Value>>, UiAuthError> {
    let grace = app.config.ui_auth.grace;
    // A token without a device cannot be told from another such token.
    if grace.is_zero() || who.device.as_str().is_empty() {
        return Ok(None);
    }
    let since = app.clock.now().minus(grace);
    if !ui_auth_sessions::is_proven_since(&app.store, &who.user, &who.device, since).await? {
        return Ok(None);
    }
    let answer = act(homeserver, &who.user, asked, operation).await?;
    tracing::info!(
        user.mxid = %who.user,
        device.id = ?who.device.as_str(),
        operation = %operation,
        "done without asking: the person has just signed in again on this device"
    );
    Ok(Some(answer))
}
