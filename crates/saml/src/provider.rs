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
    provider::{
        BrowserLogout, BrowserStep, Document, Endpoint, Keepsake, Method, ProviderState, ReturnTrip, SignOut,
        WayOut,
    },
};

use crate::{
    config::Settings,
    discovery::{self, ATTEMPT, DISCO, Page, Said},
    federation::{Federation, IndexError, Key, Member},
    logout::{self, Awaited, LogoutFault, Memory},
    metadata::Idp,
    person::ScopeCheck,
    processors::{Lane, NotWorked, Processors},
    request::{self, Request, RequestError},
    sending::RESPONSE,
    service::{ACS, METADATA, SLO, Service},
    upkeep::{Unknown, Upkeep},
};

/// A response longer than this, in base64, waits aside: an honest one has some kilobytes, and with all a person's groups some tens.
const LARGE: usize = 64 * 1024;

pub(crate) struct SamlProvider {
    descriptor: Descriptor,
    service: Arc<Service>,
    upkeep: Upkeep,
    processors: Processors,
}

/// What is remembered of an attempt.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    handle: Handle,
    /// What the browser was sent away with; nothing while the person is asked where they are from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<Sent>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// The ID of the request.
    request: String,
    /// To which identity provider of a federation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idp: Option<Key>,
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
    #[error("the browser was not sent to any identity provider")]
    NotSent,
    #[error("the federation has no such identity provider")]
    NoIdp,
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

    /// The identity provider of that key, or the only one there is.
    async fn idp(&self, now: Timestamp, key: Option<Key>) -> Result<Arc<Idp>, ProviderError> {
        match key {
            None => self.upkeep.idp(now).map_err(ProviderError::unavailable),
            Some(key) => {
                let found = self.look_up(now, move |federation| federation.find(key)).await?;
                let member = found.ok_or_else(|| ProviderError::unavailable(Unfit::NoIdp))?;
                valid(member, now)
            }
        }
    }

    /// Asks the federation something.
    async fn look_up<T: Send + 'static>(
        &self,
        now: Timestamp,
        question: impl FnOnce(&Federation) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let federation = self.upkeep.federation(now).map_err(ProviderError::unavailable)?;
        let answered = self.compute(Lane::SignIn, move |_| question(&federation)).await?;
        answered.map_err(|error| ProviderError::Internal(error.into()))
    }

    /// Sends the browser to `idp`.
    async fn send(
        &self,
        ctx: &Ctx<'_>,
        demand: &Demand,
        idp: Arc<Idp>,
        key: Option<Key>,
    ) -> Result<Challenge, ProviderError> {
        let (now, id, handle) = (ctx.now, request::new_id(ctx.entropy), demand.handle.clone());
        let state = State { handle: handle.clone(), sent: Some(Sent { request: id.clone(), idp: key }) };
        let is_forced = match demand.freshness {
            Freshness::AnySession => false,
            Freshness::Since(_) => true,
        };
        let request = move |service: &Service| {
            let settings = &service.settings;
            let request = Request {
                id: &id,
                now,
                entity_id: &service.entity_id,
                acs: &service.acs,
                idp: &idp,
                binding: settings.request_binding,
                is_forced,
                is_passive: settings.is_passive && !is_forced,
                name_id_format: settings.name_id_format.as_deref(),
                contexts: &settings.policy.contexts,
                offered_idps: &settings.offered_idps,
                key: service.signs_with(),
                relay_state: handle.as_str(),
            };
            request.step()
        };
        let step = match self.service.signs_with() {
            Some(_) => self.compute(Lane::SignIn, request).await?,
            None => request(&self.service),
        };
        let step = step.map_err(|error: RequestError| ProviderError::Internal(error.into()))?;
        Ok(Challenge { step, state: state.seal(), returns_by: ReturnTrip::CrossSitePost })
    }

    /// The page that asks people where they are from.
    async fn ask(
        &self,
        ctx: &Ctx<'_>,
        demand: &Demand,
        typed: String,
        is_forgotten: bool,
    ) -> Result<Challenge, ProviderError> {
        let (handle, origin) = (demand.handle.clone(), demand.hints.origin.clone());
        let disco = self.service.disco.clone();
        let shown = self.look_up(ctx.now, move |federation| {
            let page =
                Page { disco: &disco, handle: &handle, typed: &typed, origin: origin.as_ref(), is_forgotten };
            page.organisations(federation)
        });
        let step = BrowserStep::Ask(Box::new(shown.await?));
        let state = State { handle: demand.handle.clone(), sent: None };
        Ok(Challenge { step, state: state.seal(), returns_by: ReturnTrip::Navigation })
    }

    /// What somebody said of where they are from.
    async fn go_on(
        &self,
        ctx: &Ctx<'_>,
        demand: &Demand,
        callback: &Callback,
    ) -> Result<Outcome, ProviderError> {
        let said = Said::read(callback).map_err(ProviderError::malformed)?;
        if demand.issuer.is_some() {
            // Nobody asked them.
            return Ok(Outcome::Continue(self.begin(ctx, demand).await?));
        }
        let (key, is_ours) = match said {
            Said::Search { typed, is_forgotten } => {
                return Ok(Outcome::Continue(self.ask(ctx, demand, typed, is_forgotten).await?));
            }
            Said::Key(key) => (key, true),
            // A discovery service may know more identity providers than count here.
            Said::EntityId(entity_id) => (Key::of(&entity_id), false),
        };
        let Some(member) = self.look_up(ctx.now, move |federation| federation.find(key)).await? else {
            if is_ours {
                return Err(ProviderError::malformed(Unfit::NoIdp));
            }
            return Ok(Outcome::Continue(self.ask(ctx, demand, String::new(), false).await?));
        };
        let challenge = self.send(ctx, demand, valid(member, ctx.now)?, Some(key)).await?;
        Ok(Outcome::From(discovery::origin(key), challenge))
    }

    /// Whose message a browser brings: the keys of its metadata have to have signed it, and its `Issuer` has to be it. In a federation
    /// the message says whose it is, and nothing else of it is looked at before.
    async fn sender(&self, callback: &Callback, now: Timestamp) -> Result<Arc<Idp>, ProviderError> {
        if !self.service.settings.is_federation {
            return self.idp(now, None).await;
        }
        let callback = callback.clone();
        let named = self.compute(Lane::Logout, move |_| logout::issuer_of(&callback)).await?;
        let issuer = named.map_err(ProviderError::malformed)?;
        let key = Key::of(&issuer);
        // Anybody can make one up.
        let found = self.look_up(now, move |federation| federation.find(key)).await?;
        let member = found.filter(|member| member.idp.entity_id.as_str() == issuer);
        valid(member.ok_or_else(|| ProviderError::unverified(Unfit::NoIdp))?, now)
    }

    /// The identity provider of that entity id.
    async fn idp_named(&self, now: Timestamp, entity_id: &str) -> Result<Arc<Idp>, ProviderError> {
        let key = self.service.settings.is_federation.then(|| Key::of(entity_id));
        let idp = self.idp(now, key).await?;
        if idp.entity_id.as_str() == entity_id {
            Ok(idp)
        } else {
            Err(ProviderError::unavailable(Unfit::NoIdp))
        }
    }

    /// Runs `work` where it may take its time, when it is its turn.
    async fn compute<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce(&Service) -> T + Send + 'static,
    ) -> Result<T, ProviderError> {
        let service = Arc::clone(&self.service);
        self.processors.run_in(lane, move || work(&service)).await.map_err(|error| match error {
            NotWorked::Busy => ProviderError::unavailable(error),
            NotWorked::Panicked => ProviderError::Internal(error.into()),
        })
    }
}

