//! An answer belongs to one attempt, and counts once.

use super::super::{
    Claim, ScriptedUpstream, Violation,
    attempt::{Attempt, Trial, is_refused},
};
use crate::Outcome;

/// The state of another attempt does not verify this one's answer.
pub async fn the_state_of_another_attempt_is_refused(upstream: &dyn ScriptedUpstream) -> Claim {
    mixed(upstream, "another attempt's state", |ours, theirs| Attempt { state: theirs.state, ..ours }).await
}

/// An answer does not serve the demand of another attempt.
pub async fn the_demand_of_another_attempt_is_refused(upstream: &dyn ScriptedUpstream) -> Claim {
    mixed(upstream, "another attempt's demand", |ours, theirs| Attempt { demand: theirs.demand, ..ours })
        .await
}

/// A callback that was brought to another attempt does not serve this one: somebody who lures a person into
/// following a link with *their* answer must not sign that person in as themselves.
pub async fn the_callback_of_another_attempt_is_refused(upstream: &dyn ScriptedUpstream) -> Claim {
    let mix = |ours, theirs: Attempt| Attempt { callback: theirs.callback, ..ours };
    mixed(upstream, "another attempt's callback", mix).await
}

/// The same answer does not count twice: the second time it is refused here, or it carries a one-time key of
/// the first time, which the server refuses.
pub async fn the_same_answer_twice_is_refused(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    let attempt = trial.attempt().await?;
    let first = trial.prove(&attempt).await?;
    let second = trial.complete(&attempt).await;
    let Ok(Outcome::Done(again)) = &second else {
        return is_refused(&second, "the same answer again");
    };
    let is_spent = |key| first.spend.iter().any(|spent| spent.key == key && spent.until > upstream.now());
    let is_known = again.spend.iter().any(|one_time| is_spent(one_time.key.clone()));
    Violation::unless(is_known, || {
        "the same answer again: accepted, with no one-time key in common".to_owned()
    })
}

async fn mixed(
    upstream: &dyn ScriptedUpstream,
    what: &str,
    mix: impl FnOnce(Attempt, Attempt) -> Attempt,
) -> Claim {
    let trial = Trial::new(upstream);
    let (ours, theirs) = (trial.attempt().await?, trial.attempt().await?);
    is_refused(&trial.complete(&mix(ours, theirs)).await, what)
}
