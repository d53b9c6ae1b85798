//! Endings: sessions that are to be ended on their homeserver, because their person was logged out at the provider.
//!
//! A row waits until it is due, is claimed under a lease, and goes when the homeserver has done it. A process that dies
//! leaves a lease that runs out; two replicas never hold the same row.

use ruma_common::{OwnedDeviceId, OwnedServerName, OwnedUserId, ServerName};
use usher_core::Timestamp;

use crate::{
    Db, Lease, StoreError,
    db::{execute, fetch},
    person::parsed,
};

/// A claimed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Whose session.
    pub mxid: OwnedUserId,
    /// On which device.
    pub device_id: OwnedDeviceId,
    /// When it was opened: one that was opened on the device later is another.
    pub opened_at: Timestamp,
    /// How often it was claimed, this time included.
    pub attempts: u32,
}

/// Notes every session that is to be ended by the logouts that are remembered; how many are new. Again and again, so that
/// one is found that was opened while its logout came.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert_due(db: impl Into<Db<'_>>, now: Timestamp) -> Result<u64, StoreError> {
    execute!(
        db,
        "INSERT INTO endings
             (mxid, device_id, server_name, opened_at, attempts, not_before, lease, last_error, created_at)
         SELECT ended.mxid, ended.device_id, accounts.server_name, ended.opened_at, 0, $1, NULL, NULL, $1
         FROM (SELECT sessions.mxid, sessions.device_id, sessions.opened_at
               FROM logouts JOIN sessions ON sessions.upstream_session_hash = logouts.upstream_session_hash
                   AND (logouts.subject IS NULL OR sessions.subject = logouts.subject)
               WHERE sessions.ended_at IS NULL AND logouts.ends_sessions = 1
               UNION
               SELECT sessions.mxid, sessions.device_id, sessions.opened_at
               FROM logouts JOIN sessions ON sessions.provider = logouts.provider
                   AND sessions.issuer = logouts.issuer AND sessions.subject = logouts.subject
               WHERE logouts.upstream_session_hash IS NULL AND sessions.opened_at <= logouts.received_at
                   AND sessions.ended_at IS NULL AND logouts.ends_sessions = 1) AS ended
         JOIN accounts ON accounts.mxid = ended.mxid
         WHERE accounts.state = 'active'
         ON CONFLICT (mxid, device_id) DO UPDATE SET
             opened_at = excluded.opened_at, attempts = 0, not_before = excluded.not_before, lease = NULL,
             last_error = NULL
         WHERE endings.opened_at <> excluded.opened_at",
        now.as_millis(),
    )
}

/// The homeservers of which something is due at `now`.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list_due(db: impl Into<Db<'_>>, now: Timestamp) -> Result<Vec<OwnedServerName>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (String,),
        "SELECT DISTINCT server_name FROM endings WHERE not_before <= $1",
        now.as_millis(),
    )?;
    rows.into_iter().map(|(name,)| parsed("endings.server_name", name)).collect()
}

/// Claims up to `limit` rows of a homeserver that are due at `now`, the oldest first. Until `lease_until` nobody else is
/// given them.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn claim(
    db: impl Into<Db<'_>>,
    server_name: &ServerName,
    lease: &Lease,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
) -> Result<Vec<Ending>, StoreError> {
    // Postgres looks at `not_before` again once it has waited for another claim of the same row.
    let rows = fetch!(
        db,
        writer,
        (String, String, i64, i64),
        "UPDATE endings SET lease = $2, not_before = $4, attempts = attempts + 1
         WHERE not_before <= $3 AND (mxid, device_id) IN
             (SELECT due.mxid, due.device_id FROM endings AS due
              WHERE due.server_name = $1 AND due.not_before <= $3
              ORDER BY due.not_before LIMIT $5)
         RETURNING mxid, device_id, opened_at, attempts",
        server_name.as_str(),
        lease.as_str(),
        now.as_millis(),
        lease_until.as_millis(),
        i64::from(limit),
    )?;
    rows.into_iter()
        .map(|(mxid, device_id, opened_at, attempts)| {
            Ok(Ending {
                mxid: parsed("endings.mxid", mxid)?,
                device_id: device_id.into(),
                opened_at: Timestamp::from_millis(opened_at),
                attempts: parsed("endings.attempts", attempts)?,
            })
        })
        .collect()
}

/// Whether the session is open still, and the one that was meant.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn is_open(db: impl Into<Db<'_>>, ending: &Ending) -> Result<bool, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (i64,),
        "SELECT COUNT(*) FROM sessions
         WHERE mxid = $1 AND device_id = $2 AND opened_at = $3 AND ended_at IS NULL",
        ending.mxid.as_str(),
        ending.device_id.as_str(),
        ending.opened_at.as_millis(),
    )?;
    Ok(rows.first().is_some_and(|(count,)| *count > 0))
}

/// Done: the session is noted as ended. The caller deletes the row in the same transaction.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn note_ended(db: impl Into<Db<'_>>, ending: &Ending, now: Timestamp) -> Result<bool, StoreError> {
    let updated = execute!(
        db,
        "UPDATE sessions SET ended_at = $4
         WHERE mxid = $1 AND device_id = $2 AND opened_at = $3 AND ended_at IS NULL",
        ending.mxid.as_str(),
        ending.device_id.as_str(),
        ending.opened_at.as_millis(),
        now.as_millis(),
    )?;
    Ok(updated == 1)
}

/// The row goes. `false`: it is another's by now, or about another session.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete(db: impl Into<Db<'_>>, ending: &Ending, lease: &Lease) -> Result<bool, StoreError> {
    let deleted = execute!(
        db,
        "DELETE FROM endings WHERE mxid = $1 AND device_id = $2 AND lease = $3",
        ending.mxid.as_str(),
        ending.device_id.as_str(),
        lease.as_str(),
    )?;
    Ok(deleted == 1)
}

/// Not this time: due again at `not_before`. `false`: the row is another's by now, or about another session.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn postpone(
    db: impl Into<Db<'_>>,
    ending: &Ending,
    lease: &Lease,
    not_before: Timestamp,
    last_error: &str,
) -> Result<bool, StoreError> {
    let updated = execute!(
        db,
        "UPDATE endings SET lease = NULL, not_before = $4, last_error = $5
         WHERE mxid = $1 AND device_id = $2 AND lease = $3",
        ending.mxid.as_str(),
        ending.device_id.as_str(),
        lease.as_str(),
        not_before.as_millis(),
        last_error,
    )?;
    Ok(updated == 1)
}
