//! The `oidc` section as an operator writes it. Every key but three has a default that is safe.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use usher_core::{ConfigError, ConfigProblem};

/// An OpenID Provider, as its clients see it. Register `https://<portal>/_usher/oidc/<id>/callback` there as the redirect
/// URI, and `https://<portal>/_usher/oidc/<id>/backchannel-logout` for back-channel logout.
// No `Debug`: it may hold the client's secret.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "oidc", transform = require_the_three)]
pub(crate) struct Section {
    /// Who the provider says it is, to the letter, a slash at its end included: `https://sso.ac.cdl/realms/ac`. People
    /// are remembered by it, so that changing it later makes everybody a stranger.
    #[schemars(with = "String", url)]
    pub(super) issuer: Option<String>,
    /// What the provider calls this portal.
    #[schemars(with = "String")]
    pub(super) client_id: Option<String>,
    /// What the portal proves to be that client with.
    pub(super) client_secret: Option<String>,
    /// A file with that secret.
    pub(super) client_secret_file: Option<PathBuf>,
    /// How the portal authenticates to the provider (OpenID Connect Core 9). Default: `private_key_jwt` with a
    /// `client_key_file`, and with a secret `client_secret_basic`, or `client_secret_post` where the provider lists that
    /// and not the other.
    pub(super) client_authentication: Option<ClientAuthentication>,
    /// A PEM file with the private key for `private_key_jwt`: PKCS#8, of an RSA (2048 bits or more), P-256, P-384 or
    /// Ed25519 key. Its public half is at `https://<portal>/_usher/oidc/<id>/jwks`.
    pub(super) client_key_file: Option<PathBuf>,
    /// The key's `kid`. Default: its thumbprint (RFC 7638).
    pub(super) client_key_id: Option<String>,
    /// What an RSA key signs with; the other kinds of keys leave no choice.
    pub(super) client_key_algorithm: RsaAlgorithm,
    /// Further keys whose public halves are published and which sign nothing: the next one, or the last one.
    pub(super) published_keys: Vec<PublishedKey>,
    /// Whom a signed proof of who the portal is is made out to. The issuer is right; older providers want
    /// the token endpoint.
    pub(super) assertion_audience: AssertionAudience,
    /// `oauth2` for providers that issue no id_token, such as GitHub: then userinfo alone says who somebody is, and
    /// `subject` must be set.
    pub(super) protocol: Protocol,
    /// Whether the provider is asked for its endpoints (OpenID Connect Discovery). Without, `endpoints` says them all.
    pub(super) discovery: bool,
    /// Where the discovery document is, if not at `<issuer>/.well-known/openid-configuration`.
    #[schemars(url)]
    pub(super) discovery_url: Option<String>,
    /// Endpoints that are not, or not rightly, in the discovery document. They may be at private addresses.
    pub(super) endpoints: EndpointsSection,
    /// Origins at which the discovery document may name endpoints although they are at private addresses, or plain http:
    /// `https://keycloak.internal:8443`. The issuer's own origin is always one.
    pub(super) allowed_origins: Vec<String>,
    /// The scopes to ask for; with `openid_connect`, `openid` comes by itself. Default: `profile` and `email`, and none
    /// with `oauth2`.
    pub(super) scopes: Option<Vec<String>>,
    /// Whether a proof key is sent (RFC 7636, always S256). `auto` sends one unless the provider lists its methods and
    /// S256 is not among them; `never` is for providers that choke on it.
    pub(super) pkce: Pkce,
    /// Whether the request is pushed to the provider instead of sent with the browser (RFC 9126). `auto` does where the
    /// provider offers it.
    pub(super) pushed_authorization_requests: When,
    /// How the browser brings the answer back: in the address, or as a form.
    pub(super) response_mode: ResponseMode,
    /// Further parameters of the authorization request, such as `{hd: ac.cdl}`.
    pub(super) parameters: BTreeMap<String, String>,
    /// The authentication contexts to ask for, the best first. What was reached is the attribute `acr`, which `require`
    /// can insist on.
    pub(super) acr_values: Vec<String>,
    /// Which parameters of the client's own request are passed through. Default: `login_hint` and `ui_locales`.
    pub(super) pass_through: BTreeSet<PassThrough>,
    /// The algorithms an id_token, a logout token or a signed userinfo may be signed with. `HS256` and its kin count only
    /// if they are listed, and `none` never. Default: all of RS, PS and ES with 256 and 384, RS512, PS512, and EdDSA.
    pub(super) algorithms: Option<Vec<Algorithm>>,
    /// Other audiences that may stand beside the client's id in an id_token.
    pub(super) additional_audiences: BTreeSet<String>,
    /// Whether userinfo is asked. `auto` asks it for what the id_token leaves open: a claim that `claims` or `subject`
    /// names, or, where `claims` is empty, everything, if the id_token says nothing of the person but who they are.
    pub(super) userinfo: When,
    /// Whether userinfo must be signed. It may be in any case, and then its signature must be good.
    pub(super) userinfo_must_be_signed: bool,
    /// The claim that names a person for good, such as `oid` of Entra ID; written like those in `claims`. Default: `sub`.
    pub(super) subject: Option<String>,
    /// Whether `subject` may be an e-mail address. Then nobody signs in whose address the provider does not mark as
    /// verified. Addresses are given to other people later: prefer `sub`.
    pub(super) allow_email_as_subject: bool,
    /// Attributes made of claims. A value is the name of a claim, or, with a slash before it, a path: `/org/unit`;
    /// `*` stands for every item of a list or section, `~1` for a slash within a name, `~0` for a tilde. All claims of the top
    /// level that are values or lists of values are attributes anyway, under their own names.
    pub(super) claims: BTreeMap<String, String>,
    /// What becomes of people of whom the provider says that they are in too many groups to list them (Entra ID).
    pub(super) groups_overage: GroupsOverage,
    /// Where their groups are listed, for `follow`:
    /// `https://graph.microsoft.com/v1.0/me/transitiveMemberOf/microsoft.graph.group?$select=id&$top=999`.
    #[schemars(url)]
    pub(super) groups_endpoint: Option<String>,
    /// After how long the discovery document and the keys are fetched anew: from 1 minute to 1 day. A token signed with an
    /// unknown key has the keys fetched at once.
    pub(super) refresh: String,
    /// How long the provider may take to answer, such as `10s`: from 1 millisecond to 1 minute.
    pub(super) timeout: String,
    /// A PEM file with the certificate authorities to trust instead of the system's.
    pub(super) ca_file: Option<PathBuf>,
}

