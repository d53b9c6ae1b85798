//! Links: which account a person has on a homeserver. Several people may be linked to one account; a person has
//! at most one account on a homeserver.

use ruma_common::{OwnedUserId, ServerName, UserId};
use usher_core::{Issuer, ProviderId, Subject, Timestamp};

use crate::{
    AccountState, Db, Origin, PersonKey, StoreError,
    db::{execute, fetch},
    person::parsed,
};

/// A link as an operator is shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// Which provider.
    pub provider: ProviderId,
    /// Who vouches inside it.
    pub issuer: Issuer,
    /// The issuer's name for the person.
    pub subject: Subject,
    /// The account.
    pub mxid: OwnedUserId,
    /// How far the account has come.
    pub state: AccountState,
    /// How Usher came to it.
    pub origin: Origin,
    /// When the link was made.
    pub created_at: Timestamp,
}

impl LinkRow {
    /// Who is linked.
    #[must_use]
    pub fn person(&self) -> PersonKey<'_> {
        PersonKey { provider: &self.provider, issuer: &self.issuer, subject: &self.subject }
    }
}

/// Which links to list; what is absent is not asked about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// On this homeserver.
    pub server_name: Option<&'a ServerName>,
    /// Of this provider.
    pub provider: Option<&'a ProviderId>,
    /// Vouched for by this issuer.
    pub issuer: Option<&'a Issuer>,
    /// Of this name at the provider.
    pub subject: Option<&'a Subject>,
    /// To this account.
    pub mxid: Option<&'a UserId>,
}

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

/// Links in the order of their key, at most `limit`, beginning after `after`: a page of a list that may be long.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list(
    db: impl Into<Db<'_>>,
    filter: &Filter<'_>,
    after: Option<&LinkRow>,
    limit: u32,
) -> Result<Vec<LinkRow>, StoreError> {
    let after = after.map(|link| {
        (
            link.provider.as_str(),
            link.issuer.as_str(),
            link.subject.as_str(),
            link.mxid.server_name().as_str(),
        )
    });
    let rows = fetch!(
        db,
        reader,
        Row,
        "SELECT links.provider, links.issuer, links.subject, links.mxid, accounts.state, accounts.origin,
             links.created_at
         FROM links JOIN accounts ON accounts.mxid = links.mxid
         WHERE (links.provider, links.issuer, links.subject, links.server_name) > ($1, $2, $3, $4)
             AND ($5 IS NULL OR links.server_name = $5)
             AND ($6 IS NULL OR links.provider = $6)
             AND ($7 IS NULL OR links.issuer = $7)
             AND ($8 IS NULL OR links.subject = $8)
             AND ($9 IS NULL OR links.mxid = $9)
         ORDER BY links.provider, links.issuer, links.subject, links.server_name
         LIMIT $10",
        // Nothing sorts before four empty names.
        after.map_or("", |after| after.0),
        after.map_or("", |after| after.1),
        after.map_or("", |after| after.2),
        after.map_or("", |after| after.3),
        filter.server_name.map(ServerName::as_str),
        filter.provider.map(ProviderId::as_str),
        filter.issuer.map(Issuer::as_str),
        filter.subject.map(Subject::as_str),
        filter.mxid.map(UserId::as_str),
        i64::from(limit),
    )?;
    rows.into_iter().map(LinkRow::try_from).collect()
}

/// A person's link on a homeserver.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find(
    db: impl Into<Db<'_>>,
    person: &PersonKey<'_>,
    server_name: &ServerName,
) -> Result<Option<LinkRow>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        Row,
        "SELECT links.provider, links.issuer, links.subject, links.mxid, accounts.state, accounts.origin,
             links.created_at
         FROM links JOIN accounts ON accounts.mxid = links.mxid
         WHERE links.provider = $1 AND links.issuer = $2 AND links.subject = $3 AND links.server_name = $4",
        person.provider.as_str(),
        person.issuer.as_str(),
        person.subject.as_str(),
        server_name.as_str(),
    )?;
    rows.into_iter().next().map(LinkRow::try_from).transpose()
}

/// The links to an account, in the order of their key, at most `limit`.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list_of(db: impl Into<Db<'_>>, mxid: &UserId, limit: u32) -> Result<Vec<LinkRow>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        Row,
        "SELECT links.provider, links.issuer, links.subject, links.mxid, accounts.state, accounts.origin,
             links.created_at
         FROM links JOIN accounts ON accounts.mxid = links.mxid
         WHERE links.mxid = $1
         ORDER BY links.provider, links.issuer, links.subject
         LIMIT $2",
        mxid.as_str(),
        i64::from(limit),
    )?;
    rows.into_iter().map(LinkRow::try_from).collect()
}

/// By whom an account's people sign in, at most `limit`: the one they last opened a session by first.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list_by_last_use(
    db: impl Into<Db<'_>>,
    mxid: &UserId,
    limit: u32,
) -> Result<Vec<(ProviderId, Issuer)>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (String, String, i64),
        "SELECT provider, issuer, MAX(last_use) AS last_use FROM
             (SELECT links.provider, links.issuer, COALESCE(
                  (SELECT MAX(sessions.opened_at) FROM sessions
                   WHERE sessions.mxid = links.mxid AND sessions.provider = links.provider
                       AND sessions.issuer = links.issuer AND sessions.subject = links.subject), 0) AS last_use
              FROM links WHERE links.mxid = $1) AS used
         GROUP BY provider, issuer
         ORDER BY 3 DESC, provider, issuer
         LIMIT $2",
        mxid.as_str(),
        i64::from(limit),
    )?;
    rows.into_iter()
        .map(|(provider, issuer, _)| {
            Ok((parsed("links.provider", provider)?, parsed("links.issuer", issuer)?))
        })
        .collect()
}

/// How many links an account has.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn count_of(db: impl Into<Db<'_>>, mxid: &UserId) -> Result<u64, StoreError> {
    let rows = fetch!(db, reader, (i64,), "SELECT COUNT(*) FROM links WHERE mxid = $1", mxid.as_str())?;
    parsed("links", rows.first().map_or(0, |&(count,)| count))
}

/// An issuer of `provider`, besides `issuer`, by whom somebody is linked: two looks into the index, however many
/// links there are.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find_other_issuer(
    db: impl Into<Db<'_>>,
    provider: &ProviderId,
    issuer: &Issuer,
) -> Result<Option<Issuer>, StoreError> {
    let rows = fetch!(
        db,
        reader,
        (String,),
        "SELECT issuer FROM
             (SELECT issuer FROM links WHERE provider = $1 AND issuer < $2 LIMIT 1) AS lower
         UNION ALL
         SELECT issuer FROM
             (SELECT issuer FROM links WHERE provider = $1 AND issuer > $2 LIMIT 1) AS higher",
        provider.as_str(),
        issuer.as_str(),
    )?;
    rows.into_iter().next().map(|(issuer,)| parsed("links.issuer", issuer)).transpose()
}

#[derive(sqlx::FromRow)]
struct Row {
    provider: String,
    issuer: String,
    subject: String,
    mxid: String,
    state: String,
    origin: String,
    created_at: i64,
}

impl TryFrom<Row> for LinkRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            provider: parsed("links.provider", row.provider)?,
            issuer: parsed("links.issuer", row.issuer)?,
            subject: parsed("links.subject", row.subject)?,
            mxid: parsed("links.mxid", row.mxid)?,
            state: parsed("accounts.state", row.state.as_str())?,
            origin: parsed("accounts.origin", row.origin.as_str())?,
            created_at: Timestamp::from_millis(row.created_at),
        })
    }
}
