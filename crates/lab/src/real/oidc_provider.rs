//! A real OpenID Provider: oidc-provider, certified by the OpenID Foundation. It insists on PKCE, signs with RS256, PS256,
//! ES256 or EdDSA as a client is registered, takes pushed requests, answers by form, and notifies clients when a session ends
//! (Back-Channel Logout 1.0). The program around it is in `components/oidc_provider`.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::{
    Progress, free_port, install, is_free,
    people::{PEOPLE, Person, person_called},
    process::{self, Process},
};
use crate::browser::loopback_client;

const START_DEADLINE: Duration = Duration::from_mins(1);
const STOP_GRACE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// oidc-provider 9 needs it.
const OLDEST_NODE: u32 = 20;

/// A running (or stopped) provider. Its sessions and clients are gone when it stops.
#[derive(Debug)]
pub struct OidcProvider {
    port: u16,
    issuer: Url,
    process: Option<Process>,
    // After the process: it must be gone before its files are.
    data: TempDir,
}

impl OidcProvider {
    /// Starts one on `port`, or a free one, and waits until it answers.
    pub async fn start(port: Option<u16>, progress: &Progress) -> anyhow::Result<Self> {
        let port = port.map_or_else(free_port, Ok).context("no port for the OpenID Provider")?;
        let issuer = Url::parse(&format!("http://127.0.0.1:{port}"))?;
        let data = tempfile::tempdir().context("no temporary directory for the OpenID Provider")?;
        fs::write(data.path().join("people.json"), people_json().to_string())
            .context("cannot write the list of people")?;
        let mut provider = Self { port, issuer, process: None, data };
        provider.start_again(progress).await?;
        Ok(provider)
    }

    /// Starts it again on the same port, after [`OidcProvider::stop`].
    pub async fn start_again(&mut self, progress: &Progress) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "the OpenID Provider is running");
        let started = progress.starting("OpenID Provider", self.launch()).await?;
        self.process = Some(started);
        Ok(())
    }

    /// Stops it in an orderly way (SIGTERM). Stopping it twice is no error.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.stop(STOP_GRACE).await?;
        }
        Ok(())
    }

    /// The `issuer`, without a slash at its end: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.issuer.as_str().trim_end_matches('/').to_owned()
    }

    /// Where somebody signs out.
    #[must_use]
    pub fn sign_out_url(&self) -> Url {
        self.issuer.join("/session/end").expect("a path")
    }

    /// Who can sign in.
    #[must_use]
    pub fn people(&self) -> &'static [Person] {
        &PEOPLE
    }

    /// The person with that username.
    ///
    /// # Panics
    /// If nobody has it: a mistake in the test.
    #[must_use]
    pub fn person(&self, username: &str) -> &'static Person {
        person_called(username)
    }

    /// Registers a client, by the metadata of OpenID Connect Dynamic Client Registration 1.0, section 2.
    pub async fn register(&self, client: &Value) -> anyhow::Result<()> {
        let url = self.issuer.join("/lab/clients")?;
        let answer = loopback_client(TIMEOUT)?.post(url).body(client.to_string()).send().await;
        let answer = answer.context("the OpenID Provider does not answer")?;
        ensure!(answer.status().is_success(), "the client was not registered: {}", answer.status());
        Ok(())
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.as_ref().map(Process::log_tail).unwrap_or_default()
    }

    async fn launch(&self) -> anyhow::Result<Process> {
        if !is_free(self.port) {
            bail!("the OpenID Provider cannot be started: port {} of 127.0.0.1 is in use", self.port);
        }
        check_node()?;
        let data = self.data.path();
        let mut command = process::command("node");
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("components/oidc_provider/serve.mjs"))
            .arg(install::oidc_provider_package()?)
            .arg(self.port.to_string())
            .arg(data.join("people.json"))
            .current_dir(data);
        let mut process = Process::spawn("the OpenID Provider", command, &data.join("oidc.log"))?;
        process.ready(&self.issuer.join("/up")?, START_DEADLINE).await?;
        Ok(process)
    }
}

/// Debian 12's own is older.
fn check_node() -> anyhow::Result<()> {
    let output = Command::new("node").arg("--version").output().context("node cannot be run")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    ensure!(
        major.is_some_and(|major| major >= OLDEST_NODE),
        "node is {version}, and oidc-provider needs {OLDEST_NODE} or later: put one on the path"
    );
    Ok(())
}

/// `{username: {"password": .., "claims": {name: value or [value]}}}`.
fn people_json() -> Value {
    let of_person = |person: &Person| {
        let mut claims = json!({ "email": person.mail(), "email_verified": true });
        for (name, values) in person.attributes() {
            claims[name] = match values.as_slice() {
                [value] => json!(value),
                _ => json!(values),
            };
        }
        (person.username.to_owned(), json!({ "password": person.password, "claims": claims }))
    };
    PEOPLE.iter().map(of_person).collect::<serde_json::Map<_, _>>().into()
}
