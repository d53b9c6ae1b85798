//! What is done at homeservers in the background until it is done: rows of the database, worked off by one task for each
//! homeserver, so that one that is away keeps no other waiting.
//!
//! Whatever fails is tried again, ever more rarely and at least once an hour. Rows of other replicas, of processes that
//! died, and of an hour ago are found by looking.

use std::{
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use ruma_common::OwnedServerName;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};
use usher_core::Entropy;
use usher_homeserver::CallError;
use usher_store::StoreError;

use crate::{
    app::{App, ServedHomeserver},
    error::chain,
};

const INTERVAL: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// One kind of errands.
pub(crate) trait Errands: 'static {
    /// For the log: what has to wait when the database is away.
    const WHAT: &'static str;

    /// Told when there is something new for a homeserver.
    fn wake(homeserver: &ServedHomeserver) -> &Arc<Notify>;

    /// The homeservers that something is due at: one statement, however many homeservers there are.
    fn list_due(app: &App) -> impl Future<Output = Result<Vec<OwnedServerName>, StoreError>> + Send;

    /// Does everything that is due at a homeserver; after which time something that failed is due again.
    fn round(
        app: &Arc<App>,
        homeserver: &ServedHomeserver,
    ) -> impl Future<Output = Result<Option<Duration>, StoreError>> + Send;
}

/// Works until the app is gone.
pub(crate) fn start<E: Errands>(app: &Arc<App>) {
    for homeserver in app.homeservers.iter() {
        let (app, wake) = (Arc::downgrade(app), Arc::clone(E::wake(homeserver)));
        tokio::spawn(work::<E>(app, homeserver.config.server_name.clone(), wake));
    }
    tokio::spawn(look_out::<E>(Arc::downgrade(app)));
}

/// Wakes the tasks of homeservers that something is due at.
async fn look_out<E: Errands>(app: Weak<App>) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let Some(app) = Weak::upgrade(&app) else { return };
        match E::list_due(&app).await {
            Ok(due) => {
                let due = due.iter().filter_map(|server_name| app.homeservers.get(server_name));
                due.for_each(|homeserver| E::wake(homeserver).notify_one());
            }
            Err(cause) => {
                let cause = chain(&cause);
                tracing::warn!(cause, "it could not be looked up what is due: {}", E::WHAT);
            }
        }
    }
}

async fn work<E: Errands>(app: Weak<App>, server_name: OwnedServerName, wake: Arc<Notify>) {
    // When the first of those that failed here is due again.
    let mut due: Option<Instant> = None;
    loop {
        let again = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wake.notified() => {}
            () = again => due = None,
        }
        let Some(app) = Weak::upgrade(&app) else { return };
        let Some(homeserver) = app.homeservers.get(&server_name) else { return };
        match E::round(&app, homeserver).await {
            Ok(None) => {}
            Ok(Some(pause)) => {
                let again = Instant::now() + pause;
                due = Some(due.map_or(again, |due| due.min(again)));
            }
            Err(cause) => {
                let cause = chain(&cause);
                tracing::warn!(homeserver = %server_name, cause, "it has to wait: {}", E::WHAT);
            }
        }
    }
}

/// Twice as long each time, up to an hour, and up to a quarter less: what failed together does not come back together.
pub(crate) fn pause_after(attempts: u32, error: Option<&CallError>, entropy: &dyn Entropy) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
    let pause = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
    let mut byte = [0_u8; 1];
    entropy.fill(&mut byte);
    let pause = pause.saturating_sub(pause / 4 * u32::from(byte[0]) / 255);
    match error {
        Some(CallError::RateLimited { retry_after: Some(after) }) => pause.max((*after).min(LONGEST_PAUSE)),
        Some(_) | None => pause,
    }
}

#[cfg(test)]
mod tests {
    use usher_core::testing::SeededEntropy;

    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_differ() {
        let entropy = SeededEntropy::new(1);
        let pause = |attempts| pause_after(attempts, None, &entropy);
        for (attempts, longest) in
            [(0, 5), (1, 5), (2, 10), (3, 20), (10, 2560), (11, 3600), (u32::MAX, 3600)]
        {
            let longest = Duration::from_secs(longest);
            let paused = pause(attempts);
            assert!(paused <= longest && paused >= longest * 3 / 4, "{attempts}: {paused:?}");
        }
        assert_ne!(pause(11), pause(11));
    }

    #[test]
    fn a_homeserver_that_says_when_is_heeded() {
        let limited = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            pause_after(1, Some(&CallError::RateLimited { retry_after }), &SeededEntropy::new(1))
        };
        assert_eq!(limited(600), Duration::from_mins(10));
        assert_eq!(limited(999_999), LONGEST_PAUSE);
        assert!(limited(0) > Duration::from_secs(3));
    }
}
