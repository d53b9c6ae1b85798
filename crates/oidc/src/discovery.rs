//! What there is to know about the provider: OpenID Connect Discovery 1.0 section 3, with what later specifications add to
//! the document (RFC 7636, RFC 9126, RFC 9207, Initiating User Registration 1.0), and with the config's word above it.

use serde::Deserialize;
use url::Url;

use crate::{
    calls::{Calls, Failure, Forbidden, Target},
    config::{Pkce, Protocol, Settings, When},
    said::Said,
};

/// The document's name in errors.
const WHAT: &str = "discovery document";

/// Endpoints and abilities of the provider, as far as they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "abilities that have nothing to do with each other")]
pub(crate) struct Known {
    /// Where the browser goes.
    pub(crate) authorization: Url,
    pub(crate) token: Target,
    pub(crate) userinfo: Option<Target>,
    pub(crate) jwks: Option<Target>,
    /// Where requests are pushed to, if they are.
    pub(crate) pushed: Option<Target>,
    pub(crate) sends_pkce: bool,
    /// RFC 9207 section 3: whether every answer names its issuer.
    pub(crate) names_issuer: bool,
    /// Whether `claims` is understood (OpenID Connect Core 5.5).
    pub(crate) takes_claims: bool,
    /// Whether `prompt=create` is.
    pub(crate) takes_registrations: bool,
    /// Whether a secret goes into the body of a request, where the config leaves that open.
    pub(crate) wants_secret_in_body: bool,
}

/// The document, as far as it is read. Whatever else is in it is nobody's mistake.
#[derive(Debug, Default, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<Url>,
    token_endpoint: Option<Url>,
    userinfo_endpoint: Option<Url>,
    jwks_uri: Option<Url>,
    pushed_authorization_request_endpoint: Option<Url>,
    #[serde(default)]
    require_pushed_authorization_requests: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    prompt_values_supported: Option<Vec<String>>,
    #[serde(default)]
    claims_parameter_supported: bool,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// What is wrong with the provider, or with what the config says of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Unusable {
    #[error(
        "the provider calls itself {said:?}, and the config says {configured:?}: write `issuer` exactly so, if that is the provider"
    )]
    AnotherIssuer { said: Said, configured: String },
    #[error("the provider names no {0}; write it in `endpoints`")]
    Missing(&'static str),
    #[error("the provider's authorization endpoint is no address that a browser may be sent to")]
    NoPlaceForBrowsers,
    #[error(
        "the provider insists on pushed authorization requests, and `pushed_authorization_requests` is `never`"
    )]
    MustPush,
    #[error("the provider does not take S256, and `pkce` is `always`")]
    NoPkce,
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

impl Known {
    /// Asks the provider, where the config wants that.
    pub(crate) async fn learn(calls: &Calls, settings: &Settings) -> Result<Self, Failure> {
        let document = match &settings.discovery_url {
            None => Document::default(),
            Some(url) => {
                let document: Document = calls.get_json(WHAT, &Target::configured(url.clone())).await?;
                // Discovery 4.3: "The issuer value returned MUST be identical to the Issuer URL".
                if document.issuer != settings.issuer.as_str() {
                    return Err(Failure::internal(Unusable::AnotherIssuer {
                        said: Said::new(&document.issuer),
                        configured: settings.issuer.to_string(),
                    }));
                }
                document
            }
        };
        Self::conclude(document, settings).map_err(Failure::internal)
    }

    fn conclude(document: Document, settings: &Settings) -> Result<Self, Unusable> {
        let own = &settings.endpoints;
        let place = |what, configured: &Option<Url>, named: Option<Url>| match (configured, named) {
            (Some(url), _) => Ok(Some(Target::configured(url.clone()))),
            (None, Some(url)) => Target::named(what, url, settings).map(Some),
            (None, None) => Ok(None),
        };
        let authorization = match (own.authorization.clone(), document.authorization_endpoint) {
            (Some(url), _) => url,
            (None, Some(url)) => for_browsers(url, settings)?,
            (None, None) => return Err(Unusable::Missing("authorization endpoint")),
        };
        let token = place("token endpoint", &own.token, document.token_endpoint)?;
        let userinfo = place("userinfo endpoint", &own.userinfo, document.userinfo_endpoint)?;
        let jwks = place("jwks_uri", &own.jwks, document.jwks_uri)?;
        let pushed = place(
            "pushed authorization request endpoint",
            &own.pushed,
            document.pushed_authorization_request_endpoint,
        )?;
        let is_openid = settings.protocol == Protocol::OpenidConnect;
        if is_openid && jwks.is_none() {
            return Err(Unusable::Missing("jwks_uri"));
        }
        if userinfo.is_none() && (!is_openid || settings.userinfo == When::Always) {
            return Err(Unusable::Missing("userinfo endpoint"));
        }
        let pushed = match settings.pushed {
            When::Never if document.require_pushed_authorization_requests => return Err(Unusable::MustPush),
            When::Never => None,
            When::Always if pushed.is_none() => {
                return Err(Unusable::Missing("pushed authorization request endpoint"));
            }
            When::Auto | When::Always => pushed,
        };
        Ok(Self {
            authorization,
            token: token.ok_or(Unusable::Missing("token endpoint"))?,
            userinfo,
            jwks,
            pushed,
            sends_pkce: sends_pkce(settings.pkce, document.code_challenge_methods_supported.as_deref())?,
            names_issuer: document.authorization_response_iss_parameter_supported,
            takes_claims: document.claims_parameter_supported,
            takes_registrations: lists(document.prompt_values_supported.as_deref(), "create"),
            wants_secret_in_body: wants_secret_in_body(
                document.token_endpoint_auth_methods_supported.as_deref(),
            ),
        })
    }
}

/// The browser's own address: any, but a web page's, and encrypted unless the operator named its origin.
fn for_browsers(url: Url, settings: &Settings) -> Result<Url, Unusable> {
    let is_web = url.scheme() == "https" || settings.trusted_origins.contains(&url.origin());
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if is_web && is_plain && url.has_host() { Ok(url) } else { Err(Unusable::NoPlaceForBrowsers) }
}

/// RFC 7636 section 4.2, RFC 9700 section 2.1.1. A provider that lists nothing may support it, and ignores what it does not
/// know (RFC 6749 section 3.1).
fn sends_pkce(wanted: Pkce, methods: Option<&[String]>) -> Result<bool, Unusable> {
    let is_possible = methods.is_none_or(|methods| methods.iter().any(|method| method == "S256"));
    match wanted {
        Pkce::Never => Ok(false),
        Pkce::Auto => Ok(is_possible),
        Pkce::Always if is_possible => Ok(true),
        Pkce::Always => Err(Unusable::NoPkce),
    }
}

/// Discovery 3: "If omitted, the default is client_secret_basic".
fn wants_secret_in_body(methods: Option<&[String]>) -> bool {
    methods.is_some() && !lists(methods, "client_secret_basic") && lists(methods, "client_secret_post")
}

fn lists(values: Option<&[String]>, wanted: &str) -> bool {
    values.is_some_and(|values| values.iter().any(|value| value == wanted))
}
