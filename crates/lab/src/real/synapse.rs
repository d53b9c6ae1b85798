//! A real Synapse: one process, SQLite, a temporary directory, registration closed, no federation.
//! Settings: <https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html>.

use std::{fmt, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, bail, ensure};
use data_encoding::{BASE64_NOPAD, HEXLOWER};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::{
    Progress, free_port,
    install::Component,
    is_free,
    process::{self, Process},
};
use crate::browser::loopback_client;

mod application_service;
mod client_api;
mod email;

pub use application_service::ApplicationService;
pub use client_api::{Device, WhoAmI};

/// The slowest start seen on two busy cores was 15 s.
const START_DEADLINE: Duration = Duration::from_secs(90);
/// Synapse finishes requests that are under way.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Lifetime of the access tokens of clients that asked for a refresh token.
const REFRESHABLE_LIFETIME: &str = "15m";

/// How a Synapse is set up.
#[derive(Clone, Default)]
pub struct SynapseOptions {
    /// Its identity, the part of user ids after the colon: `eng.localhost`.
    pub server_name: String,
    /// `None`: a free one.
    pub port: Option<u16>,
    /// What clients use, a gateway's address for instance. `None`: `http://127.0.0.1:PORT/`.
    pub client_url: Option<Url>,
    /// The contents of application service registration files (YAML; see [`ApplicationService::registration`]).
    pub application_services: Vec<String>,
    /// Whether people may log in with a password.
    pub password_login: bool,
    /// Where its mail is taken, a port of 127.0.0.1 ([`ScriptedMail`](crate::scripted::mail::ScriptedMail)); `None`: it
    /// sends none, and nobody can prove an address.
    pub mail_port: Option<u16>,
    /// Further settings as YAML; they replace those of the same top-level key.
    pub extra_yaml: String,
}

impl fmt::Debug for SynapseOptions {
    /// Without what may hold a secret: registrations and further settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SynapseOptions")
            .field("server_name", &self.server_name)
            .field("port", &self.port)
            .field("client_url", &self.client_url)
            .field("password_login", &self.password_login)
            .field("mail_port", &self.mail_port)
            .finish_non_exhaustive()
    }
}

/// A running (or stopped) Synapse with its data.
pub struct Synapse {
    options: SynapseOptions,
    port: u16,
    client_url: Url,
    upstream_url: Url,
    registration_secret: String,
    client: Client,
    process: Option<Process>,
    // After the process: it must be gone before its files are.
    data: TempDir,
}

