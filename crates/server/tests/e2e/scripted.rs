//! One Usher among scripted parties: a homeserver that holds its calls where a test wants, and a CAS server that
//! knows who sits at the browser.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use usher_lab::{
    scripted::{
        cas::{CasPerson, CasServer},
        homeserver::ScriptedHomeserver,
    },
    usher::Usher,
};

use crate::{
    client::{Answer, Client},
    config::{self, Portal, Tokens},
    database::{Database, Kind},
    person::{Landed, Person, SignIn},
    world::{BINARY, unique},
};

/// Long enough that what stands in the config of an application service is a good token.
pub(crate) const SERVER_NAME: &str = "engineering.localhost";
/// Alice, who sits at every browser until the test says otherwise.
pub(crate) const ALICE: &str = "@alice:engineering.localhost";

/// A portal in front of one homeserver, to which everybody belongs whose department is engineering.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) usher: Usher,
    pub(crate) database: Database,
    pub(crate) homeserver: ScriptedHomeserver,
    pub(crate) cas: CasServer,
    pub(crate) client: Client,
    pub(crate) config: Portal,
    // After Usher: it must be gone before its files are.
    pub(crate) directory: TempDir,
}

impl Stage {
    /// `timeout` is how long Usher waits for the homeserver: a lease on a login token is five seconds longer.
    pub(crate) async fn set(kind: Kind, timeout: Duration) -> anyhow::Result<Self> {
        Self::set_with(kind, timeout, |_| {}).await
    }

    /// With a config that `edit` has changed.
    pub(crate) async fn set_with(
        kind: Kind,
        timeout: Duration,
        edit: impl FnOnce(&mut Portal),
    ) -> anyhow::Result<Self> {
        Self::set_with_binary(Path::new(BINARY), kind, timeout, edit).await
    }

    /// And with another program in Usher's place, which becomes it.
    pub(crate) async fn set_with_binary(
        binary: &Path,
        kind: Kind,
        timeout: Duration,
        edit: impl FnOnce(&mut Portal),
    ) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let database = Database::create(kind, &unique("s"), directory.path()).await?;
        Self::build(binary, directory, database, timeout, edit).await
    }

    /// On a database that the test has made.
    pub(crate) async fn set_on(
        database: Database,
        timeout: Duration,
        edit: impl FnOnce(&mut Portal),
    ) -> anyhow::Result<Self> {
        Self::build(Path::new(BINARY), tempfile::tempdir()?, database, timeout, edit).await
    }

    async fn build(
        binary: &Path,
        directory: TempDir,
        database: Database,
        timeout: Duration,
        edit: impl FnOnce(&mut Portal),
    ) -> anyhow::Result<Self> {
        let homeserver = ScriptedHomeserver::start(SERVER_NAME).await?;
        let cas = CasServer::start().await?;
        let tokens = Tokens {
            as_token: homeserver.as_token().to_owned(),
            hs_token: "hs-token-that-nobody-ever-asks-for".to_owned(),
        };
        let url = homeserver.url();
        let mut section = config::homeserver(SERVER_NAME, url.as_str(), url.as_str(), &tokens);
        section["timeout"] = json!(format!("{}s", timeout.as_secs()));
        let mut config = Portal {
            database_url: database.url().to_owned(),
            cas_base_url: cas.base_url().to_string(),
            homeservers: vec![section],
            ..Portal::at_a_free_port()?
        };
        edit(&mut config);
        let usher = Usher::start(binary, directory.path(), &config.to_yaml()).await?;
        let client = Client::at(&config.public_base_url())?;
        let stage = Self { usher, database, homeserver, cas, client, config, directory };
        stage.enter(&engineer("alice", "Alice Liddell"));
        Ok(stage)
    }

    /// The portal's host and port, as browsers name it.
    pub(crate) fn authority(&self) -> String {
        self.config.public_base_url().authority().to_owned()
    }

    /// From now on `person` sits at every browser.
    pub(crate) fn enter(&self, person: &CasPerson) {
        self.cas.script().add_person(person.clone());
        self.cas.script().sign_in(&person.user);
    }

    /// Whoever sits there now, at a new browser.
    pub(crate) fn person(&self) -> Person {
        Person::at(&self.config.public_base_url(), SignIn::Known)
    }

    /// The same, stopping where the browser would go back to the portal.
    pub(crate) fn person_stopping_at_callback(&self) -> Person {
        Person::stopping_at_callback(&self.config.public_base_url(), SignIn::Known)
    }

    /// They sign in.
    pub(crate) async fn sign_in(&self) -> anyhow::Result<Landed> {
        self.person().sign_in().await
    }

    /// The same, without waiting for it.
    pub(crate) fn start_sign_in(&self) -> JoinHandle<anyhow::Result<Landed>> {
        let person = self.person();
        tokio::spawn(async move { person.sign_in().await })
    }

    /// `POST /login`, without waiting for it.
    pub(crate) fn start_redeem(&self, login_token: &str) -> JoinHandle<anyhow::Result<Answer>> {
        let (client, login_token) = (self.client.clone(), login_token.to_owned());
        tokio::spawn(async move { client.redeem(&login_token).await })
    }

    /// `kill -9`, and whatever the process was asked goes unanswered.
    pub(crate) async fn kill_during<T: std::fmt::Debug>(
        &mut self,
        request: JoinHandle<anyhow::Result<T>>,
    ) -> anyhow::Result<()> {
        assert!(!request.is_finished(), "the process is killed while it works on the request");
        self.usher.kill()?;
        let answer = request.await.context("the request panicked")?;
        assert!(answer.is_err(), "a killed process answered: {answer:?}");
        Ok(())
    }

    /// Every device of a user of the homeserver, with the number of its access tokens.
    pub(crate) fn devices(&self, user: &str) -> Vec<(String, usize)> {
        let person = self.homeserver.user(user).unwrap_or_default();
        person.devices.into_iter().map(|(id, device)| (id, device.access_tokens.len())).collect()
    }
}

/// Somebody of the department that has a homeserver.
pub(crate) fn engineer(username: &str, name: &str) -> CasPerson {
    CasPerson::new(username).with("displayName", name).with("department", "engineering")
}
