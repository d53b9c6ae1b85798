//! UI-auth sessions: one request each, which waits for its person to sign in again (MSC2454).
//!
//! `pending` -> [`confirm`] -> `confirmed` -> [`claim`] -> `claimed` -> [`spend`] -> `spent`; or back by [`release`], or by
//! the end of the lease. [`deny`] ends one that nobody has begun to do. What a session is bound to never changes: it is
//! written once, by [`insert`], and compared by the caller. Whether a session is good is decided inside the statement
//! that moves it on, so two requests can never both do what was confirmed.
//!
//! A statement moves one session on, never several: on Postgres, two that each took several, in another order, would wait
//! for each other until it ends one of them.

mod denial;
mod failure;
mod row;

pub use denial::{deny, deny_other, list_deniable};
pub use failure::{Failure, note_failure};

use ruma_common::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use usher_core::{Issuer, ProviderId, Subject, Timestamp};

use self::row::{ConfirmedRow, Row};
use crate::{
    AttemptHash, Db, Lease, PersonKey, SWEEP_BATCH, StoreError, UiAuthHandleHash, UiAuthSessionHash,
    UpstreamSessionHash,
    db::{execute, fetch},
    person::parsed,
    words::words,
};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `DELETE /devices/{deviceId}`
    DeleteDevice,
    /// `POST /delete_devices`
    DeleteDevices,
    /// `POST /keys/device_signing/upload`
    UploadCrossSigning,
    /// `POST /account/3pid/add`
    AddThreepid,
    /// `POST /account/deactivate`
    Deactivate,
    /// `POST /login/get_token`
    GetLoginToken,
}

words!(Operation {
    DeleteDevice = "delete_device",
    DeleteDevices = "delete_devices",
    UploadCrossSigning = "upload_cross_signing",
    AddThreepid = "add_threepid",
    Deactivate = "deactivate",
    GetLoginToken = "get_login_token",
});

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has signed in for it.
    Pending,
    /// Its person has, and the request may be repeated.
    Confirmed,
    /// The request is being done.
    Claimed,
    /// The request was done.
    Spent,
    /// The person said that it was not theirs.
    Denied,
}

words!(State {
    Pending = "pending",
    Confirmed = "confirmed",
    Claimed = "claimed",
    Spent = "spent",
    Denied = "denied",
});

/// A request that is to wait.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// The session's id.
    pub session: &'a UiAuthSessionHash,
    /// The handle of its page.
    pub handle: &'a UiAuthHandleHash,
    /// Whose access token it came with; the homeserver is the one in the name.
    pub mxid: &'a UserId,
    /// That token's device; empty if it has none.
    pub device_id: &'a DeviceId,
    /// What was asked for.
    pub operation: Operation,
    /// The request's method.
    pub method: &'a str,
    /// Its path below the version, normalised: parameters decoded and encoded again, one spelling for each request.
    pub path: &'a str,
    /// Its body without `auth`, as canonical JSON.
    pub body: &'a str,
    /// What it would do, in a few words without secrets.
    pub description: &'a str,
    /// The address it came from.
    pub client: &'a str,
    /// The client's own name for itself; may be empty.
    pub user_agent: &'a str,
    /// When.
    pub created_at: Timestamp,
    /// The first instant at which it is good for nothing.
    pub expires_at: Timestamp,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The person's account; the homeserver is the one in the name.
    pub mxid: OwnedUserId,
    /// The device of the token that began it; empty if it had none.
    pub device_id: OwnedDeviceId,
    /// What was asked for.
    pub operation: Operation,
    /// The request's method.
    pub method: String,
    /// Its normalised path.
    pub path: String,
    /// Its canonical body.
    pub body: String,
    /// What it would do, in a few words without secrets.
    pub description: String,
    /// The address it came from.
    pub client: String,
    /// The client's own name for itself.
    pub user_agent: String,
    /// How far it has come.
    pub state: State,
    /// Which provider its person signed in at, once they have.
    pub provider: Option<ProviderId>,
    /// While it is claimed: when the lease ends.
    pub claimed_until: Option<Timestamp>,
    /// Why the last try to sign in for it came to nothing, if it waits still.
    pub failure: Option<Failure>,
    /// Whether the sign-out of its device was left to an ending, because it was denied.
    pub is_seen_to: bool,
    /// When it was begun.
    pub created_at: Timestamp,
    /// The first instant at which it is good for nothing.
    pub expires_at: Timestamp,
}

