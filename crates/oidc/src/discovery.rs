//! What there is to know about the provider: OpenID Connect Discovery 1.0 section 3, with what later specifications add to
//! the document (RFC 7636, RFC 9126, RFC 9207, Initiating User Registration 1.0), and with the config's word above it.

use serde::Deserialize;
use serde_json::Value;
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
    /// Where the browser goes to sign out (OpenID Connect RP-Initiated Logout 1.0, section 2.1).
    pub(crate) end_session: Option<Url>,
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

/// The document, as far as it is read. Whatever else is in it is nobody's mistake, and what is read of it is looked at only
/// where it is used: providers write odd things, and the config has a word for most of them.
#[derive(Debug, Default, Deserialize)]
struct Document {
    issuer: Option<Value>,
    authorization_endpoint: Option<Value>,
    token_endpoint: Option<Value>,
    userinfo_endpoint: Option<Value>,
    jwks_uri: Option<Value>,
    pushed_authorization_request_endpoint: Option<Value>,
    /// Nobody needs it to sign in: whatever it is, it keeps nobody from that.
    end_session_endpoint: Option<Value>,
    require_pushed_authorization_requests: Option<Value>,
    code_challenge_methods_supported: Option<Value>,
    token_endpoint_auth_methods_supported: Option<Value>,
    prompt_values_supported: Option<Value>,
    claims_parameter_supported: Option<Value>,
    authorization_response_iss_parameter_supported: Option<Value>,
}

/// What is wrong with the provider, or with what the config says of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Unusable {
    #[error(
        "the provider calls itself {said:?}, and the config says {configured:?}: write `issuer` exactly so, if that is the provider"
    )]
    AnotherIssuer { said: Said, configured: String },
    #[error(
        "the provider calls itself {0:?}, which is a template for many tenants: write the address of your own tenant as `issuer`"
    )]
    Template(Said),
    #[error("the provider names no {0}; write it in `endpoints`")]
    Missing(&'static str),
    #[error("what the provider names as its {0} is no URL; write it in `endpoints`")]
    NotUrl(&'static str),
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
                let said = document.issuer.as_ref().and_then(Value::as_str).unwrap_or_default();
                if said != settings.issuer.as_str() {
                    let configured = settings.issuer.to_string();
                    let said = Said::name(said);
                    return Err(Failure::internal(if said.is_template() {
                        Unusable::Template(said)
                    } else {
                        Unusable::AnotherIssuer { said, configured }
                    }));
                }
                document
            }
        };
        Self::conclude(&document, settings).map_err(Failure::internal)
    }

    fn conclude(document: &Document, settings: &Settings) -> Result<Self, Unusable> {
        let own = &settings.endpoints;
        let place = |what, configured: &Option<Url>, named: Option<&Value>| {
            let target = match configured {
                Some(url) => Some(Target::configured(url.clone())),
                None => match url(what, named)? {
                    Some(url) => Some(Target::named(what, url, settings)?),
                    None => None,
                },
            };
            Ok::<_, Unusable>(target)
        };
        let authorization = match &own.authorization {
            Some(url) => url.clone(),
            None => match url("authorization endpoint", document.authorization_endpoint.as_ref())? {
                Some(url) => for_browsers(url, settings)?,
                None => return Err(Unusable::Missing("authorization endpoint")),
            },
        };
        let token = place("token endpoint", &own.token, document.token_endpoint.as_ref())?;
        let userinfo = match settings.userinfo {
            When::Never if settings.protocol == Protocol::OpenidConnect => None,
            _ => place("userinfo endpoint", &own.userinfo, document.userinfo_endpoint.as_ref())?,
        };
        let jwks = place("jwks_uri", &own.jwks, document.jwks_uri.as_ref())?;
        let must_push = is_true(document.require_pushed_authorization_requests.as_ref());
        let pushed = match settings.pushed {
            When::Never => None,
            When::Auto | When::Always => place(
                "pushed authorization request endpoint",
                &own.pushed,
                document.pushed_authorization_request_endpoint.as_ref(),
            )?,
        };
        let end_session = own.end_session.clone().or_else(|| {
            let named = document.end_session_endpoint.as_ref().and_then(Value::as_str)?;
            for_browsers(Url::parse(named).ok()?, settings).ok()
        });
        let is_openid = settings.protocol == Protocol::OpenidConnect;
        if is_openid && jwks.is_none() {
            return Err(Unusable::Missing("jwks_uri"));
        }
        if userinfo.is_none() && (!is_openid || settings.userinfo == When::Always) {
            return Err(Unusable::Missing("userinfo endpoint"));
        }
        let pushed = match settings.pushed {
            When::Never if must_push => return Err(Unusable::MustPush),
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
            end_session,
            sends_pkce: sends_pkce(settings.pkce, document.code_challenge_methods_supported.as_ref())?,
            names_issuer: is_true(document.authorization_response_iss_parameter_supported.as_ref()),
            takes_claims: is_true(document.claims_parameter_supported.as_ref()),
            takes_registrations: lists(document.prompt_values_supported.as_ref(), "create"),
            wants_secret_in_body: wants_secret_in_body(
                document.token_endpoint_auth_methods_supported.as_ref(),
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

/// The URL that is named there. Null and an empty text name none, as nothing does.
fn url(what: &'static str, named: Option<&Value>) -> Result<Option<Url>, Unusable> {
    match named {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Url::parse(text).map(Some).map_err(|_| Unusable::NotUrl(what)),
        Some(_) => Err(Unusable::NotUrl(what)),
    }
}

/// Some spell it as a text.
fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| *value == Value::Bool(true) || value.as_str() == Some("true"))
}

/// RFC 7636 section 4.2, RFC 9700 section 2.1.1. A provider that lists nothing may support it, and ignores what it does not
/// know (RFC 6749 section 3.1).
fn sends_pkce(wanted: Pkce, methods: Option<&Value>) -> Result<bool, Unusable> {
    let is_possible = !methods.is_some_and(Value::is_array) || lists(methods, "S256");
    match wanted {
        Pkce::Never => Ok(false),
        Pkce::Auto => Ok(is_possible),
        Pkce::Always if is_possible => Ok(true),
        Pkce::Always => Err(Unusable::NoPkce),
    }
}

/// Discovery 3: "If omitted, the default is client_secret_basic".
fn wants_secret_in_body(methods: Option<&Value>) -> bool {
    !lists(methods, "client_secret_basic") && lists(methods, "client_secret_post")
}

fn lists(values: Option<&Value>, wanted: &str) -> bool {
    values.and_then(Value::as_array).is_some_and(|values| values.iter().any(|value| value == wanted))
}