/// A key that is shown and does not sign.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PublishedKey {
    /// A PEM file with the private key, as for `client_key_file`. Required.
    pub(super) key_file: Option<PathBuf>,
}

/// Where a provider answers what.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EndpointsSection {
    /// Where the browser is sent.
    #[schemars(url)]
    pub(super) authorization: Option<String>,
    /// Where a code is exchanged.
    #[schemars(url)]
    pub(super) token: Option<String>,
    /// Where claims about the person are.
    #[schemars(url)]
    pub(super) userinfo: Option<String>,
    /// Where the provider's keys are.
    #[schemars(url)]
    pub(super) jwks: Option<String>,
    /// Where requests are pushed to.
    #[schemars(url)]
    pub(super) pushed_authorization_request: Option<String>,
    /// Where the browser is sent to sign out.
    #[schemars(url)]
    pub(super) end_session: Option<String>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// As it is written.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// OpenID Connect Core 9.
    ClientAuthentication {
        ClientSecretBasic = "client_secret_basic",
        ClientSecretPost = "client_secret_post",
        ClientSecretJwt = "client_secret_jwt",
        PrivateKeyJwt = "private_key_jwt",
        None = "none",
    }
}
words! {
    /// What an RSA key signs with (RFC 7518 section 3.1).
    RsaAlgorithm {
        Rs256 = "RS256",
        Ps256 = "PS256",
    }
}
/// Whom a proof is made out to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AssertionAudience {
    Issuer,
    TokenEndpoint,
}

