//! One configured OpenID Provider, as the port sees it.
//!
//! An answer counts for one attempt alone: `state` names the attempt, the nonce in the provider's signed token is the one of
//! the browser's sealed cookie, and the code is bound to that cookie's proof key. The code is spent by the provider.

use std::fmt;

use async_trait::async_trait;
use serde_json::Value;
use url::Url;
use usher_core::{
    Callback, Challenge, Ctx, Demand, Descriptor, Evidence, Handle, Identity, Issuer, Outcome, Proof,
    ProviderError, SsoProvider, Subject, Timestamp,
    provider::{
        BrowserStep, Document, Endpoint, LogoutNotice, Method, ProviderState, ReturnTrip, SignOut, WayOut,
    },
};

use crate::{
    answer::{self, Answer},
    cached::Cached,
    calls::Calls,
    claims::{Claims, attributes, is_email_verified},
    config::{Protocol, ResponseMode, Settings},
    discovery::Known,
    exchange::Tokens,
    groups, id_token,
    keys::Keys,
    logout_token, pushed, request, sign_out,
    state::State,
    userinfo,
    verifier::Verifier,
};

/// Paths under the endpoints, stable from the first release.
const CALLBACK: &str = "callback";
const LOGOUT: &str = "backchannel-logout";
const KEYS: &str = "jwks";

pub(crate) struct OidcProvider {
    descriptor: Descriptor,
    redirect_uri: Url,
    settings: Settings,
    calls: Calls,
    known: Cached<Known>,
    keys: Cached<Keys>,
}

/// Why an answer that is the attempt's own proves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unproven {
    #[error("`state` is no attempt's handle")]
    NoHandle,
    #[error("the state is not one of this backend")]
    ForeignState,
    #[error("the callback, the state and the demand are of different attempts")]
    AnotherAttempt,
    #[error("there is no id_token; is `openid` among the scopes that the provider grants?")]
    NoIdToken,
    #[error("there is no userinfo endpoint")]
    NoUserinfo,
    #[error("the claim that names people has no value")]
    NoSubject,
    #[error("the claim that names people has several values")]
    SeveralSubjects,
    #[error("the name of the person is too long, or has control characters or blanks at its ends")]
    BadSubject,
    #[error("the provider does not say that the person's e-mail address is verified")]
    EmailNotVerified,
}

/// What one answer says of the person.
struct Said {
    claims: Claims,
    evidence: Evidence,
    session: Option<String>,
}

impl OidcProvider {
    pub(crate) fn new(descriptor: Descriptor, endpoints: &Url, settings: Settings, calls: Calls) -> Self {
        let mut redirect_uri = endpoints.clone();
        redirect_uri.set_path(&format!("{}/{CALLBACK}", endpoints.path().trim_end_matches('/')));
        let (known, keys) = (Cached::new(settings.refresh), Cached::new(settings.refresh));
        Self { descriptor, redirect_uri, settings, calls, known, keys }
    }

    async fn known(&self, now: Timestamp) -> Result<std::sync::Arc<Known>, ProviderError> {
        Ok(self.known.get(now, Known::learn(&self.calls, &self.settings)).await?)
    }

    fn verifier<'a>(&'a self, known: &'a Known) -> Verifier<'a> {
        Verifier { settings: &self.settings, calls: &self.calls, keys: &self.keys, jwks: known.jwks.as_ref() }
    }

    /// The attempt's state, if callback, state and demand are of one attempt.
    fn open(
        &self,
        demand: &Demand,
        state: &ProviderState,
        callback: &Callback,
    ) -> Result<State, ProviderError> {
        let state = State::open(state).ok_or(Unproven::ForeignState).map_err(ProviderError::unverified)?;
        let handle = self.handle(callback)?;
        if handle == demand.handle && handle == state.handle {
            Ok(state)
        } else {
            Err(ProviderError::unverified(Unproven::AnotherAttempt))
        }
    }

