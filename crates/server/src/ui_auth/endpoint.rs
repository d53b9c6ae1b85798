//! The endpoints that need UI auth, and what a request to one of them asks for.
//!
//! Each has one method and one path, whatever version and spelling the client chose: sessions are bound to that. What is
//! bound is checked for its shape here, so that nobody is asked to confirm what cannot be done.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ruma_common::{
    OwnedDeviceId,
    canonical_json::{CanonicalJsonObject, CanonicalJsonValue},
};
use serde_json::{Map, Value};
use usher_homeserver::Act;
use usher_store::ui_auth_sessions::Operation;

use super::body::canonical;

/// An endpoint that needs UI auth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `DELETE /devices/{deviceId}`
    DeleteDevice {
        /// Decoded.
        device_id: String,
    },
    /// `POST /delete_devices`
    DeleteDevices,
    /// `POST /keys/device_signing/upload`
    UploadCrossSigning,
    /// `POST /account/3pid/add`, and the deprecated `POST /account/3pid`, which does the same and, on some homeservers,
    /// without UI auth.
    AddThreepid {
        /// Whether it is the deprecated one.
        is_deprecated: bool,
    },
    /// `POST /account/deactivate`
    Deactivate,
    /// `POST /account/password`
    ChangePassword,
    /// `POST /login/get_token`
    GetLoginToken,
}

/// In what way a body is not one of the endpoint's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    /// A key is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A key has a value of another type than the specification's.
    #[error("{0} has another type than the specification's")]
    Type(&'static str),
}

impl Endpoint {
    /// The one method.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::DeleteDevice { .. } => "DELETE",
            Self::DeleteDevices
            | Self::UploadCrossSigning
            | Self::AddThreepid { .. }
            | Self::Deactivate
            | Self::ChangePassword
            | Self::GetLoginToken => "POST",
        }
    }

    /// The one path, below the version.
    pub(super) fn path(&self) -> String {
        match self {
            Self::DeleteDevice { device_id } => {
                format!("/devices/{}", utf8_percent_encode(device_id, NON_ALPHANUMERIC))
            }
            Self::DeleteDevices => "/delete_devices".to_owned(),
            Self::UploadCrossSigning => "/keys/device_signing/upload".to_owned(),
            Self::AddThreepid { is_deprecated: false } => "/account/3pid/add".to_owned(),
            Self::AddThreepid { is_deprecated: true } => "/account/3pid".to_owned(),
            Self::Deactivate => "/account/deactivate".to_owned(),
            Self::ChangePassword => "/account/password".to_owned(),
            Self::GetLoginToken => "/login/get_token".to_owned(),
        }
    }

    /// What it asks for; `None`: a password, which is never confirmed.
    pub(super) fn operation(&self) -> Option<Operation> {
        match self {
            Self::DeleteDevice { .. } => Some(Operation::DeleteDevice),
            Self::DeleteDevices => Some(Operation::DeleteDevices),
            Self::UploadCrossSigning => Some(Operation::UploadCrossSigning),
            Self::AddThreepid { .. } => Some(Operation::AddThreepid),
            Self::Deactivate => Some(Operation::Deactivate),
            Self::GetLoginToken => Some(Operation::GetLoginToken),
            Self::ChangePassword => None,
        }
    }

    /// Checks a body, without its `auth`, for what the endpoint needs.
    pub(super) fn check(&self, body: &CanonicalJsonObject) -> Result<(), ShapeError> {
        match self {
            Self::DeleteDevices => devices(body).map(drop),
            Self::AddThreepid { .. } => credentials(body).map(drop),
            Self::Deactivate => match body.get("erase") {
                None | Some(CanonicalJsonValue::Bool(_)) => optional_text(body, "id_server").map(drop),
                Some(_) => Err(ShapeError::Type("erase")),
            },
            Self::DeleteDevice { .. }
            | Self::UploadCrossSigning
            | Self::ChangePassword
            | Self::GetLoginToken => Ok(()),
        }
    }
}

/// What is to be done once a session is confirmed.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// By the homeserver.
    AtHomeserver(Act),
    /// A login token of our own.
    LoginToken,
}

/// Reads a stored request; `None` if it is none of ours, which only a broken database brings about.
pub(super) fn deed(operation: Operation, path: &str, body: &str) -> Option<Deed> {
    let devices = devices_of(operation, path, body)?;
    let body: CanonicalJsonObject = serde_json::from_str(body).ok()?;
    let act = match operation {
        Operation::DeleteDevice | Operation::DeleteDevices => Act::DeleteDevices(devices),
        Operation::UploadCrossSigning => Act::UploadCrossSigning(plain(&body)?),
        Operation::AddThreepid => {
            let (client_secret, sid) = credentials(&body).ok()?;
            Act::AddThreepid { client_secret: client_secret.to_owned(), sid: sid.to_owned() }
        }
        Operation::Deactivate => {
            let kept = body.into_iter().filter(|(key, _)| ["id_server", "erase"].contains(&key.as_str()));
            Act::Deactivate(plain(&kept.collect())?)
        }
        Operation::GetLoginToken => return Some(Deed::LoginToken),
    };
    Some(Deed::AtHomeserver(act))
}

