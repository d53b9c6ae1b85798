//! Python programs in virtual environments of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use super::{
    Progress,
    debian::{Package, said},
};

/// What Debian calls a Python that can make environments.
pub(super) const PACKAGE: Package = Package { name: "python3-venv", about_seconds: 15 };

/// A virtual environment and what is in it.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    /// The name of its directory, after `python-`.
    pub(super) name: &'static str,
    /// What a person calls it.
    pub(super) what: &'static str,
    /// A requirements file, every package pinned.
    pub(super) requirements: &'static str,
    pub(super) about_seconds: u32,
}

impl Environment {
    fn dir(&self, lab: &Path) -> PathBuf {
        lab.join(format!("python-{}", self.name))
    }

    /// Its interpreter, if the environment was finished and holds what is asked for now.
    pub(super) fn python(&self, lab: &Path) -> anyhow::Result<PathBuf> {
        let python = self.dir(lab).join("bin/python");
        let stamp = fs::read_to_string(self.dir(lab).join("stamp")).unwrap_or_default();
        ensure!(
            stamp == self.requirements,
            "the environment is missing, half finished, or has other versions"
        );
        // A link to the system's Python: dangling after the system moved on.
        ensure!(python.exists(), "the Python that the environment was made with is gone");
        Ok(python)
    }

    /// Makes it from nothing. The caller holds the lock.
    pub(super) async fn make(&self, lab: &Path, progress: &Progress) -> anyhow::Result<()> {
        let base = find_interpreter().await.context("there is no Python 3 that can make an environment")?;
        progress.installing(self.what, self.about_seconds, self.make_with(base, lab)).await
    }

    async fn make_with(&self, base: &str, lab: &Path) -> anyhow::Result<()> {
        let dir = self.dir(lab);
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
        run(Command::new(base).args(["-m", "venv"]).arg(&dir)).await?;
        let requirements = dir.join("requirements.txt");
        fs::write(&requirements, self.requirements).context("cannot write the requirements file")?;
        let mut pip = Command::new(dir.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
            // A wheel needs no compiler.
            .args(["--prefer-binary", "--requirement"])
            .arg(&requirements);
        run(&mut pip).await?;
        // Last: whatever was interrupted before has no stamp and is made anew.
        fs::write(dir.join("stamp"), self.requirements).context("cannot write the stamp")
    }
}

/// Debian's Python if it can make environments, else the first on the path that can.
pub(super) async fn find_interpreter() -> Option<&'static str> {
    for python in ["/usr/bin/python3", "python3"] {
        let check = Command::new(python).args(["-c", "import venv, ensurepip"]).output().await;
        if check.is_ok_and(|output| output.status.success()) {
            return Some(python);
        }
    }
    None
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    // Dropped (a demo that is interrupted): no installer goes on by itself.
    command.stdin(Stdio::null()).kill_on_drop(true);
    let name = command.as_std().get_program().display().to_string();
    let output = command.output().await.with_context(|| format!("{name} cannot be run"))?;
    if !output.status.success() {
        bail!("{:?} failed: {}", command.as_std(), said(&output));
    }
    Ok(())
}
