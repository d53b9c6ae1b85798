//! One attempt in the suite's hands: begun, browsed, and completed the way the server does it, or not quite.

use std::{sync::Arc, time::Duration};

use url::form_urlencoded;

use super::{Claim, Parameter, Place, ScriptedUpstream, SeededEntropy, Violation};
use crate::{
    Callback, Challenge, Ctx, Demand, Freshness, Handle, Outcome, Proof, ProviderError, SsoProvider,
    provider::{Hints, ProviderState},
};

/// The permitted difference of clocks.
pub(super) const SKEW: Duration = Duration::from_mins(1);

/// What an answer became.
pub(super) type Answer = Result<Outcome, ProviderError>;

/// The provider under test with the time and randomness it is given.
pub(super) struct Trial<'a> {
    pub(super) upstream: &'a dyn ScriptedUpstream,
    pub(super) provider: Arc<dyn SsoProvider>,
    entropy: SeededEntropy,
}

/// An attempt whose browser has come back.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) demand: Demand,
    pub(super) state: ProviderState,
    pub(super) callback: Callback,
}

impl<'a> Trial<'a> {
    pub(super) fn new(upstream: &'a dyn ScriptedUpstream) -> Self {
        Self { upstream, provider: upstream.provider(), entropy: SeededEntropy::new(7) }
    }

    pub(super) fn ctx(&self) -> Ctx<'_> {
        Ctx { now: self.upstream.now(), skew: SKEW, entropy: &self.entropy }
    }

    pub(super) fn demand(&self, freshness: Freshness) -> Demand {
        let handle = Handle::generate(&self.entropy);
        Demand { handle, freshness, issuer: None, hints: Hints::default() }
    }

    /// A challenge for `demand`, whose failure breaks any claim: the upstream is honest so far.
    pub(super) async fn begin(&self, demand: &Demand) -> Result<Challenge, Violation> {
        let begun = self.provider.begin(&self.ctx(), demand).await;
        begun.map_err(|error| Violation::new(format!("an attempt cannot begin: {error:?}")))
    }

    /// An attempt that asks for any session.
    pub(super) async fn attempt(&self) -> Result<Attempt, Violation> {
        self.attempt_with(Freshness::AnySession).await
    }

    /// An attempt that asks for `freshness`.
    pub(super) async fn attempt_with(&self, freshness: Freshness) -> Result<Attempt, Violation> {
        let demand = self.demand(freshness);
        let challenge = self.begin(&demand).await?;
        let callback = self.upstream.browse(&challenge.step).await;
        Ok(Attempt { demand, state: challenge.state, callback })
    }

    pub(super) async fn complete(&self, attempt: &Attempt) -> Answer {
        let Attempt { demand, state, callback } = attempt;
        self.provider.complete(&self.ctx(), demand, state.clone(), callback).await
    }

    /// The proof of an attempt that nothing is wrong with.
    pub(super) async fn prove(&self, attempt: &Attempt) -> Result<Proof, Violation> {
        match self.complete(attempt).await {
            Ok(Outcome::Done(proof)) => Ok(proof),
            Ok(Outcome::Continue(_) | Outcome::From(..)) => {
                Err(Violation::new("one trip did not settle the attempt"))
            }
            Err(error) => Err(Violation::new(format!("an honest answer is refused: {error:?}"))),
        }
    }
}

impl Attempt {
    /// The same attempt with another list of parameters in `place`.
    pub(super) fn with_pairs(&self, place: Place, pairs: &[(String, String)]) -> Self {
        let encode = |pairs| form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let Callback { method, tail, raw_query, .. } = &self.callback;
        let callback = match place {
            Place::Query => {
                Callback::new(*method, tail.clone(), &encode(pairs), &encode(&self.pairs(Place::Form)))
            }
            Place::Form => Callback::new(*method, tail.clone(), raw_query, &encode(pairs)),
        };
        Self { callback, ..self.clone() }
    }

    /// Name and value of every parameter in `place`.
    pub(super) fn pairs(&self, place: Place) -> Vec<(String, String)> {
        let parameters = match place {
            Place::Query => &self.callback.query,
            Place::Form => &self.callback.form,
        };
        parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The value of a parameter that the upstream says is there.
    pub(super) fn value(&self, parameter: Parameter) -> Result<String, Violation> {
        let pairs = self.pairs(parameter.place);
        let found = pairs.into_iter().find(|(name, _)| name == parameter.name).map(|(_, value)| value);
        found.ok_or_else(|| Violation::new(format!("the callback has no `{}` at all", parameter.name)))
    }

    /// The same attempt with the value of one parameter replaced.
    pub(super) fn with_value(&self, parameter: Parameter, value: &str) -> Self {
        let mut pairs = self.pairs(parameter.place);
        for pair in pairs.iter_mut().filter(|(name, _)| name == parameter.name) {
            value.clone_into(&mut pair.1);
        }
        self.with_pairs(parameter.place, &pairs)
    }
}

/// Holds if nobody was proven, and for a reason that lies with the answer: what a browser brings must never
/// look like an outage (503) or like a mistake of ours that wakes an operator.
pub(super) fn is_refused(answer: &Answer, what: &str) -> Claim {
    match answer {
        Ok(Outcome::Done(_)) => Err(Violation::new(format!("{what}: accepted"))),
        Ok(Outcome::Continue(_) | Outcome::From(..))
        | Err(
            ProviderError::Refused(_)
            | ProviderError::BadCredentials
            | ProviderError::Malformed(_)
            | ProviderError::Unverified(_),
        ) => Ok(()),
        Err(error @ (ProviderError::Unavailable(_) | ProviderError::Internal(_))) => {
            Err(Violation::new(format!("{what}: refused as {}: {error:?}", error.kind())))
        }
    }
}

/// Holds if the answer failed with exactly this [`ProviderError::kind`].
pub(super) fn failed_as(answer: &Answer, kind: &str, what: &str) -> Claim {
    match answer {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Violation::new(format!("{what}: {} instead of {kind}: {error:?}", error.kind()))),
        Ok(_) => Err(Violation::new(format!("{what}: accepted instead of {kind}"))),
    }
}
