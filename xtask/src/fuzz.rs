//! `cargo xtask fuzz`: has the SAML backend read what no identity provider would send, with libFuzzer.
//!
//! The targets and their messages are in `crates/saml/fuzz`, which `cargo fuzz` knows as well; this installs `cargo fuzz`,
//! builds beside everything else and limits time and memory.

use std::{
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use usher_lab::real::{Progress, install};

use crate::workspace::{self, cargo};

/// The version whose arguments are known here.
const CARGO_FUZZ: &str = "0.13.2";
/// The longest message, in bytes: what is longer is slower and shows nothing new.
const MAX_LEN: u32 = 32 * 1024;
/// A message that takes longer hangs, in seconds.
const TIMEOUT: u32 = 10;
/// What reading any number of messages may take, in MiB, the fuzzer's own memory included.
const MAX_MEMORY: u32 = 1_024;

/// What to fuzz, and for how long.
#[derive(Clone, Copy, Debug, Args)]
pub struct Options {
    /// What reads the messages.
    #[arg(value_enum)]
    target: Target,
    /// How long, after the messages that are known already.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// What else looks for mistakes in memory. `address` needs a nightly toolchain.
    #[arg(long, value_enum, default_value_t = Sanitizer::None)]
    sanitizer: Sanitizer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// What is looked at before a library written in C sees the message.
    Gate,
    /// All that is done with a response.
    Response,
    /// The metadata of an identity provider.
    Metadata,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sanitizer {
    None,
    Address,
}

/// Fuzzes. A message that broke something is kept in `crates/saml/fuzz/artifacts`, and the run fails.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let progress = Progress::printing();
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    runtime.block_on(workspace::ensure_libraries(&progress))?;
    let program = cargo_fuzz(&progress)?;
    let name = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
        value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    let sanitizer = name(&|| options.sanitizer.to_possible_value());
    let mut command = Command::new(program);
    workspace::forget_cargo(&mut command);
    command.current_dir(workspace::root().join("crates/saml")).args([
        "fuzz",
        "run",
        "--sanitizer",
        &sanitizer,
    ]);
    command.arg("--target-dir").arg(workspace::target_directory()?.join("fuzz"));
    if options.sanitizer == Sanitizer::Address {
        command.env("RUSTUP_TOOLCHAIN", "nightly");
    }
    command.arg(name(&|| options.target.to_possible_value())).arg("--").args([
        format!("-max_total_time={}", options.seconds),
        format!("-max_len={MAX_LEN}"),
        format!("-timeout={TIMEOUT}"),
        format!("-rss_limit_mb={MAX_MEMORY}"),
        "-print_final_stats=1".to_owned(),
    ]);
    let status = command.stdin(Stdio::null()).status().context("cargo fuzz cannot be run")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where `cargo fuzz` is; installs it if it is not there.
fn cargo_fuzz(progress: &Progress) -> anyhow::Result<PathBuf> {
    let root = install::lab_dir().join(format!("cargo-fuzz-{CARGO_FUZZ}"));
    let program = root.join("bin/cargo-fuzz");
    if !program.exists() {
        progress.line("installing cargo fuzz (about a minute) ...");
        let mut install = cargo(&["install", "--quiet", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ]);
        let status = install.arg("--root").arg(&root).stdin(Stdio::null()).status();
        ensure!(status.context("cargo cannot be run")?.success(), "cargo fuzz could not be installed");
    }
    Ok(program)
}
