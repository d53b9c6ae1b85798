//! A table from people to homeservers, for those no attribute tells apart.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ruma_common::OwnedServerName;

use super::{Ballot, HomeserverSelector, SelectError, Selection, chosen_or_refused};
use crate::{Issuer, ProviderId};

/// Subjects of one provider, compared byte for byte.
#[derive(Clone, Debug)]
pub struct UserTable {
    /// Whose subjects they are: two providers may use one name for two people.
    pub provider: ProviderId,
    /// Where the provider stands for many issuers: whose. Two of them may use one name for two people.
    pub issuer: Option<Issuer>,
    /// Where each belongs.
    pub users: BTreeMap<String, OwnedServerName>,
}

#[async_trait]
impl HomeserverSelector for UserTable {
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        let is_issuer = self.issuer.as_ref().is_none_or(|issuer| *issuer == ballot.identity.issuer);
        if ballot.identity.provider != self.provider || !is_issuer {
            return Ok(Selection::Pass);
        }
        let homeserver = self.users.get(ballot.identity.subject.as_str());
        Ok(homeserver.map_or(Selection::Pass, |server_name| chosen_or_refused(ballot, server_name)))
    }
}