/// What is known of whoever makes a request, in one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requester {
    /// Whether somebody is linked to the account.
    pub is_linked: bool,
    /// How many sessions of the device are open.
    pub open: u64,
}

/// Who signed in for a session, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Confirmation<'a> {
    /// The attempt that it spends.
    pub attempt: &'a AttemptHash,
    /// The account that they are linked to.
    pub mxid: &'a UserId,
    /// Who.
    pub person: PersonKey<'a>,
    /// The provider's session.
    pub upstream_session: Option<&'a UpstreamSessionHash>,
    /// Whether the provider proved that they authenticated for this.
    pub is_fresh: bool,
    /// When.
    pub now: Timestamp,
}

/// Who confirmed a session that was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Which provider they signed in at.
    pub provider: ProviderId,
    /// Who vouched for them.
    pub issuer: Issuer,
    /// Their name there.
    pub subject: Subject,
    /// The provider's session.
    pub upstream_session: Option<UpstreamSessionHash>,
    /// When.
    pub at: Timestamp,
}

impl Confirmed {
    /// Who signed in.
    #[must_use]
    pub fn person(&self) -> PersonKey<'_> {
        PersonKey { provider: &self.provider, issuer: &self.issuer, subject: &self.subject }
    }
}

/// Stores a request, unless its device has `max_open` sessions already that a person has confirmed: those are not
/// dropped for it. `false`: it has.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(db: impl Into<Db<'_>>, new: &NewSession<'_>, max_open: u32) -> Result<bool, StoreError> {
    let inserted = execute!(
        db,
        "INSERT INTO ui_auth_sessions
             (session_hash, handle_hash, server_name, mxid, device_id, operation, method, path, body, client,
              user_agent, state, is_fresh, created_at, expires_at, description)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending', 0, $12, $13, $15
         WHERE (SELECT COUNT(*) FROM ui_auth_sessions
                WHERE mxid = $4 AND device_id = $5 AND state IN ('confirmed', 'claimed') AND expires_at > $12) < $14",
        new.session.as_str(),
        new.handle.as_str(),
        new.mxid.server_name().as_str(),
        new.mxid.as_str(),
        new.device_id.as_str(),
        new.operation.as_str(),
        new.method,
        new.path,
        new.body,
        new.client,
        new.user_agent,
        new.created_at.as_millis(),
        new.expires_at.as_millis(),
        i64::from(max_open),
        new.description,
    )?;
    Ok(inserted == 1)
}

/// Drops the oldest pending session of a device, if more than `max_open` are open; whether one went. Not `newest`, whatever
/// the clocks of the replicas that made the others said.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete_oldest(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    device_id: &DeviceId,
    newest: &UiAuthSessionHash,
    max_open: u32,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let deleted = execute!(
        db,
        "DELETE FROM ui_auth_sessions WHERE state = 'pending' AND session_hash =
             (SELECT session_hash FROM
                  (SELECT session_hash, state,
                       ROW_NUMBER() OVER (ORDER BY CASE WHEN state <> 'pending' THEN 0
                               WHEN session_hash = $5 THEN 1 ELSE 2 END,
                           created_at DESC, session_hash) AS place
                   FROM ui_auth_sessions
                   WHERE mxid = $1 AND device_id = $2 AND state IN ('pending', 'confirmed', 'claimed')
                       AND expires_at > $4) AS ranked
              WHERE place > $3 AND state = 'pending'
              ORDER BY place DESC LIMIT 1)",
        mxid.as_str(),
        device_id.as_str(),
        i64::from(max_open),
        now.as_millis(),
        newest.as_str(),
    )?;
    Ok(deleted == 1)
}

