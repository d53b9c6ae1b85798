//! Pending: people who have signed in and are being asked something before their login goes on. A row outlives the
//! answer: until the attempt's time is over, the same question can be shown and answered again.

use usher_core::{Identity, Timestamp};

use crate::{AttemptHash, Db, SWEEP_BATCH, StoreError, db::execute, db::fetch};

/// Keeps a person. `false`: the attempt has one already, and that one stays.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(
    db: impl Into<Db<'_>>,
    attempt: &AttemptHash,
    identity: &Identity,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    let identity = serde_json::to_string(identity).expect("an identity is plain data");
    let inserted = execute!(
        db,
        "INSERT INTO pending (attempt_hash, identity, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        attempt.as_str(),
        identity.as_str(),
        expires_at.as_millis(),
    )?;
    Ok(inserted == 1)
}

/// The person of an attempt, if it is not over at `now`.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find(
    db: impl Into<Db<'_>>,
    attempt: &AttemptHash,
    now: Timestamp,
) -> Result<Option<Identity>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (String,),
        "SELECT identity FROM pending WHERE attempt_hash = $1 AND expires_at > $2",
        attempt.as_str(),
        now.as_millis(),
    )?;
    let Some((identity,)) = rows.into_iter().next() else { return Ok(None) };
    serde_json::from_str(&identity).map(Some).map_err(|_| StoreError::corrupt("pending.identity"))
}

/// Forgets people whose attempts are over, at most `limit` and at most [`SWEEP_BATCH`]; how many.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete_expired(db: impl Into<Db<'_>>, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
    execute!(
        db,
        "DELETE FROM pending WHERE attempt_hash IN
             (SELECT attempt_hash FROM pending WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
        now.as_millis(),
        i64::from(limit.min(SWEEP_BATCH)),
    )
}
