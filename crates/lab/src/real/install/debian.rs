//! Debian packages, by name, with apt-get.

use std::process::Output;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::Progress;

/// A Debian package.
#[derive(Clone, Copy, Debug)]
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) about_seconds: u32,
}

impl Package {
    /// Whether dpkg says that it is installed.
    pub(super) async fn is_there(self) -> anyhow::Result<bool> {
        let output = Command::new("dpkg-query")
            .args(["--show", "--showformat=${db:Status-Status}", self.name])
            .output()
            .await
            .context("dpkg-query cannot be run: the lab knows how to install on Debian only")?;
        Ok(output.status.success() && output.stdout == b"installed")
    }
}

/// Installs `packages` in one go.
pub(super) async fn install(packages: &[Package], progress: &Progress) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    let Some(root) = Root::find().await else {
        bail!(
            "these Debian packages are missing: {names}. Install them with: \
             sudo apt-get install --no-install-recommends {names}",
            names = names.join(" ")
        );
    };
    let about = packages.iter().map(|package| package.about_seconds).sum();
    progress.installing(&names.join(", "), about, apt_install(root, &names)).await
}

async fn apt_install(root: Root, names: &[&str]) -> anyhow::Result<()> {
    let install = [&["install", "--yes", "--no-install-recommends"], names].concat();
    if root.apt_get(&install).await?.status.success() {
        return Ok(());
    }
    // A bare image has no package lists, an old one has stale ones: only now is it worth the time.
    let update = root.apt_get(&["update"]).await?;
    if !update.status.success() {
        bail!("apt-get update failed: {}", said(&update));
    }
    let output = root.apt_get(&install).await?;
    if !output.status.success() {
        bail!("apt-get install {} failed: {}", names.join(" "), said(&output));
    }
    Ok(())
}

/// How this process may act as root.
#[derive(Clone, Copy)]
enum Root {
    Myself,
    Sudo,
}

impl Root {
    async fn find() -> Option<Self> {
        if rustix::process::geteuid().is_root() {
            return Some(Self::Myself);
        }
        let sudo = Command::new("sudo").args(["-n", "true"]).output().await;
        sudo.is_ok_and(|output| output.status.success()).then_some(Self::Sudo)
    }

    async fn apt_get(self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = match self {
            Self::Myself => Command::new("env"),
            Self::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "env"]);
                sudo
            }
        };
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"])
            // Another package manager may be at work: wait for it.
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .stdin(std::process::Stdio::null());
        command.output().await.context("apt-get cannot be run")
    }
}

/// The last lines of what a command printed.
pub(super) fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let lines: Vec<&str> = out.lines().chain(err.lines()).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
