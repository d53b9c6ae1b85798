//! Once sent somewhere, always sent there: a person whose attribute moved keeps their account.

use async_trait::async_trait;

use super::{Ballot, HomeserverSelector, SelectError, Selection, chosen_or_refused};

/// Chooses where the person was sent before; passes on a first visit. An earlier homeserver that is no
/// longer a candidate is a refusal: silently making a second account elsewhere would lose the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sticky;

#[async_trait]
impl HomeserverSelector for Sticky {
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        Ok(ballot.earlier.map_or(Selection::Pass, |server_name| chosen_or_refused(ballot, server_name)))
    }
}
