//! One Usher among the real components, with a database and names of its own.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;
use url::Url;
use usher_lab::{
    real::{free_port, synapse::Synapse},
    usher::Usher,
};

use crate::{
    client::{Answer, Client},
    components::{Components, components},
    config::{self, Portal},
    database::{Database, Kind},
    person::{Landed, Person, SignIn},
};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_usher");

/// A portal in front of `eng.localhost` and `hist.localhost`.
///
/// The homeservers are everybody's, so localparts end in the world's own tag: Alice is `@alice.w3:eng.localhost`.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) usher: Usher,
    pub(crate) database: Database,
    pub(crate) client: Client,
    pub(crate) config: Portal,
    tag: String,
    components: &'static Components,
    // After Usher: it must be gone before its files are.
    _directory: TempDir,
}

impl World {
    pub(crate) async fn start(kind: Kind) -> anyhow::Result<Self> {
        Self::start_with(kind, |_| {}).await
    }

    /// With a config that `edit` has changed.
    pub(crate) async fn start_with(kind: Kind, edit: impl FnOnce(&mut Portal)) -> anyhow::Result<Self> {
        let components = components().await?;
        let tag = unique("w");
        let directory = tempfile::tempdir()?;
        let database = Database::create(kind, &tag, directory.path()).await?;
        let mut config = Portal {
            database_url: database.url().to_owned(),
            cas_base_url: components.cas.base_url().to_string(),
            homeservers: vec![
                homeserver(components, &components.eng),
                homeserver(components, &components.hist),
            ],
            localpart: format!("{{{{ subject }}}}.{tag}"),
            ..Portal::at_a_free_port()?
        };
        edit(&mut config);
        let usher = Usher::start(Path::new(BINARY), directory.path(), &config.to_yaml()).await?;
        let client = Client::at(&config.public_base_url())?;
        Ok(Self { usher, database, client, config, tag, components, _directory: directory })
    }

    /// Somebody with a browser of their own; `username` is one of the CAS server's.
    pub(crate) fn person(&self, username: &str) -> Person {
        Person::at(&self.config.public_base_url(), self.sign_in_as(username))
    }

    /// The same, stopping where the browser would go back to the portal.
    pub(crate) fn person_stopping_at_callback(&self, username: &str) -> Person {
        Person::stopping_at_callback(&self.config.public_base_url(), self.sign_in_as(username))
    }

    /// Somebody signs in, in a new browser, for a trusted client.
    pub(crate) async fn sign_in(&self, username: &str) -> anyhow::Result<Landed> {
        self.person(username).sign_in().await
    }

    /// The same to the end: a session.
    pub(crate) async fn log_in(&self, username: &str) -> anyhow::Result<Answer> {
        let token = self.sign_in(username).await?.login_token()?;
        self.client.redeem(&token).await?.expect_ok()
    }

    /// The localpart of `name` in this world.
    pub(crate) fn localpart(&self, name: &str) -> String {
        format!("{name}.{}", self.tag)
    }

    /// `@alice.w3:eng.localhost`
    pub(crate) fn eng(&self, name: &str) -> String {
        format!("@{}:eng.localhost", self.localpart(name))
    }

    /// `@carol.w3:hist.localhost`
    pub(crate) fn hist(&self, name: &str) -> String {
        format!("@{}:hist.localhost", self.localpart(name))
    }

    pub(crate) fn components(&self) -> &'static Components {
        self.components
    }

    fn sign_in_as(&self, username: &str) -> SignIn {
        SignIn::Form(self.components.cas.person(username))
    }
}

/// An entry of `homeservers` for a real Synapse.
pub(crate) fn homeserver(components: &Components, synapse: &Synapse) -> Value {
    let tokens = &components.tokens[usize::from(synapse.server_name() != "eng.localhost")];
    let base_url = synapse.client_url().as_str();
    config::homeserver(synapse.server_name(), base_url, synapse.upstream_url().as_str(), tokens)
}

/// The display name that `user` has on `synapse`.
pub(crate) async fn display_name(synapse: &Synapse, user: &str) -> anyhow::Result<Option<String>> {
    let path = format!("_matrix/client/v3/profile/{user}/displayname");
    let (status, body) = synapse.call(reqwest::Method::GET, &path, None, None).await?;
    ensure!(status.is_success(), "the profile of {user}: {status} {body}");
    Ok(body["displayname"].as_str().map(str::to_owned))
}

/// A name that nothing else in this process has.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Portal {
    /// Nobody listens there yet. The host is a name, so that its cookies are not those of other parties on 127.0.0.1.
    pub(crate) fn at_a_free_port() -> anyhow::Result<Self> {
        let port = free_port()?;
        Ok(Self {
            public_base_url: format!("http://portal.localhost:{port}/"),
            listen: format!("127.0.0.1:{port}"),
            ..Self::default()
        })
    }

    /// Where clients and browsers reach it.
    pub(crate) fn public_base_url(&self) -> Url {
        Url::parse(&self.public_base_url).context("public_base_url").expect("the test has written a URL")
    }
}
