//! From the config file to what the commands need.

use std::{
    ffi::OsString,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
#[cfg(feature = "saml")]
use usher_core::ConfigError;
use usher_http::Outgoing;
use usher_store::Store;

use super::THIS_PROGRAM;
#[cfg(feature = "saml")]
use crate::config::ProviderConfig;
use crate::{
    app::{Homeservers, Providers},
    clock::{Clock as _, SystemClock},
    config::{self, Config, Draft, Problems},
    registry::Backends,
};

/// Of a call whose section has no `timeout` of its own.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Likewise.
const DEFAULT_MAX_ANSWER: usize = 1 << 20;

/// A config file and the environment that is laid over it.
pub(super) struct ConfigFile {
    path: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

/// A config that cannot be wrong any more, and what was built from it.
pub(super) struct Checked {
    pub config: Config,
    pub providers: Providers,
    pub homeservers: Homeservers,
    pub warnings: Problems,
}

/// What the upstream of a provider has to be given.
#[cfg(feature = "saml")]
pub(super) type Introduction = (usher_core::ProviderId, Result<usher_core::provider::Document, Invalid>);

/// Everything that is wrong with a config file.
#[derive(Clone, Debug)]
pub(super) struct Invalid {
    path: PathBuf,
    problems: Problems,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used:\n{}", self.path.display(), self.problems)
    }
}

impl std::error::Error for Invalid {}

impl ConfigFile {
    pub(super) fn new(path: PathBuf, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self { path, environment: environment.into_iter().collect() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and validates it, and has every backend look at its own sections. No network.
    pub(super) async fn check(&self) -> anyhow::Result<Checked> {
        let outgoing = Outgoing::new(None, DEFAULT_TIMEOUT, DEFAULT_MAX_ANSWER)
            .context("the HTTP client could not be made")?;
        let backends = Backends::compiled_in(&outgoing, Path::new(THIS_PROGRAM));
        let invalid = |problems| Invalid { path: self.path.clone(), problems };
        let directory = self.directory()?;
        let mut problems = Problems::default();
        let document = config::load(&self.path, self.environment.iter().cloned(), &mut problems)?;
        let draft = Draft::read(document, &directory, &backends, &mut problems);
        let providers =
            Providers::build(&draft.providers, &draft.portal(), &backends, SystemClock.now(), &mut problems)
                .await;
        providers.check_issuers(&draft, &mut problems);
        let homeservers = Homeservers::build(&draft.homeservers, &draft.reserved(), &outgoing, &mut problems);
        let (config, warnings) = draft.finish(problems).map_err(invalid)?;
        Ok(Checked { config, providers, homeservers, warnings })
    }

    /// What the upstreams of a kind of provider have to be given, whatever else is wrong with the file, and whatever is not
    /// there yet: each with what its own section says wrong of it.
    #[cfg(feature = "saml")]
    pub(super) fn introductions(&self, kind: &str) -> anyhow::Result<Vec<Introduction>> {
        let outgoing = Outgoing::new(None, DEFAULT_TIMEOUT, DEFAULT_MAX_ANSWER)
            .context("the HTTP client could not be made")?;
        let backends = Backends::compiled_in(&outgoing, Path::new(THIS_PROGRAM));
        let backend = backends.get(kind).with_context(|| format!("this build has no {kind}"))?;
        let mut problems = Problems::default();
        let document = config::load(&self.path, self.environment.iter().cloned(), &mut problems)?;
        let draft = Draft::read(document, &self.directory()?, &backends, &mut problems);
        let portal = draft
            .known_portal()
            .context("public_base_url is missing or wrong, and metadata is full of it")?;
        let mut introductions = Vec::new();
        for configured in draft.providers.iter().filter(|configured| configured.kind == kind) {
            let id = &configured.descriptor.id;
            let endpoints = crate::app::endpoints(portal, kind, id);
            let introduction = match backend.introduction(&endpoints, configured.section.clone()) {
                Ok(Some(document)) => Ok(document),
                Ok(None) => continue,
                Err(error) => Err(self.wrong_section(configured, error)),
            };
            introductions.push((id.clone(), introduction));
        }
        Ok(introductions)
    }

    /// The providers of a kind, whatever else is wrong with the file.
    #[cfg(feature = "saml")]
    pub(super) fn providers(&self, kind: &str) -> anyhow::Result<Vec<ProviderConfig>> {
        let outgoing = Outgoing::new(None, DEFAULT_TIMEOUT, DEFAULT_MAX_ANSWER)
            .context("the HTTP client could not be made")?;
        let backends = Backends::compiled_in(&outgoing, Path::new(THIS_PROGRAM));
        let mut problems = Problems::default();
        let document = config::load(&self.path, self.environment.iter().cloned(), &mut problems)?;
        let mut providers = Draft::read(document, &self.directory()?, &backends, &mut problems).providers;
        providers.retain(|configured| configured.kind == kind);
        Ok(providers)
    }

    /// What a backend says of a provider's section, at its place in the file.
    #[cfg(feature = "saml")]
    pub(super) fn wrong_section(&self, configured: &ProviderConfig, error: ConfigError) -> Invalid {
        let mut problems = Problems::default();
        let ProviderConfig { path, kind, .. } = configured;
        for problem in error.problems {
            let separator = if problem.path.is_empty() { "" } else { "." };
            problems.error(format!("{path}.{kind}{separator}{}", problem.path), problem.message);
        }
        Invalid { path: self.path.clone(), problems }
    }

    /// The first address to listen on, whatever else is wrong with the file.
    pub(super) fn listen(&self) -> anyhow::Result<SocketAddr> {
        let mut problems = Problems::default();
        let document = config::load(&self.path, self.environment.iter().cloned(), &mut problems)?;
        config::first_listen(&document)
            .with_context(|| format!("{}: listen[0] is no address", self.path.display()))
    }

    /// Where relative paths in the file start.
    fn directory(&self) -> anyhow::Result<PathBuf> {
        let path = std::path::absolute(&self.path).context("the config file's directory is unknown")?;
        Ok(path.parent().map_or_else(PathBuf::new, Path::to_owned))
    }
}

/// Connects to the database of a config.
pub(super) async fn connect(config: &Config) -> anyhow::Result<Store> {
    let options = usher_store::Options {
        max_connections: config.database.max_connections,
        ..usher_store::Options::new(config.database.url.clone())
    };
    Store::connect(&options).await.context("database.url: the database cannot be used")
}
