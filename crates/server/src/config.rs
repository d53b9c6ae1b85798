//! The configuration: one YAML file, `USHER__SECTION__KEY` overrides, secrets as `x` or `x_file`.
//!
//! Read leniently into sections, then validated once into [`Config`], a value that cannot be wrong. All
//! problems are reported together, each with its key path and what would be right.

mod accounts;
mod attributes;
mod database;
mod deciding;
mod document;
mod fields;
mod homeservers;
mod keys;
mod limits;
mod listen;
mod log;
mod login;
mod mapping;
mod pages;
mod problems;
mod providers;
mod requirements;
mod schema;
mod section;
mod selection;
mod trusted_proxies;
mod ui_auth;
mod well_known;

use std::{collections::BTreeSet, net::SocketAddr, path::Path};

use ipnet::IpNet;
use ruma_common::ServerName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use usher_core::mapping::Reserved;

pub use accounts::{AdoptRule, NewAccountConfig, ProfileConfig};
pub use attributes::UsedAttributes;
pub use database::DatabaseConfig;
pub use document::{LoadError, load};
pub use homeservers::{ApplicationServiceConfig, HandoffConfig, HomeserverConfig};
pub use keys::{KeyConfig, KeySecret};
pub use limits::{LimitsConfig, Quota};
pub use listen::first_listen;
pub use log::{LogConfig, LogFormat};
pub use login::{ClientSite, LoginConfig};
pub use mapping::MappingConfig;
pub use pages::PagesConfig;
pub use problems::{Problem, Problems, Severity};
pub use providers::{ProviderConfig, SignOutOffer};
pub use schema::schema;
pub use selection::{DecisionServiceConfig, SelectorConfig, build as build_selector};
pub use ui_auth::{PasswordChange, UiAuthConfig};
pub use well_known::WellKnownConfig;

use crate::registry::Backends;
use fields::Fields as _;

/// Everything an operator decides, validated.
#[derive(Debug)]
pub struct Config {
    /// Where clients and browsers reach the portal: scheme, host and port; the path is always `/`.
    pub public_base_url: Url,
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Peers whose word about a request's origin is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Where links and login tokens are kept.
    pub database: DatabaseConfig,
    /// Keys that seal attempts; the first seals, all open.
    pub keys: Vec<KeyConfig>,
    /// Single sign-on, in the order clients are shown.
    pub providers: Vec<ProviderConfig>,
    /// Where people may be sent.
    pub homeservers: Vec<HomeserverConfig>,
    /// Who decides where a person belongs, first decision wins.
    pub selection: Vec<SelectorConfig>,
    /// What people are called.
    pub mapping: MappingConfig,
    /// Lifetimes and trusted clients.
    pub login: LoginConfig,
    /// How requests wait for their person to sign in again.
    pub ui_auth: UiAuthConfig,
    /// How often an address and an account may do what.
    pub limits: LimitsConfig,
    /// What the portal says of itself.
    pub well_known: WellKnownConfig,
    /// Whose the pages are, and where people find help.
    pub pages: PagesConfig,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// Everything an operator decides about one Usher.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawConfig {
    /// Where clients and browsers reach the portal, such as `https://matrix.ac.cdl`. Required.
    public_base_url: Option<String>,
    /// Addresses to listen on. Default: `127.0.0.1:8080`.
    listen: Option<Vec<String>>,
    /// Addresses and ranges (`10.1.0.0/16`) of your own reverse proxies, which say in `X-Forwarded-For` where a request
    /// came from, and may say in `X-Forwarded-Host` and `X-Forwarded-Proto` how. From anybody else these headers are
    /// ignored. Default: nobody.
    trusted_proxies: Vec<String>,
    /// Where links and login tokens are kept.
    database: database::RawDatabase,
    /// Keys that seal the cookies of attempts under way. The first seals, all open: to change keys, put the
    /// new one first and remove the old one after `login.attempt_lifetime`. Required.
    keys: Vec<keys::RawKey>,
    /// Single sign-on, in the order clients are shown. Each names one backend, such as `cas`.
    #[schemars(with = "Vec<providers::RawProvider>")]
    providers: Vec<Value>,
    /// Where people may be sent. Required.
    homeservers: Vec<homeservers::RawHomeserver>,
    /// Who decides where a person belongs: the first selector that has an opinion. Required: at least one besides `sticky`.
    selection: Option<Vec<selection::RawSelector>>,
    /// What people are called on their homeserver.
    mapping: mapping::RawMapping,
    /// Lifetimes of logins under way, and clients that need no confirmation page.
    login: login::RawLogin,
    /// Requests at a homeserver's own host that need a person to sign in again, such as the deletion of a device.
    ui_auth: ui_auth::RawUiAuth,
    /// How often an address and an account may do what; each limit is a section, or `off`. An address is an IPv4 address or
    /// an IPv6 /64.
    limits: limits::RawLimits,
    /// What `GET /.well-known/matrix/client` says of the portal.
    well_known: well_known::RawWellKnown,
    /// What the pages that people see say of the organisation.
    pages: pages::RawPages,
    /// What is logged, and how.
    log: log::RawLog,
}

/// A document as far as it could be understood, so that whoever looks at a part of it can do so though another
/// part is wrong.
#[derive(Debug)]
pub struct Draft {
    public_base_url: Option<Url>,
    listen: Vec<SocketAddr>,
    trusted_proxies: Vec<IpNet>,
    database: Option<DatabaseConfig>,
    keys: Vec<KeyConfig>,
    /// The providers with a known backend; its section has yet to be looked at. One whose own keys are wrong has a
    /// stand-in for its descriptor.
    pub providers: Vec<ProviderConfig>,
    /// The homeservers that are sound.
    pub homeservers: Vec<HomeserverConfig>,
    selection: Vec<SelectorConfig>,
    mapping: Option<MappingConfig>,
    login: LoginConfig,
    ui_auth: UiAuthConfig,
    limits: LimitsConfig,
    well_known: WellKnownConfig,
    pages: PagesConfig,
    log: LogConfig,
}