/// Whether somebody is linked to an account, and how many sessions its device has open.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find_requester(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    device_id: &DeviceId,
    now: Timestamp,
) -> Result<Requester, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (i64, i64),
        "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM links WHERE mxid = $1 LIMIT 1) AS linked),
             (SELECT COUNT(*) FROM ui_auth_sessions
              WHERE mxid = $1 AND device_id = $2 AND state IN ('pending', 'confirmed', 'claimed')
                  AND expires_at > $3)",
        mxid.as_str(),
        device_id.as_str(),
        now.as_millis(),
    )?;
    let &(linked, open) = rows.first().ok_or_else(|| StoreError::corrupt("ui_auth_sessions"))?;
    Ok(Requester { is_linked: linked > 0, open: parsed("ui_auth_sessions", open)? })
}

/// A whole session, by a column that is unique.
macro_rules! select {
    ($column:literal) => {
        concat!(
            "SELECT mxid, device_id, operation, method, path, body, description, client, user_agent, state,
                 provider, claimed_until, failure, signed_out_at, created_at, expires_at
             FROM ui_auth_sessions WHERE ",
            $column,
            " = $1"
        )
    };
}

/// A session by its id, expired ones included for as long as they are there.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find(db: impl Into<Db<'_>>, session: &UiAuthSessionHash) -> Result<Option<Session>, StoreError> {
    let rows = fetch!(db, reader, Row, select!("session_hash"), session.as_str(),)?;
    rows.into_iter().next().map(Session::try_from).transpose()
}

/// A session by its page's handle, expired ones included for as long as they are there.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find_by_handle(
    db: impl Into<Db<'_>>,
    handle: &UiAuthHandleHash,
) -> Result<Option<Session>, StoreError> {
    let rows = fetch!(db, reader, Row, select!("handle_hash"), handle.as_str(),)?;
    rows.into_iter().next().map(Session::try_from).transpose()
}

/// Notes that the person of a pending session has signed in, which spends the attempt; what they confirmed, in words.
/// `None`: it is not (or no longer) pending, has expired, or is another account's.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn confirm(
    db: impl Into<Db<'_>>,
    handle: &UiAuthHandleHash,
    confirmation: &Confirmation<'_>,
) -> Result<Option<String>, StoreError> {
    let confirmed = fetch!(
        db,
        writer,
        (String,),
        "UPDATE ui_auth_sessions SET
             state = 'confirmed', attempt_hash = $2, provider = $3, issuer = $4, subject = $5,
             upstream_session_hash = $6, is_fresh = $7, confirmed_at = $8, failure = NULL
         WHERE handle_hash = $1 AND mxid = $9 AND state = 'pending' AND expires_at > $8
             AND NOT EXISTS (SELECT 1 FROM ui_auth_sessions AS spent WHERE spent.attempt_hash = $2)
         RETURNING description",
        handle.as_str(),
        confirmation.attempt.as_str(),
        confirmation.person.provider.as_str(),
        confirmation.person.issuer.as_str(),
        confirmation.person.subject.as_str(),
        confirmation.upstream_session.map(UpstreamSessionHash::as_str),
        i64::from(confirmation.is_fresh),
        confirmation.now.as_millis(),
        confirmation.mxid.as_str(),
    )?;
    Ok(confirmed.into_iter().next().map(|(description,)| description))
}

