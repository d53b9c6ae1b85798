//! Packages from the npm registry, each in a directory of its own.

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

/// What Debian calls the installer.
pub(super) const PACKAGE: Package = Package { name: "npm", about_seconds: 60 };

/// An npm package, pinned.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodePackage {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) about_seconds: u32,
}

impl NodePackage {
    /// Its directory, if it was installed whole and in this version.
    pub(super) fn directory(self, lab: &Path) -> anyhow::Result<PathBuf> {
        let directory = self.prefix(lab).join("node_modules").join(self.name);
        let stamp = fs::read_to_string(self.prefix(lab).join("stamp")).unwrap_or_default();
        ensure!(
            stamp == self.version && directory.is_dir(),
            "{} is missing or has another version",
            self.name
        );
        Ok(directory)
    }

    fn prefix(self, lab: &Path) -> PathBuf {
        lab.join(format!("npm-{}", self.name))
    }

    /// Installs it from nothing. The caller holds the lock.
    pub(super) async fn install(self, lab: &Path, progress: &Progress) -> anyhow::Result<()> {
        progress.installing(self.name, self.about_seconds, self.install_at(self.prefix(lab))).await
    }

    async fn install_at(self, prefix: PathBuf) -> anyhow::Result<()> {
        if prefix.exists() {
            fs::remove_dir_all(&prefix).with_context(|| format!("cannot remove {}", prefix.display()))?;
        }
        fs::create_dir_all(&prefix).with_context(|| format!("cannot make {}", prefix.display()))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix"])
            .arg(&prefix)
            .arg(format!("{}@{}", self.name, self.version))
            .current_dir(&prefix)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = npm.output().await.context("npm cannot be run")?;
        if !output.status.success() {
            bail!("npm install {} failed: {}", self.name, said(&output));
        }
        // Last: whatever was interrupted before has no stamp and is installed anew.
        fs::write(prefix.join("stamp"), self.version).context("cannot write the stamp")
    }
}

/// Whether there is an npm, Debian's or another.
pub(super) async fn has_npm() -> bool {
    let version = Command::new("npm").arg("--version").output().await;
    version.is_ok_and(|output| output.status.success())
}
