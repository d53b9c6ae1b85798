//! `GET /_matrix/client/v3/devices?user_id=`: whether somebody already uses an account.
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devices>

use ruma_common::UserId;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    CallError, Homeserver,
    call::{Said, read},
};

#[derive(Deserialize)]
struct Response {
    devices: Vec<IgnoredAny>,
}

impl Homeserver {
    /// How many devices `user` has.
    ///
    /// None does not prove that nobody ever used the account: a deactivated user has none either.
    pub async fn list_devices_of(&self, user: &UserId) -> Result<usize, CallError> {
        self.check_own(user)?;
        match self.get(self.endpoint_as(user, &["devices"])).await? {
            Said::Done(body) => Ok(read::<Response>(&body)?.devices.len()),
            Said::Refused(refusal) => Err(CallError::NotAllowed(refusal)),
        }
    }
}
