//! The workspace, and cargo run in it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use usher_lab::real::{
    Progress,
    install::{self, Component},
};

/// Between two lines that say how far a build is.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// As much of a failed build as an error shows.
const TAIL_LINES: usize = 40;

/// The directory of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a directory in the workspace")
}

/// `cargo`, to be run in the workspace.
#[must_use]
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    forget_cargo(&mut command);
    command.current_dir(root()).args(arguments);
    command
}

/// Removes what cargo tells a program that it runs, this one, before that program runs cargo again.
///
/// The build script of `ring` is run anew when `CARGO_PKG_NAME` changes, so a cargo that inherits another package's would
/// build every crate that speaks TLS again, and the next cargo from a shell once more.
pub fn forget_cargo(command: &mut Command) {
    let is_told = |name: &str| {
        let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        name == "CARGO" || prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_told)) {
        command.env_remove(name);
    }
}

/// Installs the C libraries that the workspace is built with and that this program is built without.
pub async fn ensure_libraries(progress: &Progress) -> anyhow::Result<()> {
    install::ensure(&[Component::SamlLibraries], progress).await
}

/// Builds the `usher` binary, telling how far it is; its path. The whole workspace is selected, so that what the tests
/// have compiled is used again: cargo unites the features of the packages that are selected.
pub async fn build_usher(progress: &Progress) -> anyhow::Result<PathBuf> {
    ensure_libraries(progress).await?;
    let mut command = tokio::process::Command::from(cargo(&["build", "--workspace", "--bin", "usher"]));
    command.env("CARGO_TERM_PROGRESS_WHEN", "never").env("CARGO_TERM_COLOR", "never");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("cargo cannot be run")?;
    let stderr = child.stderr.take().context("cargo's output was not piped")?;
    let began = Instant::now();
    let (mut compiled, mut seen) = (0_usize, Vec::new());
    let mut lines = BufReader::new(stderr).lines();
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + TELL_EVERY, TELL_EVERY);
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line.context("cargo's output cannot be read")?,
            _ = tick.tick() => {
                progress.line(&format!("{compiled} crates so far ({} s) ...", began.elapsed().as_secs()));
                continue;
            }
        };
        let Some(line) = line else { break };
        compiled += usize::from(line.trim_start().starts_with("Compiling "));
        if line.trim_start().starts_with("Blocking ") {
            progress.line("another cargo is at work; waiting for it ...");
        }
        seen.push(line);
    }
    let status = child.wait().await.context("cargo cannot be waited for")?;
    if !status.success() {
        bail!("usher does not build:\n{}", seen[seen.len().saturating_sub(TAIL_LINES)..].join("\n"));
    }
    progress.line(&match compiled {
        0 => "built already".to_owned(),
        _ => format!("built in {:.0} s ({compiled} crates)", began.elapsed().as_secs_f32()),
    });
    let target = target_directory()?;
    Ok(target.join("debug/usher"))
}

/// Where cargo puts what it builds.
pub fn target_directory() -> anyhow::Result<PathBuf> {
    let metadata = metadata()?;
    let path = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(path))
}

/// `cargo metadata` of the workspace's own packages; needs no network.
pub fn metadata() -> anyhow::Result<serde_json::Value> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"]).output();
    let output = output.context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")
}
