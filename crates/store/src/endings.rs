//! Endings: sessions that are to be ended on their homeserver, because their person was logged out at the provider, or said
//! of a request of theirs that it was not them.
//!
//! A row waits until it is due, is claimed under a lease, and goes when the homeserver has done it. A process that dies
//! leaves a lease that runs out; two replicas never hold the same row.
//!
//! Rows are taken one at a time, or in the order of their key: on Postgres, two statements that each took several, in
//! another order, would wait for each other until it ends one of them.

use ruma_common::{DeviceId, OwnedDeviceId, OwnedServerName, OwnedUserId, ServerName, UserId};
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
    /// When it was opened: one that was opened on the device later is another. If it is not known, when it was denied.
    pub opened_at: Timestamp,
    /// Whether its person said of a request that it was not them.
    pub is_denial: bool,
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
                   AND (substr(sessions.upstream_session_hash, 1, 1) <> 'g'
                       OR COALESCE(sessions.begun_at, sessions.opened_at) <= logouts.received_at)
               UNION
               SELECT sessions.mxid, sessions.device_id, sessions.opened_at
               FROM logouts JOIN sessions
                   ON substr(sessions.upstream_session_hash, 1, 32) = logouts.upstream_session_hash
               WHERE substr(sessions.upstream_session_hash, 1, 1) = 'g'
                   AND COALESCE(sessions.begun_at, sessions.opened_at) <= logouts.received_at
                   AND sessions.ended_at IS NULL AND logouts.ends_sessions = 1
               UNION
               SELECT sessions.mxid, sessions.device_id, sessions.opened_at
               FROM logouts JOIN sessions ON sessions.provider = logouts.provider
                   AND sessions.issuer = logouts.issuer AND sessions.subject = logouts.subject
               WHERE (logouts.upstream_session_hash IS NULL OR sessions.upstream_session_hash IS NULL)
                   AND COALESCE(sessions.begun_at, sessions.opened_at) <= logouts.received_at
                   AND sessions.ended_at IS NULL AND logouts.ends_sessions = 1) AS ended
         JOIN accounts ON accounts.mxid = ended.mxid
         WHERE accounts.state = 'active' AND NOT EXISTS
             (SELECT 1 FROM endings AS noted
              WHERE noted.mxid = ended.mxid AND noted.device_id = ended.device_id
                  AND (noted.opened_at = ended.opened_at
                      OR (noted.is_denial = 1 AND noted.opened_at > ended.opened_at)))
         ORDER BY ended.mxid, ended.device_id
         ON CONFLICT (mxid, device_id) DO UPDATE SET
             opened_at = excluded.opened_at, is_denial = 0, attempts = 0, not_before = excluded.not_before,
             lease = NULL, last_error = NULL
         WHERE endings.opened_at <> excluded.opened_at
             AND (endings.is_denial = 0 OR endings.opened_at < excluded.opened_at)",
        now.as_millis(),
    )
}

/// Notes that a device is to be signed out since its person denied a request of it; held under `lease` from the start, by
/// whoever tries first.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert_denial(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    device_id: &DeviceId,
    lease: &Lease,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Option<Ending>, StoreError> {
    let rows = fetch!(
        db,
        writer,
        Row,
        "INSERT INTO endings
             (mxid, device_id, server_name, opened_at, is_denial, attempts, not_before, lease, last_error,
              created_at)
         SELECT accounts.mxid, $2, accounts.server_name,
             COALESCE((SELECT sessions.opened_at FROM sessions
                       WHERE sessions.mxid = $1 AND sessions.device_id = $2 AND sessions.ended_at IS NULL), $4),
             1, 1, $5, $3, NULL, $4
         FROM accounts WHERE accounts.mxid = $1
         ON CONFLICT (mxid, device_id) DO UPDATE SET
             opened_at = excluded.opened_at, is_denial = 1, attempts = 1, not_before = excluded.not_before,
             lease = excluded.lease, last_error = NULL
         RETURNING mxid, device_id, opened_at, is_denial, attempts",
        mxid.as_str(),
        device_id.as_str(),
        lease.as_str(),
        now.as_millis(),
        lease_until.as_millis(),
    )?;
    rows.into_iter().next().map(Ending::try_from).transpose()
}

/// Takes a device over that is to be signed out since a request was denied, due or not: its person asks for it once more.
/// `None`: it is signed out.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn claim_denial(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    device_id: &DeviceId,
    lease: &Lease,
    lease_until: Timestamp,
) -> Result<Option<Ending>, StoreError> {
    let rows = fetch!(
        db,
        writer,
        Row,
        "UPDATE endings SET lease = $3, not_before = $4, attempts = attempts + 1
         WHERE mxid = $1 AND device_id = $2 AND is_denial = 1
         RETURNING mxid, device_id, opened_at, is_denial, attempts",
        mxid.as_str(),
        device_id.as_str(),
        lease.as_str(),
        lease_until.as_millis(),
    )?;
    rows.into_iter().next().map(Ending::try_from).transpose()
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

/// Claims the row of a homeserver that has been due for longest at `now`. Until `lease_until` nobody else is given it.
/// `None`: nothing is due, or another claimed it in this very moment, who looks for more.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn claim(
    db: impl Into<Db<'_>>,
    server_name: &ServerName,
    lease: &Lease,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Option<Ending>, StoreError> {
    // Postgres looks at `not_before` again once it has waited for another claim of the same row.
    let rows = fetch!(
        db,
        writer,
        Row,
        "UPDATE endings SET lease = $2, not_before = $4, attempts = attempts + 1
         WHERE not_before <= $3 AND (mxid, device_id) IN
             (SELECT due.mxid, due.device_id FROM endings AS due
              WHERE due.server_name = $1 AND due.not_before <= $3
              ORDER BY due.not_before LIMIT 1)
         RETURNING mxid, device_id, opened_at, is_denial, attempts",
        server_name.as_str(),
        lease.as_str(),
        now.as_millis(),
        lease_until.as_millis(),
    )?;
    rows.into_iter().next().map(Ending::try_from).transpose()
}

#[derive(sqlx::FromRow)]
struct Row {
    mxid: String,
    device_id: String,
    opened_at: i64,
    is_denial: i64,
    attempts: i64,
}

impl TryFrom<Row> for Ending {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            mxid: parsed("endings.mxid", row.mxid)?,
            device_id: row.device_id.into(),
            opened_at: Timestamp::from_millis(row.opened_at),
            is_denial: row.is_denial == 1,
            attempts: parsed("endings.attempts", row.attempts)?,
        })
    }
}

/// Whether there is something to end: the session is open still, and the one that was meant. A device whose request was
/// denied need not have a session that Usher opened, but none that was opened since.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn is_open(db: impl Into<Db<'_>>, ending: &Ending) -> Result<bool, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (i64, i64),
        "SELECT COALESCE(SUM(CASE WHEN opened_at = $3 AND ended_at IS NULL THEN 1 ELSE 0 END), 0),
             COALESCE(SUM(CASE WHEN opened_at > $3 THEN 1 ELSE 0 END), 0)
         FROM sessions WHERE mxid = $1 AND device_id = $2",
        ending.mxid.as_str(),
        ending.device_id.as_str(),
        ending.opened_at.as_millis(),
    )?;
    Ok(rows.first().is_some_and(|&(own, later)| if ending.is_denial { later == 0 } else { own > 0 }))
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
