//! Links: which account a person has on a homeserver. Several people may be linked to one account; a person has
//! at most one account on a homeserver.

use ruma_common::UserId;
use usher_core::Timestamp;

use crate::{Db, PersonKey, StoreError, db::execute};

/// Links a person to an account on its homeserver; the account's row must exist. `false`: the person has a link
/// there already, to this account or another.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(
    db: impl Into<Db<'_>>,
    person: &PersonKey<'_>,
    mxid: &UserId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        db,
        "INSERT INTO links (provider, issuer, subject, server_name, mxid, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING",
        person.provider.as_str(),
        person.issuer.as_str(),
        person.subject.as_str(),
        mxid.server_name().as_str(),
        mxid.as_str(),
        now.as_millis(),
    )?;
    Ok(inserted == 1)
}

/// Takes a person's link to this account away; login tokens already issued by it open nothing from then on. The
/// account's row stays. `false`: there is no such link.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete(
    db: impl Into<Db<'_>>,
    person: &PersonKey<'_>,
    mxid: &UserId,
) -> Result<bool, StoreError> {
    let deleted = execute!(
        db,
        "DELETE FROM links
         WHERE provider = $1 AND issuer = $2 AND subject = $3 AND server_name = $4 AND mxid = $5",
        person.provider.as_str(),
        person.issuer.as_str(),
        person.subject.as_str(),
        mxid.server_name().as_str(),
        mxid.as_str(),
    )?;
    Ok(deleted == 1)
}
