//! Everything a request needs, made once at start.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use ruma_common::ServerName;
use tokio::sync::{Notify, Semaphore};
use url::Url;
use usher_core::{
    Entropy, ProviderId, Requirement, SsoProvider, Timestamp, mapping::Reserved, select::Chain,
};
use usher_homeserver::{Handoff, Homeserver, InvalidHomeserver};
use usher_http::{BuildError, NoRelay, Outgoing, Relay};
use usher_store::Store;

use crate::{
    attempt::KeyRing,
    clock::Clock,
    config::{
        self, Config, Draft, HandoffConfig, HomeserverConfig, Problems, ProviderConfig, SignOutOffer,
        UsedAttributes,
    },
    health::Health,
    http::Forwarding,
    limits::Limits,
    pages::Pages,
    registry::Backends,
    use_case,
};

/// Longest answer read of a homeserver. Logins are a few hundred bytes; device lists some kilobytes.
const MAX_HOMESERVER_ANSWER: usize = 1 << 20;

/// Answers of one provider verified at once; beyond, people are asked to try again. Each is one call to the provider.
const MAX_VERIFYING: usize = 256;
/// The same of logout notices, which anybody can send. Machines send them again.
const MAX_HEARING: usize = 32;

/// One portal.
#[derive(Debug)]
pub struct App {
    /// What the operator decided.
    pub config: Config,
    /// Single sign-on, in the order of the config.
    pub providers: Providers,
    /// Where people may be sent, in the order of the config.
    pub homeservers: Homeservers,
    /// Who decides where a person belongs.
    pub selector: Chain,
    /// Whether no selector says one thing now and another the next moment.
    pub is_selection_steady: bool,
    /// What is kept of a person's attributes between two pages.
    pub used_attributes: UsedAttributes,
    /// Links, login tokens, sessions.
    pub store: Store,
    /// What seals attempts.
    pub keyring: KeyRing,
    /// Who may say where a request came from.
    pub(crate) forwarding: Forwarding,
    /// How often an address and an account may do what, at this replica.
    pub limits: Limits,
    /// What people are shown.
    pub pages: Pages,
    /// Whether the database answers.
    pub(crate) health: Health,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn Entropy>,
    /// Where use cases run: see [`App::run`].
    pub runtime: tokio::runtime::Handle,
}

/// A provider and what the server needs to know about it.
#[derive(Clone, Debug)]
pub struct ConfiguredProvider {
    /// The backend's kind, as in its paths.
    pub kind: String,
    /// The provider.
    pub provider: Arc<dyn SsoProvider>,
    /// Permitted difference between its clock and ours.
    pub skew: Duration,
    /// Whether its people may be made accounts.
    pub allows_new_accounts: bool,
    /// Whether a session that somebody still has there is enough for UI auth.
    pub live_session_is_enough: bool,
    /// Whether sessions at homeservers end when their person is logged out there.
    pub ends_sessions: bool,
    /// Whether people are offered to sign out there.
    pub sign_out: SignOutOffer,
    /// What must be true of its people.
    pub require: Vec<Requirement>,
    /// Answers that are being verified: a stranger with one attempt can send as many as they like.
    pub verifying: Arc<Semaphore>,
    /// Logout notices that are: anybody can send them, and they keep nobody from signing in.
    pub hearing: Arc<Semaphore>,
}

/// The configured providers, in order.
#[derive(Clone, Debug, Default)]
pub struct Providers(Vec<ConfiguredProvider>);

/// A homeserver with its client.
#[derive(Clone, Debug)]
pub struct ServedHomeserver {
    /// What the operator decided.
    pub config: HomeserverConfig,
    /// How it is called.
    pub client: Homeserver,
    /// Names nobody gets there: the list of the config and the application service's own user.
    pub reserved: Reserved,
    /// Told when somebody there is to be given something: see `provision`.
    pub newcomers: Arc<Notify>,
    /// Told when a session there is to be ended: see `logout`.
    pub endings: Arc<Notify>,
    /// The way there for what passes through; for those that Usher answers for.
    pub relay: Option<Relay>,
}

/// The configured homeservers.
#[derive(Clone, Debug, Default)]
pub struct Homeservers {
    by_name: BTreeMap<ruma_common::OwnedServerName, ServedHomeserver>,
    order: Vec<ruma_common::OwnedServerName>,
}

impl App {
    /// Puts it together, to run on the current runtime. Touches no network: `store` is connected, everything else is
    /// asked when it is needed.
    #[must_use]
    pub fn new(
        config: Config,
        providers: Providers,
        homeservers: Homeservers,
        store: Store,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let selector = config::build_selector(&config.selection);
        let is_selection_steady = config.selection.iter().all(config::SelectorConfig::is_steady);
        let used_attributes = config.used_attributes();
        let keyring = KeyRing::new(&config.keys);
        let forwarding = Forwarding::new(config.trusted_proxies.clone());
        let limits = Limits::new(&config.limits, &clock);
        let runtime = tokio::runtime::Handle::current();
        let pages = Pages::new(&config.pages, &config.public_base_url);
        Self {
            config,
            providers,
            homeservers,
            selector,
            is_selection_steady,
            used_attributes,
            store,
            keyring,
            forwarding,
            limits,
            pages,
            health: Health::default(),
            clock,
            entropy,
            runtime,
        }
    }
}

