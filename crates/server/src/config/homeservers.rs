//! `homeservers`: where people may be sent.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, time::Duration};

use ruma_common::{OwnedServerName, ServerName, UserId};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use usher_core::{ProviderId, Requirement};

use super::{
    Problems,
    accounts::{self, AdoptRule, NewAccountConfig, ProfileConfig, RawAdopt, RawNewAccount, RawProfile},
    fields::Fields as _,
    is_loopback,
    requirements::{self, RawRequirement},
};

/// One homeserver.
#[derive(Clone, Debug)]
pub struct HomeserverConfig {
    /// Its place in the file, such as `homeservers[0]`.
    pub path: String,
    /// Its identity, such as `eng.ac.cdl`.
    pub server_name: OwnedServerName,
    /// What people call it.
    pub name: String,
    /// Where clients find it: the `base_url` of `well_known`, without a slash at the end.
    pub base_url: String,
    /// Where Usher finds it.
    pub upstream_url: Url,
    /// Host names at which Usher itself answers for it.
    pub hosts: Vec<String>,
    /// An address of its own at which Usher answers for it, whatever host is asked for.
    pub listener: Option<SocketAddr>,
    /// Further content of `well_known`, such as `m.identity_server`.
    pub well_known: Map<String, Value>,
    /// How a session is obtained there.
    pub handoff: HandoffConfig,
    /// Existing accounts that are adopted there, at most one rule for each provider.
    pub adopt: Vec<AdoptRule>,
    /// What a new account is given.
    pub new_account: NewAccountConfig,
    /// What is kept up to date of every account.
    pub profile: ProfileConfig,
    /// Whether accounts are made there.
    pub allows_new_accounts: bool,
    /// What must be true of people there, all of it, at every sign-in.
    pub require: Vec<Requirement>,
    /// Certificate authorities, as PEM, that are trusted for it instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long it may be silent while a request passes through.
    pub pass_through_timeout: Duration,
}

/// How a session is obtained.
#[derive(Clone, Debug)]
pub enum HandoffConfig {
    /// As an application service.
    ApplicationService(ApplicationServiceConfig),
}

