//! The second port: which homeserver a person belongs to. A selector is policy only; the server loads what
//! it needs and stores what it decides.

mod ask;
mod attribute_table;
mod chain;
mod email_domain;
mod fixed;
mod rendezvous;
mod round_robin;
mod scope;
mod sticky;
mod user_table;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use ruma_common::{OwnedServerName, ServerName};

pub use ask::Ask;
pub use attribute_table::{AttributeTable, Matcher, PatternError, Row};
pub use chain::Chain;
pub use email_domain::{DomainError, DomainPattern, DomainRow, EmailDomains};
pub use fixed::Fixed;
pub use rendezvous::{Rendezvous, RendezvousKey};
pub use round_robin::RoundRobin;
pub use scope::Scope;
pub use sticky::Sticky;
pub use user_table::UserTable;

use crate::Identity;

/// A homeserver this person may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its identity, such as `eng.ac.cdl`.
    pub server_name: OwnedServerName,
    /// What people call it.
    pub name: String,
    /// Whether the person may have it. One that they may not have is offered to nobody and dealt to nobody; policy that
    /// *names* it (a table, an earlier choice) is believed all the same, and the server tells them.
    pub is_open: bool,
}

/// A homeserver and its share of the people who are spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// Which.
    pub server_name: OwnedServerName,
    /// Its share, in proportion to the others': at least 1.
    pub weight: u32,
}

/// Everything a selector may look at.
#[derive(Clone, Copy, Debug)]
pub struct Ballot<'a> {
    /// Who signed in.
    pub identity: &'a Identity,
    /// Where they may go, in the order of the config.
    pub candidates: &'a [Candidate],
    /// Where they were sent before.
    pub earlier: Option<&'a ServerName>,
    /// What they answered to an earlier [`Selection::Ask`].
    pub answer: Option<&'a ServerName>,
    /// What was drawn for an earlier [`Selection::Draw`].
    pub turn: Option<u64>,
}

impl<'a> Ballot<'a> {
    /// The candidate of that name.
    #[must_use]
    pub fn candidate(&self, server_name: &ServerName) -> Option<&'a Candidate> {
        self.candidates.iter().find(|candidate| candidate.server_name == *server_name)
    }

    /// Those the person may have.
    pub fn offered(&self) -> impl Iterator<Item = &'a Candidate> {
        self.candidates.iter().filter(|candidate| candidate.is_open)
    }

    /// The candidate of that name, if the person may have it.
    #[must_use]
    pub fn offer(&self, server_name: &ServerName) -> Option<&'a Candidate> {
        self.candidate(server_name).filter(|candidate| candidate.is_open)
    }

    /// Has the person pick one of `asked`: what they answered if it is among those, the only one if there is one, and
    /// nothing if there is none. An answer that is not among them is never taken; they are asked (again).
    #[must_use]
    pub fn ask(&self, asked: Vec<&'a Candidate>) -> Selection<'a> {
        match (asked.as_slice(), self.answer) {
            ([], _) => Selection::Pass,
            ([only], None) => Selection::Chosen(only),
            (_, None) => Selection::Ask(asked),
            (_, Some(answer)) => match asked.iter().find(|candidate| candidate.server_name == *answer) {
                Some(chosen) => Selection::Chosen(chosen),
                None => Selection::Ask(asked),
            },
        }
    }
}

/// What a selector decided. It borrows from the ballot, so a homeserver that is no candidate cannot be returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection<'a> {
    /// This one.
    Chosen(&'a Candidate),
    /// The person picks one of these.
    Ask(Vec<&'a Candidate>),
    /// A turn of this counter is to be drawn and the question asked again with [`Ballot::turn`].
    Draw(Arc<str>),
    /// This selector has no opinion; the next one decides.
    Pass,
    /// Nobody may decide otherwise: the person is told.
    Refuse(Reason),
}

/// Why a person has no homeserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The homeserver they belong to is not among the candidates (gone from the config, or the login began
    /// at another homeserver's host).
    NotACandidate(OwnedServerName),
    /// A selector says that they are to have none.
    Declined,
}

/// A selector that could not decide.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// What it depends on (a decision service) did not answer: 503, try later. Never a guess.
    #[error("the selector could not decide")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Decides where a person belongs.
#[async_trait]
pub trait HomeserverSelector: fmt::Debug + Send + Sync {
    /// Decides, asks, passes or refuses.
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError>;
}

/// A homeserver named by policy: chosen if it is a candidate, otherwise a refusal (never somebody else's).
fn chosen_or_refused<'a>(ballot: &Ballot<'a>, server_name: &ServerName) -> Selection<'a> {
    ballot
        .candidate(server_name)
        .map_or_else(|| Selection::Refuse(Reason::NotACandidate(server_name.to_owned())), Selection::Chosen)
}

#[cfg(test)]
mod tests;
