//! `cargo xtask test`: installs what the tests need, runs every test there is, and counts.

mod c_libraries;
mod tally;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{ExitCode, Stdio},
};

use anyhow::Context as _;
use usher_lab::real::{
    Progress,
    install::{self, Component},
};

use crate::workspace::cargo;
use tally::Tally;

/// A portal without a backend lets nobody in, but it shows that a feature switches off what it names.
const NO_BACKEND: [&str; 5] = ["check", "--package", "usher-server", "--no-default-features", "--lib"];
/// All features: some tests count what only a feature can see. Documentation examples are included.
const EVERYTHING: [&str; 4] = ["test", "--workspace", "--all-features", "--no-fail-fast"];

/// Runs everything; the last line is `N passed, N failed`.
pub fn run() -> anyhow::Result<ExitCode> {
    say("Installing what is missing");
    let components = [
        Component::SamlLibraries,
        Component::Synapse,
        Component::CasServer,
        Component::OidcProvider,
        Component::SimpleSamlPhp,
        Component::Pysaml2,
        Component::Postgres,
        Component::DocumentTools,
        Component::Chromium,
        Component::Axe,
        Component::MatrixJsSdk,
        Component::FakeTime,
        Component::ContainerLinters,
        Component::ReverseProxies,
    ];
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    runtime.block_on(install::ensure(&components, &Progress::printing()))?;

    say("Running every test of the workspace");
    let mut tally = stream(&EVERYTHING)?;

    say("Building without any backend");
    let status = cargo(&NO_BACKEND).stdin(Stdio::null()).status().context("cargo cannot be run")?;
    if !status.success() {
        tally.add_failure("cargo check --package usher-server --no-default-features");
    }

    say("Building without SAML");
    if let Err(error) = c_libraries::come_with_saml_alone() {
        tally.add_failure("usher without SAML");
        println!("{error:#}");
    }

    println!("\n{}", tally.explanation());
    println!("{tally}");
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(what: &str) {
    println!("\n== {what}");
}

/// Runs cargo, passing its output on line by line.
fn stream(arguments: &[&str]) -> anyhow::Result<Tally> {
    let mut child = cargo(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo cannot be run")?;
    let stdout = child.stdout.take().context("cargo's output was not piped")?;
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).split(b'\n') {
        // A test may print what is not UTF-8.
        let line = line.context("cargo's output cannot be read")?;
        let line = String::from_utf8_lossy(&line);
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        tally.read(&line);
    }
    let status = child.wait().context("cargo cannot be waited for")?;
    tally.end(status.success());
    Ok(tally)
}
