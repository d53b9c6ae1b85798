//! How fresh an authentication is, judged by the pair that judges it in production: the provider and
//! [`accept`].

use ruma_common::{owned_server_name, owned_user_id, user_id};

use super::super::{
    Claim, ScriptedUpstream, Twist, Violation,
    attempt::{SKEW, Trial},
};
use crate::{Freshness, Outcome, Purpose, accept};

/// Fresh credentials, asked for and presented, are accepted.
pub async fn a_fresh_answer_is_accepted(upstream: &dyn ScriptedUpstream) -> Claim {
    judge(upstream).await?.map_err(|why| Violation::new(format!("a fresh answer is refused: {why}")))
}

/// An answer from an old session is refused by the provider or by [`accept`].
pub async fn a_stale_answer_is_not_accepted(upstream: &dyn ScriptedUpstream) -> Claim {
    if let Err(impossible) = upstream.twist(Twist::Stale).await {
        return Err(Violation::new(format!("a stale answer is always possible, but: {}", impossible.0)));
    }
    let judged = judge(upstream).await?;
    Violation::unless(judged.is_err(), || "a stale answer is accepted".to_owned())
}

/// An answer that does not say when the person authenticated is refused by the provider or by [`accept`].
pub async fn an_unstated_authentication_is_not_accepted(upstream: &dyn ScriptedUpstream) -> Claim {
    if upstream.twist(Twist::Unstated).await.is_err() {
        return Ok(());
    }
    let judged = judge(upstream).await?;
    Violation::unless(judged.is_err(), || "an answer without a time of authentication is accepted".to_owned())
}

/// Runs one UI-auth attempt: `Err` within `Ok` tells who refused it and why.
async fn judge(upstream: &dyn ScriptedUpstream) -> Result<Result<(), String>, Violation> {
    let trial = Trial::new(upstream);
    let purpose = Purpose::UiAuth {
        session: "session".to_owned(),
        homeserver: owned_server_name!("eng.ac.cdl"),
        expected: owned_user_id!("@alice:eng.ac.cdl"),
    };
    let freshness = purpose.freshness(upstream.now());
    debug_assert_ne!(freshness, Freshness::AnySession);
    let attempt = trial.attempt_with(freshness).await?;
    let proof = match trial.complete(&attempt).await {
        Ok(Outcome::Done(proof)) => proof,
        Ok(Outcome::Continue(_) | Outcome::From(..)) => {
            return Ok(Err("the provider asks once more".to_owned()));
        }
        Err(error) => return Ok(Err(format!("by the provider: {error:?}"))),
    };
    let linked = user_id!("@alice:eng.ac.cdl");
    let judged = accept(&purpose, freshness, &proof.identity, Some(linked), SKEW, upstream.now());
    Ok(judged.map_err(|refusal| format!("by accept: {refusal}")))
}
