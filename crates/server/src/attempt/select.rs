//! Which homeserver a person belongs to: the selectors of the config are asked, about what the attempt allows.
//!
//! A selector stores nothing. What it needs is loaded here (turns are drawn), and what could be decided otherwise the
//! next moment is written down here before it is acted on: of a thousand first visits at once, the first choice that
//! is in the database is everybody's.

use ruma_common::{OwnedServerName, ServerName};
use usher_core::{Ballot, Candidate, HomeserverSelector as _, Identity, Purpose, Selection, select::Reason};
use usher_store::{PersonKey, choices, people, people::Person, turns};

use super::{
    FinishError,
    admission::{may_have, meets},
};
use crate::app::App;

/// Each round draws a turn, or has seen another visit write down its choice; nobody does either often.
const MAX_ROUNDS: usize = 8;

/// Where somebody goes.
#[derive(Debug)]
pub(super) enum Selected {
    /// Here.
    Homeserver {
        /// Its name; it is served, and the person meets what it requires.
        name: OwnedServerName,
        /// Whether this visit wrote the choice down before there was an account.
        is_noted: bool,
    },
    /// Where they say, out of these.
    Asked(Vec<Candidate>),
}

/// Asks the selectors. `person` is what the database said a moment ago, and is read again if that has changed.
/// `answer` is what the person chose on a page.
pub(super) async fn select(
    app: &App,
    purpose: &Purpose,
    identity: &Identity,
    person: &mut Person,
    answer: Option<&ServerName>,
) -> Result<Selected, FinishError> {
    let mut turn = None;
    for _ in 0..MAX_ROUNDS {
        let candidates = candidates(app, purpose, identity, person);
        let earlier = person.choice.as_deref();
        let ballot = Ballot { identity, candidates: &candidates, earlier, answer, turn };
        let chosen = match app.selector.select(&ballot).await? {
            Selection::Chosen(candidate) => candidate,
            Selection::Ask(_) if answer.is_some() => return Err(FinishError::NotOffered),
            Selection::Ask(asked) => return Ok(Selected::Asked(asked.into_iter().cloned().collect())),
            Selection::Draw(counter) => {
                turn = Some(turns::draw(&app.store, &counter).await?);
                continue;
            }
            Selection::Pass | Selection::Refuse(Reason::Declined) => return Err(FinishError::NoHomeserver),
            Selection::Refuse(Reason::NotACandidate(server_name)) => {
                let is_served = app.homeservers.get(&server_name).is_some();
                let why = if is_served { FinishError::Elsewhere } else { FinishError::HomeserverGone };
                return Err(why(server_name));
            }
        };
        let name = chosen.server_name.clone();
        if !app.homeservers.get(&name).is_some_and(|homeserver| meets(homeserver, identity)) {
            return Err(FinishError::NotAllowed(name));
        }
        let has_account = person.links.iter().any(|link| link.server_name == name);
        let can_waver = turn.is_some() || !has_account && !app.is_selection_steady;
        if person.choice.is_some() || !can_waver || !chosen.is_open {
            return Ok(Selected::Homeserver { name, is_noted: false });
        }
        let key = PersonKey::from(identity);
        if choices::insert(&app.store, &key, &name, app.clock.now()).await? {
            return Ok(Selected::Homeserver { name, is_noted: true });
        }
        // Another visit was first: what stands now is looked at in the place of what was decided here.
        *person = people::find(&app.store, &key).await?;
    }
    Err(FinishError::Contended)
}

/// The homeservers that the purpose allows, in the order of the config.
fn candidates(app: &App, purpose: &Purpose, identity: &Identity, person: &Person) -> Vec<Candidate> {
    app.homeservers
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
            is_open: may_have(app, identity, person, homeserver),
        })
        .collect()
}
