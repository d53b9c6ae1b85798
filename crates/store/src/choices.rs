//! Choices: the homeserver that was selected for a person before (sticky selection).

use ruma_common::ServerName;
use usher_core::Timestamp;

use crate::{Db, PersonKey, StoreError, db::execute};

/// Remembers a first choice. `false`: there is one already, and it stays.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(
    db: impl Into<Db<'_>>,
    person: &PersonKey<'_>,
    server_name: &ServerName,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        db,
        "INSERT INTO choices (provider, issuer, subject, server_name, chosen_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        person.provider.as_str(),
        person.issuer.as_str(),
        person.subject.as_str(),
        server_name.as_str(),
        now.as_millis(),
    )?;
    Ok(inserted == 1)
}

/// Remembers a choice in place of an earlier one.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set(
    db: impl Into<Db<'_>>,
    person: &PersonKey<'_>,
    server_name: &ServerName,
    now: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        db,
        "INSERT INTO choices (provider, issuer, subject, server_name, chosen_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (provider, issuer, subject)
         DO UPDATE SET server_name = excluded.server_name, chosen_at = excluded.chosen_at",
        person.provider.as_str(),
        person.issuer.as_str(),
        person.subject.as_str(),
        server_name.as_str(),
        now.as_millis(),
    )?;
    Ok(())
}

/// Takes a first choice back that came to nothing. `false`: it is another by now, or the person has an account there.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete_unused(
    db: impl Into<Db<'_>>,
    person: &PersonKey<'_>,
    server_name: &ServerName,
) -> Result<bool, StoreError> {
    let deleted = execute!(
        db,
        "DELETE FROM choices
         WHERE provider = $1 AND issuer = $2 AND subject = $3 AND server_name = $4
             AND NOT EXISTS (SELECT 1 FROM links
                 WHERE links.provider = $1 AND links.issuer = $2 AND links.subject = $3
                     AND links.server_name = $4)",
        person.provider.as_str(),
        person.issuer.as_str(),
        person.subject.as_str(),
        server_name.as_str(),
    )?;
    Ok(deleted == 1)
}
