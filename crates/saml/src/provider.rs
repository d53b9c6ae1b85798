//! One configured identity provider, as the port sees it.
//!
//! A response counts for one attempt alone: `RelayState` carries the attempt's handle and nothing else, and the ID of the
//! request, which the response has to name, is known from the attempt's sealed state. An assertion counts once: its ID is
//! given to the server to spend.
//!
//! Messages are signed and verified on [`Processors`]: a response costs a millisecond of one, and none of that is spent on
//! the event loop. A request that nothing signs is a few microseconds of writing, and waits for nobody's response.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;
use usher_core::{
    Callback, Challenge, Ctx, Demand, Descriptor, Freshness, Handle, Identity, Issuer, Outcome, Proof,
    ProviderError, SsoProvider, Timestamp,
    provider::{Document, Endpoint, Method, ProviderState, ReturnTrip},
};

use crate::{
    config::Settings,
    document::ServiceProvider,
    keys::OwnKey,
    metadata::Idp,
    person,
    processors::{NotWorked, Processors},
    request::{self, Request, RequestError},
    response::{self, Question, ResponseError, Signed},
    upkeep::Upkeep,
};

/// Our assertion consumer service, below the endpoints.
const ACS: &str = "acs";
/// Our metadata, and by default our entity id.
const METADATA: &str = "metadata";

pub(crate) struct SamlProvider {
    descriptor: Descriptor,
    service: Arc<Service>,
    upkeep: Upkeep,
    processors: Processors,
}

/// What is needed on another thread.
pub(crate) struct Service {
    settings: Settings,
    entity_id: String,
    acs: String,
}

/// What is remembered of an attempt.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    handle: Handle,
    /// The ID of the request.
    request: String,
}

/// Why there is nothing to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("responses come by POST")]
    NotPost,
    #[error("RelayState is no attempt's handle")]
    NoHandle,
    #[error("the state is not one of this backend")]
    ForeignState,
    #[error("the callback, the state and the demand are of different attempts")]
    AnotherAttempt,
    #[error("there is no such document")]
    NoDocument,
}

impl SamlProvider {
    pub(crate) fn new(
        descriptor: Descriptor,
        endpoints: &Url,
        settings: Settings,
        upkeep: Upkeep,
        processors: Processors,
    ) -> Self {
        let service = Arc::new(Service::new(endpoints, settings));
        Self { descriptor, service, upkeep, processors }
    }

    /// The attempt's state, if callback, state and demand are of one attempt.
    fn open(
        &self,
        demand: &Demand,
        state: &ProviderState,
        callback: &Callback,
    ) -> Result<State, ProviderError> {
        let state: State = serde_json::from_str(state.as_str())
            .map_err(|_| ProviderError::unverified(Unfit::ForeignState))?;
        let handle = self.handle(callback)?;
        if handle == demand.handle && handle == state.handle {
            Ok(state)
        } else {
            Err(ProviderError::unverified(Unfit::AnotherAttempt))
        }
    }

    fn idp(&self, now: Timestamp) -> Result<Arc<Idp>, ProviderError> {
        self.upkeep.idp(now).map_err(ProviderError::unavailable)
    }

    /// Runs `work` where it may take its time, when it is its turn.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Service) -> T + Send + 'static,
    ) -> Result<T, ProviderError> {
        let service = Arc::clone(&self.service);
        self.processors.run(move || work(&service)).await.map_err(|error| match error {
            NotWorked::Busy => ProviderError::unavailable(error),
            NotWorked::Panicked => ProviderError::Internal(error.into()),
        })
    }
}

impl Service {
    pub(crate) fn new(endpoints: &Url, settings: Settings) -> Self {
        let below = |name: &str| {
            let mut url = endpoints.clone();
            url.set_path(&format!("{}/{name}", endpoints.path().trim_end_matches('/')));
            String::from(url)
        };
        let entity_id = settings.entity_id.clone().unwrap_or_else(|| below(METADATA));
        Self { settings, entity_id, acs: below(ACS) }
    }

    /// The key of our requests, if they are signed.
    fn signs_with(&self) -> Option<&OwnKey> {
        self.settings.keys.first().filter(|_| self.settings.signs_requests)
    }

    /// What the identity provider's operator needs to know.
    pub(crate) fn metadata(&self) -> Document {
        let Settings { keys, signs_requests, name_id_format, policy, .. } = &self.settings;
        let us = ServiceProvider {
            entity_id: &self.entity_id,
            acs: &self.acs,
            keys,
            signs_requests: *signs_requests,
            wants_signed_assertions: matches!(policy.signed, Signed::Assertion | Signed::Both),
            name_id_format: name_id_format.as_deref(),
        };
        us.metadata()
    }

    /// Who the response says they are. What it is held against is the operator's and the attempt's.
    fn prove(&self, encoded: &str, question: &Question<'_>) -> Result<Proven, ProviderError> {
        let assertion = response::read(encoded, question).map_err(reaction)?;
        let naming = &self.settings.naming;
        let attributes = person::attributes(&assertion, naming, question.idp);
        let subject = person::subject(&assertion, &attributes, naming, question);
        Ok(Proven {
            subject: subject.map_err(ProviderError::unverified)?,
            evidence: person::evidence(&assertion),
            session: person::session(&assertion),
            spend: person::one_time(&assertion, question),
            attributes,
        })
    }

