//! Where messages are made and verified: on threads that may block, a bounded number of them, so that however many
//! responses strangers send, there is a processor left for everybody else.
//!
//! Whoever comes first has the next turn. What few people send and many strangers could waits aside until one of its kind is
//! done, so that nobody who signs in ever waits for more than a few of it.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

/// How long somebody waits for a turn, and for what is done then. Honest work takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Some of the processors. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Processors {
    turns: Arc<Semaphore>,
    large: Arc<Semaphore>,
    logout: Arc<Semaphore>,
    patience: Duration,
}

/// Whose work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What a sign-in needs.
    SignIn,
    /// A response much larger than an honest one, which may take a hundred times as long.
    Large,
    /// A message of single logout, which comes without an attempt.
    Logout,
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
        let aside = || Arc::new(Semaphore::new(turns.div_ceil(2)));
        Self { turns: Arc::new(Semaphore::new(turns)), large: aside(), logout: aside(), patience }
    }

    /// Runs `work` of a sign-in.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotWorked> {
        self.run_in(Lane::SignIn, work).await
    }

    /// Runs `work` when it is its turn. Work that was begun ends, whatever becomes of whoever waits for it: C knows no
    /// cancelling, and its turn is over only then.
    pub(crate) async fn run_in<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotWorked> {
        let turn = timeout(self.patience, self.turn(lane)).await.map_err(|_| NotWorked::Busy)?;
        let turn = turn.ok_or(NotWorked::Busy)?;
        let worked = spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        let worked = timeout(self.patience, worked).await.map_err(|_| NotWorked::Busy)?;
        worked.map_err(|_| NotWorked::Panicked)
    }

    /// A turn, and for what waits aside the place of its kind.
    async fn turn(&self, lane: Lane) -> Option<(OwnedSemaphorePermit, Option<OwnedSemaphorePermit>)> {
        let aside = match lane {
            Lane::SignIn => None,
            Lane::Large => Some(Arc::clone(&self.large).acquire_owned().await.ok()?),
            Lane::Logout => Some(Arc::clone(&self.logout).acquire_owned().await.ok()?),
        };
        Some((Arc::clone(&self.turns).acquire_owned().await.ok()?, aside))
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
    async fn a_sign_in_waits_for_one_of_what_waits_aside_and_not_for_all() {
        for lane in [Lane::Large, Lane::Logout] {
            let processors = Processors::some(1, Duration::from_secs(10));
            let order = Arc::new(std::sync::Mutex::new(Vec::new()));
            let (release, held) = std::sync::mpsc::channel::<()>();
            let send = |lane, what| {
                let (processors, order) = (processors.clone(), Arc::clone(&order));
                let work = move || order.lock().expect("nobody panics").push(what);
                tokio::spawn(async move { processors.run_in(lane, work).await })
            };
            let first = processors.clone();
            let first = tokio::spawn(async move { first.run(move || held.recv()).await });
            tokio::task::yield_now().await;
            let mut all: Vec<_> = (0..20).map(|_| send(lane, "aside")).collect();
            tokio::task::yield_now().await;
            all.push(send(Lane::SignIn, "sign-in"));
            tokio::task::yield_now().await;
            drop(release);
            assert!(first.await.expect("no panic").expect("a turn").is_err(), "it was let go");
            for one in all {
                assert_eq!(one.await.expect("no panic"), Ok(()));
            }
            let order = order.lock().expect("nobody panics");
            let place = order.iter().position(|what| *what == "sign-in");
            assert_eq!((place, order.len()), (Some(1), 21), "{lane:?}: {order:?}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_and_frees_its_turn() {
        let processors = Processors::some(1, Duration::from_secs(10));
        assert_eq!(processors.run(|| panic!("on purpose")).await, Err::<(), _>(NotWorked::Panicked));
        assert_eq!(processors.run(|| 7).await, Ok(7));
    }
}