impl Draft {
    /// The selectors that list people by name, and where they stand in `selection`.
    pub(crate) fn user_tables(&self) -> impl Iterator<Item = (usize, &usher_core::select::UserTable)> {
        self.selection.iter().enumerate().filter_map(|(index, selector)| match selector {
            SelectorConfig::Users(table) => Some((index, table)),
            _ => None,
        })
    }

    /// Validates a document. `directory` is where relative paths (`x_file`, SQLite) start: the config file's own.
    pub fn read(document: Value, directory: &Path, backends: &Backends, problems: &mut Problems) -> Self {
        let raw: RawConfig = section::read(document, problems);
        raw.validate(directory, backends, problems)
    }

    /// Where the portal is, if that is not what is wrong.
    #[must_use]
    pub fn known_portal(&self) -> Option<&Url> {
        self.public_base_url.as_ref()
    }

    /// Where the portal is; if that is what is wrong, a place that is nowhere (RFC 2606), to check the rest with.
    #[must_use]
    pub fn portal(&self) -> Url {
        let nowhere = || Url::parse("https://portal.invalid/").expect("a URL");
        self.public_base_url.clone().unwrap_or_else(nowhere)
    }

    /// Localparts nobody gets on any homeserver.
    #[must_use]
    pub fn reserved(&self) -> Reserved {
        self.mapping.as_ref().map(|mapping| mapping.reserved.clone()).unwrap_or_default()
    }

    /// The config, if `problems` are none that keep Usher from starting.
    pub fn finish(self, problems: Problems) -> Result<(Config, Problems), Problems> {
        let config = self.complete().filter(|_| !problems.has_errors());
        config.map(|config| (config, problems.clone())).ok_or(problems)
    }

    fn complete(self) -> Option<Config> {
        Some(Config {
            public_base_url: self.public_base_url?,
            listen: self.listen,
            trusted_proxies: self.trusted_proxies,
            database: self.database?,
            keys: self.keys,
            providers: self.providers,
            homeservers: self.homeservers,
            selection: self.selection,
            mapping: self.mapping?,
            login: self.login,
            ui_auth: self.ui_auth,
            limits: self.limits,
            well_known: self.well_known,
            pages: self.pages,
            log: self.log,
        })
    }
}

impl Config {
    /// The configured homeserver of that name.
    #[must_use]
    pub fn homeserver(&self, server_name: &ServerName) -> Option<&HomeserverConfig> {
        self.homeservers.iter().find(|homeserver| homeserver.server_name == *server_name)
    }
}

impl RawConfig {
    fn validate(self, directory: &Path, backends: &Backends, problems: &mut Problems) -> Draft {
        let public_base_url = public_base_url(self.public_base_url.as_deref(), problems);
        let listen = listen::validate(self.listen, problems);
        let trusted_proxies = trusted_proxies::validate(&self.trusted_proxies, problems);
        if self.trusted_proxies.is_empty() {
            trusted_proxies::warn_if_forgotten(&listen, public_base_url.as_ref(), problems);
        }
        let database = self.database.validate(directory, problems);
        let keys = keys::validate(self.keys, directory, problems);
        let providers = providers::validate(self.providers, directory, backends, problems);
        let ids: Vec<_> = providers.iter().map(|provider| provider.descriptor.id.clone()).collect();
        let portal = public_base_url.as_ref();
        let homeservers = homeservers::validate(self.homeservers, directory, portal, &ids, problems);
        refuse_shared_listeners(&listen, &homeservers, problems);
        let known: Vec<_> = homeservers.iter().map(|homeserver| homeserver.server_name.clone()).collect();
        let selection = selection::validate(self.selection, &known, &ids, portal, directory, problems);
        let mapping = self.mapping.validate(problems);
        let login = self.login.validate(problems);
        let ui_auth = self.ui_auth.validate(problems);
        let limits = self.limits.validate(problems);
        let well_known = self.well_known.validate(problems);
        let pages = self.pages.validate(problems);
        let log = self.log.validate(problems);
        Draft {
            public_base_url,
            listen,
            trusted_proxies,
            database,
            keys,
            providers,
            homeservers,
            selection,
            mapping,
            login,
            ui_auth,
            limits,
            well_known,
            pages,
            log,
        }
    }
}

/// A socket belongs to the portal or to one homeserver.
fn refuse_shared_listeners(listen: &[SocketAddr], homeservers: &[HomeserverConfig], problems: &mut Problems) {
    let mut taken: BTreeSet<_> = listen.iter().copied().collect();
    for homeserver in homeservers {
        let Some(own) = homeserver.listener else { continue };
        // Port 0 is any free one.
        if own.port() != 0 && !taken.insert(own) {
            problems.error(
                format!("{}.listener", homeserver.path),
                format!("{own} is listened on already; give every homeserver an address of its own"),
            );
        }
    }
}

fn public_base_url(raw: Option<&str>, problems: &mut Problems) -> Option<Url> {
    const PATH: &str = "public_base_url";
    let url = problems.base_url(PATH, raw)?;
    if url.path() != "/" {
        problems.error(PATH, "must have no path: Matrix clients ask for /_matrix at the root of the host");
        return None;
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        problems.warn(PATH, "is plain http: browsers will not keep the cookies of a login; use https");
    }
    Some(url)
}

/// `localhost`, `*.localhost` (RFC 6761 section 6.3) and loopback addresses: browsers treat them as secure.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
