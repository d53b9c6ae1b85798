//! A code becomes tokens (RFC 6749 sections 4.1.3 and 5, RFC 7636 section 4.5, OpenID Connect Core 3.1.3). openidconnect
//! makes the request and reads the answer; [`Wire`] takes it through Usher's own client and tells what went wrong.
//!
//! The id_token is kept as the text it came as. openidconnect would read it as it reads the answer, and refuse everybody of
//! whom a standard claim has two values (docs/decisions, "What openidconnect does").

use std::{pin::Pin, time::Duration};

use openidconnect::{
    AccessToken, AdditionalClaims, AsyncHttpClient, AuthType, AuthorizationCode, Client, ClientId,
    ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdToken, IssuerUrl, JsonWebKeySet,
    OAuth2TokenResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardErrorResponse, TokenResponse, TokenUrl,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
    http,
};
use secrecy::ExposeSecret as _;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, IntoDeserializer as _},
};
use url::Url;
use usher_core::Ctx;

use crate::{
    answer::Code,
    calls::{Calls, Failure, Target},
    client_auth::{assertion_parameters, is_secret_in_body},
    config::{Credentials, Settings},
    discovery::Known,
    said::Said,
    state::State,
};

const WHAT: &str = "token endpoint";

/// What a code was exchanged for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Tokens {
    access_token: AccessToken,
    #[serde(deserialize_with = "in_any_case")]
    token_type: CoreTokenType,
    id_token: Option<RawIdToken>,
}

/// An id_token as it came.
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
struct RawIdToken(String);

/// No claims: they are read elsewhere.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct NoClaims {}

/// openidconnect's client for one provider.
type RelyingParty = Client<
    NoClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// What the token endpoint said instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoTokens {
    #[error("the provider's {what} says {said}")]
    Refused { what: &'static str, said: Said },
    #[error("the provider's token endpoint answered with something else than tokens")]
    Garbage,
    #[error("the access token is of a type that is not `Bearer`")]
    NotBearer,
}

impl Tokens {
    /// Trades `code`, which is spent whatever comes of it.
    pub(crate) async fn of(
        code: &Code<'_>,
        ctx: &Ctx<'_>,
        calls: &Calls,
        settings: &Settings,
        known: &Known,
        redirect_uri: &Url,
        state: &State,
    ) -> Result<Self, Failure> {
        let assertion = assertion_parameters(ctx, settings, &known.token)?;
        let client = relying_party(settings, known, redirect_uri);
        let wire = Wire { calls: calls.clone(), target: known.token.clone() };
        let tokens = exchange(&client, code.0.to_owned(), state.verifier(), assertion, &wire).await?;
        // OpenID Connect Core 3.1.3.3: "The OAuth 2.0 token_type response parameter value MUST be Bearer".
        if tokens.token_type == CoreTokenType::Bearer {
            Ok(tokens)
        } else {
            Err(Failure::unverified(NoTokens::NotBearer))
        }
    }

    /// For userinfo. A bearer value.
    pub(crate) fn access_token(&self) -> &str {
        self.access_token.secret()
    }

    /// As it came, if it did.
    pub(crate) fn id_token(&self) -> Option<&str> {
        self.id_token.as_ref().map(|token| token.0.as_str())
    }
}

/// Boxed here: the compiler cannot tell further up that what the library returns may go to another thread.
fn exchange<'c>(
    client: &'c RelyingParty,
    code: String,
    verifier: Option<PkceCodeVerifier>,
    assertion: Vec<(&'static str, String)>,
    wire: &'c Wire,
) -> Pin<Box<dyn Future<Output = Result<Tokens, Failure>> + Send + 'c>> {
    let mut request = client.exchange_code(AuthorizationCode::new(code));
    if let Some(verifier) = verifier {
        request = request.set_pkce_verifier(verifier);
    }
    for (name, value) in assertion {
        request = request.add_extra_param(name, value);
    }
    let answered = request.request_async(wire);
    Box::pin(async move { answered.await.map_err(failure) })
}

