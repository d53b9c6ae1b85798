//! What the reverse proxies from Debian have in common: a configuration that somebody else wrote, with no more of the lab's
//! own around it than a process needs that is not a service of the machine, and a directory for what they write.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::Context as _;
use tempfile::TempDir;

use super::process::{self, Process};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// A running reverse proxy.
#[derive(Debug)]
pub struct ReverseProxy {
    process: Process,
    // After the process: it must be gone before its files are.
    _directory: TempDir,
}

/// How one is started: a program, the files it is given besides the configuration, and its arguments.
pub(super) struct Recipe<'a> {
    pub(super) name: &'a str,
    pub(super) program: &'a str,
    /// What the configuration is written to.
    pub(super) file: &'a str,
    /// The lab's own file, and what is in it.
    pub(super) around: (&'a str, &'a str),
    pub(super) arguments: &'a [&'a str],
}

impl ReverseProxy {
    /// Runs it in a directory of its own until somebody can connect to `address`, where `config` has it listen.
    pub(super) async fn start(recipe: Recipe<'_>, config: &str, address: SocketAddr) -> anyhow::Result<Self> {
        let Recipe { name, program, file, around, arguments } = recipe;
        let directory = tempfile::tempdir().with_context(|| format!("no temporary directory for {name}"))?;
        let path = directory.path();
        for (file, text) in [(file, config), around] {
            fs::write(path.join(file), text).with_context(|| format!("{file} cannot be written"))?;
        }
        let mut process = Process::spawn(name, command(program, arguments, path), &path.join("log"))?;
        process.listening(address, START_DEADLINE).await?;
        Ok(Self { process, _directory: directory })
    }

    /// What it has said since it was started.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

/// Whatever of the machine's own it might read or write is looked for in `directory`.
fn command(program: &str, arguments: &[&str], directory: &Path) -> Command {
    let mut command = process::command(program);
    command.args(arguments).current_dir(directory).env("HOME", directory);
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
    command
}
