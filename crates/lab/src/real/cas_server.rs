//! A real CAS server: django-cas-server, which speaks CAS 1, 2 and 3 and notifies services when a session ends.
//! Protocol: <https://apereo.github.io/cas/7.3.x/protocol/CAS-Protocol-Specification.html>. The Django project around
//! it is in `components/cas_server`.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::{
    Progress, free_port,
    install::Component,
    is_free,
    people::person_called,
    process::{self, Process},
};

pub use super::people::{PEOPLE, Person};

const START_DEADLINE: Duration = Duration::from_mins(1);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Services on this machine, whatever their port.
const LOCAL_SERVICES: &str = r"^https?://(([a-z0-9-]+\.)*localhost|127\.0\.0\.1)(:[0-9]+)?/";

/// How a CAS server is set up.
#[derive(Clone, Debug)]
pub struct CasServerOptions {
    /// The host in its addresses: `127.0.0.1` or a name under `.localhost`.
    pub host: String,
    /// `None`: a free one.
    pub port: Option<u16>,
    /// A regular expression that service URLs match from their beginning (Python's `re.match`).
    pub service_pattern: String,
    /// Whether its pages send `Cross-Origin-Opener-Policy: same-origin`, as a Django site does unless told otherwise:
    /// a popup that passed through them has no opener any more.
    pub cuts_opener: bool,
}

impl Default for CasServerOptions {
    /// `127.0.0.1`, a free port, every service on this machine, openers left alone.
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: None,
            service_pattern: LOCAL_SERVICES.to_owned(),
            cuts_opener: false,
        }
    }
}

/// A running (or stopped) CAS server with its sessions.
#[derive(Debug)]
pub struct CasServer {
    options: CasServerOptions,
    port: u16,
    base_url: Url,
    upstream_url: Url,
    process: Option<Process>,
    // After the process: it must be gone before its files are.
    data: TempDir,
}

impl CasServer {
    /// Starts a new one and waits until it answers. Fails with the end of its log if it does not come up.
    pub async fn start(options: CasServerOptions, progress: &Progress) -> anyhow::Result<Self> {
        let port = options.port.map_or_else(free_port, Ok).context("no port for the CAS server")?;
        let at = |host: &str| Url::parse(&format!("http://{host}:{port}/cas"));
        let base_url = at(&options.host).with_context(|| format!("{:?} is no host", options.host))?;
        let upstream_url = at("127.0.0.1")?;
        let data = tempfile::tempdir().context("no temporary directory for the CAS server")?;
        fs::write(data.path().join("people.json"), people_json().to_string())
            .context("cannot write the list of people")?;
        let mut server = Self { options, port, base_url, upstream_url, data, process: None };
        server.start_again(progress).await?;
        Ok(server)
    }

    /// Starts it again on the same port, its sessions kept, after [`CasServer::stop`] or [`CasServer::kill`].
    pub async fn start_again(&mut self, progress: &Progress) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "the CAS server is running");
        let what = format!("CAS server {}", self.options.host);
        let started = progress.starting(&what, self.launch()).await?;
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

    /// `kill -9`.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill().map(drop))
    }

    /// The process, to pause it or to read its log; `None` while it is stopped.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// `http://HOST:PORT/cas`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// Where it really listens, for callers that cannot resolve names under `.localhost`: `http://127.0.0.1:PORT/cas`.
    #[must_use]
    pub fn upstream_url(&self) -> &Url {
        &self.upstream_url
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

    async fn launch(&self) -> anyhow::Result<Process> {
        if !is_free(self.port) {
            bail!("the CAS server cannot be started: port {} of 127.0.0.1 is in use", self.port);
        }
        let data = self.data.path();
        let mut command = process::command(Component::CasServer.python()?);
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("components/cas_server/serve.py"))
            .args([&self.port.to_string(), &self.options.service_pattern])
            .env("LAB_CAS_DATA", data)
            .env("LAB_CAS_PEOPLE", data.join("people.json"))
            .env("LAB_CAS_CUTS_OPENER", if self.options.cuts_opener { "yes" } else { "no" })
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(data);
        let mut process = Process::spawn("the CAS server", command, &data.join("cas.log"))?;
        let up = self.upstream_url.join("/up")?;
        process.ready(&up, START_DEADLINE).await?;
        Ok(process)
    }
}

/// `{username: {"password": .., "attributes": {name: value or [value]}}}`.
fn people_json() -> Value {
    let of_person = |person: &Person| {
        let attributes = person.attributes().into_iter().map(|(name, values)| match values.as_slice() {
            [value] => (name, json!(value)),
            _ => (name, json!(values)),
        });
        let attributes: BTreeMap<String, Value> = attributes.collect();
        (person.username, json!({ "password": person.password, "attributes": attributes }))
    };
    json!(PEOPLE.iter().map(of_person).collect::<BTreeMap<_, _>>())
}
