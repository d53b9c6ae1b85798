//! A real SAML identity provider: SimpleSAMLphp, as Debian packages it, served by PHP itself. It signs what a service is
//! registered for, encrypts with AES-128-CBC and RSA-OAEP, checks the signatures of requests, and ends sessions at services
//! (SAML profiles 4.1, 4.4). Its configuration is in `components/simplesamlphp`.
//!
//! Its pages about errors have the status 200 or 500 as it pleases: look at what a page says.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::{
    Progress, free_port, is_free,
    people::{PEOPLE, Person, person_called},
    process::{self, Process},
};
use crate::browser::{Browser, Page, loopback_client};

const START_DEADLINE: Duration = Duration::from_mins(1);
const STOP_GRACE: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(20);
/// Where Debian puts what is to be served.
const PROGRAM: &str = "/usr/share/simplesamlphp/www";
/// PHP's own server answers one request at a time otherwise.
const WORKERS: &str = "3";

/// A running (or stopped) identity provider. Its keys, sessions and services are gone when it is dropped.
#[derive(Debug)]
pub struct SimpleSamlPhp {
    port: u16,
    base_url: Url,
    process: Option<Process>,
    // After the process: it must be gone before its files are.
    data: TempDir,
}

impl SimpleSamlPhp {
    /// Starts one on `port`, or a free one, and waits until it shows its metadata.
    pub async fn start(port: Option<u16>, progress: &Progress) -> anyhow::Result<Self> {
        let port = port.map_or_else(free_port, Ok).context("no port for SimpleSAMLphp")?;
        let base_url = Url::parse(&format!("http://127.0.0.1:{port}/simplesaml/"))?;
        let data = tempfile::tempdir().context("no temporary directory for SimpleSAMLphp")?;
        prepare(data.path()).context("the files of SimpleSAMLphp cannot be written")?;
        let mut provider = Self { port, base_url, process: None, data };
        provider.start_again(progress).await?;
        Ok(provider)
    }

    /// Starts it again on the same port, its sessions kept, after [`SimpleSamlPhp::stop`].
    pub async fn start_again(&mut self, progress: &Progress) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "SimpleSAMLphp is running");
        let started = progress.starting("SimpleSAMLphp", self.launch()).await?;
        self.process = Some(started);
        // It may answer, and have nothing but a page about what is wrong with it.
        self.metadata().await.with_context(|| self.log_tail())?;
        Ok(())
    }

    /// Stops it in an orderly way (SIGTERM). Stopping it twice is no error.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.stop(STOP_GRACE).await?;
        }
        Ok(())
    }

    /// `http://127.0.0.1:PORT/simplesaml/`
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// Its name, and the address of its metadata.
    #[must_use]
    pub fn entity_id(&self) -> Url {
        self.base_url.join("saml2/idp/metadata.php").expect("a path")
    }

    /// Where somebody signs out, and lands at `afterwards` below [`SimpleSamlPhp::base_url`].
    #[must_use]
    pub fn sign_out_url(&self, afterwards: &str) -> Url {
        let mut url = self.base_url.join("saml2/idp/initSLO.php").expect("a path");
        let afterwards = self.base_url.join(afterwards).expect("a path");
        url.query_pairs_mut().append_pair("RelayState", afterwards.as_str());
        url
    }

    /// Its discovery service, where people say which identity provider is theirs.
    #[must_use]
    pub fn discovery_service(&self) -> Url {
        self.base_url.join("module.php/saml/disco.php").expect("a path")
    }

    /// On the page of its discovery service, somebody chooses the identity provider of that entity id.
    pub async fn choose(&self, browser: &Browser, page: &Page, entity_id: &str) -> anyhow::Result<Page> {
        ensure!(page.text().contains("Harbour College"), "it should offer itself: {}", page.text());
        let mut url = page.url().clone();
        url.query_pairs_mut().append_pair("idpentityid", entity_id);
        browser.follow(page, url).await
    }

    /// Its metadata, as it shows it.
    pub async fn metadata(&self) -> anyhow::Result<String> {
        let answer = loopback_client(TIMEOUT)?.get(self.entity_id()).send().await;
        let text = answer.context("SimpleSAMLphp does not answer")?.text().await?;
        ensure!(text.contains("EntityDescriptor"), "this should be the metadata of SimpleSAMLphp: {text}");
        Ok(text)
    }

    /// Registers a service by its own metadata, with what is done differently for it: the keys of `saml20-sp-remote.php`,
    /// such as `saml20.sign.response`, `assertion.encryption` or `validate.authnrequest`. `name` is a file's name.
    pub fn register(&self, name: &str, metadata: &str, options: &Value) -> anyhow::Result<()> {
        ensure!(options.is_object(), "options have names");
        let services = self.data.path().join("services");
        // The appearance of the metadata is what makes both count. The server reads all services for every request: it must
        // never see half of one.
        for (kind, text) in [("json", options.to_string()), ("xml", metadata.to_owned())] {
            let (half, whole) =
                (services.join(format!("{name}.{kind}.part")), services.join(format!("{name}.{kind}")));
            fs::write(&half, text)?;
            fs::rename(half, whole).context("the service cannot be registered")?;
        }
        Ok(())
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

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.as_ref().map(Process::log_tail).unwrap_or_default()
    }

    async fn launch(&self) -> anyhow::Result<Process> {
        if !is_free(self.port) {
            bail!("SimpleSAMLphp cannot be started: port {} of 127.0.0.1 is in use", self.port);
        }
        ensure!(
            Path::new(PROGRAM).is_dir(),
            "SimpleSAMLphp is not installed: call install::ensure(&[Component::SimpleSamlPhp], ..) first"
        );
        let (data, root) = (self.data.path(), self.data.path().join("root"));
        let mut command = process::command("php");
        command
            .args(["-d", "display_errors=0", "-d", "log_errors=1", "-d", "date.timezone=UTC"])
            .arg("-S")
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("-t")
            .arg(&root)
            .env("PHP_CLI_SERVER_WORKERS", WORKERS)
            .env("SIMPLESAMLPHP_CONFIG_DIR", components())
            .env("LAB_SAML_DATA", data)
            .env("LAB_SAML_BASE_URL", self.base_url.as_str())
            .current_dir(data);
        let mut process = Process::spawn("SimpleSAMLphp", command, &data.join("simplesamlphp.log"))?;
        process.ready(&self.entity_id(), START_DEADLINE).await?;
        Ok(process)
    }
}

fn components() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("components/simplesamlphp")
}

/// Directories, keys, people, and what is served.
fn prepare(data: &Path) -> anyhow::Result<()> {
    for name in ["keys", "log", "data", "tmp", "sessions", "services", "root"] {
        fs::create_dir(data.join(name))?;
    }
    symlink(PROGRAM, data.join("root/simplesaml"))?;
    fs::write(data.join("people.json"), people_json().to_string())?;
    for name in ["salt", "admin"] {
        fs::write(data.join("keys").join(name), secret()?)?;
    }
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=idp.ac.localhost",
        ])
        .args(["-keyout", "idp.key", "-out", "idp.crt"])
        .current_dir(data.join("keys"))
        .output()
        .context("openssl cannot be run")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a salt and a password of a server of the lab")]
fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).context("the system has no randomness")?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// `{username: {"password": .., "attributes": {name: [value]}}}`.
fn people_json() -> Value {
    let of_person = |person: &Person| {
        (person.username, json!({ "password": person.password, "attributes": person.attributes() }))
    };
    json!(PEOPLE.iter().map(of_person).collect::<BTreeMap<_, _>>())
}
