//! The first port: a provider proves *who* authenticated and *when*. It sees no HTTP request, no database
//! and no homeserver, and it never learns the purpose.

mod backend;
mod callback;
mod challenge;
mod error;
mod identity;
mod ids;
mod notice;
mod organisations;
mod sign_out;

use std::{fmt, time::Duration};

use async_trait::async_trait;

pub use backend::{Backend, ConfigError, ConfigProblem};
pub use callback::{Callback, Method, ParameterError, Parameters};
pub use challenge::{BrowserStep, Challenge, Demand, Hints, ProviderState, ReturnTrip};
pub use error::{ProviderError, ProviderFailure};
pub use identity::{Evidence, Identity, Keepsake, OneTime, Outcome, Proof, UpstreamSession};
pub use ids::{Handle, Issuer, ParseIdError, ProviderId, Subject};
pub use notice::{BrowserLogout, Document, EndedSession, LogoutAnswers, LogoutNotice, LogoutProof};
pub use organisations::{Organisation, Organisations, Origin};
pub use sign_out::{SignOut, WayOut};

use crate::{Entropy, Timestamp};

/// The time and the randomness of one call.
#[derive(Clone, Copy, Debug)]
pub struct Ctx<'a> {
    /// When the call was made.
    pub now: Timestamp,
    /// Permitted difference between the provider's clock and ours, as the operator decided it.
    pub skew: Duration,
    /// Where random bytes come from.
    pub entropy: &'a dyn Entropy,
}

/// What clients and people are shown of a provider (`identity_providers` of `m.login.sso`, client-server API v1.19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The `id`, which is also in the URLs that operators register elsewhere.
    pub id: ProviderId,
    /// The `name`: plain text.
    pub name: String,
    /// The `icon`, an `mxc://` URI.
    pub icon: Option<String>,
    /// The `brand`: `[a-z][a-z0-9_.-]*`.
    pub brand: Option<String>,
}

/// What a request to one of a provider's own paths is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The browser comes back with an answer to an attempt: [`SsoProvider::handle`], [`SsoProvider::complete`].
    Answer,
    /// Sessions ended upstream: [`SsoProvider::logout`]. A machine says so.
    Logout,
    /// The same, and a browser stands before it: [`SsoProvider::browser_logout`].
    BrowserLogout,
    /// Something the upstream's operator fetches: [`SsoProvider::document`].
    Document,
}

/// One configured upstream: one protocol spoken to one provider.
#[async_trait]
pub trait SsoProvider: fmt::Debug + Send + Sync {
    /// What clients and people are shown.
    fn descriptor(&self) -> &Descriptor;

    /// The one issuer it ever names, if it has only one and knows it without asking: then nobody can be linked by
    /// another, and an operator need not spell it.
    fn issuer(&self) -> Option<&Issuer> {
        None
    }

    /// Of one that stands for many issuers: whether the values of this attribute count only as far as an issuer is known to speak
    /// for them, so that none of them can say of its people what is another's to say.
    fn bounds_values_of(&self, _attribute: &str) -> bool {
        false
    }

    /// What a request to `tail` (the path after `/_usher/{kind}/{id}/`, decoded once, no leading slash) is
    /// about; `None` if this provider has no such endpoint for that method.
    fn endpoint(&self, method: Method, tail: &str) -> Option<Endpoint>;

    /// What the browser must do next to answer `demand`, and what we must remember meanwhile.
    async fn begin(&self, ctx: &Ctx<'_>, demand: &Demand) -> Result<Challenge, ProviderError>;

    /// Reads our handle out of a callback and trusts nothing else in it.
    fn handle(&self, callback: &Callback) -> Result<Handle, ProviderError>;

    /// Verifies `callback` as the answer to the demand that produced `state` (by value: answered once).
    async fn complete(
        &self,
        ctx: &Ctx<'_>,
        demand: &Demand,
        state: ProviderState,
        callback: &Callback,
    ) -> Result<Outcome, ProviderError>;

    /// Reads a notice that sessions ended (OIDC back-channel logout 2.8, CAS): 200 once it is kept. Called only where
    /// [`SsoProvider::endpoint`] said [`Endpoint::Logout`]; a provider that never says so keeps the default.
    async fn logout(&self, _ctx: &Ctx<'_>, _callback: &Callback) -> Result<LogoutNotice, ProviderError> {
        Err(ProviderError::malformed("this provider takes no logout notices"))
    }

    /// Reads what a browser brought of single logout (SAML). Called only where [`SsoProvider::endpoint`] said
    /// [`Endpoint::BrowserLogout`]; a provider that never says so keeps the default. `awaited` is what this browser keeps if it was sent
    /// to sign out ([`WayOut::awaited`]).
    async fn browser_logout(
        &self,
        _ctx: &Ctx<'_>,
        _callback: &Callback,
        _awaited: Option<&Keepsake>,
    ) -> Result<BrowserLogout, ProviderError> {
        Err(ProviderError::malformed("this provider takes no logout by browsers"))
    }

    /// Whether a person can sign out at the provider from here ([`SsoProvider::sign_out`]), as far as is known without asking
    /// anybody: a page that offers it does not wait for that. Where it is not known, they may try.
    fn offers_sign_out(&self) -> bool {
        false
    }

    /// Where the browser goes to end the session that it has at the provider; `None` if the provider has no such place. The
    /// provider tells us by [`SsoProvider::logout`] what ended, if it does: here nothing is believed to have.
    async fn sign_out(&self, _ctx: &Ctx<'_>, _wish: &SignOut<'_>) -> Result<Option<WayOut>, ProviderError> {
        Ok(None)
    }

    /// A document the upstream's operator wants (SP metadata, JWKS), for a `tail` where
    /// [`SsoProvider::endpoint`] said [`Endpoint::Document`].
    async fn document(&self, _ctx: &Ctx<'_>, _tail: &str) -> Result<Document, ProviderError> {
        Err(ProviderError::malformed("this provider publishes no documents"))
    }

    /// Looks anew at what is kept of the upstream, and says in how long to look again; `None`: there is nothing to look at.
    /// The server calls it from its start on, one call at a time, and never on the path of a login.
    async fn refresh(&self, _ctx: &Ctx<'_>) -> Option<Duration> {
        None
    }

    /// Whether the upstream can be reached, for operators. Never on the path of a login.
    async fn probe(&self, ctx: &Ctx<'_>) -> Result<(), ProviderError>;
}
