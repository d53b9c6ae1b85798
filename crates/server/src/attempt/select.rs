//! Which homeserver a person belongs to: the selectors of the config are asked, about what the attempt allows.

use ruma_common::OwnedServerName;
use usher_core::{Ballot, Candidate, HomeserverSelector as _, Identity, Purpose, Selection, select::Reason};
use usher_store::people::Person;

use super::FinishError;
use crate::app::App;

/// Which homeserver the person belongs to; only those that the purpose allows are candidates.
pub(super) async fn select(
    app: &App,
    purpose: &Purpose,
    identity: &Identity,
    person: &Person,
) -> Result<OwnedServerName, FinishError> {
    let candidates: Vec<Candidate> = app
        .homeservers
        .iter()
        .filter(|homeserver| match purpose {
            Purpose::Login { only, .. } => {
                only.as_ref().is_none_or(|only| *only == homeserver.config.server_name)
            }
            Purpose::UiAuth { homeserver: of, .. } => *of == homeserver.config.server_name,
        })
        .map(|homeserver| Candidate {
            server_name: homeserver.config.server_name.clone(),
            name: homeserver.config.name.clone(),
        })
        .collect();
    let earlier = person.choice.as_deref();
    let ballot = Ballot { identity, candidates: &candidates, earlier, answer: None };
    match app.selector.select(&ballot).await? {
        Selection::Chosen(candidate) => Ok(candidate.server_name.clone()),
        // No selector of this build asks; one that did would have its page here.
        Selection::Pass | Selection::Ask(_) => Err(FinishError::NoHomeserver),
        Selection::Refuse(Reason::NotACandidate(server_name)) => {
            Err(FinishError::HomeserverGone(server_name))
        }
    }
}
