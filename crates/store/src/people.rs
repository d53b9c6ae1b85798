//! What is known of a person: the choice made before and the accounts they have, in one statement.

use ruma_common::{OwnedServerName, OwnedUserId};

use crate::{AccountState, Db, Origin, PersonKey, StoreError, db::fetch, person::parsed};

/// What is known of a person; empty for a stranger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The homeserver that was selected before.
    pub choice: Option<OwnedServerName>,
    /// One for each homeserver they have an account on, by server name, whatever the account's state.
    pub links: Vec<Link>,
}

/// A person's account on one homeserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The homeserver.
    pub server_name: OwnedServerName,
    /// The account there.
    pub mxid: OwnedUserId,
    /// How far the account has come.
    pub state: AccountState,
    /// How Usher came to the account.
    pub origin: Origin,
}

/// Everything that is known of a person.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find(db: impl Into<Db<'_>>, person: &PersonKey<'_>) -> Result<Person, StoreError> {
    let rows = fetch!(
        db,
        reader,
        Row,
        "SELECT choices.server_name AS server_name, NULL AS mxid, NULL AS state, NULL AS origin
         FROM choices
         WHERE choices.provider = $1 AND choices.issuer = $2 AND choices.subject = $3
         UNION ALL
         SELECT links.server_name, accounts.mxid, accounts.state, accounts.origin
         FROM links JOIN accounts ON accounts.mxid = links.mxid
         WHERE links.provider = $1 AND links.issuer = $2 AND links.subject = $3",
        person.provider.as_str(),
        person.issuer.as_str(),
        person.subject.as_str(),
    )?;
    let mut found = Person::default();
    for row in rows {
        match row.into_link()? {
            Ok(link) => found.links.push(link),
            Err(choice) => found.choice = Some(choice),
        }
    }
    // Here and not in SQL, where the order would depend on the database's collation.
    found.links.sort_by(|a, b| a.server_name.cmp(&b.server_name));
    Ok(found)
}

/// A choice, or a link with its account.
#[derive(sqlx::FromRow)]
struct Row {
    server_name: String,
    mxid: Option<String>,
    state: Option<String>,
    origin: Option<String>,
}

impl Row {
    /// `Err`: the row is the choice.
    fn into_link(self) -> Result<Result<Link, OwnedServerName>, StoreError> {
        let (Some(mxid), Some(state), Some(origin)) = (self.mxid, self.state, self.origin) else {
            return Ok(Err(parsed("choices.server_name", self.server_name)?));
        };
        Ok(Ok(Link {
            server_name: parsed("links.server_name", self.server_name)?,
            mxid: parsed("accounts.mxid", mxid)?,
            state: parsed("accounts.state", state.as_str())?,
            origin: parsed("accounts.origin", origin.as_str())?,
        }))
    }
}
