//! How the portal proves to be the client (OpenID Connect Core 9): with its secret, or with a proof it has signed (RFC 7521,
//! RFC 7523).

use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::form_urlencoded;
use usher_core::Ctx;

use crate::{
    calls::{Failure, Target},
    config::{AssertionAudience, Credentials, SecretPlace, Settings},
    discovery::Known,
};

/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Long enough for two clocks, short enough to be of no use later.
const LIFETIME: Duration = Duration::from_mins(1);

/// What is added to a request.
#[derive(Default)]
pub(crate) struct Proof {
    /// The value of `Authorization`.
    pub(crate) header: Option<String>,
    /// Parameters of the body; the client's id among them, unless the header says it.
    pub(crate) parameters: Vec<(&'static str, String)>,
}

/// Where the client's secret goes, at this provider.
pub(crate) fn is_secret_in_body(settings: &Settings, known: &Known) -> bool {
    match &settings.credentials {
        Credentials::Secret { place, .. } => {
            place.map_or(known.wants_secret_in_body, |place| place == SecretPlace::Body)
        }
        Credentials::SecretJwt(_) | Credentials::Key(_) | Credentials::None => false,
    }
}

/// The proof for a request whose body is ours.
pub(crate) fn proof(ctx: &Ctx<'_>, settings: &Settings, known: &Known) -> Result<Proof, Failure> {
    let id = ("client_id", settings.client_id.clone());
    match &settings.credentials {
        Credentials::Secret { secret, .. } if is_secret_in_body(settings, known) => {
            let secret = ("client_secret", secret.expose_secret().to_owned());
            Ok(Proof { header: None, parameters: vec![id, secret] })
        }
        Credentials::Secret { secret, .. } => {
            Ok(Proof { header: Some(basic(&settings.client_id, secret)), parameters: Vec::new() })
        }
        Credentials::SecretJwt(_) | Credentials::Key(_) => {
            let mut parameters = vec![id];
            parameters.extend(assertion_parameters(ctx, settings, &known.token)?);
            Ok(Proof { header: None, parameters })
        }
        Credentials::None => Ok(Proof { header: None, parameters: vec![id] }),
    }
}

/// `client_assertion_type` and `client_assertion`, if the client signs.
pub(crate) fn assertion_parameters(
    ctx: &Ctx<'_>,
    settings: &Settings,
    token_endpoint: &Target,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let Some(assertion) = assertion(ctx, settings, token_endpoint)? else { return Ok(Vec::new()) };
    Ok(vec![("client_assertion_type", ASSERTION_TYPE.to_owned()), ("client_assertion", assertion)])
}

/// RFC 7523 section 3, OpenID Connect Core 9. A new one for every request, because a provider takes each once.
fn assertion(ctx: &Ctx<'_>, settings: &Settings, token_endpoint: &Target) -> Result<Option<String>, Failure> {
    let header = match &settings.credentials {
        Credentials::SecretJwt(_) => json!({ "alg": "HS256", "typ": "JWT" }),
        Credentials::Key(key) => json!({ "alg": key.algorithm(), "kid": key.id(), "typ": "JWT" }),
        Credentials::Secret { .. } | Credentials::None => return Ok(None),
    };
    let audience = match settings.assertion_audience {
        AssertionAudience::Issuer => settings.issuer.as_str(),
        AssertionAudience::TokenEndpoint => token_endpoint.url().as_str(),
    };
    let now = ctx.now.as_millis() / 1000;
    let lifetime = i64::try_from(LIFETIME.as_secs()).expect("a minute fits");
    let claims = json!({
        "iss": settings.client_id,
        "sub": settings.client_id,
        "aud": audience,
        "jti": ctx.entropy.base64url::<16>(),
        "iat": now,
        "exp": now + lifetime,
    });
    let encode = |part: &serde_json::Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let message = format!("{}.{}", encode(&header), encode(&claims));
    let signature = match &settings.credentials {
        Credentials::SecretJwt(secret) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
            hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
        }
        Credentials::Key(key) => key.sign(message.as_bytes()).map_err(Failure::internal)?,
        Credentials::Secret { .. } | Credentials::None => return Ok(None),
    };
    Ok(Some(format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))))
}

/// RFC 6749 section 2.3.1: both are encoded as form fields are, before they are put together.
fn basic(id: &str, secret: &SecretString) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret.expose_secret()));
    format!("Basic {}", BASE64.encode(pair.as_bytes()))
}