impl State {
    fn seal(&self) -> ProviderState {
        ProviderState::new(serde_json::to_string(self).expect("plain texts serialise"))
    }
}

/// The identity provider, if its metadata still says anything.
fn valid(member: Member, now: Timestamp) -> Result<Arc<Idp>, ProviderError> {
    if member.idp.is_valid(now) {
        Ok(Arc::new(member.idp))
    } else {
        Err(ProviderError::unavailable(Unknown::Expired))
    }
}

#[async_trait]
impl SsoProvider for SamlProvider {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn issuer(&self) -> Option<&Issuer> {
        self.upkeep.entity_id()
    }

    fn bounds_values_of(&self, attribute: &str) -> bool {
        let naming = &self.service.settings.naming;
        naming.scopes == ScopeCheck::Strict && naming.is_scoped(attribute)
    }

    fn endpoint(&self, method: Method, tail: &str) -> Option<Endpoint> {
        match (method, tail) {
            (Method::Post, ACS) => Some(Endpoint::Answer),
            (Method::Get, DISCO) if self.service.settings.is_federation => Some(Endpoint::Answer),
            (Method::Get, METADATA) => Some(Endpoint::Document),
            (_, SLO) if !self.service.settings.keys.is_empty() => Some(Endpoint::BrowserLogout),
            _ => None,
        }
    }

    async fn begin(&self, ctx: &Ctx<'_>, demand: &Demand) -> Result<Challenge, ProviderError> {
        let settings = &self.service.settings;
        match (&demand.issuer, &settings.discovery_service) {
            _ if !settings.is_federation => {
                let idp = self.idp(ctx.now, None).await?;
                self.send(ctx, demand, idp, None).await
            }
            (Some(issuer), _) => {
                let key = Key::of(issuer.as_str());
                let idp = self.idp(ctx.now, Some(key)).await?;
                self.send(ctx, demand, idp, Some(key)).await
            }
            (None, None) => self.ask(ctx, demand, String::new(), false).await,
            (None, Some(service)) => {
                self.upkeep.federation(ctx.now).map_err(ProviderError::unavailable)?;
                let Service { entity_id, disco, .. } = &*self.service;
                let url = discovery::at_service(service, entity_id, disco, &demand.handle);
                let state = State { handle: demand.handle.clone(), sent: None };
                let step = BrowserStep::Redirect(url);
                Ok(Challenge { step, state: state.seal(), returns_by: ReturnTrip::Navigation })
            }
        }
    }

