//! The organisation of the demo: two homeservers, a single sign-on, and Usher in front of them, at the portal's host and at the
//! homeservers' own. Planned first, because Usher's config names the homeservers' ports and the homeservers need the
//! registration that Usher writes.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use url::Url;
use usher_lab::real::{
    Progress, free_port,
    people::Person,
    postgres::{Postgres, Settings},
    process::{self, Process},
    synapse::{Synapse, SynapseOptions},
};

use super::{
    client_page::ClientPage,
    report::Report,
    sso::{Kind, PROVIDER, SingleSignOn},
};

/// A client on the portal's list of trusted clients; nobody is there, and nothing is ever sent to it.
pub(super) const TRUSTED_CLIENT: &str = "http://app.localhost/";
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Longer than Usher's own grace for requests under way.
const STOP_GRACE: Duration = Duration::from_secs(40);

/// A department with a homeserver.
#[derive(Clone, Copy, Debug)]
struct Department {
    /// The value of `department` that its people have.
    attribute: &'static str,
    server_name: &'static str,
    name: &'static str,
}

const DEPARTMENTS: [Department; 2] = [
    Department { attribute: "engineering", server_name: "eng.localhost", name: "Engineering" },
    Department { attribute: "history", server_name: "hist.localhost", name: "History" },
];

/// Somebody of the third department whom the config sends to a homeserver by name.
const BY_NAME: (&str, &str) = ("frank", "hist.localhost");

/// What will be started, with its ports.
#[derive(Debug)]
pub(super) struct Plan {
    binary: PathBuf,
    // Before the directory: it must be gone before its files are.
    postgres: Option<Postgres>,
    directory: TempDir,
    portal: u16,
    sso: Kind,
    sso_port: u16,
    /// Once it runs.
    started_sso: Option<SingleSignOn>,
    homeservers: [u16; 2],
}

/// The running organisation.
#[derive(Debug)]
pub(super) struct Organisation {
    /// Where people sign in.
    pub(super) sso: SingleSignOn,
    /// One for each department that has one.
    pub(super) homeservers: Vec<Synapse>,
    /// For a person who tries it by hand.
    pub(super) client_page: ClientPage,
    usher: Process,
    portal: Url,
    _postgres: Option<Postgres>,
    // Last: everything above may still write there.
    directory: TempDir,
}

impl Plan {
    /// Takes ports and, if asked for, starts a Postgres.
    pub(super) async fn new(
        binary: PathBuf,
        sso: Kind,
        with_postgres: bool,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("usher-demo-").tempdir();
        let directory = directory.context("no temporary directory for Usher")?;
        let postgres = if with_postgres {
            let settings = Settings { password: Some("demo".to_owned()), ..Settings::default() };
            Some(progress.starting("Postgres", Postgres::start_with(settings)).await?)
        } else {
            None
        };
        let homeservers = [free_port()?, free_port()?];
        let (portal, sso_port) = (free_port()?, free_port()?);
        Ok(Self { binary, postgres, directory, portal, sso, sso_port, started_sso: None, homeservers })
    }

    /// Makes secrets, starts the single sign-on, writes `usher.yaml` and has Usher check it and write the registration files.
    pub(super) async fn configure(&mut self, report: &Report, progress: &Progress) -> anyhow::Result<()> {
        let directory = self.directory.path();
        let secrets = directory.join("secrets");
        fs::create_dir(&secrets).context("no directory for secrets")?;
        let mut names = vec!["key".to_owned()];
        names.extend(self.sso.secrets().iter().map(|&name| name.to_owned()));
        for department in DEPARTMENTS {
            names.extend(["as", "hs"].map(|token| format!("{}-{token}", department.server_name)));
        }
        for name in &names {
            write_private(&secrets.join(name), &self.usher(&["secret"])?.stdout)?;
        }
        report.fact("usher secret", &format!("{} times, into secrets/: {}", names.len(), names.join(", ")));
        if let Some(postgres) = &self.postgres {
            write_private(&secrets.join("database-url"), postgres.url().as_str().as_bytes())?;
        }
        let portal = Url::parse(&self.portal_url())?;
        self.started_sso = Some(self.sso.start(self.sso_port, &portal, directory, progress).await?);
        fs::write(directory.join("usher.yaml"), self.config())?;
        report.fact("usher.yaml", &directory.join("usher.yaml").display().to_string());
        let checked = self.usher(&["config", "check"])?;
        report.fact("config check", String::from_utf8_lossy(&checked.stdout).trim());
        for department in DEPARTMENTS {
            let file = registration_file(department);
            self.usher(&["registration", department.server_name, "--output", &file])?;
            report.fact("registration", &format!("{} -> {file}", department.server_name));
        }
        Ok(())
    }

    /// Starts everything, Usher last.
    pub(super) async fn start(mut self, progress: &Progress) -> anyhow::Result<Organisation> {
        let mut homeservers = Vec::new();
        for (department, port) in DEPARTMENTS.into_iter().zip(self.homeservers) {
            let registration = fs::read_to_string(self.directory.path().join(registration_file(department)))?;
            let options = SynapseOptions {
                server_name: department.server_name.to_owned(),
                port: Some(port),
                client_url: Some(Url::parse(&base_url(department, self.portal))?),
                application_services: vec![registration],
                ..SynapseOptions::default()
            };
            homeservers.push(Synapse::start(options, progress).await?);
        }
        let portal = Url::parse(&self.portal_url())?;
        let sso = self.started_sso.take().context("the single sign-on was started for the config")?;
        let usher = progress.starting("Usher", self.serve()).await?;
        sso.meet(&portal).await?;
        let client_page = ClientPage::start(&portal).await?;
        let Self { postgres, directory, .. } = self;
        Ok(Organisation { sso, homeservers, client_page, usher, portal, _postgres: postgres, directory })
    }