/// What the provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    OpenidConnect,
    Oauth2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pkce {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

/// OpenID Connect Core 3.1.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PassThrough {
    LoginHint,
    AcrValues,
    UiLocales,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupsOverage {
    /// They are refused, and the log says why.
    Refuse,
    /// They sign in without groups.
    Ignore,
    /// Their groups are asked for at `groups_endpoint`.
    Follow,
}

words! {
    /// OAuth 2.0 Multiple Response Type Encoding Practices 2.1, OAuth 2.0 Form Post Response Mode.
    ResponseMode {
        Query = "query",
        FormPost = "form_post",
    }
}
words! {
    /// RFC 7518 section 3.1, RFC 8037 section 3.1; `none` is no algorithm.
    Algorithm {
        Rs256 = "RS256",
        Rs384 = "RS384",
        Rs512 = "RS512",
        Ps256 = "PS256",
        Ps384 = "PS384",
        Ps512 = "PS512",
        Es256 = "ES256",
        Es384 = "ES384",
        EdDsa = "EdDSA",
        Hs256 = "HS256",
        Hs384 = "HS384",
        Hs512 = "HS512",
    }
}

impl Default for Section {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret: None,
            client_secret_file: None,
            client_authentication: None,
            client_key_file: None,
            client_key_id: None,
            client_key_algorithm: RsaAlgorithm::Rs256,
            published_keys: Vec::new(),
            assertion_audience: AssertionAudience::Issuer,
            protocol: Protocol::OpenidConnect,
            discovery: true,
            discovery_url: None,
            endpoints: EndpointsSection::default(),
            allowed_origins: Vec::new(),
            scopes: None,
            pkce: Pkce::Auto,
            pushed_authorization_requests: When::Auto,
            response_mode: ResponseMode::Query,
            parameters: BTreeMap::new(),
            acr_values: Vec::new(),
            pass_through: BTreeSet::from([PassThrough::LoginHint, PassThrough::UiLocales]),
            algorithms: None,
            additional_audiences: BTreeSet::new(),
            userinfo: When::Auto,
            userinfo_must_be_signed: false,
            subject: None,
            allow_email_as_subject: false,
            claims: BTreeMap::new(),
            groups_overage: GroupsOverage::Refuse,
            groups_endpoint: None,
            refresh: "1h".to_owned(),
            timeout: "10s".to_owned(),
            ca_file: None,
        }
    }
}

/// Their absence is reported like any other mistake, so that for serde alone they may be absent. A client without a secret
/// exists, so that two are required of every section.
fn require_the_three(schema: &mut Schema) {
    for key in ["issuer", "client_id"] {
        let key = schema.pointer_mut(&format!("/properties/{key}")).and_then(Value::as_object_mut);
        if let Some(key) = key {
            key.remove("default");
        }
    }
    schema.insert("required".to_owned(), json!(["issuer", "client_id"]));
}

impl Section {
    /// Reads key by key, so that one unreadable value does not hide the next.
    pub(super) fn read(config: Value, problems: &mut Vec<ConfigProblem>) -> Result<Self, ConfigError> {
        let Value::Object(entries) = config else {
            return Err(ConfigError::at(
                "",
                "must be a section of keys, with at least `issuer` and `client_id`",
            ));
        };
        let mut readable = Map::new();
        for (key, value) in entries {
            let section = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
            match serde_path_to_error::deserialize::<_, Self>(section) {
                Ok(_) => {
                    readable.insert(key, value);
                }
                Err(error) => {
                    let path =
                        if error.path().iter().next().is_some() { error.path().to_string() } else { key };
                    problems.push(ConfigProblem::unreadable(path, error.inner()));
                }
            }
        }
        serde_path_to_error::deserialize(Value::Object(readable)).map_err(|error| ConfigError {
            problems: vec![ConfigProblem::unreadable(error.path().to_string(), error.inner())],
        })
    }
}
