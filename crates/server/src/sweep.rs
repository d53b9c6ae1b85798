//! Removes expired rows, a batch at a time, so that logins are never kept waiting, and forgets who needs no limit.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::MissedTickBehavior;
use usher_store::{SWEEP_BATCH, StoreError, login_tokens, pending, spent};

use crate::{app::App, error};

/// Between two batches others have the database.
const PAUSE: Duration = Duration::from_millis(50);

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
    let mut removed = 0;
    loop {
        let tokens = login_tokens::delete_expired(&app.store, now).await?;
        let keys = spent::delete_expired(&app.store, now).await?;
        let people = pending::delete_expired(&app.store, now).await?;
        removed += tokens + keys + people;
        if tokens.max(keys).max(people) < u64::from(SWEEP_BATCH) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    if removed > 0 {
        tracing::debug!(removed, "expired rows removed");
    }
    Ok(())
}