    fn question<'a>(
        &'a self,
        now: Timestamp,
        skew: Duration,
        request_id: &'a str,
        idp: &'a Idp,
    ) -> Question<'a> {
        Question {
            now,
            skew,
            acs: &self.acs,
            entity_id: &self.entity_id,
            request_id,
            idp,
            policy: &self.settings.policy,
            keys: &self.settings.keys,
        }
    }
}

/// A person and their answer.
struct Proven {
    subject: usher_core::Subject,
    evidence: usher_core::Evidence,
    session: Option<usher_core::provider::UpstreamSession>,
    spend: usher_core::provider::OneTime,
    attributes: person::Attributes,
}

#[async_trait]
impl SsoProvider for SamlProvider {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn issuer(&self) -> Option<&Issuer> {
        Some(self.upkeep.entity_id())
    }

    fn endpoint(&self, method: Method, tail: &str) -> Option<Endpoint> {
        match (method, tail) {
            (Method::Post, ACS) => Some(Endpoint::Answer),
            (Method::Get, METADATA) => Some(Endpoint::Document),
            _ => None,
        }
    }

    async fn begin(&self, ctx: &Ctx<'_>, demand: &Demand) -> Result<Challenge, ProviderError> {
        let idp = self.idp(ctx.now)?;
        let (now, id, handle) = (ctx.now, request::new_id(ctx.entropy), demand.handle.clone());
        let state = State { handle: handle.clone(), request: id.clone() };
        let is_forced = match demand.freshness {
            Freshness::AnySession => false,
            Freshness::Since(_) => true,
        };
        let ask = move |service: &Service| {
            let Settings { request_binding, name_id_format, policy, .. } = &service.settings;
            let request = Request {
                id: &id,
                now,
                entity_id: &service.entity_id,
                acs: &service.acs,
                idp: &idp,
                binding: *request_binding,
                is_forced,
                name_id_format: name_id_format.as_deref(),
                contexts: &policy.contexts,
                key: service.signs_with(),
                relay_state: handle.as_str(),
            };
            request.step()
        };
        let step = match self.service.signs_with() {
            Some(_) => self.compute(ask).await?,
            None => ask(&self.service),
        };
        let step = step.map_err(|error: RequestError| ProviderError::Internal(error.into()))?;
        let state = serde_json::to_string(&state).expect("two strings serialise");
        Ok(Challenge { step, state: ProviderState::new(state), returns_by: ReturnTrip::CrossSitePost })
    }

    fn handle(&self, callback: &Callback) -> Result<Handle, ProviderError> {
        let relay_state = callback.form.one("RelayState").map_err(ProviderError::malformed)?;
        Handle::parse(relay_state).map_err(|_| ProviderError::malformed(Unfit::NoHandle))
    }

    async fn complete(
        &self,
        ctx: &Ctx<'_>,
        demand: &Demand,
        state: ProviderState,
        callback: &Callback,
    ) -> Result<Outcome, ProviderError> {
        if callback.method != Method::Post {
            return Err(ProviderError::malformed(Unfit::NotPost));
        }
        let state = self.open(demand, &state, callback)?;
        let encoded = callback.form.one("SAMLResponse").map_err(ProviderError::malformed)?.to_owned();
        let idp = self.idp(ctx.now)?;
        let (now, skew) = (ctx.now, ctx.skew);
        let proven = self
            .compute(move |service| {
                service.prove(&encoded, &service.question(now, skew, &state.request, &idp))
            })
            .await??;
        let identity = Identity {
            provider: self.descriptor.id.clone(),
            issuer: self.upkeep.entity_id().clone(),
            subject: proven.subject,
            evidence: proven.evidence,
            attributes: proven.attributes,
            upstream_session: proven.session,
        };
        Ok(Outcome::Done(Proof { identity, spend: vec![proven.spend] }))
    }

    async fn document(&self, _: &Ctx<'_>, tail: &str) -> Result<Document, ProviderError> {
        if tail != METADATA {
            return Err(ProviderError::malformed(Unfit::NoDocument));
        }
        Ok(self.service.metadata())
    }

    /// The identity provider itself is never called: browsers carry everything.
    async fn probe(&self, ctx: &Ctx<'_>) -> Result<(), ProviderError> {
        self.idp(ctx.now).map(drop)
    }

    async fn refresh(&self, ctx: &Ctx<'_>) -> Option<Duration> {
        Some(self.upkeep.look(ctx).await)
    }
}

/// Whose fault each failure is.
fn reaction(error: ResponseError) -> ProviderError {
    match error {
        ResponseError::Encoding | ResponseError::Gate(_) | ResponseError::Schema(_) => {
            ProviderError::malformed(error)
        }
        ResponseError::Denied(_) => ProviderError::Refused(error.into()),
        ResponseError::Rejected(_) => ProviderError::Internal(error.into()),
        ResponseError::Unproven(_) => ProviderError::unverified(error),
    }
}

impl fmt::Debug for SamlProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamlProvider")
            .field("id", &self.descriptor.id)
            .field("idp", self.upkeep.entity_id())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