    async fn serve(&self) -> anyhow::Result<Process> {
        let directory = self.directory.path();
        let mut command = process::command(&self.binary);
        command.current_dir(directory).arg("serve");
        let mut usher = Process::spawn("Usher", command, &directory.join("usher.log"))?;
        let health = Url::parse(&format!("http://127.0.0.1:{}/_usher/health", self.portal))?;
        usher.ready(&health, START_DEADLINE).await?;
        Ok(usher)
    }

    fn usher(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = process::command(&self.binary);
        let output = command.current_dir(self.directory.path()).args(arguments).output();
        let output = output.with_context(|| format!("{} cannot be run", self.binary.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`usher {}` failed: {}", arguments.join(" "), said.trim());
        }
        Ok(output)
    }

    fn portal_url(&self) -> String {
        format!("http://portal.localhost:{}", self.portal)
    }

    fn config(&self) -> String {
        let database = match self.postgres {
            Some(_) => "url_file: secrets/database-url",
            None => "url: sqlite:usher.db",
        };
        let homeservers = DEPARTMENTS.into_iter().zip(self.homeservers);
        let homeservers: String =
            homeservers.map(|(department, port)| homeserver(department, port, self.portal)).collect();
        let [engineering, history] = DEPARTMENTS;
        format!(
            r#"public_base_url: {portal}
listen: ["127.0.0.1:{port}"]
database:
  {database}
keys:
  - id: demo
    secret_file: secrets/key
providers:
  - id: {PROVIDER}
    name: University of Canadialand
{sso}homeservers:
{homeservers}selection:
  - sticky: {{}}
  - attribute:
      name: department
      rows:
        - value: {engineering}
          homeserver: {eng}
        - pattern: (.+ )?{history}
          homeserver: {hist}
  - users:
      provider: {PROVIDER}
      homeservers:
        {by_name}: {by_name_to}
mapping:
  localpart: "{{{{ attributes.uid }}}}"
  reserved: [admin, root]
login:
  token_lifetime: 5m
  trusted_clients: ["{TRUSTED_CLIENT}"]
"#,
            portal = self.portal_url(),
            port = self.portal,
            sso = self.sso.section(self.sso_port),
            engineering = engineering.attribute,
            eng = engineering.server_name,
            history = history.attribute,
            hist = history.server_name,
            by_name = BY_NAME.0,
            by_name_to = BY_NAME.1,
        )
    }
}

impl Organisation {
    /// The portal's base URL.
    pub(super) fn portal(&self) -> &Url {
        &self.portal
    }

    /// Where Usher's files are.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where a login begins for a client that wants to get its token at `client`.
    pub(super) fn sign_in_url(&self, client: &Url) -> Url {
        let mut url = self.portal.clone();
        url.set_path("/_matrix/client/v3/login/sso/redirect");
        url.query_pairs_mut().append_pair("redirectUrl", client.as_str());
        url
    }

    /// The homeserver with that name.
    pub(super) fn homeserver(&self, server_name: &str) -> anyhow::Result<&Synapse> {
        let found = self.homeservers.iter().find(|homeserver| homeserver.server_name() == server_name);
        found.with_context(|| format!("{server_name} is no homeserver of the demo"))
    }

    /// The end of Usher's log.
    pub(super) fn last_words(&self) -> String {
        format!("The end of Usher's log:\n{}", self.usher.log_tail())
    }

    /// Stops everything in order, Usher first; an error if Usher did not end well.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let status = self.usher.stop(STOP_GRACE).await?;
        if !status.success() {
            bail!("Usher ended with {status}. {}", self.last_words());
        }
        self.sso.stop().await?;
        for homeserver in &mut self.homeservers {
            homeserver.stop().await?;
        }
        Ok(())
    }
}

/// The server name that the config sends `person` to.
pub(super) fn homeserver_of(person: &Person) -> Option<&'static str> {
    let by_department = DEPARTMENTS
        .into_iter()
        .find(|department| person.departments.contains(&department.attribute))
        .map(|department| department.server_name);
    by_department.or_else(|| (person.username == BY_NAME.0).then_some(BY_NAME.1))
}

fn homeserver(department: Department, port: u16, usher: u16) -> String {
    let Department { server_name, name, .. } = department;
    format!(
        r#"  - server_name: {server_name}
    name: {name}
    base_url: {base_url}
    hosts: [{host}]
    upstream_url: http://127.0.0.1:{port}
    handoff:
      application_service:
        as_token_file: secrets/{server_name}-as
        hs_token_file: secrets/{server_name}-hs
    new_account:
      display_name: "{{{{ attributes.displayName }}}}"
"#,
        base_url = base_url(department, usher),
        host = host(department),
    )
}

/// Where clients find the homeserver: at its own host, which is Usher's here.
fn base_url(department: Department, usher: u16) -> String {
    format!("http://{}:{usher}", host(department))
}

fn host(department: Department) -> String {
    format!("matrix.{}", department.server_name)
}

fn registration_file(department: Department) -> String {
    format!("{}-usher.yaml", department.server_name)
}

/// As `umask 077` would have it: only for whoever runs the demo.
fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content).with_context(|| format!("{} cannot be written", path.display()))
}
