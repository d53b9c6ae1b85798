//! Spreads people over homeservers by weighted rendezvous hashing: no state, the same answer in every process and
//! release, and when a homeserver comes or goes only its own share of people moves.
//!
//! Every homeserver gets a score for the key `k`, and the *least* score wins:
//!
//! - `x` = the first 8 bytes of SHA-256(`k`, a zero byte, the server name) as a big-endian number, at least 1;
//! - score = (64 - log2(x)) / weight, with log2 to 48 binary places, rounded down: see [`log2`].
//!
//! 64 - log2(x) is distributed exponentially, so each wins in proportion to its weight. Integers throughout: a
//! floating-point logarithm may differ in its last bit between machines.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::{Ballot, HomeserverSelector, SelectError, Selection, Weighted};
use crate::Identity;

/// Binary places of a logarithm.
const PLACES: u32 = 48;

/// Chooses by hash, out of what the person may have; passes if that is none of them.
#[derive(Clone, Debug)]
pub struct Rendezvous {
    /// What is hashed.
    pub key: RendezvousKey,
    /// Over which homeservers.
    pub homeservers: Vec<Weighted>,
}

/// What decides where somebody lands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RendezvousKey {
    /// The provider's name for them: each person by themselves.
    Subject,
    /// The one value of an attribute: everybody who shares it lands together. Without exactly one value that is not
    /// empty, the selector passes.
    Attribute(String),
}

impl RendezvousKey {
    fn of<'i>(&self, identity: &'i Identity) -> Option<&'i str> {
        match self {
            Self::Subject => Some(identity.subject.as_str()),
            Self::Attribute(name) => match identity.values(name) {
                [value] if !value.is_empty() => Some(value),
                _ => None,
            },
        }
    }
}

/// `64 - log2(x)` in units of 2^-48, before it is divided by the weight. Never zero.
fn distance(key: &str, server_name: &str) -> u64 {
    let digest = Sha256::new().chain_update(key).chain_update([0]).chain_update(server_name).finalize();
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    (64 << PLACES) - log2(u64::from_be_bytes(first).max(1))
}

/// The logarithm to base 2 of `x` > 0 in units of 2^-48, rounded down: x is brought to 1 <= m < 2, and squaring m
/// gives one binary place after another, which is 1 where the square reaches 2.
fn log2(x: u64) -> u64 {
    let whole = x.ilog2();
    // m, with 63 binary places.
    let mut m = x << (63 - whole);
    let mut log = u64::from(whole);
    for _ in 0..PLACES {
        let square = u128::from(m) * u128::from(m);
        let reaches_two = square >> 127 == 1;
        let shift = if reaches_two { 64 } else { 63 };
        m = u64::try_from(square >> shift).expect("below 2 after halving, so it fits 64 bits");
        log = (log << 1) | u64::from(reaches_two);
    }
    log
}

#[async_trait]
impl HomeserverSelector for Rendezvous {
    async fn select<'a>(&self, ballot: &Ballot<'a>) -> Result<Selection<'a>, SelectError> {
        let Some(key) = self.key.of(ballot.identity) else { return Ok(Selection::Pass) };
        let scored = self.homeservers.iter().filter_map(|homeserver| {
            let candidate = ballot.offer(&homeserver.server_name)?;
            Some((distance(key, homeserver.server_name.as_str()), homeserver, candidate))
        });
        // a / v < b / w, without dividing; names decide what is as good as impossible.
        let least = scored.min_by(|(a, one, _), (b, other, _)| {
            let (left, right) =
                (u128::from(*a) * u128::from(other.weight), u128::from(*b) * u128::from(one.weight));
            left.cmp(&right).then_with(|| one.server_name.cmp(&other.server_name))
        });
        Ok(least.map_or(Selection::Pass, |(_, _, candidate)| Selection::Chosen(candidate)))
    }
}

#[cfg(test)]
mod tests;
