//! Provisioning: what accounts are still to be given on their homeserver, and what they were given last.
//!
//! A row waits until it is due, is claimed under a lease, and goes when it is done. A process that dies leaves a lease
//! that runs out; two replicas never hold the same row. A value that changes while somebody is at the old one takes the
//! row away from them, so the newest is given last.

use std::fmt;

use ruma_common::{OwnedServerName, OwnedUserId, ServerName, UserId};
use usher_core::Timestamp;

use crate::{
    Db, Lease, StoreError,
    db::{execute, fetch},
    hash::value_hash,
    person::parsed,
    words::words,
};

/// What an account can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A display name.
    DisplayName,
    /// An e-mail address.
    Email,
    /// Membership of a room.
    Join,
}

words!(Kind { DisplayName = "display_name", Email = "email", Join = "join" });

/// Something to be given. An account has one display name and one address to be given, and any number of rooms.
#[derive(Clone, Copy, Debug)]
pub struct Gift<'a> {
    /// What.
    pub kind: Kind,
    /// The name, the address, or the room.
    pub value: &'a str,
}

impl Gift<'_> {
    fn item(&self) -> &str {
        match self.kind {
            Kind::DisplayName | Kind::Email => "",
            Kind::Join => self.value,
        }
    }
}

/// A claimed row.
#[derive(Clone, PartialEq, Eq)]
pub struct Task {
    /// Whose.
    pub mxid: OwnedUserId,
    /// What.
    pub kind: Kind,
    /// The name, the address, or the room.
    pub value: String,
    /// How often it was claimed, this time included.
    pub attempts: u32,
}

impl Task {
    fn gift(&self) -> Gift<'_> {
        Gift { kind: self.kind, value: &self.value }
    }
}

/// Names and addresses of people are nobody's business.
impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("mxid", &self.mxid).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A row as an operator is shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What.
    pub kind: Kind,
    /// The name, the address, or the room.
    pub value: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again.
    pub not_before: Timestamp,
    /// What was said the last time.
    pub last_error: Option<String>,
}

/// Asks for something to be given from `due` on, in place of another value of the same kind (of the same room). The
/// same value again changes nothing.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn upsert(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    gift: &Gift<'_>,
    due: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        db,
        "INSERT INTO provisioning
             (mxid, server_name, kind, item, value, attempts, not_before, lease, last_error, created_at)
         VALUES ($1, $2, $3, $4, $5, 0, $6, NULL, NULL, $6)
         ON CONFLICT (mxid, kind, item) DO UPDATE SET
             value = excluded.value, attempts = 0, not_before = excluded.not_before, lease = NULL, last_error = NULL
         WHERE provisioning.value <> excluded.value",
        mxid.as_str(),
        mxid.server_name().as_str(),
        gift.kind.as_str(),
        gift.item(),
        gift.value,
        due.as_millis(),
    )?;
    Ok(())
}

/// The homeservers of which something is due at `now`.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list_due(db: impl Into<Db<'_>>, now: Timestamp) -> Result<Vec<OwnedServerName>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (String,),
        "SELECT DISTINCT server_name FROM provisioning WHERE not_before <= $1",
        now.as_millis(),
    )?;
    rows.into_iter().map(|(name,)| parsed("provisioning.server_name", name)).collect()
}

/// Claims up to `limit` rows of a homeserver that are due at `now`, for active accounts, the oldest first. Until
/// `lease_until` nobody else is given them.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn claim(
    db: impl Into<Db<'_>>,
    server_name: &ServerName,
    lease: &Lease,
    now: Timestamp,
    lease_until: Timestamp,
    limit: u32,
) -> Result<Vec<Task>, StoreError> {
    // Postgres looks at `not_before` again once it has waited for another claim of the same row.
    let rows = fetch!(
        db,
        writer,
        TaskRow,
        "UPDATE provisioning SET lease = $2, not_before = $4, attempts = attempts + 1
         WHERE not_before <= $3 AND (mxid, kind, item) IN
             (SELECT due.mxid, due.kind, due.item FROM provisioning AS due
              JOIN accounts ON accounts.mxid = due.mxid
              WHERE due.server_name = $1 AND due.not_before <= $3 AND accounts.state = 'active'
              ORDER BY due.not_before LIMIT $5)
         RETURNING mxid, kind, value, attempts",
        server_name.as_str(),
        lease.as_str(),
        now.as_millis(),
        lease_until.as_millis(),
        i64::from(limit),
    )?;
    rows.into_iter().map(Task::try_from).collect()
}

