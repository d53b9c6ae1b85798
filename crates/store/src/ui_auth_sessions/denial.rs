//! "This was not me": one session after another, so that many denials at once never wait for each other.

use ruma_common::{DeviceId, UserId};
use usher_core::Timestamp;

use crate::{
    Db, StoreError, UiAuthHandleHash, UiAuthSessionHash,
    db::{execute, fetch},
};

/// Ends a session that is not theirs, on a person's word, confirmed or not. The caller leaves the sign-out of its device to
/// an ending, in the same transaction. `false`: it is being done, or was, or has expired, or was denied before.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn deny(
    db: impl Into<Db<'_>>,
    handle: &UiAuthHandleHash,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // The last case is a denial of the release before, whose sign-out failed.
    let denied = execute!(
        db,
        "UPDATE ui_auth_sessions SET state = 'denied', signed_out_at = $2
         WHERE handle_hash = $1
             AND ((state IN ('pending', 'confirmed') AND expires_at > $2)
                 OR (state = 'denied' AND signed_out_at IS NULL))",
        handle.as_str(),
        now.as_millis(),
    )?;
    Ok(denied == 1)
}

/// The sessions of a device that nobody has begun to do.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list_deniable(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    device_id: &DeviceId,
    now: Timestamp,
) -> Result<Vec<UiAuthSessionHash>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (String,),
        "SELECT session_hash FROM ui_auth_sessions
         WHERE mxid = $1 AND device_id = $2 AND state IN ('pending', 'confirmed') AND expires_at > $3",
        mxid.as_str(),
        device_id.as_str(),
        now.as_millis(),
    )?;
    rows.into_iter()
        .map(|(hex,)| {
            let corrupt = || StoreError::corrupt("ui_auth_sessions.session_hash");
            UiAuthSessionHash::from_row(hex).ok_or_else(corrupt)
        })
        .collect()
}

/// Ends another session of a device of which one was denied. `false`: it is being done, or was, or was denied.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn deny_other(
    db: impl Into<Db<'_>>,
    session: &UiAuthSessionHash,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let denied = execute!(
        db,
        "UPDATE ui_auth_sessions SET state = 'denied', signed_out_at = $2
         WHERE session_hash = $1 AND state IN ('pending', 'confirmed')",
        session.as_str(),
        now.as_millis(),
    )?;
    Ok(denied == 1)
}