/// An application service's side of its registration file.
#[derive(Clone, Debug)]
pub struct ApplicationServiceConfig {
    /// The registration's `id`.
    pub id: String,
    /// The localpart of the service's own user.
    pub sender_localpart: String,
    /// What Usher shows the homeserver.
    pub as_token: SecretString,
    /// What the homeserver would show Usher; only the registration file needs it.
    pub hs_token: SecretString,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHomeserver {
    /// The homeserver's name, the part of an MXID after the colon, such as `eng.ac.cdl`. Required.
    server_name: Option<String>,
    /// What people call it, such as `Engineering`. Default: the server name.
    name: Option<String>,
    /// Where clients find it, such as `https://matrix.eng.ac.cdl`. Required.
    base_url: Option<String>,
    /// Where Usher finds it, if not at `base_url`; required where `hosts` are given, since `base_url` is then Usher.
    upstream_url: Option<String>,
    /// Host names at which Usher answers for this homeserver, such as `matrix.eng.ac.cdl`: its reverse proxy hands Usher
    /// what docs/gateway.md lists. What is not Usher's passes through to `upstream_url`.
    hosts: Vec<String>,
    /// An address and a port at which Usher answers for this homeserver alone, whatever host is asked for: for reverse
    /// proxies that cannot hand on the client's `Host`. Default: none; `hosts` tell homeservers apart.
    listener: Option<String>,
    /// Further content of the `well_known` that clients are given, such as `m.identity_server`.
    well_known: Map<String, Value>,
    /// How Usher obtains a session there. Required: exactly one kind.
    handoff: RawHandoff,
    /// Existing accounts that people come into, on the word of one provider's attribute. Default: none.
    adopt: Vec<RawAdopt>,
    /// What a new account is given.
    new_account: RawNewAccount,
    /// What is kept up to date of every account that Usher knows there.
    profile: RawProfile,
    /// Whether accounts are made there. With `false`, those who have one sign in as ever, and nobody new does.
    /// Default: true.
    new_accounts: Option<bool>,
    /// What must be true of people there, all of it, at every sign-in. Default: nothing.
    require: Vec<RawRequirement>,
    /// A PEM file with the certificate authorities to trust for this homeserver instead of the system's.
    ca_file: Option<String>,
    /// How long one call may take. Default: 20s.
    timeout: Option<String>,
    /// How long the homeserver may be silent while a request that is not Usher's passes through. Default: 60s.
    pass_through_timeout: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawHandoff {
    /// As an application service; `usher registration SERVER_NAME` writes the homeserver's side of it.
    application_service: Option<RawApplicationService>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawApplicationService {
    /// The registration's `id`. Default: `usher`.
    id: Option<String>,
    /// The localpart of the service's own user, to whom nobody is mapped. Default: `usher`.
    sender_localpart: Option<String>,
    /// What Usher shows the homeserver: as strong as an administrator's password there.
    as_token: Option<String>,
    /// A file with it.
    as_token_file: Option<String>,
    /// What the homeserver would show Usher.
    hs_token: Option<String>,
    /// A file with it.
    hs_token_file: Option<String>,
}

pub(super) fn validate(
    raw: Vec<RawHomeserver>,
    directory: &Path,
    portal: Option<&Url>,
    providers: &[ProviderId],
    problems: &mut Problems,
) -> Vec<HomeserverConfig> {
    if raw.is_empty() {
        problems
            .missing("homeservers", "at least one homeserver, with `server_name`, `base_url` and `handoff`");
    }
    let mut names = BTreeSet::new();
    let mut hosts = BTreeSet::new();
    let mut homeservers = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let path = format!("homeservers[{index}]");
        let Some(homeserver) = raw.validate(&path, directory, portal, providers, problems) else { continue };
        if !names.insert(homeserver.server_name.clone()) {
            problems.error(format!("{path}.server_name"), "stands twice; list every homeserver once");
        }
        for earlier in &homeservers {
            refuse_twins(&homeserver, earlier, problems);
        }
        for host in &homeserver.hosts {
            if !hosts.insert(host.clone()) {
                problems.error(format!("{path}.hosts"), format!("{host} belongs to two homeservers"));
            }
        }
        homeservers.push(homeserver);
    }
    homeservers
}

/// What tells one homeserver from another, besides its name.
fn refuse_twins(homeserver: &HomeserverConfig, earlier: &HomeserverConfig, problems: &mut Problems) {
    let HomeserverConfig { path, base_url, handoff, .. } = homeserver;
    let HandoffConfig::ApplicationService(own) = handoff;
    let HandoffConfig::ApplicationService(other) = &earlier.handoff;
    if *base_url == earlier.base_url {
        problems.error(
            format!("{path}.base_url"),
            format!("is that of {} too; clients would come to the wrong homeserver", earlier.path),
        );
    }
    if own.as_token.expose_secret() == other.as_token.expose_secret() {
        problems.error(
            format!("{path}.handoff.application_service.as_token"),
            format!("is that of {} too; make one for each homeserver with `usher secret`", earlier.path),
        );
    }
}

/// `as_token` and people's access tokens travel there.
fn warn_in_the_clear(url: Option<&Url>, path: &str, problems: &mut Problems) {
    if url.is_some_and(|url| url.scheme() == "http" && !is_loopback(url)) {
        problems.warn(path, "is plain http: whoever listens on the way gets every token; use https");
    }
}

impl RawHomeserver {
    fn validate(
        self,
        path: &str,
        directory: &Path,
        portal: Option<&Url>,
        providers: &[ProviderId],
        problems: &mut Problems,
    ) -> Option<HomeserverConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let server_name = server_name(self.server_name.as_deref(), &at("server_name"), problems);
        let base_url = problems.base_url(&at("base_url"), self.base_url.as_deref());
        let upstream_url = match &self.upstream_url {
            Some(url) => problems.base_url(&at("upstream_url"), Some(url)),
            None => base_url.clone(),
        };
        warn_in_the_clear(base_url.as_ref(), &at("base_url"), problems);
        if self.upstream_url.is_some() {
            warn_in_the_clear(upstream_url.as_ref(), &at("upstream_url"), problems);
        }
        if let (Some(upstream), Some(portal)) = (&upstream_url, portal)
            && upstream.origin() == portal.origin()
        {
            problems.error(
                at("upstream_url"),
                "is Usher's own public_base_url; give the homeserver's own address",
            );
        }
        if (!self.hosts.is_empty() || self.listener.is_some()) && self.upstream_url.is_none() {
            let example = "the homeserver's own address: at `hosts` and `listener`, Usher answers";
            problems.missing(&at("upstream_url"), example);
        }
        if let (Some(upstream), Some(base)) = (&upstream_url, &base_url)
            && self.upstream_url.is_some()
            && is_at_hosts(upstream, base, &self.hosts)
        {
            let message = "is where Usher answers (`hosts`), and its calls would come back; give the homeserver's own address";
            problems.error(at("upstream_url"), message);
        }
        let hosts = hosts(self.hosts, &at("hosts"), portal, problems);
        if let Some(host) = base_url.as_ref().and_then(Url::host_str)
            && !hosts.is_empty()
            && !hosts.iter().any(|own| own == host)
        {
            problems.warn(
                at("hosts"),
                format!(
                    "does not have {host}, where `base_url` sends clients: UI auth ends with a page there"
                ),
            );
        }
        let listener = self.listener.as_deref().and_then(|raw| {
            problems.parsed(&at("listener"), raw, "an address and a port, such as 127.0.0.1:8081")
        });
        let handoff = self.handoff.validate(&at("handoff"), directory, problems);
        let adopt = accounts::adopt(self.adopt, &at("adopt"), providers, problems);
        let new_account = self.new_account.validate(&at("new_account"), problems);
        let require = requirements::validate(self.require, path, problems);
        let profile = self.profile.validate(path, &new_account, problems);
        let ca_pem = self.ca_file.as_deref().and_then(|file| problems.file(&at("ca_file"), file, directory));
        let bounds = (Duration::from_secs(1), Duration::from_mins(1));
        let timeout =
            problems.duration(&at("timeout"), self.timeout.as_deref(), Duration::from_secs(20), bounds);
        let pass_through_timeout = problems.duration(
            &at("pass_through_timeout"),
            self.pass_through_timeout.as_deref(),
            Duration::from_mins(1),
            (Duration::from_secs(1), Duration::from_mins(5)),
        );
        if self.well_known.contains_key("m.homeserver") {
            problems.error(at("well_known"), "must not contain m.homeserver; that is `base_url`");
        }
        let server_name = server_name?;
        Some(HomeserverConfig {
            path: path.to_owned(),
            name: self.name.unwrap_or_else(|| server_name.to_string()),
            server_name,
            base_url: base_url?.as_str().trim_end_matches('/').to_owned(),
            upstream_url: upstream_url?,
            hosts,
            listener,
            well_known: self.well_known,
            handoff: handoff?,
            adopt,
            new_account,
            profile,
            allows_new_accounts: self.new_accounts.unwrap_or(true),
            require,
            ca_pem,
            timeout,
            pass_through_timeout,
        })
    }
}

fn server_name(raw: Option<&str>, path: &str, problems: &mut Problems) -> Option<OwnedServerName> {
    let Some(raw) = raw else {
        problems.missing(path, "the part of an MXID after the colon, such as eng.ac.cdl");
        return None;
    };
    ServerName::parse(raw)
        .map_err(|_| {
            problems.error(
                path,
                "is not a server name; give the part of an MXID after the colon, such as eng.ac.cdl",
            );
        })
        .ok()
}

/// Whether `upstream` is one of `hosts` in the place where clients come, whose scheme and port are those of `base`. At
/// another port there may well be the homeserver.
fn is_at_hosts(upstream: &Url, base: &Url, hosts: &[String]) -> bool {
    let is_upstream = |host: url::Host| Some(host.to_string().as_str()) == upstream.host_str();
    upstream.scheme() == base.scheme()
        && upstream.port_or_known_default() == base.port_or_known_default()
        && hosts.iter().any(|host| url::Host::parse(host).is_ok_and(is_upstream))
}

fn hosts(raw: Vec<String>, path: &str, portal: Option<&Url>, problems: &mut Problems) -> Vec<String> {
    let portal = portal.and_then(Url::host_str);
    let mut hosts = Vec::new();
    for (index, host) in raw.into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        // A request's host is compared without the dot that DNS allows at the end of a name.
        match url::Host::parse(host.trim_end_matches('.')).map(|host| host.to_string()) {
            Ok(host) if Some(host.as_str()) == portal => {
                problems.error(path, "is the portal's own host; give the homeserver a host of its own");
            }
            Ok(host) => hosts.push(host),
            Err(_) => problems.error(path, "is not a host name; give a name without scheme, port or path"),
        }
    }
    hosts
}

