//! A `dockerd` of our own, and what is asked of it. Runs in the namespaces.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tokio::process::Command;
use usher_lab::real::process::{self, Process};

use super::{CONTROL_GROUP, Place};

const SOCKET: &str = "unix:///run/docker.sock";
const START_DEADLINE: Duration = Duration::from_mins(1);
const STOP_GRACE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);
/// Debian's own programs first: the client that belongs to its engine, whatever else this machine has.
const DEBIAN_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Debian has the engine without the `compose` plugin, and docker-compose as a program.
const SHIM: &str =
    "#!/bin/sh\n[ \"$1\" = compose ] || exec /usr/bin/docker \"$@\"\nshift\nexec docker-compose \"$@\"\n";

/// The engine; every process of it ends with the namespaces.
#[derive(Debug)]
pub(super) struct Engine {
    process: Process,
    repository: PathBuf,
    path: OsString,
    profile: &'static str,
}

impl Engine {
    /// Starts it, or says why none can be started here.
    pub(super) async fn start(place: &Place, release: bool) -> anyhow::Result<Self> {
        let bin = place.run().join("bin");
        fs::create_dir_all(&bin)?;
        fs::write(bin.join("docker"), SHIM)?;
        fs::set_permissions(bin.join("docker"), fs::Permissions::from_mode(0o755))?;
        let search = env::var_os("PATH").unwrap_or_default();
        let debian: Vec<PathBuf> = env::split_paths(DEBIAN_PATH).collect();
        let path = env::join_paths([bin].into_iter().chain(debian).chain(env::split_paths(&search)))?;
        let mut command = process::command("dockerd");
        command.env("PATH", &path).arg("--data-root").arg(place.run().join("engine"));
        command.args(["--exec-root", "/run/docker", "--pidfile", "/run/docker.pid", "--host", SOCKET]);
        command.args(["--cgroup-parent", CONTROL_GROUP]);
        let process = Process::spawn("dockerd", command, &place.run().join("dockerd.log"));
        let process = process.context("no engine can be started here")?;
        let profile = if release { "release" } else { "dev" };
        let mut engine = Self { process, repository: place.repository(), path, profile };
        engine.ready().await.context("no engine can be started here")?;
        Ok(engine)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let answer = self.docker(&["info", "--format", "{{.ServerVersion}} {{.Driver}}"]).await;
            if let Some(status) = self.process.ended()? {
                bail!("dockerd ended ({status}):\n{}", self.process.log_tail());
            }
            match answer {
                Ok(version) => {
                    println!("  dockerd {}", version.trim());
                    return Ok(());
                }
                Err(error) if began.elapsed() > START_DEADLINE => {
                    bail!("dockerd does not answer: {error:#}\n{}", self.process.log_tail())
                }
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// A shell command as an operator gives it in the repository: what it printed.
    pub(super) async fn bash(&self, script: &str) -> anyhow::Result<String> {
        run(self.in_repository("bash").args(["-euo", "pipefail", "-c", script])).await
    }

    /// `docker …`: what it printed on standard output.
    pub(super) async fn docker(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run(self.in_repository("docker").args(arguments)).await
    }

    /// `docker compose …`
    pub(super) async fn compose(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run(self.in_repository("docker").arg("compose").args(arguments)).await
    }

    /// An image of the files that `tar` collects by `trees`.
    pub(super) async fn import(&self, trees: &[&str], changes: &[&str], name: &str) -> anyhow::Result<()> {
        let mut tar = self.in_repository("tar");
        tar.args(["--create", "--numeric-owner"]).args(trees).stdout(Stdio::piped());
        let mut tar = tar.spawn().context("tar cannot be run")?;
        let archive: Stdio = tar.stdout.take().context("tar's output is piped")?.try_into()?;
        let mut import = self.in_repository("docker");
        import.arg("import");
        for change in changes {
            import.args(["--change", change]);
        }
        import.args(["-", name]).stdin(archive);
        run(&mut import).await.with_context(|| format!("the image {name}"))?;
        ensure!(tar.wait().await?.success(), "tar failed");
        Ok(())
    }

    /// The running containers of a service, oldest first: `docker inspect` of each.
    pub(super) async fn containers(&self, service: &str) -> anyhow::Result<Vec<Container>> {
        let label = format!("label=com.docker.compose.service={service}");
        let ids = self.docker(&["ps", "--quiet", "--no-trunc", "--filter", &label]).await?;
        let mut containers = Vec::new();
        for id in ids.lines() {
            containers.push(self.inspect(id).await?);
        }
        containers.sort_by(|one, other| one.name().cmp(other.name()));
        Ok(containers)
    }

    /// What the engine says of a container, running or not.
    pub(super) async fn inspect(&self, id: &str) -> anyhow::Result<Container> {
        let said = self.docker(&["inspect", id]).await?;
        let mut found: Vec<Value> = serde_json::from_str(&said).context("docker inspect is no JSON")?;
        Ok(Container(found.pop().context("docker inspect is empty")?))
    }

    /// Stops it in an orderly way.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.process.stop(STOP_GRACE).await?;
        Ok(())
    }

    fn in_repository(&self, program: &str) -> Command {
        let mut command = process::command(program);
        command.current_dir(Path::new(&self.repository)).stdin(Stdio::null()).env("PATH", &self.path);
        command.env("DOCKER_HOST", SOCKET).env("USHER_PROFILE", self.profile);
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        command
    }
}

/// `docker inspect`.
#[derive(Debug)]
pub(super) struct Container(pub(super) Value);

impl Container {
    /// Its id.
    pub(super) fn id(&self) -> &str {
        self.0["Id"].as_str().unwrap_or_default()
    }

    /// Its name, such as `usher_usher_1`.
    pub(super) fn name(&self) -> &str {
        self.0["Name"].as_str().unwrap_or_default().trim_start_matches('/')
    }

    /// What its health check says.
    pub(super) fn is_healthy(&self) -> bool {
        self.0["State"]["Health"]["Status"] == "healthy"
    }

    /// The process id of its first process, in the namespace of this program.
    pub(super) fn process_id(&self) -> anyhow::Result<i32> {
        let id = self.0["State"]["Pid"].as_i64().context("a container has a process")?;
        Ok(i32::try_from(id)?)
    }

    /// Its environment.
    pub(super) fn environment(&self) -> BTreeMap<&str, &str> {
        let variables = self.0["Config"]["Env"].as_array().map(Vec::as_slice).unwrap_or_default();
        variables.iter().filter_map(|variable| variable.as_str()?.split_once('=')).collect()
    }
}

async fn run(command: &mut Command) -> anyhow::Result<String> {
    let shown = format!("{:?}", command.as_std().get_args().skip(3).collect::<Vec<_>>());
    let output = command.output().await.with_context(|| format!("{shown} cannot be run"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        let said = text(&[&output.stdout[..], &output.stderr].concat());
        let lines: Vec<&str> = said.lines().collect();
        bail!("{shown}: {}\n{}", output.status, lines[lines.len().saturating_sub(40)..].join("\n"));
    }
    Ok(text(&output.stdout))
}