impl App {
    /// Runs a use case to its end, whatever becomes of the request, on the runtime that ends last.
    pub fn run<F>(&self, use_case: F) -> impl Future<Output = F::Output> + use<'_, F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        use_case::run(&self.runtime, use_case)
    }

    /// Runs what nobody needs once the request is gone: it ends with whoever waits for it.
    pub(crate) async fn run_while_wanted<T>(&self, task: impl Future<Output = T>) -> T {
        use_case::run_while_wanted(&self.runtime, task).await
    }
}

impl Providers {
    /// Where a provider stands for many issuers, the operator says which of them is believed about an account that people come into, and
    /// whose names those are that are listed one by one.
    pub fn check_issuers(&self, draft: &Draft, problems: &mut Problems) {
        let is_of_many = |provider: &ProviderId| {
            self.get(provider).is_some_and(|configured| configured.provider.issuer().is_none())
        };
        for rule in draft.homeservers.iter().flat_map(|homeserver| &homeserver.adopt) {
            if rule.issuer.is_none() && is_of_many(&rule.provider) {
                problems.error(
                    format!("{}.issuer", rule.path),
                    "is missing: this provider stands for many issuers, and each of them could name anybody's account",
                );
            }
        }
        for (index, table) in draft.user_tables() {
            if table.issuer.is_none() && is_of_many(&table.provider) {
                problems.error(
                    format!("selection[{index}].users.issuer"),
                    "is missing: this provider stands for many issuers, and each of them could call somebody by these names",
                );
            }
        }
        self.warn_of_words(draft, problems);
    }

    /// Any of many issuers may say anything of its people, unless the provider bounds it.
    fn warn_of_words(&self, draft: &Draft, problems: &mut Problems) {
        let of_many = self.iter().map(|configured| &configured.provider);
        let of_many: Vec<_> = of_many.filter(|provider| provider.issuer().is_none()).collect();
        for deciding in draft.deciding() {
            let unbounded = of_many.iter().find(|provider| {
                deciding.issuer.is_none()
                    && deciding.provider.is_none_or(|id| *id == provider.descriptor().id)
                    && !provider.bounds_values_of(deciding.attribute)
            });
            let Some(provider) = unbounded else { continue };
            let remedy = if deciding.takes_issuer { ", or name the `issuer` whose word counts" } else { "" };
            problems.warn(
                deciding.path,
                format!(
                    "is what each of the many issuers of `{}` may say of its people as it likes; look at an attribute that is \
                     checked, such as `eduPersonScopedAffiliation` with SAML{remedy}",
                    provider.descriptor().id
                ),
            );
        }
    }

    /// Has every backend make its providers, for a portal at `portal`; what is wrong with a section is noted at its
    /// path, and what is doubtful in one at `now`.
    pub async fn build(
        configured: &[ProviderConfig],
        portal: &Url,
        backends: &Backends,
        now: Timestamp,
        problems: &mut Problems,
    ) -> Self {
        let mut providers = Vec::new();
        for configured in configured {
            let ProviderConfig { path, descriptor, kind, section, skew, .. } = configured;
            let Some(backend) = backends.get(kind) else { continue };
            let endpoints = endpoints(portal, kind, &descriptor.id);
            match backend.build(descriptor.clone(), endpoints, section.clone()).await {
                Ok(provider) => {
                    for warning in backend.warnings(section, now) {
                        let separator = if warning.path.is_empty() { "" } else { "." };
                        problems.warn(format!("{path}.{kind}{separator}{}", warning.path), warning.message);
                    }
                    providers.push(ConfiguredProvider {
                        kind: kind.clone(),
                        provider,
                        skew: *skew,
                        allows_new_accounts: configured.allows_new_accounts,
                        live_session_is_enough: configured.live_session_is_enough,
                        ends_sessions: configured.ends_sessions,
                        sign_out: configured.sign_out,
                        require: configured.require.clone(),
                        verifying: Arc::new(Semaphore::new(MAX_VERIFYING)),
                        hearing: Arc::new(Semaphore::new(MAX_HEARING)),
                    });
                }
                Err(error) => {
                    for problem in error.problems {
                        let separator = if problem.path.is_empty() { "" } else { "." };
                        problems.error(format!("{path}.{kind}{separator}{}", problem.path), problem.message);
                    }
                }
            }
        }
        Self(providers)
    }

    /// The provider of that id.
    #[must_use]
    pub fn get(&self, id: &ProviderId) -> Option<&ConfiguredProvider> {
        self.0.iter().find(|configured| configured.provider.descriptor().id == *id)
    }