/// Done, or not wanted any more. `false`: the row is another's by now, or has another value.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete(db: impl Into<Db<'_>>, task: &Task, lease: &Lease) -> Result<bool, StoreError> {
    let deleted = execute!(
        db,
        "DELETE FROM provisioning WHERE mxid = $1 AND kind = $2 AND item = $3 AND lease = $4",
        task.mxid.as_str(),
        task.kind.as_str(),
        task.gift().item(),
        lease.as_str(),
    )?;
    Ok(deleted == 1)
}

/// Not this time: due again at `not_before`. `false`: the row is another's by now, or has another value.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn postpone(
    db: impl Into<Db<'_>>,
    task: &Task,
    lease: &Lease,
    not_before: Timestamp,
    last_error: &str,
) -> Result<bool, StoreError> {
    let updated = execute!(
        db,
        "UPDATE provisioning SET lease = NULL, not_before = $5, last_error = $6
         WHERE mxid = $1 AND kind = $2 AND item = $3 AND lease = $4",
        task.mxid.as_str(),
        task.kind.as_str(),
        task.gift().item(),
        lease.as_str(),
        not_before.as_millis(),
        last_error,
    )?;
    Ok(updated == 1)
}

/// What an account is still to be given.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list(db: impl Into<Db<'_>>, mxid: &UserId) -> Result<Vec<Pending>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        PendingRow,
        "SELECT kind, value, attempts, not_before, last_error FROM provisioning
         WHERE mxid = $1 ORDER BY kind, item",
        mxid.as_str(),
    )?;
    rows.into_iter().map(Pending::try_from).collect()
}

/// An account that is removed is given nothing more; how many rows that were.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete_all(db: impl Into<Db<'_>>, mxid: &UserId) -> Result<u64, StoreError> {
    execute!(db, "DELETE FROM provisioning WHERE mxid = $1", mxid.as_str())
}

/// Remembers what an account was given, as a hash.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_given(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    gift: &Gift<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        db,
        "INSERT INTO provisioned (mxid, kind, value_hash, provisioned_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (mxid, kind) DO UPDATE SET
             value_hash = excluded.value_hash, provisioned_at = excluded.provisioned_at",
        mxid.as_str(),
        gift.kind.as_str(),
        value_hash(gift.value),
        now.as_millis(),
    )?;
    Ok(())
}

/// Whether this is what the account was given last, and nothing else of its kind is on its way.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn is_given(db: impl Into<Db<'_>>, mxid: &UserId, gift: &Gift<'_>) -> Result<bool, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (i64,),
        "SELECT COUNT(*) FROM provisioned
         WHERE mxid = $1 AND kind = $2 AND value_hash = $3 AND NOT EXISTS
             (SELECT 1 FROM provisioning
              WHERE provisioning.mxid = $1 AND provisioning.kind = $2 AND provisioning.item = $4
                  AND provisioning.value <> $5)",
        mxid.as_str(),
        gift.kind.as_str(),
        value_hash(gift.value),
        gift.item(),
        gift.value,
    )?;
    Ok(rows.first().is_some_and(|&(count,)| count == 1))
}

#[derive(sqlx::FromRow)]
struct TaskRow {
    mxid: String,
    kind: String,
    value: String,
    attempts: i64,
}

impl TryFrom<TaskRow> for Task {
    type Error = StoreError;

    fn try_from(row: TaskRow) -> Result<Self, StoreError> {
        Ok(Self {
            mxid: parsed("provisioning.mxid", row.mxid)?,
            kind: parsed("provisioning.kind", row.kind.as_str())?,
            value: row.value,
            attempts: parsed("provisioning.attempts", row.attempts)?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct PendingRow {
    kind: String,
    value: String,
    attempts: i64,
    not_before: i64,
    last_error: Option<String>,
}

impl TryFrom<PendingRow> for Pending {
    type Error = StoreError;

    fn try_from(row: PendingRow) -> Result<Self, StoreError> {
        Ok(Self {
            kind: parsed("provisioning.kind", row.kind.as_str())?,
            value: row.value,
            attempts: parsed("provisioning.attempts", row.attempts)?,
            not_before: Timestamp::from_millis(row.not_before),
            last_error: row.last_error,
        })
    }
}
