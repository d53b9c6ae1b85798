//! Accounts: MXIDs that Usher made, adopted or was told of, and how far their establishment has come.

use ruma_common::{OwnedUserId, UserId};
use usher_core::Timestamp;

use crate::{
    Db, StoreError,
    db::{execute, fetch},
    person::parsed,
    words::words,
};

/// How far an account has come. Each step is committed before the next call to the homeserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// The name is kept for a person; nobody at the homeserver knows it yet.
    Reserved,
    /// The name was seen to be free, and registration is under way: `M_USER_IN_USE` is our own earlier try.
    Registering,
    /// It can be logged in to.
    Active,
    /// A tombstone: the name is never given to anybody else.
    Removed,
}

/// How Usher came to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Usher registered it.
    Created,
    /// It existed, and an attribute that the operator declared immutable names it.
    Adopted,
    /// The operator said so.
    Pinned,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name; the server name in it is the homeserver's.
    pub mxid: OwnedUserId,
    /// How far it has come.
    pub state: AccountState,
    /// How Usher came to it.
    pub origin: Origin,
    /// When its row was made.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

words!(AccountState {
    Reserved = "reserved",
    Registering = "registering",
    Active = "active",
    Removed = "removed",
});
words!(Origin { Created = "created", Adopted = "adopted", Pinned = "pinned" });

/// Reserves a name. `false`: it has a row already, be it a tombstone.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert_reserved(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    origin: Origin,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        db,
        "INSERT INTO accounts (mxid, server_name, state, origin, created_at, updated_at)
         VALUES ($1, $2, 'reserved', $3, $4, $4)
         ON CONFLICT DO NOTHING",
        mxid.as_str(),
        mxid.server_name().as_str(),
        origin.as_str(),
        now.as_millis(),
    )?;
    Ok(inserted == 1)
}

/// Notes an account that is there already. `false`: its name has a row, be it a tombstone.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert_active(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    origin: Origin,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        db,
        "INSERT INTO accounts (mxid, server_name, state, origin, created_at, updated_at)
         VALUES ($1, $2, 'active', $3, $4, $4)
         ON CONFLICT DO NOTHING",
        mxid.as_str(),
        mxid.server_name().as_str(),
        origin.as_str(),
        now.as_millis(),
    )?;
    Ok(inserted == 1)
}

/// Moves an account on. `false`: it is not (or no longer) in state `from`.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn advance(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    from: AccountState,
    to: AccountState,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let updated = execute!(
        db,
        "UPDATE accounts SET state = $3, updated_at = $4 WHERE mxid = $1 AND state = $2",
        mxid.as_str(),
        from.as_str(),
        to.as_str(),
        now.as_millis(),
    )?;
    Ok(updated == 1)
}

/// Gives a name back that turned out to be somebody else's on the homeserver. Its link must be gone. `false`: it
/// is not (or no longer) in `state`, or it has come to rest.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete_unfinished(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    state: AccountState,
) -> Result<bool, StoreError> {
    let deleted = execute!(
        db,
        "DELETE FROM accounts WHERE mxid = $1 AND state = $2 AND state IN ('reserved', 'registering')",
        mxid.as_str(),
        state.as_str(),
    )?;
    Ok(deleted == 1)
}

/// One account.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find(db: impl Into<Db<'_>>, mxid: &UserId) -> Result<Option<Account>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        Row,
        "SELECT mxid, state, origin, created_at, updated_at FROM accounts WHERE mxid = $1",
        mxid.as_str(),
    )?;
    rows.into_iter().next().map(Account::try_from).transpose()
}

#[derive(sqlx::FromRow)]
struct Row {
    mxid: String,
    state: String,
    origin: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Account {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            mxid: parsed("accounts.mxid", row.mxid)?,
            state: parsed("accounts.state", row.state.as_str())?,
            origin: parsed("accounts.origin", row.origin.as_str())?,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
        })
    }
}
