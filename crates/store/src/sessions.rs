//! Sessions: what Usher opened on homeservers, for a logout at the provider to end.

use ruma_common::{DeviceId, OwnedDeviceId, UserId};
use usher_core::Timestamp;

use crate::{
    Db, PersonKey, StoreError, UpstreamSessionHash,
    db::{execute, fetch},
};

/// A session that was opened.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// The account.
    pub mxid: &'a UserId,
    /// The device as the homeserver named it.
    pub device_id: &'a DeviceId,
    /// Who signed in.
    pub person: PersonKey<'a>,
    /// The provider's session they signed in with.
    pub upstream_session: Option<&'a UpstreamSessionHash>,
    /// When they were sent to the provider: a logout since then is about this session too.
    pub begun_at: Timestamp,
    /// When.
    pub opened_at: Timestamp,
}

/// Records a session; it replaces an earlier one on the same device.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(db: impl Into<Db<'_>>, session: &NewSession<'_>) -> Result<(), StoreError> {
    execute!(
        db,
        "INSERT INTO sessions
             (mxid, device_id, provider, issuer, subject, upstream_session_hash, opened_at, ended_at, begun_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8)
         ON CONFLICT (mxid, device_id) DO UPDATE SET
             provider = excluded.provider,
             issuer = excluded.issuer,
             subject = excluded.subject,
             upstream_session_hash = excluded.upstream_session_hash,
             opened_at = excluded.opened_at,
             ended_at = NULL,
             begun_at = excluded.begun_at",
        session.mxid.as_str(),
        session.device_id.as_str(),
        session.person.provider.as_str(),
        session.person.issuer.as_str(),
        session.person.subject.as_str(),
        session.upstream_session.map(UpstreamSessionHash::as_str),
        session.opened_at.as_millis(),
        session.begun_at.as_millis(),
    )?;
    Ok(())
}

/// When the session on a device was opened, if it is open and this person's.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find_opened_at(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    device_id: &DeviceId,
    person: &PersonKey<'_>,
) -> Result<Option<Timestamp>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (i64,),
        "SELECT opened_at FROM sessions
         WHERE mxid = $1 AND device_id = $2 AND ended_at IS NULL
             AND provider = $3 AND issuer = $4 AND subject = $5",
        mxid.as_str(),
        device_id.as_str(),
        person.provider.as_str(),
        person.issuer.as_str(),
        person.subject.as_str(),
    )?;
    Ok(rows.first().map(|&(opened_at,)| Timestamp::from_millis(opened_at)))
}

/// The sessions of an account that Usher opened and has not ended: device and time, the latest first, at most `limit`.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list_open(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    limit: u32,
) -> Result<Vec<(OwnedDeviceId, Timestamp)>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (String, i64),
        "SELECT device_id, opened_at FROM sessions WHERE mxid = $1 AND ended_at IS NULL
         ORDER BY opened_at DESC, device_id LIMIT $2",
        mxid.as_str(),
        i64::from(limit),
    )?;
    Ok(rows.into_iter().map(|(device, at)| (device.into(), Timestamp::from_millis(at))).collect())
}