    /// What the provider says of the person, its tokens verified.
    async fn ask(
        &self,
        ctx: &Ctx<'_>,
        known: &Known,
        answer: &Answer<'_>,
        state: &State,
    ) -> Result<Said, ProviderError> {
        let (settings, calls) = (&self.settings, &self.calls);
        let tokens = Tokens::of(&answer.code, ctx, calls, settings, known, &self.redirect_uri, state).await?;
        let mut said = match settings.protocol {
            Protocol::OpenidConnect => self.by_id_token(ctx, known, &tokens, state).await?,
            Protocol::Oauth2 => self.by_userinfo_alone(ctx, known, &tokens).await?,
        };
        groups::complete(&mut said.claims, tokens.access_token(), calls, settings).await?;
        Ok(said)
    }

    async fn by_id_token(
        &self,
        ctx: &Ctx<'_>,
        known: &Known,
        tokens: &Tokens,
        state: &State,
    ) -> Result<Said, ProviderError> {
        let verifier = self.verifier(known);
        let raw = tokens.id_token().ok_or(Unproven::NoIdToken).map_err(ProviderError::unverified)?;
        let token = verifier.verify(raw, ctx.now).await?;
        let expected = id_token::Expected {
            settings: &self.settings,
            nonce: &state.nonce,
            access_token: tokens.access_token(),
            now: ctx.now,
            leeway: ctx.skew,
        };
        id_token::check(&token, &expected).map_err(ProviderError::unverified)?;
        // Of the id_token alone, which is signed.
        let evidence = id_token::evidence(&token.claims).map_err(ProviderError::unverified)?;
        let session = token.claims.get("sid").and_then(Value::as_str).filter(|id| !id.is_empty());
        let session = session.map(str::to_owned);
        let mut claims = token.claims;
        if let Some(endpoint) = userinfo::wanted(&self.settings, known, &claims) {
            let subject = id_token::subject(&claims).map_err(ProviderError::unverified)?.to_owned();
            let more = userinfo::fetch(
                tokens.access_token(),
                Some(&subject),
                endpoint,
                &self.calls,
                &verifier,
                ctx.now,
            );
            claims = userinfo::merge(claims, more.await?);
        }
        Ok(Said { claims, evidence, session })
    }

    /// Nothing in it says when the person authenticated.
    async fn by_userinfo_alone(
        &self,
        ctx: &Ctx<'_>,
        known: &Known,
        tokens: &Tokens,
    ) -> Result<Said, ProviderError> {
        let endpoint = known.userinfo.as_ref().ok_or(Unproven::NoUserinfo);
        let endpoint = endpoint.map_err(|error| ProviderError::Internal(error.into()))?;
        let verifier = self.verifier(known);
        let claims =
            userinfo::fetch(tokens.access_token(), None, endpoint, &self.calls, &verifier, ctx.now).await?;
        Ok(Said { claims, evidence: Evidence::Unstated, session: None })
    }

    fn subject(&self, claims: &Claims) -> Result<Subject, Unproven> {
        let mut names = self.settings.subject.values(claims).into_iter();
        let name = match (names.next(), names.next()) {
            (None, _) => Err(Unproven::NoSubject),
            (Some(_), Some(_)) => Err(Unproven::SeveralSubjects),
            (Some(name), None) => Ok(name),
        }?;
        if self.settings.is_subject_an_email() && is_email_verified(claims) != Some(true) {
            return Err(Unproven::EmailNotVerified);
        }
        // `alice ` and `alice` may be two people there, and look like one here.
        if name.trim() != name {
            return Err(Unproven::BadSubject);
        }
        Subject::parse(name).map_err(|_| Unproven::BadSubject)
    }
}

#[async_trait]
impl SsoProvider for OidcProvider {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn issuer(&self) -> Option<&Issuer> {
        Some(&self.settings.issuer)
    }

    fn endpoint(&self, method: Method, tail: &str) -> Option<Endpoint> {
        let answers_by = match self.settings.response_mode {
            ResponseMode::Query => Method::Get,
            ResponseMode::FormPost => Method::Post,
        };
        match (method, tail) {
            (method, CALLBACK) if method == answers_by => Some(Endpoint::Answer),
            (Method::Post, LOGOUT) if self.settings.protocol == Protocol::OpenidConnect => {
                Some(Endpoint::Logout)
            }
            (Method::Get, KEYS) => Some(Endpoint::Document),
            _ => None,
        }
    }

