//! What a request would do, in a few words: for whoever reads logs, and for help desks. The person at the page is told the
//! same in their own language, from the same request.
//!
//! Whoever has an access token can put any text into a device id, so it is quoted and short. Nothing else of the request is
//! in it: no keys, no addresses, no proofs.

use std::fmt::Write as _;

use ruma_common::OwnedDeviceId;
use usher_store::ui_auth_sessions::Operation;

use super::endpoint::{devices_of, erases};

/// So many devices are named.
const MAX_DEVICES: usize = 5;
/// And so much of each: the ids that homeservers make up have ten characters.
const MAX_ID: usize = 40;

/// Describes a stored request.
pub(super) fn describe(operation: Operation, path: &str, body: &str) -> String {
    let devices = || devices_of(operation, path, body).unwrap_or_default();
    match operation {
        Operation::DeleteDevice => format!("delete the device {}", named(&devices())),
        Operation::DeleteDevices => format!("delete the devices {}", named(&devices())),
        Operation::UploadCrossSigning => "replace the cross-signing keys".to_owned(),
        Operation::AddThreepid => "add an e-mail address or a telephone number".to_owned(),
        Operation::Deactivate if erases(operation, body) => {
            "deactivate the account and erase its messages".to_owned()
        }
        Operation::Deactivate => "deactivate the account".to_owned(),
        Operation::GetLoginToken => "make a login token".to_owned(),
    }
}

fn named(devices: &[OwnedDeviceId]) -> String {
    let mut text = String::new();
    for (index, device) in devices.iter().take(MAX_DEVICES).enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let start: String = device.as_str().chars().take(MAX_ID).collect();
        let cut = if start.len() < device.as_str().len() { "…" } else { "" };
        write!(text, "{separator}{start:?}{cut}").expect("writing to a String cannot fail");
    }
    match devices.len() {
        0 => "(none)".to_owned(),
        count if count > MAX_DEVICES => format!("{text} and {} more", count - MAX_DEVICES),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_described_by_what_it_would_do_and_without_its_secrets() {
        let many: Vec<_> = (0..1000).map(|number| format!("D{number}")).collect();
        let many = serde_json::json!({ "devices": many }).to_string();
        let long = format!("/devices/{}", "x".repeat(100_000));
        let cut = format!("delete the device \"{}\"…", "x".repeat(40));
        for (operation, path, body, expected) in [
            (Operation::DeleteDevice, "/devices/PHONE", "{}", "delete the device \"PHONE\""),
            (
                Operation::DeleteDevice,
                "/devices/%0A%22%E2%80%AE%C3%B6",
                "{}",
                "delete the device \"\\n\\\"\\u{202e}ö\"",
            ),
            (Operation::DeleteDevice, &long, "{}", &cut),
            (
                Operation::DeleteDevices,
                "/delete_devices",
                r#"{"devices":["A","B"]}"#,
                "delete the devices \"A\", \"B\"",
            ),
            (Operation::DeleteDevices, "/delete_devices", r#"{"devices":[]}"#, "delete the devices (none)"),
            (
                Operation::DeleteDevices,
                "/delete_devices",
                &many,
                "delete the devices \"D0\", \"D1\", \"D2\", \"D3\", \"D4\" and 995 more",
            ),
            (
                Operation::UploadCrossSigning,
                "/keys/device_signing/upload",
                r#"{"master_key":{"keys":{"ed25519:KEY":"KEY"}}}"#,
                "replace the cross-signing keys",
            ),
            (
                Operation::AddThreepid,
                "/account/3pid/add",
                r#"{"client_secret":"SECRET","sid":"SID"}"#,
                "add an e-mail address or a telephone number",
            ),
            (Operation::Deactivate, "/account/deactivate", "{}", "deactivate the account"),
            (
                Operation::Deactivate,
                "/account/deactivate",
                r#"{"erase":true}"#,
                "deactivate the account and erase its messages",
            ),
            (Operation::GetLoginToken, "/login/get_token", "{}", "make a login token"),
        ] {
            assert_eq!(describe(operation, path, body), expected);
        }
    }
}
