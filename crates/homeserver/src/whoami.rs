//! `GET /_matrix/client/v3/account/whoami` with a person's own access token: whose it is.
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3accountwhoami>
//!
//! What an application service asks there is in `probe.rs`.

use std::net::IpAddr;

use ruma_common::{OwnedDeviceId, OwnedUserId};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{AsPersonError, Homeserver, call::read};

/// Whose an access token is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WhoAmI {
    /// As the homeserver names them: whether they are its own user, the caller judges.
    pub user_id: OwnedUserId,
    /// The device the token belongs to; application services have none.
    pub device_id: Option<OwnedDeviceId>,
    /// Whether they came without an account.
    #[serde(default)]
    pub is_guest: bool,
}

impl Homeserver {
    /// Whose `access_token` is, asked on behalf of their client at `client`.
    pub async fn whoami(&self, access_token: &SecretString, client: IpAddr) -> Result<WhoAmI, AsPersonError> {
        let url = self.endpoint(&["account", "whoami"]);
        let body = self.read_as_person(access_token, client, url).await?;
        Ok(read(&body)?)
    }
}
