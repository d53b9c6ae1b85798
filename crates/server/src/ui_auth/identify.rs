//! Who makes a request: the homeserver says whose the access token is, the database whether somebody is linked to them.
//!
//! A request passes through untouched only after both have answered, and one of them said that it is nobody's of ours.
//! Whatever is unclear is an error, never "nobody's".

use std::net::IpAddr;

use ruma_common::{OwnedDeviceId, OwnedUserId};
use secrecy::SecretString;
use usher_store::ui_auth_sessions;

use super::UiAuthError;
use crate::app::{App, ServedHomeserver};

/// Whose request it is.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    /// The owner of the access token.
    pub user: OwnedUserId,
    /// The token's device; empty if it has none.
    pub device: OwnedDeviceId,
    /// Whether somebody is linked to the account: if not, the request is the homeserver's.
    pub is_linked: bool,
    /// How many of the device's requests wait already.
    pub open: u64,
}

/// Asks the homeserver, then the database.
pub(crate) async fn identify(
    app: &App,
    homeserver: &ServedHomeserver,
    token: &SecretString,
    client: IpAddr,
) -> Result<Identified, UiAuthError> {
    let said = homeserver.client.whoami(token, client).await?;
    if said.user_id.server_name() != homeserver.config.server_name {
        return Err(UiAuthError::ForeignUser(said.user_id));
    }
    let device = said.device_id.unwrap_or_else(|| "".into());
    let now = app.clock.now();
    let found = ui_auth_sessions::find_requester(&app.store, &said.user_id, &device, now).await?;
    if found.is_linked {
        tracing::Span::current().record("user.mxid", said.user_id.as_str());
    }
    Ok(Identified { user: said.user_id, device, is_linked: found.is_linked, open: found.open })
}