    async fn begin(&self, ctx: &Ctx<'_>, demand: &Demand) -> Result<Challenge, ProviderError> {
        let known = self.known(ctx.now).await?;
        let state = State::generate(ctx, &demand.handle, known.sends_pkce);
        let parameters = request::parameters(&self.settings, &known, &self.redirect_uri, demand, &state);
        let place = match &known.pushed {
            Some(endpoint) => {
                pushed::push(&parameters, ctx, &self.calls, &self.settings, &known, endpoint).await?
            }
            None => {
                request::url(&known, parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            }
        };
        let returns_by = match self.settings.response_mode {
            ResponseMode::Query => ReturnTrip::Navigation,
            ResponseMode::FormPost => ReturnTrip::CrossSitePost,
        };
        Ok(Challenge { step: BrowserStep::Redirect(place), state: state.seal(), returns_by })
    }

    fn handle(&self, callback: &Callback) -> Result<Handle, ProviderError> {
        let parameters = answer::parameters(callback, self.settings.response_mode)?;
        let state = parameters.one("state").map_err(ProviderError::malformed)?;
        Handle::parse(state).map_err(|_| ProviderError::malformed(Unproven::NoHandle))
    }

    async fn complete(
        &self,
        ctx: &Ctx<'_>,
        demand: &Demand,
        state: ProviderState,
        callback: &Callback,
    ) -> Result<Outcome, ProviderError> {
        let state = self.open(demand, &state, callback)?;
        let parameters = answer::parameters(callback, self.settings.response_mode)?;
        let known = self.known(ctx.now).await?;
        let answer = answer::read(parameters, &self.settings, known.names_issuer)?;
        let Said { claims, evidence, session } = self.ask(ctx, &known, &answer, &state).await?;
        let identity = Identity {
            provider: self.descriptor.id.clone(),
            issuer: self.settings.issuer.clone(),
            subject: self.subject(&claims).map_err(ProviderError::unverified)?,
            evidence,
            attributes: attributes(&claims, &self.settings.claims),
            upstream_session: session.as_deref().map(logout_token::session_named),
        };
        // The provider spends the code (RFC 6749 section 4.1.2), and the nonce is the attempt's, which the server spends.
        Ok(Outcome::Done(Proof { identity, spend: Vec::new(), keepsake: None }))
    }

    /// OpenID Connect Back-Channel Logout 1.0, section 2.5.
    async fn logout(&self, ctx: &Ctx<'_>, callback: &Callback) -> Result<LogoutNotice, ProviderError> {
        let raw = callback.form.one("logout_token").map_err(ProviderError::malformed)?;
        let known = self.known(ctx.now).await?;
        let token = self.verifier(&known).verify(raw, ctx.now).await?;
        logout_token::read(&token, &self.settings, ctx).map_err(ProviderError::unverified)
    }

    fn offers_sign_out(&self) -> bool {
        let own = self.settings.endpoints.end_session.is_some();
        let is_possible = self.settings.discovery_url.is_some();
        own || (is_possible && self.known.peek().is_none_or(|known| known.end_session.is_some()))
    }

    /// OpenID Connect RP-Initiated Logout 1.0, section 2.
    async fn sign_out(&self, ctx: &Ctx<'_>, wish: &SignOut<'_>) -> Result<Option<WayOut>, ProviderError> {
        let endpoint = match &self.settings.endpoints.end_session {
            Some(own) => Some(own.clone()),
            None => self.known(ctx.now).await?.end_session.clone(),
        };
        Ok(endpoint.map(|place| BrowserStep::Redirect(sign_out::url(place, &self.settings, wish)).into()))
    }

    /// The client's public keys, for the provider to verify its proofs with (RFC 7517 section 5).
    async fn document(&self, _: &Ctx<'_>, _: &str) -> Result<Document, ProviderError> {
        let keys: Vec<_> = self.settings.public_keys().collect();
        let body = serde_json::json!({ "keys": keys }).to_string().into_bytes();
        Ok(Document { content_type: "application/jwk-set+json".to_owned(), body })
    }

    async fn probe(&self, _: &Ctx<'_>) -> Result<(), ProviderError> {
        // Not what is remembered: whether it answers now.
        let known = Known::learn(&self.calls, &self.settings).await?;
        self.verifier(&known).probe().await
    }
}

impl fmt::Debug for OidcProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcProvider")
            .field("id", &self.descriptor.id)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
