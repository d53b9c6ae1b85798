//! A throw-away Postgres from Debian's package `postgresql`: a cluster of its own in a temporary directory, on a
//! free port of 127.0.0.1, gone with its files when it is dropped and when this process dies.
//!
//! Postgres refuses to run as root. As root, it is run as `nobody`, so the temporary directory must be one that
//! others may enter (`/tmp` is).

use std::{
    fs, io,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use url::Url;

use super::{free_port, process::Process};

/// Where Debian puts each version, with `VERSION/bin` below.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The superuser of the cluster, and whom [`Postgres::url`] connects as.
const USER: &str = "usher";
/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65_534;
/// How long starting and stopping may take on a slow machine.
const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// How the cluster is set up.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Asked of everybody who connects; without one, everybody may.
    pub password: Option<String>,
    /// Loads `pg_stat_statements`; a database that is to be asked still needs `CREATE EXTENSION`.
    pub has_statement_statistics: bool,
    /// Writes reach the disk before they are confirmed. Off for tests, on for a benchmark that means it.
    pub is_durable: bool,
}

/// A running cluster.
#[derive(Debug)]
pub struct Postgres {
    binaries: PathBuf,
    port: u16,
    settings: Settings,
    /// `None` between [`Postgres::stop`] and [`Postgres::start_again`].
    server: Option<Process>,
    // After the server: it must be gone before its files are.
    directory: Directory,
}

impl Postgres {
    /// A cluster without a password and without durability, for tests.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Settings::default()).await
    }

    /// A cluster as `settings` say. About a second.
    pub async fn start_with(settings: Settings) -> anyhow::Result<Self> {
        let binaries = newest(Path::new(VERSIONS))?;
        let directory = Directory::create()?;
        let mut postgres = Self { binaries, port: free_port()?, settings, server: None, directory };
        postgres.init().await?;
        postgres.start_again().await?;
        Ok(postgres)
    }

    /// `postgres://usher[:password]@127.0.0.1:PORT/postgres`.
    #[must_use]
    pub fn url(&self) -> Url {
        self.database_url("postgres")
    }

    /// Creates an empty database; its URL. `name` is taken literally.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<Url> {
        let mut command = tokio::process::Command::new(self.binaries.join("createdb"));
        command.args(["--host=127.0.0.1", "--username", USER, "--port"]).arg(self.port.to_string());
        command.env("PGPASSWORD", self.settings.password.as_deref().unwrap_or_default());
        run("createdb", command.arg("--").arg(name)).await?;
        Ok(self.database_url(name))
    }

    /// Shuts down in order: open transactions are rolled back, clients are told.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.end(Signal::INT).await
    }

    /// Ends it at once, without a goodbye to clients and without a checkpoint: as if the machine had crashed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.end(Signal::QUIT).await
    }

    /// Starts it on the same port, with the same data. No effect while it runs.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let mut server =
            Process::spawn("Postgres", self.server_command(), &self.directory.path().join("log"))?;
        let began = Instant::now();
        while !self.is_ready().await? {
            if let Some(status) = server.ended()? {
                bail!("Postgres ended ({status}) before it was up. Its log:\n{}", server.log_tail());
            }
            ensure!(began.elapsed() < DEADLINE, "Postgres is not up. Its log:\n{}", server.log_tail());
            tokio::time::sleep(POLL).await;
        }
        self.server = Some(server);
        Ok(())
    }

    /// Stops the server and every connection's process where they are: connections stay open and nothing answers,
    /// as when the machine or the network hangs.
    pub fn pause(&self) -> anyhow::Result<()> {
        // The server first, so that it starts no further process meanwhile.
        self.family()?.into_iter().try_for_each(|pid| signal(pid, Signal::STOP))
    }

    /// Lets everything that was paused go on.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.family()?.into_iter().rev().try_for_each(|pid| signal(pid, Signal::CONT))
    }

    async fn init(&self) -> anyhow::Result<()> {
        let mut command =
            tokio::process::Command::from(self.directory.command(&self.binaries.join("initdb")));
        command.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--username", USER, "--pgdata"]);
        command.arg(self.data());
        if let Some(password) = &self.settings.password {
            let file = self.directory.path().join("password");
            fs::write(&file, password)?;
            self.directory.give_away(&file)?;
            command.arg("--auth=scram-sha-256").arg("--pwfile").arg(file);
        } else {
            command.arg("--auth=trust");
        }
        run("initdb", &mut command).await
    }

    fn server_command(&self) -> Command {
        let mut command = self.directory.command(&self.binaries.join("postgres"));
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        let mut set = |setting: &str| {
            command.args(["-c", setting]);
        };
        set("listen_addresses=127.0.0.1");
        set("unix_socket_directories=");
        set("max_connections=400");
        if self.settings.has_statement_statistics {
            set("shared_preload_libraries=pg_stat_statements");
        }
        if !self.settings.is_durable {
            set("fsync=off");
            set("full_page_writes=off");
        }
        command
    }

    async fn is_ready(&self) -> anyhow::Result<bool> {
        let mut command = tokio::process::Command::new(self.binaries.join("pg_isready"));
        command.args(["--quiet", "--host=127.0.0.1", "--port", &self.port.to_string()]);
        Ok(command.status().await.context("pg_isready cannot be run")?.success())
    }

    async fn end(&mut self, how: Signal) -> anyhow::Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        signal(pid_of(&server)?, how)?;
        let began = Instant::now();
        while server.ended()?.is_none() {
            ensure!(began.elapsed() < DEADLINE, "Postgres does not stop. Its log:\n{}", server.log_tail());
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The server and the processes it started. They leave its process group, so a signal to the group is not enough.
    fn family(&self) -> anyhow::Result<Vec<Pid>> {
        let Some(server) = &self.server else { return Ok(Vec::new()) };
        let server = pid_of(server)?;
        let mut family = vec![server];
        for entry in fs::read_dir("/proc").context("/proc cannot be read")? {
            let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            if let Some(pid) = pid
                && parent(pid) == Some(server)
            {
                family.push(pid);
            }
        }
        Ok(family)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn database_url(&self, name: &str) -> Url {
        let mut url = Url::parse(&format!("postgres://{USER}@127.0.0.1:{}/", self.port))
            .expect("a fixed user, an address and a port make a URL");
        url.set_password(self.settings.password.as_deref()).expect("a URL with a host can have a password");
        url.path_segments_mut().expect("a URL with a host has a path").push(name);
        url
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The server's own end is noticed by its processes only if they are not paused.
        for pid in self.family().unwrap_or_default() {
            let _ = signal(pid, Signal::KILL);
        }
    }
}

/// The cluster's directory and a shell that waits for this process to be done with it: a pipe is closed however its
/// holder ends, which no destructor can promise.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    owner: Option<u32>,
    cleaner: Child,
    /// Closed first on drop; `Option` so that it can be.
    pipe: Option<ChildStdin>,
}

