//! Holding a call until a test has done something in the meantime.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

/// How long a test waits for a call before it fails.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// When a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Moment {
    BeforeActing,
    BeforeAnswering,
}

/// Calls to an endpoint are held as long as this lives.
#[derive(Debug)]
pub struct Hold {
    gate: Arc<Gate>,
}

#[derive(Debug)]
pub(super) struct Gate {
    /// One permit for each call that came.
    arrived: Semaphore,
    /// Closed when the gate opens; it never has a permit.
    shut: Semaphore,
}

impl Hold {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }

    /// Waits until one more call has come this far.
    ///
    /// # Panics
    ///
    /// If none comes within 30 seconds.
    pub async fn arrived(&self) {
        tokio::time::timeout(ARRIVAL_TIMEOUT, self.gate.arrived.acquire())
            .await
            .expect("a call arrives in time")
            .expect("only `shut` is ever closed")
            .forget();
    }

    /// Lets the calls go on, those to come too.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.gate.shut.close();
    }
}

impl Gate {
    pub(super) fn closed() -> Self {
        Self { arrived: Semaphore::new(0), shut: Semaphore::new(0) }
    }

    pub(super) async fn pass(&self) {
        self.arrived.add_permits(1);
        // Ends with an error, which is what an open gate is.
        let _ = self.shut.acquire().await;
    }
}
