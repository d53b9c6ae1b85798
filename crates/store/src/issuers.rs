//! A provider's issuer has changed under the same id: everybody it vouched for is moved to the new one.
//!
//! One statement a table, to be run in one transaction: between two of them the same person would be two.

use usher_core::{Issuer, ProviderId};

use crate::{
    Db, StoreError,
    db::{execute, fetch},
    person::parsed,
};

/// From one issuer of a provider to another.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// Whose.
    pub provider: &'a ProviderId,
    /// The issuer of before.
    pub from: &'a Issuer,
    /// The issuer from now on.
    pub to: &'a Issuer,
}

/// Every issuer that somebody is linked by.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list(db: impl Into<Db<'_>>, provider: &ProviderId) -> Result<Vec<Issuer>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (String,),
        "SELECT DISTINCT issuer FROM links WHERE provider = $1 ORDER BY issuer",
        provider.as_str(),
    )?;
    rows.into_iter().map(|(issuer,)| parsed("links.issuer", issuer)).collect()
}

/// How many people would have two accounts on one homeserver.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn count_conflicts(db: impl Into<Db<'_>>, moved: &Move<'_>) -> Result<u64, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (i64,),
        "SELECT COUNT(*) FROM links AS former JOIN links AS latter
             ON latter.provider = former.provider AND latter.subject = former.subject
                 AND latter.server_name = former.server_name
         WHERE former.provider = $1 AND former.issuer = $2 AND latter.issuer = $3",
        moved.provider.as_str(),
        moved.from.as_str(),
        moved.to.as_str(),
    )?;
    parsed("links", rows.first().map_or(0, |&(count,)| count))
}

/// Moves the links; how many.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn move_links(db: impl Into<Db<'_>>, moved: &Move<'_>) -> Result<u64, StoreError> {
    execute!(
        db,
        "UPDATE links SET issuer = $3 WHERE provider = $1 AND issuer = $2",
        moved.provider.as_str(),
        moved.from.as_str(),
        moved.to.as_str(),
    )
}

/// Moves the choices; who has chosen under the new issuer keeps that.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn move_choices(db: impl Into<Db<'_>>, moved: &Move<'_>) -> Result<u64, StoreError> {
    execute!(
        db,
        "UPDATE choices SET issuer = $3 WHERE provider = $1 AND issuer = $2 AND NOT EXISTS
             (SELECT 1 FROM choices AS latter
              WHERE latter.provider = $1 AND latter.issuer = $3 AND latter.subject = choices.subject)",
        moved.provider.as_str(),
        moved.from.as_str(),
        moved.to.as_str(),
    )
}

/// Moves what was opened, so that it is still known who by. A provider's own name for its session is hashed with the
/// issuer that gave it, and stays that of the old one.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn move_sessions(db: impl Into<Db<'_>>, moved: &Move<'_>) -> Result<u64, StoreError> {
    execute!(
        db,
        "UPDATE sessions SET issuer = $3 WHERE provider = $1 AND issuer = $2",
        moved.provider.as_str(),
        moved.from.as_str(),
        moved.to.as_str(),
    )
}

/// Moves login tokens that were issued a moment ago.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn move_login_tokens(db: impl Into<Db<'_>>, moved: &Move<'_>) -> Result<u64, StoreError> {
    execute!(
        db,
        "UPDATE login_tokens SET issuer = $3 WHERE provider = $1 AND issuer = $2",
        moved.provider.as_str(),
        moved.from.as_str(),
        moved.to.as_str(),
    )
}
