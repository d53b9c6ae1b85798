//! Everybody belongs to one homeserver.

use async_trait::async_trait;
use ruma_common::OwnedServerName;

use super::{Ballot, HomeserverSelector, SelectError, Selection, chosen_or_refused};

/// Chooses the same homeserver for everybody who gets this far.
#[derive(Clone, Debug)]
pub struct Fixed(pub OwnedServerName);

#[async_trait]
impl HomeserverSelector for Fixed {
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        Ok(chosen_or_refused(ballot, &self.0))
    }
}
