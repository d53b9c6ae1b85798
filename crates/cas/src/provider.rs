//! One configured CAS server, as the port sees it.
//!
//! A ticket counts for one attempt alone, because the service URL names it, and once, because the CAS server
//! spends it at validation. The issuer is the base URL as normalised by [`Settings`].

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;
use usher_core::{
    Callback, Challenge, Ctx, Demand, Descriptor, Evidence, Freshness, Handle, Identity, Issuer, Outcome,
    Proof, ProviderError, SsoProvider, Subject,
    provider::{
        BrowserStep, EndedSession, Endpoint, LogoutNotice, LogoutProof, Method, ProviderState, ReturnTrip,
        SignOut, UpstreamSession, WayOut,
    },
};

use crate::{
    config::Settings,
    logout,
    response::Success,
    service_url::{handle_in, service_url},
    ticket::{Ticket, TicketKind},
    validate::{Question, Validator},
};

pub(crate) struct CasProvider {
    descriptor: Descriptor,
    endpoints: Url,
    settings: Settings,
    validator: Validator,
}

/// What is remembered of an attempt.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    handle: Handle,
    /// Whether `/login` was asked for new credentials.
    renew: bool,
}

/// Why an answer that reached us proves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unproven {
    #[error("the path is not `callback/` and an attempt's handle")]
    NoHandle,
    #[error("tickets come by GET")]
    NotGet,
    #[error("the state is not one of this backend")]
    ForeignState,
    #[error("the callback, the state and the demand are of different attempts")]
    AnotherAttempt,
    #[error("a proxy ticket, and no proxies are allowed")]
    ProxyTicket,
    #[error("the proxies that the ticket passed are no allowed chain")]
    ProxyChain,
    #[error("the attribute that names people has no value")]
    NoSubject,
    #[error("the attribute that names people has several values")]
    SeveralSubjects,
    #[error("the name of the person is too long, or has control characters or blanks at its ends")]
    BadSubject,
}

impl CasProvider {
    pub(crate) fn new(
        descriptor: Descriptor,
        endpoints: Url,
        settings: Settings,
        validator: Validator,
    ) -> Self {
        Self { descriptor, endpoints, settings, validator }
    }

    /// The attempt's state, if callback, state and demand are of one attempt.
    fn open(
        &self,
        demand: &Demand,
        state: &ProviderState,
        callback: &Callback,
    ) -> Result<State, ProviderError> {
        let state: State = serde_json::from_str(state.as_str())
            .map_err(|_| ProviderError::unverified(Unproven::ForeignState))?;
        let handle = self.handle(callback)?;
        if handle == demand.handle && handle == state.handle {
            Ok(state)
        } else {
            Err(ProviderError::unverified(Unproven::AnotherAttempt))
        }
    }

    /// The ticket, which must be there once and of a kind that is allowed.
    fn ticket<'a>(&self, callback: &'a Callback) -> Result<Ticket<'a>, ProviderError> {
        if callback.method != Method::Get {
            return Err(ProviderError::malformed(Unproven::NotGet));
        }
        let ticket = callback.query.one("ticket").map_err(ProviderError::malformed)?;
        let ticket = Ticket::parse(ticket).map_err(ProviderError::malformed)?;
        match ticket.kind() {
            TicketKind::Proxy if self.settings.proxies.is_empty() => {
                Err(ProviderError::unverified(Unproven::ProxyTicket))
            }
            TicketKind::Service | TicketKind::Proxy => Ok(ticket),
        }
    }

    /// CAS protocol 2.6.2: a service ticket passed no proxies, a proxy ticket exactly an allowed chain.
    fn check_proxies(&self, kind: TicketKind, passed: &[String]) -> Result<(), ProviderError> {
        let is_allowed = match kind {
            TicketKind::Service => passed.is_empty(),
            TicketKind::Proxy => self.settings.proxies.iter().any(|chain| chain == passed),
        };
        if is_allowed { Ok(()) } else { Err(ProviderError::unverified(Unproven::ProxyChain)) }
    }

    fn subject(&self, success: &Success) -> Result<Subject, ProviderError> {
        let name = match &self.settings.subject {
            None => Ok(&success.user),
            Some(attribute) => match success.attributes.get(attribute).map(Vec::as_slice) {
                None | Some([]) => Err(Unproven::NoSubject),
                Some([name]) => Ok(name),
                Some(_) => Err(Unproven::SeveralSubjects),
            },
        };
        // `alice ` and `alice` may be two people there, and look like one here.
        let name =
            name.and_then(|name| if name.trim() == name { Ok(name) } else { Err(Unproven::BadSubject) });
        name.and_then(|name| Subject::parse(name).map_err(|_| Unproven::BadSubject))
            .map_err(ProviderError::unverified)
    }
}

