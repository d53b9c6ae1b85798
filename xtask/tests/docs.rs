//! Does what README.md and docs say: every block of commands is run, every part of a config is checked.
//!
//! - All documents share one directory, README.md first: they describe one Usher, and so does the directory.
//! - `yaml title=NAME` is written to that file; `yaml` is laid over the last `usher.yaml`, key by key of its top level, and
//!   has to pass `usher config check`; `yaml kept` stays there for what comes after it.
//! - `sh` is run by bash with `usher` on the path. `usher serve` is started, has to answer, serves the commands after it,
//!   and has to end well when its document does.
//! - Lines of `cargo` are run in the workspace, without `--release`: optimising takes minutes and shows nothing. A demo
//!   that stays up is interrupted once it says that it is up. `cargo xtask test` is the one command that is not run: it
//!   is what runs this.
//! - `sh compose` needs a container engine: `cargo xtask compose` runs every such block, as it stands.
//! - `127.0.0.1:8080` is replaced by a port that is free on this machine.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_yaml_ng::{Mapping, Value};
use url::Url;
use usher_lab::real::{
    Progress, free_port,
    process::{self, Process},
};
use xtask::{
    blocks::{Block, Kind},
    documents::documents,
    workspace,
};

const DOCUMENTED_ADDRESS: &str = "127.0.0.1:8080";
const CONFIG: &str = "usher.yaml";
/// It runs this test.
const NOT_RUN: &str = "cargo xtask test";
/// What a demo says when it stays up.
const UP: &str = "Everything is up.";
const DEADLINE: Duration = Duration::from_secs(40);

#[tokio::test]
async fn an_operator_can_do_what_the_documents_say() -> anyhow::Result<()> {
    let binary = workspace::build_usher(&Progress::silent()).await?;
    let mut operator = Operator::new(&binary)?;
    for document in documents()? {
        for block in document.blocks.iter().filter(|block| !is_for_cargo(block)) {
            let done = operator.follow(block).await;
            done.with_context(|| format!("{}, line {}", document.name, block.line))?;
        }
        operator.stop_serving().await.with_context(|| format!("the end of {}", document.name))?;
    }
    ensure!(operator.has_served, "no document says how Usher is started");
    Ok(())
}

#[test]
fn the_cargo_commands_of_the_documents_work() -> anyhow::Result<()> {
    let mut ran = Vec::new();
    for document in documents()? {
        for block in document.blocks.iter().filter(|block| is_for_cargo(block)) {
            let is_pure = block.text.lines().all(|line| line.starts_with("cargo "));
            ensure!(is_pure, "{}, line {}: cargo among other commands", document.name, block.line);
            for line in block.text.lines().filter(|line| *line != NOT_RUN) {
                run_cargo(line).with_context(|| format!("{}: {line}", document.name))?;
                ran.push(line.to_owned());
            }
        }
    }
    assert!(ran.iter().any(|line| line == "cargo xtask demo"), "README.md promises a demo: {ran:?}");
    Ok(())
}

fn is_for_cargo(block: &Block) -> bool {
    block.kind == Kind::Commands && block.text.starts_with("cargo ")
}

/// Runs one line in the workspace.
fn run_cargo(line: &str) -> anyhow::Result<()> {
    let mut command = process::command("bash");
    let script = format!("exec {}", line.replace(" --release", ""));
    command.args(["-euo", "pipefail", "-c", &script]).current_dir(workspace::root());
    command.stdin(Stdio::null());
    workspace::forget_cargo(&mut command);
    if line.starts_with("cargo xtask demo") && !line.contains("--once") {
        return interrupt_when_up(command);
    }
    let output = command.output()?;
    let said = || both(&output.stdout, &output.stderr);
    ensure!(output.status.success(), "{}:\n{}", output.status, said());
    if line.starts_with("cargo xtask demo") {
        let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
        ensure!(last == "demo: ok", "the last line is {last:?}:\n{}", said());
    }
    Ok(())
}

