//! "This was not me": the request ends, and so do the others of its device and the device's session at the homeserver.
//!
//! The device is signed out once. Whoever has the page's address needs no access token for it, and must not be able to do
//! so again when its owner has signed in on the device anew.

use std::net::IpAddr;

use usher_core::Handle;
use usher_homeserver::Act;
use usher_store::{
    UiAuthHandleHash,
    ui_auth_sessions::{self, Session, State},
};

use super::page::PageError;
use crate::{app::App, error::chain};

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The device that it came from is signed out.
    SignedOut,
    /// The request ended, but the device could not be signed out.
    StillSignedIn,
}

/// Ends the request of a page, and signs the device out that it came from. The request first: it must not be confirmed
/// while the homeserver is asked. Sent once more, it signs the device out if that did not work before.
pub(crate) async fn deny(app: &App, handle: &Handle, client: IpAddr) -> Result<Denied, PageError> {
    app.limits.click(client)?;
    let hash = UiAuthHandleHash::of(handle);
    // The form is a page's, so there was one: it has made room for others, or is over for long.
    let session = ui_auth_sessions::find_by_handle(&app.store, &hash).await?.ok_or(PageError::TooLate)?;
    if session.is_signed_out {
        return Ok(Denied::SignedOut);
    }
    let is_denied =
        session.state == State::Denied || ui_auth_sessions::deny(&app.store, &hash, app.clock.now()).await?;
    if !is_denied {
        return Err(PageError::TooLate);
    }
    tracing::warn!(
        user.mxid = %session.mxid,
        device.id = ?session.device_id.as_str(),
        operation = %session.operation,
        client = session.client,
        "a person says that a request was not theirs"
    );
    Ok(sign_out(app, &session, client).await)
}

async fn sign_out(app: &App, session: &Session, client: IpAddr) -> Denied {
    let homeserver = app.homeservers.get(session.mxid.server_name());
    let Some(homeserver) = homeserver.filter(|_| !session.device_id.as_str().is_empty()) else {
        return Denied::StillSignedIn;
    };
    let act = Act::DeleteDevices(vec![session.device_id.clone()]);
    match homeserver.client.act(&session.mxid, client, &act).await {
        Ok(_) => {
            let now = app.clock.now();
            let noted =
                ui_auth_sessions::note_signed_out(&app.store, &session.mxid, &session.device_id, now).await;
            if let Err(error) = noted {
                tracing::warn!(cause = chain(&error), "that the device was signed out could not be noted");
            }
            Denied::SignedOut
        }
        Err(error) => {
            tracing::error!(cause = chain(&error), "the device could not be signed out");
            Denied::StillSignedIn
        }
    }
}
