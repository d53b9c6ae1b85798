//! A SAML identity provider that does as it is told, of a real library: pysaml2, which signs and encrypts with `xmlsec1`. Any
//! number of identity providers in one process, each with keys and habits of its own; those habits may be lies. The program
//! around it is in `components/pysaml2`.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::{
    Progress, free_port,
    install::Component,
    is_free,
    people::{PEOPLE, Person, person_called},
    process::{self, Process},
};
use crate::browser::loopback_client;

const START_DEADLINE: Duration = Duration::from_mins(1);
const TIMEOUT: Duration = Duration::from_secs(20);
/// The names of its keys, and how OpenSSL is told to make them.
const KEYS: [(&str, &[&str]); 4] = [
    ("rsa", &["-newkey", "rsa:2048"]),
    ("rsa-next", &["-newkey", "rsa:3072"]),
    ("ec", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("ec-next", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
];

/// The running program.
#[derive(Debug)]
pub struct Pysaml2 {
    base_url: Url,
    process: Process,
    // After the process: it must be gone before its files are.
    _data: TempDir,
}

/// How one identity provider is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The keys in its metadata: `rsa`, `rsa-next`, `ec`, `ec-next`.
    pub keys: Vec<&'static str>,
    /// The one of all of them that it signs with.
    pub signs_with: &'static str,
    /// Whether it signs responses.
    pub signs_responses: bool,
    /// Whether it signs assertions.
    pub signs_assertions: bool,
    /// The algorithm that it encrypts assertions with, as XML Encryption names it; keys with RSA-OAEP.
    pub encrypts_with: Option<&'static str>,
    /// Whether it refuses requests that are not signed.
    pub wants_signed_requests: bool,
    /// What it says instead of what is so: `audience`, `recipient`, `destination`, `in_response_to`, `issuer`,
    /// `not_on_or_after` or `name`.
    pub says: BTreeMap<&'static str, String>,
}

impl Default for Setup {
    /// One RSA key, assertions signed, nothing but the truth.
    fn default() -> Self {
        Self {
            keys: vec!["rsa"],
            signs_with: "rsa",
            signs_responses: false,
            signs_assertions: true,
            encrypts_with: None,
            wants_signed_requests: false,
            says: BTreeMap::new(),
        }
    }
}

impl Pysaml2 {
    /// Starts it, and waits until it answers.
    pub async fn start(progress: &Progress) -> anyhow::Result<Self> {
        let port = free_port().context("no port for pysaml2")?;
        let base_url = Url::parse(&format!("http://127.0.0.1:{port}/"))?;
        let data = tempfile::tempdir().context("no temporary directory for pysaml2")?;
        prepare(data.path()).context("the files of pysaml2 cannot be written")?;
        let process = progress.starting("pysaml2", launch(port, &base_url, data.path())).await?;
        Ok(Self { base_url, process, _data: data })
    }

    /// Sets up the identity provider `name`, or anew. `service` is the metadata of whom it serves, once there is one.
    pub async fn set_up(&self, name: &str, setup: &Setup, service: Option<&str>) -> anyhow::Result<()> {
        let signs = [("response", setup.signs_responses), ("assertion", setup.signs_assertions)];
        let signs: Vec<&str> = signs.iter().filter(|(_, does)| *does).map(|(what, _)| *what).collect();
        let body = json!({
            "service": service,
            "keys": setup.keys,
            "signs": signs,
            "signs_with": setup.signs_with,
            "encrypts_with": setup.encrypts_with,
            "wants_signed_requests": setup.wants_signed_requests,
            "says": setup.says,
        });
        let url = self.base_url.join(&format!("lab/{name}"))?;
        let answer = loopback_client(TIMEOUT)?.put(url).body(body.to_string()).send().await;
        let is_done = answer.as_ref().is_ok_and(|answer| answer.status().is_success());
        ensure!(is_done, "{name} was not set up: {answer:?} {}", self.log_tail());
        Ok(())
    }

    /// The metadata of the identity provider `name`.
    pub async fn metadata(&self, name: &str) -> anyhow::Result<String> {
        let url = self.base_url.join(&format!("{name}/metadata"))?;
        let answer = loopback_client(TIMEOUT)?.get(url).send().await.context("pysaml2 does not answer")?;
        Ok(answer.error_for_status()?.text().await?)
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
        self.process.log_tail()
    }
}

async fn launch(port: u16, base_url: &Url, data: &Path) -> anyhow::Result<Process> {
    if !is_free(port) {
        bail!("pysaml2 cannot be started: port {port} of 127.0.0.1 is in use");
    }
    let mut command = process::command(Component::Pysaml2.python()?);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("components/pysaml2/serve.py"))
        .arg(port.to_string())
        .arg(data)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(data);
    let mut process = Process::spawn("pysaml2", command, &data.join("pysaml2.log"))?;
    process.ready(&base_url.join("up")?, START_DEADLINE).await?;
    Ok(process)
}

/// Keys and people.
fn prepare(data: &Path) -> anyhow::Result<()> {
    fs::write(data.join("people.json"), people_json().to_string())?;
    for (name, how) in KEYS {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=idp.ac.localhost"])
            .args(how)
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")])
            .current_dir(data)
            .output()
            .context("openssl cannot be run")?;
        ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    }
    Ok(())
}

/// `{username: {"password": .., "attributes": {name: [value]}}}`.
fn people_json() -> Value {
    let of_person = |person: &Person| {
        (person.username, json!({ "password": person.password, "attributes": person.attributes() }))
    };
    json!(PEOPLE.iter().map(of_person).collect::<BTreeMap<_, _>>())
}
