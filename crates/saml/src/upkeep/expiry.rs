//! When the log says that metadata ends: once a day from some days before, and when nobody can sign in by it any more.

use std::time::Duration;

use usher_core::Timestamp;

const DAY: Duration = Duration::from_hours(24);
/// Before the end, for somebody to act, over a weekend too.
const SOON: Duration = Duration::from_hours(72);

/// What was seen of the end of what is known, and last told of it.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Seen {
    until: Timestamp,
    /// When it was first known.
    since: Timestamp,
    told: Option<(End, Timestamp)>,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Near(Timestamp),
    Past(Timestamp),
}

impl Expiry {
    /// What has to be told at `now` of what ends at `until`. What is fetched again and again may never live for long: it is near its
    /// end when half of the time is over in which a newer one should have come.
    pub(super) fn due(&mut self, until: Option<Timestamp>, is_fetched: bool, now: Timestamp) -> Option<End> {
        let until = until?;
        let seen = match &mut self.seen {
            Some(seen) if seen.until == until => seen,
            seen => seen.insert(Seen { until, since: now, told: None }),
        };
        let soon = if is_fetched { SOON.min(until.since(seen.since) / 2) } else { SOON };
        let end = if until <= now {
            End::Past(until)
        } else if until.since(now) <= soon {
            End::Near(until)
        } else {
            return None;
        };
        if seen.told.is_some_and(|(told, at)| told == end && now.since(at) < DAY) {
            return None;
        }
        seen.told = Some((end, now));
        Some(end)
    }
}