    fn handle(&self, callback: &Callback) -> Result<Handle, ProviderError> {
        let written = match callback.tail.as_str() {
            DISCO => callback.query.one(ATTEMPT),
            _ => callback.form.one("RelayState"),
        };
        Handle::parse(written.map_err(ProviderError::malformed)?)
            .map_err(|_| ProviderError::malformed(Unfit::NoHandle))
    }

    async fn complete(
        &self,
        ctx: &Ctx<'_>,
        demand: &Demand,
        state: ProviderState,
        callback: &Callback,
    ) -> Result<Outcome, ProviderError> {
        let state = self.open(demand, &state, callback)?;
        if callback.method == Method::Get && callback.tail == DISCO && self.service.settings.is_federation {
            return self.go_on(ctx, demand, callback).await;
        }
        if callback.method != Method::Post {
            return Err(ProviderError::malformed(Unfit::NotPost));
        }
        let Sent { request, idp } = state.sent.ok_or_else(|| ProviderError::unverified(Unfit::NotSent))?;
        let length = callback.form.one(RESPONSE).map_err(ProviderError::malformed)?.len();
        if idp.is_some() != self.service.settings.is_federation {
            return Err(ProviderError::unverified(Unfit::ForeignState));
        }
        let idp = self.idp(ctx.now, idp).await?;
        let issuer = idp.entity_id.clone();
        let (now, skew) = (ctx.now, ctx.skew);
        let lane = if length > LARGE { Lane::Large } else { Lane::SignIn };
        let form = callback.form.clone();
        let proven = self
            .compute(lane, move |service| {
                let encoded = form.one(RESPONSE).map_err(ProviderError::malformed)?;
                service.prove(encoded, &service.question(now, skew, &request, &idp))
            })
            .await??;
        let identity = Identity {
            provider: self.descriptor.id.clone(),
            issuer,
            subject: proven.subject,
            evidence: proven.evidence,
            attributes: proven.attributes,
            upstream_session: proven.session,
        };
        Ok(Outcome::Done(Proof { identity, spend: vec![proven.spend], keepsake: proven.keepsake }))
    }

    /// To sign out, an identity provider has to be told who it is, signed.
    fn offers_sign_out(&self) -> bool {
        let settings = &self.service.settings;
        !settings.keys.is_empty() && (settings.is_federation || self.upkeep.may_sign_out())
    }

    async fn sign_out(&self, ctx: &Ctx<'_>, wish: &SignOut<'_>) -> Result<Option<WayOut>, ProviderError> {
        // Nobody has signed in with this browser, or too long ago.
        let Some(memory) = wish.keepsake.and_then(Memory::read) else { return Ok(None) };
        let idp = self.idp_named(ctx.now, &memory.idp).await?;
        let (now, id) = (ctx.now, request::new_id(ctx.entropy));
        self.compute(Lane::SignIn, move |service| service.sign_out(&memory, &idp, &id, now)).await?
    }

    async fn browser_logout(
        &self,
        ctx: &Ctx<'_>,
        callback: &Callback,
        awaited: Option<&Keepsake>,
    ) -> Result<BrowserLogout, ProviderError> {
        let (now, skew, callback) = (ctx.now, ctx.skew, callback.clone());
        if logout::is_answer(&callback) {
            let not_awaited = || ProviderError::malformed(LogoutFault::NotAwaited);
            let awaited = awaited.and_then(Awaited::read).ok_or_else(not_awaited)?;
            let idp = self.idp_named(now, &awaited.idp).await?;
            return self
                .compute(Lane::Logout, move |service| {
                    service.signed_out(&callback, &idp, &awaited, now, skew)
                })
                .await?;
        }
        let idp = self.sender(&callback, now).await?;
        let id = request::new_id(ctx.entropy);
        self.compute(Lane::Logout, move |service| service.logout(&callback, &idp, &id, now, skew)).await?
    }

    async fn document(&self, _: &Ctx<'_>, tail: &str) -> Result<Document, ProviderError> {
        if tail != METADATA {
            return Err(ProviderError::malformed(Unfit::NoDocument));
        }
        Ok(self.service.metadata())
    }

    /// The identity provider itself is never called: browsers carry everything.
    async fn probe(&self, ctx: &Ctx<'_>) -> Result<(), ProviderError> {
        let found = if self.service.settings.is_federation {
            self.upkeep.federation(ctx.now).map(drop)
        } else {
            self.upkeep.idp(ctx.now).map(drop)
        };
        found.map_err(ProviderError::unavailable)
    }

    async fn refresh(&self, ctx: &Ctx<'_>) -> Option<Duration> {
        Some(self.upkeep.look(ctx).await)
    }
}

impl fmt::Debug for SamlProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamlProvider")
            .field("id", &self.descriptor.id)
            .field("idp", &self.upkeep.entity_id())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
