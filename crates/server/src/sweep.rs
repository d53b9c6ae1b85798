//! Removes expired rows, a batch at a time, so that logins are never kept waiting, and forgets who needs no limit.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior};
use usher_core::Timestamp;
use usher_store::{SWEEP_BATCH, Store, StoreError, login_tokens, logouts, pending, spent, ui_auth_sessions};

use crate::{app::App, error};

/// Between two batches others have the database.
const PAUSE: Duration = Duration::from_millis(50);

/// For so long people and clients are told that a session has expired, rather than that there is none; and the proofs of
/// `ui_auth.grace` are there for as long.
const KEPT_EXPIRED: Duration = Duration::from_hours(1);

/// Rows of a first batch, and of every batch of a database that is large or busy: enough, with the pauses, to get rid of
/// a thousand rows a second.
const SMALLEST_BATCH: u32 = 100;
/// A batch that takes longer keeps logins waiting, and the next one is smaller.
const LONG: Duration = Duration::from_millis(30);
/// One that takes less keeps nobody waiting, and the next one is larger.
const SHORT: Duration = Duration::from_millis(10);

/// Sweeps until the app is gone.
pub(crate) fn start(app: &Arc<App>) {
    let mut interval = tokio::time::interval(app.config.database.sweep_interval);
    // A round that takes longer is not made up for.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let app = Arc::downgrade(app);
    tokio::spawn(async move {
        // The first tick is immediate: not at start, when everybody comes back at once.
        interval.tick().await;
        loop {
            interval.tick().await;
            let Some(app) = Weak::upgrade(&app) else { return };
            app.limits.forget_idle();
            if let Err(cause) = sweep(&app).await {
                tracing::warn!(cause = error::chain(&cause), "expired rows could not be removed");
            }
        }
    });
}

async fn sweep(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now();
    let (mut removed, mut limit) = (0, SMALLEST_BATCH);
    loop {
        let (mut most, mut longest, mut began) = (0, Duration::ZERO, Instant::now());
        for table in [Table::LoginTokens, Table::Spent, Table::Pending, Table::UiAuthSessions, Table::Logouts]
        {
            let batch = table.delete_expired(&app.store, now, limit).await?;
            removed += batch;
            most = most.max(batch);
            longest = longest.max(began.elapsed());
            began = Instant::now();
        }
        if most < u64::from(limit) {
            break;
        }
        limit = next_limit(limit, longest);
        tokio::time::sleep(PAUSE).await;
    }
    if removed > 0 {
        tracing::debug!(removed, "expired rows removed");
    }
    Ok(())
}

/// What is swept.
#[derive(Clone, Copy)]
enum Table {
    LoginTokens,
    Spent,
    Pending,
    UiAuthSessions,
    Logouts,
}

impl Table {
    async fn delete_expired(self, store: &Store, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        match self {
            Self::LoginTokens => login_tokens::delete_expired(store, now, limit).await,
            Self::Spent => spent::delete_expired(store, now, limit).await,
            Self::Pending => pending::delete_expired(store, now, limit).await,
            Self::Logouts => logouts::delete_expired(store, now, limit).await,
            Self::UiAuthSessions => {
                ui_auth_sessions::delete_expired(store, now.minus(KEPT_EXPIRED), limit).await
            }
        }
    }
}

/// How many rows a batch may have after one of `limit` rows that took so long, waiting for others included.
fn next_limit(limit: u32, took: Duration) -> u32 {
    let next = if took > LONG {
        limit / 2
    } else if took < SHORT {
        limit * 2
    } else {
        limit
    };
    next.clamp(SMALLEST_BATCH, SWEEP_BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_as_large_as_the_database_takes_without_anybody_waiting() {
        for (name, limit, millis, expected) in [
            ("at once", 100, 1, 200),
            ("in between", 200, 20, 200),
            ("long", 400, 50, 200),
            ("never more than the store takes", 400, 1, SWEEP_BATCH),
            ("never so few that they would pile up", 150, 5_000, SMALLEST_BATCH),
        ] {
            assert_eq!(next_limit(limit, Duration::from_millis(millis)), expected, "{name}");
        }
    }
}
