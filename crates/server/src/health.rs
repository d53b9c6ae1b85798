//! Whether this replica can serve a login: whether its database answers.
//!
//! Everybody may ask, and the database is asked once a second at most: who asks while it is being asked, or soon
//! after, is told the same.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use usher_store::Store;

use crate::{clock::Clock, error};

/// For how long an answer is good.
const FRESH: Duration = Duration::from_secs(1);

/// What is known of the database.
#[derive(Default)]
pub(crate) struct Health(Mutex<Option<Asked>>);

/// The database was asked.
#[derive(Clone)]
struct Asked {
    at: Duration,
    /// `None` until it answers, or is given up.
    answer: watch::Receiver<Option<bool>>,
}

impl Health {
    /// Whether the database answers. Waits no longer than the store does.
    pub(crate) async fn is_good(&self, store: &Store, clock: &dyn Clock) -> bool {
        let mut answer = self.asked(store, clock.monotonic()).answer;
        let is_good = answer.wait_for(Option::is_some).await.map(|is_good| *is_good);
        // The task that asks ends early only with its runtime.
        is_good.ok().flatten().unwrap_or(false)
    }

    /// The question under way, or one that was answered a moment ago, or a new one.
    fn asked(&self, store: &Store, now: Duration) -> Asked {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = latest
            .as_ref()
            .filter(|asked| asked.answer.borrow().is_none() || now.saturating_sub(asked.at) < FRESH);
        if let Some(asked) = usable {
            return asked.clone();
        }
        let asked = ask(store.clone(), now);
        *latest = Some(asked.clone());
        asked
    }
}

/// In a task of its own: whoever asked first may hang up, and others wait for the same answer.
fn ask(store: Store, at: Duration) -> Asked {
    let (tell, answer) = watch::channel(None);
    tokio::spawn(async move {
        let outcome = store.ping().await;
        if let Err(cause) = &outcome {
            tracing::warn!(cause = error::chain(cause), "the database does not answer");
        }
        tell.send_replace(Some(outcome.is_ok()));
    });
    Asked { at, answer }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}
