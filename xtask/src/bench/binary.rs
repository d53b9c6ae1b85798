//! The programs of the benchmark, built from this workspace: the `usher` that is measured, and the load generator.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use usher_lab::real::Progress;

use super::Profile;
use crate::workspace;

/// Builds `usher` with the counter of statements and copies it into `directory`; where it is.
pub(super) async fn usher(
    profile: Profile,
    directory: &Path,
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    let package = ["--workspace", "--bin=usher", "--features=usher-server/count-statements"];
    let built = build("usher", profile, &package, progress).await?;
    let copy = directory.join("usher");
    fs::copy(&built, &copy).with_context(|| format!("{} cannot be copied", built.display()))?;
    Ok(copy)
}

/// Builds this program as a release; where it is.
pub(super) async fn released_xtask(progress: &Progress) -> anyhow::Result<PathBuf> {
    build("the load generator", Profile::Release, &["--workspace", "--bin=xtask"], progress).await
}

/// Builds one executable, cargo's own progress on standard error.
async fn build(
    what: &str,
    profile: Profile,
    arguments: &[&str],
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    let (name, about) = match profile {
        Profile::Release => ("release", "some minutes from scratch"),
        Profile::Dev => ("dev", "a minute or two from scratch"),
    };
    progress.line(&format!("building {what}, profile {name} ({about}) ..."));
    let mut cargo = tokio::process::Command::from(workspace::cargo(&["build"]));
    cargo.args(arguments).args(["--profile", name, "--message-format=json-render-diagnostics"]);
    cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = cargo.output().await.context("cargo cannot be run")?;
    ensure!(output.status.success(), "{what} could not be built: cargo ended with {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages).with_context(|| format!("cargo did not say where it put {what}"))
}

/// <https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>: `executable` is null for
/// everything that is none.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut paths = messages.filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from));
    paths.next_back()
}