/// Takes a lease on a confirmed session, or on one whose lease has ended; who confirmed it. `None`: it is in another
/// state, has expired, or whoever confirmed it is linked to the account no longer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn claim(
    db: impl Into<Db<'_>>,
    session: &UiAuthSessionHash,
    lease: &Lease,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Option<Confirmed>, StoreError> {
    let rows = fetch!(
        db,
        writer,
        ConfirmedRow,
        "UPDATE ui_auth_sessions SET state = 'claimed', lease = $2, claimed_until = $4
         WHERE session_hash = $1 AND expires_at > $3
             AND (state = 'confirmed' OR (state = 'claimed' AND claimed_until <= $3))
             AND EXISTS (SELECT 1 FROM links
                 WHERE links.provider = ui_auth_sessions.provider AND links.issuer = ui_auth_sessions.issuer
                     AND links.subject = ui_auth_sessions.subject
                     AND links.server_name = ui_auth_sessions.server_name
                     AND links.mxid = ui_auth_sessions.mxid)
         RETURNING provider, issuer, subject, upstream_session_hash, confirmed_at",
        session.as_str(),
        lease.as_str(),
        now.as_millis(),
        lease_until.as_millis(),
    )?;
    rows.into_iter().next().map(Confirmed::try_from).transpose()
}

/// Gives a session back: the homeserver did not do it. `false`: the lease is another's by now.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn release(
    db: impl Into<Db<'_>>,
    session: &UiAuthSessionHash,
    lease: &Lease,
) -> Result<bool, StoreError> {
    let released = execute!(
        db,
        "UPDATE ui_auth_sessions SET state = 'confirmed', lease = NULL, claimed_until = NULL
         WHERE session_hash = $1 AND state = 'claimed' AND lease = $2",
        session.as_str(),
        lease.as_str(),
    )?;
    Ok(released == 1)
}

/// Ends a session for good: what it asked for was done. `false`: the lease is another's by now. A lease that ended but
/// that nobody took over is still good for this.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn spend(
    db: impl Into<Db<'_>>,
    session: &UiAuthSessionHash,
    lease: &Lease,
) -> Result<bool, StoreError> {
    let spent = execute!(
        db,
        "UPDATE ui_auth_sessions SET state = 'spent', lease = NULL, claimed_until = NULL
         WHERE session_hash = $1 AND state = 'claimed' AND lease = $2",
        session.as_str(),
        lease.as_str(),
    )?;
    Ok(spent == 1)
}

/// Whether somebody who is linked to the account still has proven themselves for a session of this very device since
/// `since`, and freshly, and nobody has said of one that it was not theirs.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn is_proven_since(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    device_id: &DeviceId,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (i64,),
        "SELECT COUNT(*) FROM ui_auth_sessions
         WHERE mxid = $1 AND device_id = $2 AND confirmed_at > $3 AND is_fresh = 1
             AND EXISTS (SELECT 1 FROM links
                 WHERE links.provider = ui_auth_sessions.provider AND links.issuer = ui_auth_sessions.issuer
                     AND links.subject = ui_auth_sessions.subject
                     AND links.server_name = ui_auth_sessions.server_name
                     AND links.mxid = ui_auth_sessions.mxid)
             AND NOT EXISTS (SELECT 1 FROM ui_auth_sessions AS denied
                 WHERE denied.mxid = $1 AND denied.device_id = $2 AND denied.state = 'denied')",
        mxid.as_str(),
        device_id.as_str(),
        since.as_millis(),
    )?;
    Ok(rows.first().is_some_and(|(count,)| *count > 0))
}

/// Forgets sessions that expired before `before` and that nobody is doing, at most `limit` and at most [`SWEEP_BATCH`];
/// how many.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete_expired(db: impl Into<Db<'_>>, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    execute!(
        db,
        "DELETE FROM ui_auth_sessions WHERE session_hash IN
             (SELECT session_hash FROM ui_auth_sessions
              WHERE expires_at <= $1 AND (claimed_until IS NULL OR claimed_until <= $1)
              ORDER BY expires_at LIMIT $2)",
        before.as_millis(),
        i64::from(limit.min(SWEEP_BATCH)),
    )
}
