//! Everything that Usher asks of the world, noted in order, and a place at which the world stops answering.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use tokio::sync::Semaphore;

/// How long Usher may take to come to a step.
const ARRIVAL: Duration = Duration::from_secs(30);

/// On which side of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Asked, and the question has not arrived.
    Before,
    /// Done, and the answer has not arrived.
    After,
}

impl Moment {
    pub(crate) const BOTH: [Self; 2] = [Self::Before, Self::After];
}

/// Clones are the same tape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_running: bool,
    steps: Vec<String>,
    stop: Option<(usize, Moment, Arc<Gate>)>,
}

#[derive(Debug)]
struct Gate {
    arrived: Semaphore,
    /// Closed when nobody is to wait any more.
    shut: Semaphore,
}

/// Usher is to be stopped at one step. Dropped: whoever was stopped there is cut off.
#[derive(Debug)]
pub(super) struct Stop {
    tape: Tape,
    gate: Arc<Gate>,
}

/// The step was where the world stops: nothing is to be passed on in either direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped;

impl Tape {
    /// Begins anew: what is asked from now on is noted.
    pub(crate) fn start(&self) {
        *self.state() = State { is_running: true, ..State::default() };
    }

    /// Ends; what was noted.
    pub(crate) fn end(&self) -> Vec<String> {
        std::mem::take(&mut *self.state()).steps
    }

    /// Begins anew, and stops at step `index`.
    pub(super) fn stop_at(&self, index: usize, moment: Moment) -> Stop {
        let gate = Arc::new(Gate { arrived: Semaphore::new(0), shut: Semaphore::new(0) });
        let stop = Some((index, moment, Arc::clone(&gate)));
        *self.state() = State { is_running: true, steps: Vec::new(), stop };
        Stop { tape: self.clone(), gate }
    }

    /// A step is asked for; its number, for [`Tape::is_done`].
    pub(super) async fn is_asked(&self, step: String) -> Result<usize, Stopped> {
        let index = {
            let mut state = self.state();
            if state.is_running {
                state.steps.push(step);
            }
            state.steps.len().wrapping_sub(1)
        };
        self.pass(index, Moment::Before).await.map(|()| index)
    }

    /// It is done, and the answer is about to be passed on.
    pub(super) async fn is_done(&self, index: usize) -> Result<(), Stopped> {
        self.pass(index, Moment::After).await
    }

    async fn pass(&self, index: usize, moment: Moment) -> Result<(), Stopped> {
        let gate = match &self.state().stop {
            Some((at, when, gate)) if *at == index && *when == moment => Arc::clone(gate),
            _ => return Ok(()),
        };
        gate.arrived.add_permits(1);
        // Ends with an error, which is what it waits for.
        let _ = gate.shut.acquire().await;
        Err(Stopped)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stop {
    /// Waits until Usher is there.
    pub(super) async fn arrived(&self) -> anyhow::Result<()> {
        let arrived = tokio::time::timeout(ARRIVAL, self.gate.arrived.acquire()).await;
        arrived.context("Usher did not come to this step")?.context("only `shut` is ever closed")?.forget();
        Ok(())
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.tape.end();
        self.gate.shut.close();
    }
}
