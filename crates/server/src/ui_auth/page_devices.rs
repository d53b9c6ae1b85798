//! The devices on the page that asks, as their person would know them.
//!
//! What is to be deleted is a list that whoever has an access token wrote: it may be long, name the same device often, and
//! name what there is not. What the person has is named first and to the last one, so that nothing of it is lost in the
//! rest.

use std::collections::{HashMap, HashSet};

use ruma_common::OwnedDeviceId;
use usher_core::Timestamp;
use usher_homeserver::Device;
use usher_store::ui_auth_sessions::Session;

use crate::{app::ServedHomeserver, error::chain};

/// Of what the homeserver does not know, so many are named.
const MAX_UNKNOWN: usize = 50;
/// And so many if it does not answer: more than anybody has.
const MAX_UNNAMED: usize = 1000;

/// A device, as its person would know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageDevice {
    /// Its id.
    pub id: String,
    /// What they called it.
    pub name: Option<String>,
    /// When it was last seen, if the homeserver says so.
    pub last_seen: Option<Timestamp>,
    /// Where from.
    pub last_seen_ip: Option<String>,
}

/// A person's devices, by their ids.
pub(super) type Known = HashMap<OwnedDeviceId, Device>;

/// What the homeserver knows of the person's devices. `None`: it does not answer, and the page names them by their ids.
pub(super) async fn known_devices(homeserver: &ServedHomeserver, session: &Session) -> Option<Known> {
    match homeserver.client.devices_of(&session.mxid).await {
        Ok(devices) => Some(devices.into_iter().map(|device| (device.device_id.clone(), device)).collect()),
        Err(error) => {
            tracing::warn!(cause = chain(&error), "the homeserver does not say what devices are called");
            None
        }
    }
}

/// Each device once, those that there are first, and how many of the others there is no room for.
pub(super) fn listed(ids: &[OwnedDeviceId], known: Option<&Known>) -> (Vec<PageDevice>, usize) {
    let mut seen = HashSet::new();
    let ids = ids.iter().filter(|id| seen.insert(id.as_str()));
    let (there, others): (Vec<_>, Vec<_>) =
        ids.partition(|id| known.is_some_and(|known| known.contains_key(*id)));
    let room = if known.is_some() { MAX_UNKNOWN } else { MAX_UNNAMED };
    let more = others.len().saturating_sub(room);
    let shown = there.into_iter().chain(others.into_iter().take(room));
    (shown.map(|id| described(id, known.and_then(|known| known.get(id)))).collect(), more)
}

fn described(id: &OwnedDeviceId, known: Option<&Device>) -> PageDevice {
    let last_seen =
        known.and_then(|device| device.last_seen_ts).and_then(|millis| i64::try_from(millis).ok());
    PageDevice {
        id: id.to_string(),
        name: known.and_then(|device| device.display_name.clone()),
        last_seen: last_seen.map(Timestamp::from_millis),
        last_seen_ip: known.and_then(|device| device.last_seen_ip.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str) -> (OwnedDeviceId, Device) {
        let device = Device {
            device_id: id.into(),
            display_name: Some(format!("my {id}")),
            last_seen_ts: Some(u64::MAX),
            last_seen_ip: None,
        };
        (id.into(), device)
    }

    #[test]
    fn nothing_that_there_is_gets_lost_among_what_there_is_not() {
        let known: Known = ["A", "B"].map(device).into();
        let fakes = || (0..2000).map(|number| OwnedDeviceId::from(format!("F{number}")));
        let own = || ["A", "B", "A"].map(OwnedDeviceId::from);
        for (name, ids, known, first, shown, more) in [
            ("none", vec![], Some(&known), &[][..], 0, 0),
            ("their own, twice", own().to_vec(), Some(&known), &["A", "B"], 2, 0),
            ("after many others", fakes().chain(own()).collect(), Some(&known), &["A", "B", "F0"], 52, 1950),
            ("the same one often", vec!["F0".into(); 2000], Some(&known), &["F0"], 1, 0),
            ("nobody knows", own().into_iter().chain(fakes()).collect(), None, &["A", "B", "F0"], 1000, 1002),
        ] {
            let (devices, left) = listed(&ids, known);
            assert_eq!((devices.len(), left), (shown, more), "{name}");
            for (device, id) in devices.iter().zip(first) {
                let expected = known.and_then(|known| known.get(<&ruma_common::DeviceId>::from(*id)));
                assert_eq!((device.id.as_str(), device.name.is_some()), (*id, expected.is_some()), "{name}");
                assert_eq!(device.last_seen, None, "{name}: later than time goes");
            }
        }
    }
}
