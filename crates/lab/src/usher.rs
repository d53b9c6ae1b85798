//! The `usher` binary as a process of its own, with its config in a directory: to be killed, paused, restarted
//! and looked at from outside.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use url::Url;

use crate::real::process::{self, Process};

const START_DEADLINE: Duration = Duration::from_secs(30);
/// Longer than Usher's own grace for requests under way.
const STOP_GRACE: Duration = Duration::from_secs(40);

/// A running (or stopped) Usher.
#[derive(Debug)]
pub struct Usher {
    binary: PathBuf,
    directory: PathBuf,
    address: Url,
    process: Option<Process>,
}

impl Usher {
    /// Writes `config` as `usher.yaml` into `directory` (JSON is YAML) and runs `usher serve` until it answers. The
    /// config's `listen[0]` must be `127.0.0.1:PORT`.
    pub async fn start(binary: &Path, directory: &Path, config: &Value) -> anyhow::Result<Self> {
        let listen =
            config.pointer("/listen/0").and_then(Value::as_str).context("the config has no listen[0]")?;
        let address = Url::parse(&format!("http://{listen}/")).context("listen[0] is not an address")?;
        fs::write(directory.join("usher.yaml"), serde_json::to_string_pretty(config)?)
            .context("usher.yaml could not be written")?;
        let mut usher =
            Self { binary: binary.to_owned(), directory: directory.to_owned(), address, process: None };
        usher.start_again().await?;
        Ok(usher)
    }

    /// Starts it again with the same config, database and address.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "usher runs already");
        self.launch(process::command(&self.binary)).await
    }

    /// The same with a clock that is ahead of everybody else's by `seconds`; needs [`Component::FakeTime`].
    ///
    /// [`Component::FakeTime`]: crate::real::install::Component::FakeTime
    pub async fn start_again_ahead(&mut self, seconds: u32) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "usher runs already");
        let mut command = process::command(&self.binary);
        command
            .env("LD_PRELOAD", fake_time()?)
            .env("FAKETIME", format!("+{seconds}s"))
            // Only what time it is: timeouts stay as long as they are.
            .env("DONT_FAKE_MONOTONIC", "1");
        self.launch(command).await
    }

    async fn launch(&mut self, mut command: Command) -> anyhow::Result<()> {
        command.current_dir(&self.directory).arg("serve");
        let mut process = Process::spawn("usher", command, &self.directory.join("usher.log"))?;
        process.ready(&self.address.join("_usher/health")?, START_DEADLINE).await?;
        self.process = Some(process);
        Ok(())
    }

    /// Where it listens: `http://127.0.0.1:PORT/`.
    #[must_use]
    pub fn address(&self) -> &Url {
        &self.address
    }

    /// Its process id, if it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("usher does not run")?;
        process.kill()?;
        Ok(())
    }

    /// SIGTERM, and waits until it has drained; an error if it did not end by itself and well.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("usher does not run")?;
        let status = process.stop(STOP_GRACE).await?;
        ensure!(status.success(), "usher ended with {status}:\n{}", process.log_tail());
        Ok(())
    }

    /// Everything it has logged since it was first started in its directory.
    pub fn log(&self) -> anyhow::Result<String> {
        fs::read_to_string(self.directory.join("usher.log")).context("usher.log could not be read")
    }

    /// Runs another command of the binary in `directory` to its end.
    pub fn run(binary: &Path, directory: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
        process::command(binary)
            .current_dir(directory)
            .args(arguments)
            .output()
            .with_context(|| format!("usher {arguments:?} could not be run"))
    }
}

/// libfaketime lies in a directory of the machine's architecture.
fn fake_time() -> anyhow::Result<PathBuf> {
    let directories = fs::read_dir("/usr/lib").context("there is no /usr/lib")?.flatten();
    let mut libraries = directories.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    libraries.find(|library| library.is_file()).context("libfaketime is not installed")
}
