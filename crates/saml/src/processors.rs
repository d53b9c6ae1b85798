//! Where messages are made and verified: on threads that may block, a bounded number of them, so that however many
//! responses strangers send, there is a processor left for everybody else.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// How long somebody waits for a turn, and for what is done then. Honest work takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Some of the processors. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Processors {
    turns: Arc<Semaphore>,
    patience: Duration,
}

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotWorked {
    #[error("other messages took all processors for too long")]
    Busy,
    #[error("the thread that worked on the message panicked")]
    Panicked,
}

impl Processors {
    /// Half of those there are, one at least.
    pub(crate) fn half() -> Self {
        Self::some(available_parallelism().map_or(1, |count| count.get().div_ceil(2)), PATIENCE)
    }

    pub(crate) fn some(turns: usize, patience: Duration) -> Self {
        Self { turns: Arc::new(Semaphore::new(turns)), patience }
    }

    /// Runs `work` when it is its turn. Work that was begun ends, whatever becomes of whoever waits for it: C knows no
    /// cancelling, and its turn is over only then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotWorked> {
        let turn = timeout(self.patience, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| NotWorked::Busy)?.map_err(|_| NotWorked::Busy)?;
        let worked = spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        let worked = timeout(self.patience, worked).await.map_err(|_| NotWorked::Busy)?;
        worked.map_err(|_| NotWorked::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_too_long_is_told_so_and_a_turn_ends_with_its_work() {
        let processors = Processors::some(1, Duration::from_millis(50));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let slow = processors.run(move || held.recv());
        assert_eq!(slow.await.err(), Some(NotWorked::Busy), "the work takes too long");
        assert_eq!(processors.run(|| ()).await, Err(NotWorked::Busy), "its turn is not over");
        drop(release);
        let patient = Processors { patience: Duration::from_secs(10), ..processors };
        assert_eq!(patient.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_and_frees_its_turn() {
        let processors = Processors::some(1, Duration::from_secs(10));
        assert_eq!(processors.run(|| panic!("on purpose")).await, Err::<(), _>(NotWorked::Panicked));
        assert_eq!(processors.run(|| 7).await, Ok(7));
    }
}
