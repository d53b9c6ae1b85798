//! The programs of the benchmark, built from this workspace: the `usher` that is measured, the floor it is compared with,
//! and the load generator.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use usher_lab::real::Progress;

use super::Profile;
use crate::workspace;

/// The bare program, in the directory of [`programs`].
pub(super) const FLOOR: &str = "usher-floor";

/// The file in the target directory that is locked from a build until its programs are copied.
const LOCK: &str = "bench.lock";

/// Builds `usher`, with the counter of statements, and the floor, by one cargo, so that both are made of the same crates;
/// copies both into `directory`; where `usher` is. Timing polls takes a little time itself: only if it is wanted.
///
/// Cargo puts a program of any features at the same path, so that another benchmark waits with its build until the copies
/// are made.
pub(super) async fn programs(
    profile: Profile,
    times_polls: bool,
    directory: &Path,
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    let mut packages =
        vec!["--workspace", "--bin=usher", "--bin=usher-floor", "--features=usher-server/count-statements"];
    if times_polls {
        packages.push("--features=usher-server/time-polls");
    }
    let _alone = lock().await?;
    for built in build("usher", profile, &packages, progress).await? {
        let name = built.file_name().context("an executable has a name")?;
        // By another process: one that is started by this one meanwhile would have the file open for writing for a moment, and
        // nobody could run it (ETXTBSY).
        let copy = tokio::process::Command::new("cp").arg(&built).arg(directory.join(name)).status().await?;
        ensure!(copy.success(), "{} cannot be copied", built.display());
    }
    Ok(directory.join("usher"))
}

/// Waits for other benchmarks that build, in this process or another; they wait until what this gives is dropped.
async fn lock() -> anyhow::Result<File> {
    let directory = workspace::target_directory()?;
    let locked = tokio::task::spawn_blocking(move || {
        fs::create_dir_all(&directory)?;
        let file = File::create(directory.join(LOCK))?;
        file.lock()?;
        Ok::<_, io::Error>(file)
    });
    locked.await?.context("other benchmarks cannot be kept from building")
}

/// Builds this program with everything it can have; where it is.
pub(super) async fn load_generator(profile: Profile, progress: &Progress) -> anyhow::Result<PathBuf> {
    let packages = ["--workspace", "--bin=xtask", "--all-features"];
    let built = build("the load generator", profile, &packages, progress).await?;
    built.into_iter().next_back().context("cargo did not say where it put the load generator")
}

/// Builds what measures verification by itself; where it is.
#[cfg(feature = "saml")]
pub(super) async fn verify(profile: Profile, progress: &Progress) -> anyhow::Result<PathBuf> {
    let packages = ["--workspace", "--example=verify", "--all-features"];
    let built = build("what verifies", profile, &packages, progress).await?;
    built.into_iter().next_back().context("cargo did not say where it put what verifies")
}

/// Builds executables, cargo's own progress on standard error; where they are.
async fn build(
    what: &str,
    profile: Profile,
    arguments: &[&str],
    progress: &Progress,
) -> anyhow::Result<Vec<PathBuf>> {
    workspace::ensure_libraries(progress).await?;
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
    let built = executables(&messages);
    ensure!(!built.is_empty(), "cargo did not say where it put {what}");
    Ok(built)
}

/// <https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>: `executable` is null for
/// everything that is none.
fn executables(messages: &str) -> Vec<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What only a program that times its polls can say.
    const TOLD: &str = "polls were timed";

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_benchmark_gets_the_program_that_it_built_whatever_others_build() {
        let progress = Arc::new(Progress::silent());
        let all = (0..6).map(|number| {
            let (times_polls, progress) = (number % 2 == 0, Arc::clone(&progress));
            tokio::spawn(async move {
                let directory = tempfile::tempdir().expect("a directory");
                let usher =
                    programs(Profile::Dev, times_polls, directory.path(), &progress).await.expect("usher");
                let mut grep = tokio::process::Command::new("grep");
                let found =
                    grep.args(["--quiet", "--text", TOLD]).arg(usher).status().await.expect("grep runs");
                assert_eq!(found.code(), Some(i32::from(!times_polls)), "number {number}");
            })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.expect("it has what it asked for");
        }
    }
}
