//! What a person has confirmed, done in their name by the application service, which the homeserver asks for no UI
//! auth: device deletion, cross-signing keys, another address, the end of the account.
//!
//! - <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3delete_devices>
//! - <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload>
//! - <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pid> (deprecated; the one that
//!   replaces it, `/account/3pid/add`, is answered with 500 by Synapse when an application service calls it)
//! - <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate>
//!
//! A device id is never part of a path here: it may be `..`, which a URL does not survive.

use std::{fmt, net::IpAddr};

use reqwest::Method;
use ruma_common::{OwnedDeviceId, UserId};
use serde::Serialize;
use serde_json::{Map, Value};
use usher_http::Answer;

use crate::{
    CallError, Homeserver, Refusal,
    call::{Said, Secret, json, read},
    ui_auth,
};

/// What is to be done.
#[derive(Clone, PartialEq)]
pub enum Act {
    /// Deletes devices and with them their sessions. One that is not there does no harm.
    DeleteDevices(Vec<OwnedDeviceId>),
    /// Uploads cross-signing keys, in place of others too: the client's body.
    UploadCrossSigning(Map<String, Value>),
    /// Adds an address that the homeserver has validated before.
    AddThreepid {
        /// What the client called the validation.
        client_secret: String,
        /// What the homeserver called it.
        sid: String,
    },
    /// Ends the account for good: the client's body.
    Deactivate(Map<String, Value>),
}

/// Why it was not done, as far as we know.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The call failed as any call may. [`CallError::NotAllowed`] is about the application service.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The homeserver says no to what was asked: keys that are none, an address that was never validated. The person
    /// is told the same.
    #[error("the homeserver does not do what the person asked for")]
    Refused(#[source] Refusal),
}

#[derive(Serialize)]
struct DeleteDevices<'a> {
    devices: &'a [OwnedDeviceId],
}

#[derive(Serialize)]
struct AddThreepid<'a> {
    three_pid_creds: Credentials<'a>,
}

#[derive(Serialize)]
struct Credentials<'a> {
    client_secret: &'a str,
    sid: &'a str,
}

impl fmt::Debug for Act {
    /// Only which it is: bodies are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeleteDevices(_) => "DeleteDevices",
            Self::UploadCrossSigning(_) => "UploadCrossSigning",
            Self::AddThreepid { .. } => "AddThreepid",
            Self::Deactivate(_) => "Deactivate",
        })
    }
}

impl Act {
    fn segments(&self) -> &'static [&'static str] {
        match self {
            Self::DeleteDevices(_) => &["delete_devices"],
            Self::UploadCrossSigning(_) => &["keys", "device_signing", "upload"],
            Self::AddThreepid { .. } => &["account", "3pid"],
            Self::Deactivate(_) => &["account", "deactivate"],
        }
    }

    fn body(&self) -> Vec<u8> {
        match self {
            Self::DeleteDevices(devices) => json(&DeleteDevices { devices }),
            Self::UploadCrossSigning(body) | Self::Deactivate(body) => json(&ui_auth::without_auth(body)),
            Self::AddThreepid { client_secret, sid } => {
                json(&AddThreepid { three_pid_creds: Credentials { client_secret, sid } })
            }
        }
    }

    fn secrets(&self) -> Vec<Secret<'_>> {
        match self {
            Self::AddThreepid { client_secret, .. } => vec![(client_secret, "[client_secret]")],
            Self::DeleteDevices(_) | Self::UploadCrossSigning(_) | Self::Deactivate(_) => Vec::new(),
        }
    }
}

impl Homeserver {
    /// Does `act` as `user`, whose client is at `client`, and returns the homeserver's answer.
    pub async fn act(
        &self,
        user: &UserId,
        client: IpAddr,
        act: &Act,
    ) -> Result<Map<String, Value>, ActError> {
        self.check_own(user)?;
        let request = self.as_service(Method::POST, self.endpoint_as(user, act.segments()));
        let answer = self.deliver(request, Some(act.body()), Some(client)).await?;
        check_no_ui_auth(&answer)?;
        match self.understand(answer, &act.secrets())? {
            Said::Done(body) => Ok(read(&body)?),
            // 401 is about the token that was sent, which is the service's: the person's client would log itself out.
            Said::Refused(refusal) if refusal.status == 401 => Err(CallError::NotAllowed(refusal).into()),
            Said::Refused(refusal) => Err(ActError::Refused(refusal)),
        }
    }
}

/// A homeserver that asks an application service for UI auth cannot be acted on.
fn check_no_ui_auth(answer: &Answer) -> Result<(), CallError> {
    if !ui_auth::is_asked_for(answer) {
        return Ok(());
    }
    Err(CallError::NotAllowed(Refusal {
        status: answer.status.as_u16(),
        errcode: "M_UNAUTHORIZED".to_owned(),
        error: "asked the application service for user-interactive authentication".to_owned(),
        soft_logout: false,
    }))
}