/// The server's processes may still write for a moment after it was killed.
const CLEANER: &str =
    r#"read -r _; for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null && exit; sleep 0.2; done"#;

impl Directory {
    fn create() -> anyhow::Result<Self> {
        let owner = rustix::process::geteuid().is_root().then_some(NOBODY);
        let dir = tempfile::Builder::new().prefix("usher-postgres-").tempdir()?;
        let mut cleaner = Command::new("sh");
        cleaner.args(["-c", CLEANER, "sh"]).arg(dir.path());
        // A group of its own: Ctrl-C ends the test first and the cleaner after it.
        cleaner.stdin(Stdio::piped()).process_group(0);
        let mut cleaner = cleaner.spawn().context("sh cannot be run")?;
        let pipe = cleaner.stdin.take();
        let directory = Self { path: TempDir::keep(dir), owner, cleaner, pipe };
        directory.give_away(directory.path())?;
        Ok(directory)
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `path` the server's.
    fn give_away(&self, path: &Path) -> io::Result<()> {
        self.owner.map_or(Ok(()), |owner| chown(path, Some(owner), Some(owner)))
    }

    /// `program` as the owner of the directory, killed by the kernel when the thread that starts it ends.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(owner) = self.owner {
            command.args([
                format!("--reuid={owner}"),
                format!("--regid={owner}"),
                "--clear-groups".to_owned(),
            ]);
        }
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).current_dir(&self.path);
        command
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.pipe = None;
        // Nobody to tell; the cleaner has tried for two seconds.
        let _ = self.cleaner.wait();
    }
}

/// `VERSION/bin` of the newest version below `versions`.
fn newest(versions: &Path) -> anyhow::Result<PathBuf> {
    let version =
        |entry: io::Result<fs::DirEntry>| -> Option<u32> { entry.ok()?.file_name().to_str()?.parse().ok() };
    fs::read_dir(versions)
        .ok()
        .into_iter()
        .flatten()
        .filter_map(version)
        .map(|version| (version, versions.join(version.to_string()).join("bin")))
        .filter(|(_, binaries)| binaries.join("initdb").exists())
        .max_by_key(|(version, _)| *version)
        .map(|(_, binaries)| binaries)
        .with_context(|| format!("no Postgres below {}: apt-get install postgresql", versions.display()))
}

async fn run(name: &str, command: &mut tokio::process::Command) -> anyhow::Result<()> {
    let output =
        command.stdin(Stdio::null()).output().await.with_context(|| format!("{name} cannot be run"))?;
    ensure!(
        output.status.success(),
        "{name} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn pid_of(process: &Process) -> anyhow::Result<Pid> {
    i32::try_from(process.id()).ok().and_then(Pid::from_raw).context("the process id is out of range")
}

/// A process that has just ended needs no signal.
fn signal(pid: Pid, signal: Signal) -> anyhow::Result<()> {
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("Postgres cannot be signalled"),
    }
}

/// The fourth field of `/proc/PID/stat`; the second, the name, may contain anything, but ends at the last `)`.
fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Pid::from_raw(rest.split_whitespace().nth(1)?.parse().ok()?)
}

#[cfg(test)]
mod tests;
