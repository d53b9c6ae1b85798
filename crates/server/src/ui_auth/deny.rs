//! "This was not me": the request ends, and so do the others of its device and the device's session at the homeserver.
//!
//! The request and the errand to sign its device out are written together, so that the homeserver may be away: what cannot
//! be done at once is an ending (`logout`), tried until it is done. A device is signed out once for a denial: whoever has the
//! page's address needs no access token for it, and must not be able to do so again when its owner has signed in on the
//! device anew.

use std::{net::IpAddr, time::Duration};

use usher_core::Handle;
use usher_homeserver::Act;
use usher_store::{
    Lease, UiAuthHandleHash,
    endings::{self, Ending},
    ui_auth_sessions::{self, Session, State},
};

use super::page::PageError;
use crate::{
    app::{App, ServedHomeserver},
    error::chain,
    logout::settle,
};

/// Beyond the homeserver's deadline, until another may try.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// What became of a denied request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What it would have done.
    pub description: String,
    /// What became of the device that asked.
    pub device: AskingDevice,
}

/// What became of the device that a denied request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskingDevice {
    /// It is signed out.
    SignedOut,
    /// It will be, as soon as the homeserver does it.
    WillBeSignedOut,
    /// It cannot be told from others, or its homeserver is not Usher's any more.
    StillSignedIn,
}

/// Ends the request of a page, and signs the device out that it came from. The request first: it must not be confirmed
/// while the homeserver is asked. Sent once more, it has the device signed out now, if that did not work before.
pub(crate) async fn deny(app: &App, handle: &Handle, client: IpAddr) -> Result<Denied, PageError> {
    app.limits.click(client)?;
    let hash = UiAuthHandleHash::of(handle);
    // The form is a page's, so there was one: it has made room for others, or is over for long.
    let session = ui_auth_sessions::find_by_handle(&app.store, &hash).await?.ok_or(PageError::TooLate)?;
    let homeserver = app.homeservers.get(session.mxid.server_name());
    let homeserver = homeserver.filter(|_| !session.device_id.as_str().is_empty());
    let lease = Lease::generate(&*app.entropy);
    let ending = if session.state == State::Denied && session.is_seen_to {
        match homeserver {
            Some(homeserver) => {
                let until = app.clock.now().plus(homeserver.config.timeout + LEASE_MARGIN);
                let (mxid, device_id) = (&session.mxid, &session.device_id);
                endings::claim_denial(&app.store, mxid, device_id, &lease, until).await?
            }
            None => None,
        }
    } else {
        stop(app, &session, &hash, homeserver, &lease).await?
    };
    let device = match (homeserver, ending) {
        (None, _) => AskingDevice::StillSignedIn,
        (Some(_), None) => AskingDevice::SignedOut,
        (Some(homeserver), Some(ending)) => sign_out(app, homeserver, &lease, &ending, client).await,
    };
    Ok(Denied { description: session.description, device })
}

/// Ends the request, with the errand to sign its device out, and then the others of its device.
async fn stop(
    app: &App,
    session: &Session,
    hash: &UiAuthHandleHash,
    homeserver: Option<&ServedHomeserver>,
    lease: &Lease,
) -> Result<Option<Ending>, PageError> {
    let now = app.clock.now();
    let (mxid, device_id) = (&session.mxid, &session.device_id);
    let mut tx = app.store.begin().await?;
    if !ui_auth_sessions::deny(&mut tx, hash, now).await? {
        return Err(PageError::TooLate);
    }
    let ending = match homeserver {
        Some(homeserver) => {
            let until = now.plus(homeserver.config.timeout + LEASE_MARGIN);
            endings::insert_denial(&mut tx, mxid, device_id, lease, now, until).await?
        }
        None => None,
    };
    tx.commit().await?;
    for other in ui_auth_sessions::list_deniable(&app.store, mxid, device_id, now).await? {
        ui_auth_sessions::deny_other(&app.store, &other, now).await?;
    }
    tracing::warn!(
        user.mxid = %mxid,
        device.id = ?device_id.as_str(),
        operation = %session.operation,
        description = session.description,
        client = session.client,
        "a person says that a request was not theirs"
    );
    Ok(ending)
}

/// At once, while the person waits.
async fn sign_out(
    app: &App,
    homeserver: &ServedHomeserver,
    lease: &Lease,
    ending: &Ending,
    client: IpAddr,
) -> AskingDevice {
    // Somebody has signed in on it since. If nobody can tell, it is signed out.
    let said = if matches!(endings::is_open(&app.store, ending).await, Ok(false)) {
        Ok(())
    } else {
        let act = Act::DeleteDevices(vec![ending.device_id.clone()]);
        homeserver.client.act(&ending.mxid, client, &act).await.map(drop)
    };
    if let Err(error) = settle(app, lease, ending, &said).await {
        tracing::warn!(cause = chain(&error), "what became of a device could not be noted");
    }
    match said {
        Ok(()) => AskingDevice::SignedOut,
        Err(_) => AskingDevice::WillBeSignedOut,
    }
}