impl HomeserverConfig {
    /// Whether Usher answers for it somewhere.
    #[must_use]
    pub fn has_gateway(&self) -> bool {
        !self.hosts.is_empty() || self.listener.is_some()
    }

    /// `https` or `http`, as clients reach it.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.base_url.starts_with("http:") { "http" } else { "https" }
    }
}

impl RawHandoff {
    fn validate(self, path: &str, directory: &Path, problems: &mut Problems) -> Option<HandoffConfig> {
        let Some(raw) = self.application_service else {
            problems.missing(path, "how a session is obtained, such as an `application_service` section");
            return None;
        };
        let path = format!("{path}.application_service");
        let at = |key: &str| format!("{path}.{key}");
        let as_token =
            problems.secret(&at("as_token"), raw.as_token, raw.as_token_file.as_deref(), directory);
        let hs_token =
            problems.secret(&at("hs_token"), raw.hs_token, raw.hs_token_file.as_deref(), directory);
        for (key, token) in [("as_token", &as_token), ("hs_token", &hs_token)] {
            let is_bad = token.as_ref().is_some_and(|token| !is_token(token.expose_secret()));
            if is_bad {
                problems.error(
                    at(key),
                    "must be at least 32 visible ASCII characters; make one with `usher secret`",
                );
            }
        }
        if let (Some(one), Some(other)) = (&as_token, &hs_token)
            && one.expose_secret() == other.expose_secret()
        {
            problems.error(at("hs_token"), "is the same as as_token; make two");
        }
        let sender_localpart = raw.sender_localpart.unwrap_or_else(|| "usher".to_owned());
        let is_localpart =
            UserId::parse(format!("@{sender_localpart}:x")).is_ok_and(|user| user.validate_strict().is_ok());
        if !is_localpart || sender_localpart.is_empty() {
            problems.error(
                at("sender_localpart"),
                "is not a localpart; use lower-case letters, digits and . _ - / = +",
            );
        }
        let id = raw.id.unwrap_or_else(|| "usher".to_owned());
        if id.is_empty() {
            problems.error(at("id"), "must not be empty");
        }
        Some(HandoffConfig::ApplicationService(ApplicationServiceConfig {
            id,
            sender_localpart,
            as_token: as_token?,
            hs_token: hs_token?,
        }))
    }
}

/// It becomes an HTTP header and a line of YAML, and guessing it is taking over the homeserver.
fn is_token(token: &str) -> bool {
    token.len() >= 32 && token.bytes().all(|byte| byte.is_ascii_graphic())
}