#[async_trait]
impl SsoProvider for CasProvider {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn issuer(&self) -> Option<&Issuer> {
        Some(&self.settings.issuer)
    }

    fn endpoint(&self, method: Method, tail: &str) -> Option<Endpoint> {
        match method {
            Method::Get => handle_in(tail).map(|_| Endpoint::Answer),
            Method::Post => handle_in(tail).map(|_| Endpoint::Logout),
        }
    }

    /// CAS protocol 2.1.1. `renew` is left out rather than set to false: its presence is what counts.
    async fn begin(&self, _: &Ctx<'_>, demand: &Demand) -> Result<Challenge, ProviderError> {
        let renew = wants_new_credentials(demand);
        let mut login = self.settings.url("login");
        login.query_pairs_mut().append_pair("service", &service_url(&self.endpoints, &demand.handle));
        if renew {
            login.query_pairs_mut().append_pair("renew", "true");
        }
        let state = serde_json::to_string(&State { handle: demand.handle.clone(), renew })
            .expect("a handle and a bool serialise");
        Ok(Challenge {
            step: BrowserStep::Redirect(login),
            state: ProviderState::new(state),
            returns_by: ReturnTrip::Navigation,
        })
    }

    fn handle(&self, callback: &Callback) -> Result<Handle, ProviderError> {
        handle_in(&callback.tail).ok_or_else(|| ProviderError::malformed(Unproven::NoHandle))
    }

    async fn complete(
        &self,
        _: &Ctx<'_>,
        demand: &Demand,
        state: ProviderState,
        callback: &Callback,
    ) -> Result<Outcome, ProviderError> {
        let state = self.open(demand, &state, callback)?;
        let ticket = self.ticket(callback)?;
        let service = service_url(&self.endpoints, &demand.handle);
        let renew = wants_new_credentials(demand);
        let success = self.validator.validate(&Question { ticket, service: &service, renew }).await?;
        self.check_proxies(ticket.kind(), &success.proxies)?;
        // CAS states no instant: what proves freshness is that both ends insisted on new credentials. Nobody
        // presents credentials for a proxy ticket (2.6.1).
        let is_fresh = renew && state.renew && ticket.kind() == TicketKind::Service;
        let identity = Identity {
            provider: self.descriptor.id.clone(),
            issuer: self.settings.issuer.clone(),
            subject: self.subject(&success)?,
            evidence: if is_fresh { Evidence::CredentialsPresented } else { Evidence::Unstated },
            attributes: success.attributes,
            upstream_session: Some(UpstreamSession::Unique(ticket.as_str().to_owned())),
        };
        // The CAS server spends the ticket (3.1.1), so there is nothing to remember here.
        Ok(Outcome::Done(Proof { identity, spend: Vec::new(), keepsake: None }))
    }

    /// CAS protocol 2.3.3: the ticket that the session was opened with, at the service URL that it was issued for.
    async fn logout(&self, _: &Ctx<'_>, callback: &Callback) -> Result<LogoutNotice, ProviderError> {
        let handle = self.handle(callback)?;
        let request = callback.form.one(logout::PARAMETER).map_err(ProviderError::malformed)?;
        let ticket = logout::read(request).map_err(ProviderError::malformed)?;
        Ok(LogoutNotice {
            issuer: self.settings.issuer.clone(),
            subject: None,
            sessions: vec![EndedSession::One(UpstreamSession::Unique(ticket))],
            proof: LogoutProof::Knowledge { attempt: handle },
            spend: Vec::new(),
        })
    }

    fn offers_sign_out(&self) -> bool {
        true
    }

    /// CAS protocol 2.3. What version 3 sends the browser on to as `service`, version 2 shows as a link as `url`.
    async fn sign_out(&self, _: &Ctx<'_>, wish: &SignOut<'_>) -> Result<Option<WayOut>, ProviderError> {
        let mut place = self.settings.url("logout");
        if let Some(return_to) = wish.return_to {
            let name = if self.settings.has_attributes { "service" } else { "url" };
            place.query_pairs_mut().append_pair(name, return_to.as_str());
        }
        Ok(Some(BrowserStep::Redirect(place).into()))
    }

    async fn probe(&self, _: &Ctx<'_>) -> Result<(), ProviderError> {
        self.validator.probe().await
    }
}

fn wants_new_credentials(demand: &Demand) -> bool {
    match demand.freshness {
        Freshness::AnySession => false,
        Freshness::Since(_) => true,
    }
}

impl fmt::Debug for CasProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CasProvider")
            .field("id", &self.descriptor.id)
            .field("base_url", &self.settings.base_url.as_str())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