impl fmt::Debug for Synapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Synapse")
            .field("options", &self.options)
            .field("upstream_url", &self.upstream_url)
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl Synapse {
    /// Starts a new one and waits until it answers. Fails with the end of its log if it does not come up.
    pub async fn start(options: SynapseOptions, progress: &Progress) -> anyhow::Result<Self> {
        let port = options.port.map_or_else(free_port, Ok).context("no port for Synapse")?;
        let upstream_url = Url::parse(&format!("http://127.0.0.1:{port}/"))?;
        let client = loopback_client(Duration::from_secs(30))
            .context("the client that talks to Synapse cannot be made")?;
        let mut synapse = Self {
            client_url: options.client_url.clone().unwrap_or_else(|| upstream_url.clone()),
            upstream_url,
            options,
            port,
            registration_secret: random_hex()?,
            data: tempfile::tempdir().context("no temporary directory for Synapse")?,
            client,
            process: None,
        };
        synapse.write_configuration()?;
        synapse.start_again(progress).await?;
        Ok(synapse)
    }

    /// Starts it again on the same port, with the same data, after [`Synapse::stop`] or [`Synapse::kill`].
    pub async fn start_again(&mut self, progress: &Progress) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "Synapse {} is running", self.options.server_name);
        let name = self.name();
        let started = progress.starting(&name, self.launch()).await?;
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

    /// Everything it has logged since it was first started.
    pub fn log(&self) -> anyhow::Result<String> {
        fs::read_to_string(self.data.path().join("synapse.log")).context("Synapse's log could not be read")
    }

    /// The part of user ids after the colon.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.options.server_name
    }

    /// What clients are told to use (`public_baseurl`), ending in a slash.
    #[must_use]
    pub fn client_url(&self) -> &Url {
        &self.client_url
    }

    /// Where it really listens, for gateways and for Usher's own calls: `http://127.0.0.1:PORT/`.
    #[must_use]
    pub fn upstream_url(&self) -> &Url {
        &self.upstream_url
    }

    /// Makes an ordinary account by the shared secret, past the closed registration. `localpart` must be free.
    pub async fn register_user(&self, localpart: &str, password: &str) -> anyhow::Result<()> {
        self.register(localpart, password, "--no-admin").await
    }

    /// Makes an administrator's account.
    pub async fn register_admin(&self, localpart: &str, password: &str) -> anyhow::Result<()> {
        self.register(localpart, password, "--admin").await
    }

    async fn register(&self, localpart: &str, password: &str, role: &str) -> anyhow::Result<()> {
        let output = tokio::process::Command::new(Component::Synapse.python()?)
            .args(["-m", "synapse._scripts.register_new_matrix_user", "--user", localpart])
            .args(["--password", password, role, "--shared-secret", &self.registration_secret])
            .arg(self.upstream_url().as_str().trim_end_matches('/'))
            .output()
            .await
            .context("the script that registers users cannot be run")?;
        if !output.status.success() {
            bail!("{localpart} was not registered: {}", String::from_utf8_lossy(&output.stdout).trim());
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("Synapse {}", self.options.server_name)
    }

    async fn launch(&self) -> anyhow::Result<Process> {
        let name = self.name();
        if !is_free(self.port) {
            bail!("{name} cannot be started: port {} of 127.0.0.1 is in use", self.port);
        }
        let data = self.data.path();
        let mut command: Command = process::command(Component::Synapse.python()?);
        command
            .args(["-m", "synapse.app.homeserver", "--config-path"])
            .arg(data.join("homeserver.yaml"))
            .arg("--config-path")
            .arg(data.join("extra.yaml"))
            .current_dir(data);
        let mut process = Process::spawn(&name, command, &data.join("synapse.log"))?;
        let health = self.upstream_url.join("health")?;
        process.ready(&health, START_DEADLINE).await?;
        Ok(process)
    }

    fn write_configuration(&self) -> anyhow::Result<()> {
        let data = self.data.path();
        let mut registrations = Vec::new();
        for (index, registration) in self.options.application_services.iter().enumerate() {
            let path = data.join(format!("application-service-{index}.yaml"));
            write(&path, registration)?;
            registrations.push(path);
        }
        // The format of signedjson: algorithm, version, seed. https://spec.matrix.org/v1.19/appendices/#signing-details
        let seed = BASE64_NOPAD.encode(&random_bytes()?);
        write(&data.join("signing.key"), &format!("ed25519 lab {seed}\n"))?;
        write(&data.join("log.yaml"), &log_configuration().to_string())?;
        // JSON is YAML.
        write(&data.join("homeserver.yaml"), &self.configuration(&json!(registrations))?.to_string())?;
        let extra = if self.options.extra_yaml.trim().is_empty() { "{}" } else { &self.options.extra_yaml };
        write(&data.join("extra.yaml"), extra)
    }

    fn configuration(&self, registrations: &Value) -> anyhow::Result<Value> {
        let data = self.data.path();
        let mail = self.options.mail_port.map(|port| {
            json!({
                "smtp_host": "127.0.0.1",
                "smtp_port": port,
                "enable_tls": false,
                "notif_from": format!("Synapse <synapse@{}>", self.options.server_name),
            })
        });
        Ok(json!({
            "server_name": self.options.server_name,
            "public_baseurl": self.client_url,
            "listeners": [{
                "type": "http",
                "port": self.port,
                "bind_addresses": ["127.0.0.1"],
                "x_forwarded": true,
                "resources": [{ "names": ["client"] }],
            }],
            // Nothing here has to survive a power cut.
            "database": { "name": "sqlite3", "args": { "database": data.join("homeserver.db") } },
            "signing_key_path": data.join("signing.key"),
            "log_config": data.join("log.yaml"),
            "media_store_path": data.join("media"),
            "pid_file": data.join("synapse.pid"),
            "macaroon_secret_key": random_hex()?,
            "form_secret": random_hex()?,
            "registration_shared_secret": self.registration_secret,
            "report_stats": false,
            "trusted_key_servers": [],
            "federation_domain_whitelist": [],
            "enable_registration": false,
            "password_config": { "enabled": self.options.password_login },
            // By default 5 and then one in five minutes: everybody with a password here is at one address, and logs in
            // again and again.
            "rc_login": {
                "address": { "per_second": 1, "burst_count": 50 },
                "account": { "per_second": 1, "burst_count": 50 },
            },
            // And is sent mails.
            "rc_3pid_validation": { "per_second": 1, "burst_count": 50 },
            "refreshable_access_token_lifetime": REFRESHABLE_LIFETIME,
            "login_via_existing_session": { "enabled": true },
            "app_service_config_files": registrations,
            "email": mail,
        }))
    }
}

fn log_configuration() -> Value {
    json!({
        "version": 1,
        "disable_existing_loggers": false,
        "formatters": { "line": { "format": "%(asctime)s %(levelname)s %(name)s: %(message)s" } },
        "handlers": { "console": { "class": "logging.StreamHandler", "formatter": "line" } },
        "root": { "level": "INFO", "handlers": ["console"] },
    })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn random_hex() -> anyhow::Result<String> {
    Ok(HEXLOWER.encode(&random_bytes()?))
}

#[expect(clippy::disallowed_methods, reason = "keys of a real Synapse, which no test compares")]
fn random_bytes() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the operating system gives no randomness")?;
    Ok(bytes)
}