/// The devices that a stored request is to delete; none for other operations.
pub(super) fn devices_of(operation: Operation, path: &str, body: &str) -> Option<Vec<OwnedDeviceId>> {
    match operation {
        Operation::DeleteDevice => {
            let encoded = path.strip_prefix("/devices/")?;
            Some(vec![percent_decode_str(encoded).decode_utf8().ok()?.as_ref().into()])
        }
        Operation::DeleteDevices => {
            let body: CanonicalJsonObject = serde_json::from_str(body).ok()?;
            devices(&body).ok()
        }
        Operation::UploadCrossSigning
        | Operation::AddThreepid
        | Operation::Deactivate
        | Operation::GetLoginToken => Some(Vec::new()),
    }
}

/// Whether a stored request asks for what its person wrote to be erased, besides the end of their account.
pub(super) fn erases(operation: Operation, body: &str) -> bool {
    let body = serde_json::from_str(body).unwrap_or_else(|_| CanonicalJsonObject::new());
    operation == Operation::Deactivate && body.get("erase") == Some(&CanonicalJsonValue::Bool(true))
}

fn devices(body: &CanonicalJsonObject) -> Result<Vec<OwnedDeviceId>, ShapeError> {
    let Some(devices) = body.get("devices") else { return Err(ShapeError::Missing("devices")) };
    let CanonicalJsonValue::Array(devices) = devices else { return Err(ShapeError::Type("devices")) };
    devices
        .iter()
        .map(|device| match device {
            CanonicalJsonValue::String(device) => Ok(device.as_str().into()),
            CanonicalJsonValue::Null
            | CanonicalJsonValue::Bool(_)
            | CanonicalJsonValue::Integer(_)
            | CanonicalJsonValue::Array(_)
            | CanonicalJsonValue::Object(_) => Err(ShapeError::Type("devices")),
        })
        .collect()
}

/// `client_secret` and `sid`, where the endpoint or its deprecated twin has them.
fn credentials(body: &CanonicalJsonObject) -> Result<(&str, &str), ShapeError> {
    let inner = ["three_pid_creds", "threePidCreds"].into_iter().find_map(|key| body.get(key));
    let at = match inner {
        None => body,
        Some(CanonicalJsonValue::Object(inner)) => inner,
        Some(_) => return Err(ShapeError::Type("three_pid_creds")),
    };
    let text = |key| optional_text(at, key)?.ok_or(ShapeError::Missing(key));
    Ok((text("client_secret")?, text("sid")?))
}

fn optional_text<'a>(
    body: &'a CanonicalJsonObject,
    key: &'static str,
) -> Result<Option<&'a str>, ShapeError> {
    match body.get(key) {
        None => Ok(None),
        Some(CanonicalJsonValue::String(text)) => Ok(Some(text)),
        Some(_) => Err(ShapeError::Type(key)),
    }
}

/// As the homeserver's client sends it.
pub(super) fn plain(object: &CanonicalJsonObject) -> Option<Map<String, Value>> {
    serde_json::from_str(&canonical(object)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui_auth::body::Parsed;

    #[test]
    fn a_body_has_the_shape_of_its_endpoint() {
        let threepid = || Endpoint::AddThreepid { is_deprecated: false };
        for (name, endpoint, body, expected) in [
            ("devices", Endpoint::DeleteDevices, r#"{"devices":["A","B"]}"#, Ok(())),
            ("no devices", Endpoint::DeleteDevices, r#"{"devices":[]}"#, Ok(())),
            ("nothing", Endpoint::DeleteDevices, "{}", Err(ShapeError::Missing("devices"))),
            ("a text", Endpoint::DeleteDevices, r#"{"devices":"A"}"#, Err(ShapeError::Type("devices"))),
            ("numbers", Endpoint::DeleteDevices, r#"{"devices":[1]}"#, Err(ShapeError::Type("devices"))),
            ("one device", Endpoint::DeleteDevice { device_id: "A".to_owned() }, "{}", Ok(())),
            ("an address", threepid(), r#"{"client_secret":"c","sid":"1"}"#, Ok(())),
            ("nested", threepid(), r#"{"three_pid_creds":{"client_secret":"c","sid":"1"}}"#, Ok(())),
            ("without sid", threepid(), r#"{"client_secret":"c"}"#, Err(ShapeError::Missing("sid"))),
            ("sid of a number", threepid(), r#"{"client_secret":"c","sid":1}"#, Err(ShapeError::Type("sid"))),
            (
                "credentials that are none",
                threepid(),
                r#"{"three_pid_creds":1}"#,
                Err(ShapeError::Type("three_pid_creds")),
            ),
            ("goodbye", Endpoint::Deactivate, r#"{"erase":true,"id_server":"x"}"#, Ok(())),
            ("erase of a text", Endpoint::Deactivate, r#"{"erase":"true"}"#, Err(ShapeError::Type("erase"))),
            (
                "id_server of a list",
                Endpoint::Deactivate,
                r#"{"id_server":[]}"#,
                Err(ShapeError::Type("id_server")),
            ),
        ] {
            let body = Parsed::read(body.as_bytes()).expect("JSON").rest;
            assert_eq!(endpoint.check(&body), expected, "{name}");
        }
    }

    #[test]
    fn every_device_id_has_a_path_of_its_own() {
        for id in ["A", "A/B", "..", "a b", "%2F", "ö", "?x=y#z"] {
            let path = Endpoint::DeleteDevice { device_id: id.to_owned() }.path();
            let encoded = path.strip_prefix("/devices/").expect("below /devices/");
            assert!(!encoded.contains(['/', '.', '?', '#']), "{path}");
            assert_eq!(percent_decode_str(encoded).decode_utf8().expect("UTF-8"), id);
        }
    }
}
