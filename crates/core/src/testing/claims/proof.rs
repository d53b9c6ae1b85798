//! What an honest answer gives.

use super::super::{Claim, ScriptedUpstream, Violation, attempt::Trial};
use crate::{
    Freshness,
    provider::{Endpoint, Method, ProviderState, ReturnTrip},
};

/// An honest answer proves the person: issuer, subject, every value of every attribute, and the provider's id.
pub async fn the_person_who_signed_in_is_proven(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    let proof = trial.prove(&trial.attempt().await?).await?;
    let (identity, person) = (&proof.identity, upstream.person());
    Violation::unless(person.is(identity), || {
        format!(
            "got issuer {}, subject {}, attributes {:?}; expected {person:?}",
            identity.issuer, identity.subject, identity.attributes
        )
    })?;
    let id = &trial.provider.descriptor().id;
    Violation::unless(identity.provider == *id, || {
        format!("the identity is of provider {}", identity.provider)
    })
}

/// The callback comes to an endpoint for answers, by the method the challenge announced, and the handle in it
/// is the demand's.
pub async fn the_callback_names_its_attempt(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    let demand = trial.demand(Freshness::AnySession);
    let challenge = trial.begin(&demand).await?;
    let callback = upstream.browse(&challenge.step).await;
    let announced = match challenge.returns_by {
        ReturnTrip::Navigation => Method::Get,
        ReturnTrip::CrossSitePost => Method::Post,
    };
    Violation::unless(callback.method == announced, || format!("it came by {:?}", callback.method))?;
    let endpoint = trial.provider.endpoint(callback.method, &callback.tail);
    Violation::unless(endpoint == Some(Endpoint::Answer), || format!("the endpoint is {endpoint:?}"))?;
    match trial.provider.handle(&callback) {
        Ok(handle) if handle == demand.handle => Ok(()),
        Ok(_) => Err(Violation::new("the handle is another attempt's")),
        Err(error) => Err(Violation::new(format!("the handle cannot be read: {error:?}"))),
    }
}

/// The state is at most [`ProviderState::MAX_BYTES`] long, whatever is demanded.
pub async fn the_state_fits_the_cookie(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    for freshness in [Freshness::AnySession, Freshness::Since(upstream.now())] {
        let mut demand = trial.demand(freshness);
        demand.issuer = Some(upstream.person().issuer);
        demand.hints.login = Some("somebody@with.a.long.name.example".repeat(8));
        let length = trial.begin(&demand).await?.state.as_str().len();
        Violation::unless(length <= ProviderState::MAX_BYTES, || format!("the state has {length} bytes"))?;
    }
    Ok(())
}
