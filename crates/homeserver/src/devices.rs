//! `GET /_matrix/client/v3/devices?user_id=`: whether somebody already uses an account, and on which devices.
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devices>

use ruma_common::{OwnedDeviceId, UserId};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

use crate::{
    CallError, Homeserver,
    call::{Said, bounded, read},
};

/// A device, as far as it helps its owner to recognise it: only the id is certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// In full.
    pub device_id: OwnedDeviceId,
    /// What its owner or its client called it; the first 256 characters.
    pub display_name: Option<String>,
    /// When it was last seen, in milliseconds since 1970.
    pub last_seen_ts: Option<u64>,
    /// Where from: as the homeserver writes addresses; the first 256 characters.
    pub last_seen_ip: Option<String>,
}

#[derive(Deserialize)]
struct Response<T> {
    devices: Vec<T>,
}

#[derive(Deserialize)]
struct Listed {
    device_id: OwnedDeviceId,
    #[serde(default, deserialize_with = "if_readable")]
    display_name: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    last_seen_ts: Option<u64>,
    #[serde(default, deserialize_with = "if_readable")]
    last_seen_ip: Option<String>,
}

impl Homeserver {
    /// How many devices `user` has.
    ///
    /// None does not prove that nobody ever used the account: a deactivated user has none either.
    pub async fn list_devices_of(&self, user: &UserId) -> Result<usize, CallError> {
        Ok(self.read_devices_of::<IgnoredAny>(user).await?.len())
    }

    /// The devices of `user`, in the homeserver's order.
    pub async fn devices_of(&self, user: &UserId) -> Result<Vec<Device>, CallError> {
        let listed = self.read_devices_of::<Listed>(user).await?;
        Ok(listed.into_iter().map(Device::from).collect())
    }

    async fn read_devices_of<T: DeserializeOwned>(&self, user: &UserId) -> Result<Vec<T>, CallError> {
        self.check_own(user)?;
        match self.get(self.endpoint_as(user, &["devices"])).await? {
            Said::Done(body) => Ok(read::<Response<T>>(&body)?.devices),
            Said::Refused(refusal) => Err(CallError::NotAllowed(refusal)),
        }
    }
}

impl From<Listed> for Device {
    fn from(listed: Listed) -> Self {
        let Listed { device_id, display_name, last_seen_ts, last_seen_ip } = listed;
        Self {
            device_id,
            display_name: display_name.as_deref().map(bounded),
            last_seen_ts,
            last_seen_ip: last_seen_ip.as_deref().map(bounded),
        }
    }
}

/// What the list is read for is the ids: of the rest, anything odd is left out.
fn if_readable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}
