//! Spent keys: what a provider's answer may be used with once (assertion id, `jti`).

use usher_core::Timestamp;

use crate::{Db, SWEEP_BATCH, SpentKey, StoreError, db::execute};

/// Spends a key. `false`: it was spent before.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(db: impl Into<Db<'_>>, key: &SpentKey, until: Timestamp) -> Result<bool, StoreError> {
    let inserted = execute!(
        db,
        "INSERT INTO spent (key_hash, keep_until) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        key.as_str(),
        until.as_millis(),
    )?;
    Ok(inserted == 1)
}

/// Forgets keys whose time is over, at most `limit` and at most [`SWEEP_BATCH`]; how many.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete_expired(db: impl Into<Db<'_>>, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
    execute!(
        db,
        "DELETE FROM spent WHERE key_hash IN
             (SELECT key_hash FROM spent WHERE keep_until <= $1 ORDER BY keep_until LIMIT $2)",
        now.as_millis(),
        i64::from(limit.min(SWEEP_BATCH)),
    )
}