fn relying_party(settings: &Settings, known: &Known, redirect_uri: &Url) -> RelyingParty {
    let client = Client::new(
        ClientId::new(settings.client_id.clone()),
        IssuerUrl::new(settings.issuer.to_string()).expect("the issuer is a URL"),
        JsonWebKeySet::default(),
    );
    let in_body = is_secret_in_body(settings, known);
    let client = client.set_auth_type(if in_body { AuthType::RequestBody } else { AuthType::BasicAuth });
    let client = match &settings.credentials {
        Credentials::Secret { secret, .. } => {
            client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
        }
        // Without a secret the id goes into the body.
        Credentials::SecretJwt(_) | Credentials::Key(_) | Credentials::None => client,
    };
    client
        .set_token_uri(TokenUrl::from_url(known.token.url().clone()))
        .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()))
}

/// RFC 6749 section 5.2: whose fault each refusal is. What serde says of an answer may repeat it.
fn failure(error: RequestTokenError<Failure, StandardErrorResponse<CoreErrorResponseType>>) -> Failure {
    match error {
        RequestTokenError::Request(failure) => failure,
        RequestTokenError::ServerResponse(refusal) => {
            refused(WHAT, refusal.error().as_ref(), refusal.error_description().map(String::as_str))
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Failure::unavailable(NoTokens::Garbage),
    }
}

/// The reaction to an error that the endpoint `what` of the provider states.
pub(crate) fn refused(what: &'static str, code: &str, description: Option<&str>) -> Failure {
    let said = match description {
        Some(description) => Said::new(&format!("{code}: {description}")),
        None => Said::new(code),
    };
    let cause = NoTokens::Refused { what, said };
    match code {
        "server_error" | "temporarily_unavailable" | "slow_down" => Failure::unavailable(cause),
        "invalid_client"
        | "invalid_request"
        | "unauthorized_client"
        | "unsupported_grant_type"
        | "invalid_scope"
        | "invalid_target"
        // GitHub has names of its own.
        | "incorrect_client_credentials"
        | "redirect_uri_mismatch" => Failure::internal(cause),
        // `invalid_grant`, GitHub's `bad_verification_code`, and what is unknown: the code proves nobody.
        _ => Failure::unverified(cause),
    }
}

/// What openidconnect calls the provider with.
struct Wire {
    calls: Calls,
    target: Target,
}

/// Only to find out whether an answer states an error.
#[derive(Deserialize)]
struct Stated {
    error: Option<String>,
    access_token: Option<IgnoredAny>,
}

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send + 'c>>;

    /// Calls [`Wire::target`], whatever the request says of its address: it was made from that.
    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let request = self.calls.request(parts.method, &self.target).headers(parts.headers).body(body);
            let answer = self.calls.send(WHAT, &self.target, request, |_| true).await?;
            let stated = serde_json::from_slice::<Stated>(&answer.body).ok();
            let is_error =
                stated.is_some_and(|stated| stated.error.is_some() && stated.access_token.is_none());
            let status = match answer.status {
                // GitHub states its errors with 200.
                200..=299 | 400..=499 if is_error => 400,
                200..=299 => 200,
                status => return Err(Failure::of_status(WHAT, status)),
            };
            // Without its media type: what is no JSON is found out by reading it.
            let response = http::Response::builder().status(status).body(answer.body);
            response.map_err(|_| Failure::unavailable(NoTokens::Garbage))
        })
    }
}

/// RFC 6749 section 5.1: "Value is case insensitive".
fn in_any_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CoreTokenType, D::Error> {
    CoreTokenType::deserialize(String::deserialize(deserializer)?.to_ascii_lowercase().into_deserializer())
}

impl AdditionalClaims for NoClaims {}

impl OAuth2TokenResponse for Tokens {
    type TokenType = CoreTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &CoreTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

impl TokenResponse<NoClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>
    for Tokens
{
    /// Never the library's: see above.
    fn id_token(
        &self,
    ) -> Option<&IdToken<NoClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>>
    {
        None
    }
}

impl std::fmt::Debug for RawIdToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawIdToken(..)")
    }
}
