//! `cargo xtask COMMAND`: what the README promises.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, check, compose, demo, fuzz, generate, test};

/// The repository's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start two homeservers, a single sign-on and Usher, sign people in, and stay up until Ctrl-C.
    Demo(demo::Options),
    /// Install what the tests need and run all of them.
    Test,
    /// Look at everything that is not a test: format, lints, documentation, licences, our own rules.
    Check(check::Options),
    /// Measure what a login costs.
    #[command(subcommand)]
    Bench(bench::Options),
    /// Start a container engine and prove docker-compose.yml on it: everything the documents say, and a login through
    /// three replicas while one is killed and all are stopped. Needs root.
    Compose(compose::Options),
    /// Have the SAML backend read what no identity provider would send.
    Fuzz(fuzz::Options),
    /// Write docs/configuration.md and docs/usher.schema.json anew.
    Generate,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::run(options),
        Command::Test => test::run(),
        Command::Check(options) => check::run(options),
        Command::Bench(options) => bench::run(&options),
        Command::Compose(options) => compose::run(&options),
        Command::Fuzz(options) => fuzz::run(options),
        Command::Generate => generate::run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