    /// The most that a clock may differ from another: what is permitted of a provider's is permitted of a replica's.
    #[must_use]
    pub fn greatest_skew(&self) -> Duration {
        self.0.iter().map(|configured| configured.skew).max().unwrap_or_default()
    }

    /// All of them, in the order of the config.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ConfiguredProvider> {
        self.0.iter()
    }
}

/// `https://portal/_usher/{kind}/{id}/`: registered at the upstream, stable from the first release.
pub(crate) fn endpoints(portal: &Url, kind: &str, id: &ProviderId) -> Url {
    let mut url = portal.clone();
    url.set_path(&format!("/_usher/{kind}/{id}/"));
    url
}

impl Homeservers {
    /// A client for each. `outgoing` is shared by all that trust the system's certificate authorities, `reserved` are
    /// the names nobody gets anywhere.
    pub fn build(
        configured: &[HomeserverConfig],
        reserved: &Reserved,
        outgoing: &Outgoing,
        problems: &mut Problems,
    ) -> Self {
        let mut homeservers = Self::default();
        for configured in configured {
            let path = &configured.path;
            let outgoing = match outgoing_for(configured, outgoing) {
                Ok(outgoing) => outgoing,
                Err(error) => {
                    problems.error(format!("{path}.ca_file"), error.to_string());
                    continue;
                }
            };
            let HandoffConfig::ApplicationService(service) = &configured.handoff;
            let handoff = Handoff::ApplicationService { as_token: service.as_token.clone() };
            let upstream_url = configured.upstream_url.clone();
            match Homeserver::new(configured.server_name.clone(), upstream_url, handoff, outgoing) {
                Ok(client) => {
                    let mut reserved = reserved.clone();
                    // A localpart has no `*` or `?`, so as a pattern it stands for itself.
                    if let Err(error) = reserved.add(&service.sender_localpart) {
                        problems.error(
                            format!("{path}.handoff.application_service.sender_localpart"),
                            error.to_string(),
                        );
                    }
                    let relay = match relay_to(configured) {
                        Ok(relay) => relay,
                        Err(error) => {
                            let key = match error {
                                NoRelay::CaBundle => "ca_file",
                                NoRelay::Tls(_) | NoRelay::NotHttp => "upstream_url",
                            };
                            problems.error(format!("{path}.{key}"), error.to_string());
                            continue;
                        }
                    };
                    homeservers.insert(ServedHomeserver {
                        config: configured.clone(),
                        client,
                        reserved,
                        newcomers: Arc::default(),
                        endings: Arc::default(),
                        relay,
                    });
                }
                Err(error) => {
                    let key = match error {
                        InvalidHomeserver::AsToken => "handoff.application_service.as_token",
                        InvalidHomeserver::NotHttp
                        | InvalidHomeserver::HasUserinfo
                        | InvalidHomeserver::HasQueryOrFragment => "upstream_url",
                    };
                    problems.error(format!("{path}.{key}"), error.to_string());
                }
            }
        }
        homeservers
    }

    fn insert(&mut self, homeserver: ServedHomeserver) {
        self.order.push(homeserver.config.server_name.clone());
        self.by_name.insert(homeserver.config.server_name.clone(), homeserver);
    }

    /// The homeserver of that name.
    #[must_use]
    pub fn get(&self, server_name: &ServerName) -> Option<&ServedHomeserver> {
        self.by_name.get(server_name)
    }

    /// All of them, in the order of the config.
    pub fn iter(&self) -> impl Iterator<Item = &ServedHomeserver> {
        self.order.iter().filter_map(|name| self.by_name.get(name))
    }

    /// The homeserver for which Usher answers at `host` (a host name in its canonical spelling), and the way there.
    #[must_use]
    pub fn at_host(&self, host: &str) -> Option<(&ServedHomeserver, &Relay)> {
        let is_its = |homeserver: &&ServedHomeserver| homeserver.config.hosts.iter().any(|own| own == host);
        self.iter().find(is_its).and_then(ServedHomeserver::with_relay)
    }
}

impl ServedHomeserver {
    /// With the way there, if Usher answers for it.
    pub(crate) fn with_relay(&self) -> Option<(&Self, &Relay)> {
        Some((self, self.relay.as_ref()?))
    }
}

fn relay_to(configured: &HomeserverConfig) -> Result<Option<Relay>, NoRelay> {
    if !configured.has_gateway() {
        return Ok(None);
    }
    let HomeserverConfig { ca_pem, upstream_url, pass_through_timeout, .. } = configured;
    Relay::new(ca_pem.as_deref(), upstream_url, *pass_through_timeout).map(Some)
}

fn outgoing_for(configured: &HomeserverConfig, outgoing: &Outgoing) -> Result<Outgoing, BuildError> {
    let outgoing = match &configured.ca_pem {
        None => outgoing.clone(),
        Some(pem) => Outgoing::new(Some(pem), configured.timeout, MAX_HOMESERVER_ANSWER)?,
    };
    Ok(outgoing.with_timeout(configured.timeout).with_max_body(MAX_HOMESERVER_ANSWER))
}
