//! What the page that asks about a request shows.

use std::time::{Duration, SystemTime};

use minijinja::{Value, context};
use usher_core::Timestamp;
use usher_store::ui_auth_sessions::Operation;

use crate::ui_auth::{AskingDevice, Denied, PageDevice, PageView};

pub(super) fn context(view: &PageView, action: &str, csrf: &str) -> Value {
    let providers: Vec<_> = view
        .providers
        .iter()
        .map(|(id, name)| context! { id => id.as_str(), name => name.as_str() })
        .collect();
    context! {
        operation => word(view.operation),
        user => view.user.as_str(),
        devices => view.devices.iter().map(device).collect::<Vec<_>>(),
        more_devices => (view.more_devices > 0).then(|| view.more_devices.to_string()),
        erases => view.erases,
        client => view.client.as_str(),
        user_agent => view.user_agent.as_str(),
        asking => view.asking.as_ref().map(device),
        at => time(view.at),
        providers,
        action,
        csrf,
    }
}

pub(super) fn denied(denied: &Denied) -> Value {
    let outcome = match denied.device {
        AskingDevice::SignedOut => "signed-out",
        AskingDevice::WillBeSignedOut => "will-be-signed-out",
        AskingDevice::StillSignedIn => "still-signed-in",
    };
    context! { outcome, description => denied.description.as_str() }
}

/// As in the ids of the locales.
fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::DeleteDevice => "delete-device",
        Operation::DeleteDevices => "delete-devices",
        Operation::UploadCrossSigning => "cross-signing",
        Operation::AddThreepid => "add-threepid",
        Operation::Deactivate => "deactivate",
        Operation::GetLoginToken => "login-token",
    }
}

fn device(device: &PageDevice) -> Value {
    context! {
        id => device.id.as_str(),
        name => device.name.as_deref(),
        last_seen => device.last_seen.and_then(time),
        last_seen_ip => device.last_seen_ip.as_deref(),
    }
}

/// Milliseconds from 1970 until RFC 3339 ends: later than anybody has seen anything.
const YEAR_10000: u64 = 253_402_300_800_000;

/// For machines and for people: RFC 3339 in UTC, and the same with a blank and without seconds.
fn time(at: Timestamp) -> Option<Value> {
    let millis = u64::try_from(at.as_millis()).ok().filter(|millis| *millis < YEAR_10000)?;
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    let machine = humantime::format_rfc3339_seconds(at).to_string();
    let shown = machine.get(..16)?.replace('T', " ");
    Some(context! { machine, shown => format!("{shown} UTC") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_minute() {
        let shown = |millis| {
            time(Timestamp::from_millis(millis))
                .map(|time| time.get_attr("shown").expect("it is there").to_string())
        };
        for (millis, expected) in [
            (0, Some("1970-01-01 00:00 UTC")),
            (1_800_000_059_999, Some("2027-01-15 08:00 UTC")),
            (-1, None),
            (i64::MAX, None),
        ] {
            assert_eq!(shown(millis).as_deref(), expected, "{millis}");
        }
    }
}
