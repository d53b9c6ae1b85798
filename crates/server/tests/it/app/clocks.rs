//! Times that tests decide.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use usher_core::Timestamp;
use usher_server::clock::Clock;

/// A clock that stands still until it is told otherwise.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(super) fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).expect("a test's time fits");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.load(Ordering::SeqCst)).expect("after 1970"))
    }
}

/// The clock of a machine that is ahead by as much all the time.
#[derive(Debug)]
pub(super) struct Ahead {
    clock: Arc<TestClock>,
    by: Duration,
}

impl Ahead {
    pub(super) fn of(clock: &Arc<TestClock>, by: Duration) -> Self {
        Self { clock: Arc::clone(clock), by }
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.clock.now().plus(self.by)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}
