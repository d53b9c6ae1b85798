//! What becomes of an upstream that says no, lies about whom it speaks to, or is dead.

use super::super::{
    Claim, Death, Impossible, ScriptedUpstream, Twist, Violation,
    attempt::{Answer, Attempt, Trial, failed_as},
};
use crate::{Freshness, ProviderError};

/// A genuine answer to another service provider is unverified.
pub async fn an_answer_to_another_audience_is_refused(upstream: &dyn ScriptedUpstream) -> Claim {
    if let Err(Impossible(why)) = upstream.twist(Twist::WrongAudience).await {
        return Err(Violation::new(format!("every protocol names its audience, but: {why}")));
    }
    failed_as(&run(upstream).await, "unverified", "an answer to another audience")
}

/// Every error that the provider can state has the reaction that fits it.
pub async fn an_error_of_the_provider_has_its_reaction(upstream: &dyn ScriptedUpstream) -> Claim {
    let errors = upstream.errors();
    Violation::unless(!errors.is_empty(), || "the upstream lists no errors".to_owned())?;
    for (name, kind) in errors {
        if let Err(Impossible(why)) = upstream.twist(Twist::Error(name)).await {
            return Err(Violation::new(format!("the error {name} is listed, but: {why}")));
        }
        failed_as(&run(upstream).await, kind, name)?;
    }
    Ok(())
}

/// Nobody listens: unavailable.
pub async fn a_refused_connection_is_unavailable(upstream: &dyn ScriptedUpstream) -> Claim {
    dead(upstream, Death::ConnectionRefused).await
}

/// No answer comes: unavailable, within the test's time limit.
pub async fn a_silent_provider_is_unavailable(upstream: &dyn ScriptedUpstream) -> Claim {
    dead(upstream, Death::Silent).await
}

/// A 500: unavailable.
pub async fn a_failing_provider_is_unavailable(upstream: &dyn ScriptedUpstream) -> Claim {
    dead(upstream, Death::Failing).await
}

/// A 200 that is not of the protocol: unavailable.
pub async fn a_provider_that_talks_garbage_is_unavailable(upstream: &dyn ScriptedUpstream) -> Claim {
    dead(upstream, Death::Garbage).await
}

/// A body without an end: unavailable, within the test's time limit.
pub async fn an_endless_answer_is_unavailable(upstream: &dyn ScriptedUpstream) -> Claim {
    dead(upstream, Death::Endless).await
}

/// The probe succeeds at a living upstream and finds a dead one unavailable.
pub async fn a_probe_tells_the_living_from_the_dead(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    if let Err(error) = trial.provider.probe(&trial.ctx()).await {
        return Err(Violation::new(format!("a living provider fails the probe: {error:?}")));
    }
    if upstream.twist(Twist::Dead(Death::ConnectionRefused)).await.is_err() {
        return Ok(());
    }
    match trial.provider.probe(&trial.ctx()).await {
        Err(ProviderError::Unavailable(_)) => Ok(()),
        other => Err(Violation::new(format!("the probe of a dead provider says {other:?}"))),
    }
}

async fn dead(upstream: &dyn ScriptedUpstream, death: Death) -> Claim {
    // A provider that never calls its upstream (SAML: answers come by the browser) has nothing to fear.
    if upstream.twist(Twist::Dead(death)).await.is_err() {
        return Ok(());
    }
    failed_as(&run(upstream).await, "unavailable", &format!("{death:?}"))
}

/// One attempt, from its beginning: a provider may already need its upstream there.
async fn run(upstream: &dyn ScriptedUpstream) -> Answer {
    let trial = Trial::new(upstream);
    let demand = trial.demand(Freshness::AnySession);
    let challenge = trial.provider.begin(&trial.ctx(), &demand).await?;
    let callback = upstream.browse(&challenge.step).await;
    trial.complete(&Attempt { demand, state: challenge.state, callback }).await
}
