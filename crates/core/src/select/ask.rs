//! The person picks.

use async_trait::async_trait;
use ruma_common::OwnedServerName;

use super::{Ballot, HomeserverSelector, SelectError, Selection};

/// Asks the person, out of what they may have: see [`Ballot::ask`]. It remembers nothing: without [`super::Sticky`]
/// before it, people are asked at every sign-in.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Only these, in this order; all of them if `None`.
    pub homeservers: Option<Vec<OwnedServerName>>,
}

#[async_trait]
impl HomeserverSelector for Ask {
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        let asked = match &self.homeservers {
            None => ballot.offered().collect(),
            Some(named) => named.iter().filter_map(|name| ballot.offer(name)).collect(),
        };
        Ok(ballot.ask(asked))
    }
}