fn interrupt_when_up(mut command: Command) -> anyhow::Result<()> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let stdout = child.stdout.take().context("the output is piped")?;
    let (mut said, mut was_up) = (String::new(), false);
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        said.push_str(&line);
        said.push('\n');
        // The hint for a browser is the last that it prints.
        if line.contains(UP) {
            was_up = true;
            kill_process(Pid::from_child(&child), Signal::INT)?;
        }
    }
    let status = child.wait()?;
    ensure!(was_up && status.success(), "{status}:\n{said}");
    Ok(())
}

/// Somebody with a shell in the directory of a `usher.yaml`.
struct Operator {
    _programs: tempfile::TempDir,
    directory: tempfile::TempDir,
    path: OsString,
    binary: PathBuf,
    address: String,
    serving: Option<Process>,
    has_served: bool,
}

impl Operator {
    /// With a copy of the program: the commands of the other test build it again.
    fn new(binary: &Path) -> anyhow::Result<Self> {
        let programs = tempfile::tempdir()?;
        let copy = programs.path().join("usher");
        let copied = Command::new("cp").arg(binary).arg(&copy).status()?;
        ensure!(copied.success(), "{} cannot be copied", binary.display());
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([programs.path().to_owned()].into_iter().chain(env::split_paths(&path)))?;
        Ok(Self {
            _programs: programs,
            directory: tempfile::tempdir()?,
            path,
            binary: copy,
            address: format!("127.0.0.1:{}", free_port()?),
            serving: None,
            has_served: false,
        })
    }

    async fn follow(&mut self, block: &Block) -> anyhow::Result<()> {
        let text = block.text.replace(DOCUMENTED_ADDRESS, &self.address);
        match &block.kind {
            Kind::File(name) => fs::write(self.directory.path().join(name), text)?,
            Kind::Fragment => drop(self.check(&text)?),
            Kind::KeptFragment => fs::rename(self.check(&text)?, self.directory.path().join(CONFIG))?,
            Kind::Commands if text.trim() == "usher serve" => self.serve().await?,
            Kind::Commands => {
                let output = self.bash(&text).output()?;
                ensure!(
                    output.status.success(),
                    "{}: {}",
                    output.status,
                    both(&output.stdout, &output.stderr)
                );
            }
            // Their test is `cargo xtask compose`, which runs every one of them.
            Kind::ContainerCommands | Kind::Shown => {}
        }
        Ok(())
    }

    fn bash(&self, script: &str) -> Command {
        let mut command = process::command("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(self.directory.path());
        command.env("PATH", &self.path).stdin(Stdio::null());
        command
    }

    /// Lays `fragment` over the config and has Usher look at the result; the file with it.
    fn check(&self, fragment: &str) -> anyhow::Result<PathBuf> {
        let config = fs::read_to_string(self.directory.path().join(CONFIG))?;
        let mut config: Mapping = serde_yaml_ng::from_str(&config)?;
        let fragment: Mapping =
            serde_yaml_ng::from_str(fragment).context("a part of the config is a section")?;
        config.extend(fragment);
        let laid_over = self.directory.path().join("laid-over.yaml");
        fs::write(&laid_over, serde_yaml_ng::to_string(&Value::Mapping(config))?)?;
        let output = self.bash("usher --config laid-over.yaml config check").output()?;
        ensure!(output.status.success(), "{}", both(&output.stdout, &output.stderr));
        Ok(laid_over)
    }

    async fn serve(&mut self) -> anyhow::Result<()> {
        self.stop_serving().await?;
        let mut command = process::command(&self.binary);
        command.arg("serve").current_dir(self.directory.path());
        let mut usher = Process::spawn("usher serve", command, &self.directory.path().join("usher.log"))?;
        let health = Url::parse(&format!("http://{}/_usher/health", self.address))?;
        usher.ready(&health, DEADLINE).await?;
        self.serving = Some(usher);
        self.has_served = true;
        Ok(())
    }

    async fn stop_serving(&mut self) -> anyhow::Result<()> {
        let Some(mut usher) = self.serving.take() else { return Ok(()) };
        let status = usher.stop(DEADLINE).await?;
        if !status.success() {
            bail!("usher serve ended with {status}:\n{}", usher.log_tail());
        }
        Ok(())
    }
}

fn both(stdout: &[u8], stderr: &[u8]) -> String {
    format!("{}\n{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr))
}
