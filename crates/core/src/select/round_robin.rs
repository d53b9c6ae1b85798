//! Deals people out in turn, by weight. Who had a turn keeps what it gave.

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use ruma_common::OwnedServerName;

use super::{Ballot, HomeserverSelector, SelectError, Selection, Weighted, chosen_or_refused};

/// Chooses where the person was sent before; on a first visit it asks for a turn ([`Selection::Draw`]) and deals by
/// that, out of what the person may have. Passes if that is none of them.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    homeservers: Vec<OwnedServerName>,
    /// Indices of `homeservers`: one cycle.
    cycle: Vec<usize>,
    counter: Arc<str>,
}

impl RoundRobin {
    /// Over these homeservers, each as often in a cycle as its weight says, spread out rather than in a row.
    #[must_use]
    pub fn new(homeservers: &[Weighted]) -> Self {
        let mut counter = String::new();
        for Weighted { server_name, weight } in homeservers {
            let separator = if counter.is_empty() { "" } else { "," };
            write!(counter, "{separator}{server_name}*{weight}").expect("writing to a String cannot fail");
        }
        Self {
            cycle: smooth(&homeservers.iter().map(|homeserver| homeserver.weight).collect::<Vec<_>>()),
            homeservers: homeservers.iter().map(|homeserver| homeserver.server_name.clone()).collect(),
            counter: counter.into(),
        }
    }
}

/// One cycle of smooth weighted round-robin: at every step each has its weight added, whoever has most is next and has
/// the sum of all weights taken off. Over one cycle each comes as often as its weight, and none in a row if it can be
/// helped.
fn smooth(weights: &[u32]) -> Vec<usize> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let weights: Vec<i64> = weights.iter().map(|weight| i64::from(weight / divisor)).collect();
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0_i64; weights.len()];
    let mut cycle = Vec::new();
    for _ in 0..total {
        for (credit, weight) in credit.iter_mut().zip(&weights) {
            *credit += weight;
        }
        // The first of those that have most.
        let Some(next) = (0..credit.len()).rev().max_by_key(|index| credit[*index]) else { break };
        credit[next] -= total;
        cycle.push(next);
    }
    cycle
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[async_trait]
impl HomeserverSelector for RoundRobin {
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        if let Some(earlier) = ballot.earlier {
            return Ok(chosen_or_refused(ballot, earlier));
        }
        let offers: Vec<_> = self.homeservers.iter().map(|name| ballot.offer(name)).collect();
        if offers.iter().all(Option::is_none) {
            return Ok(Selection::Pass);
        }
        let Some(turn) = ballot.turn else { return Ok(Selection::Draw(Arc::clone(&self.counter))) };
        let length = u64::try_from(self.cycle.len()).expect("a cycle is short");
        let start = usize::try_from(turn % length).expect("within the cycle");
        let (before, after) = self.cycle.split_at(start);
        // Whose turn it is, or the next one that this person may have.
        let dealt = after.iter().chain(before).find_map(|index| offers[*index]);
        Ok(dealt.map_or(Selection::Pass, Selection::Chosen))
    }
}

#[cfg(test)]
mod tests;
