//! Selectors one after another: the first that does not pass decides.

use async_trait::async_trait;

use super::{Ballot, HomeserverSelector, SelectError, Selection};

/// Asks each selector in turn. An error stops the chain: a selector that could not decide must not be
/// overruled by a later one that happens to have an opinion.
#[derive(Debug, Default)]
pub struct Chain(pub Vec<Box<dyn HomeserverSelector>>);

#[async_trait]
impl HomeserverSelector for Chain {
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        for selector in &self.0 {
            match selector.select(ballot).await? {
                Selection::Pass => {}
                decided => return Ok(decided),
            }
        }
        Ok(Selection::Pass)
    }
}
