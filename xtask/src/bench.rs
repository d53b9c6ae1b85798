//! `cargo xtask bench login`: what a login costs, on SQLite and on Postgres.
//!
//! Virtual browsers go through redirect, CAS, callback and `POST /login` against a scripted CAS server and scripted
//! homeservers that cost almost nothing. They live in this process; Usher is a process of its own, and only what that
//! one uses is counted as its cost. What each figure means: `docs/performance.md`.

mod binary;
mod browser;
mod connection;
mod database;
mod figures;
mod load;
mod probe;
mod runs;
mod site;

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand, ValueEnum};
use usher_lab::real::{
    Progress,
    install::{self, Component},
};

use self::{database::Database, figures::Figures, runs::Runs, site::Site};

/// Measures Usher.
#[derive(Debug, Subcommand)]
pub enum Options {
    /// What a login costs.
    Login(LoginOptions),
}

/// How much is measured, and on what.
#[derive(Clone, Debug, Args)]
pub struct LoginOptions {
    /// Also print the figures as one JSON object on the last line.
    #[arg(long)]
    json: bool,
    /// Logins that are measured, on each database.
    #[arg(long, default_value_t = 2000)]
    logins: usize,
    /// Browsers that log in at the same time.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// On which database.
    #[arg(long, value_enum, default_value_t = Databases::Both)]
    database: Databases,
    /// How Usher is built. Only the figures of `release` mean anything.
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Databases {
    Sqlite,
    Postgres,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Profile {
    Release,
    Dev,
}

/// Runs the benchmark and prints its figures. A login that fails is an error, with its reason.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let Options::Login(login) = options;
    let (runtime, progress) = (tokio::runtime::Runtime::new(), Progress::printing());
    let runtime = runtime.context("the runtime cannot be started")?;
    if login.profile == Profile::Release && cfg!(debug_assertions) {
        // `cargo xtask` is a debug build: as a load generator it would take the processor from what it measures.
        let xtask = runtime.block_on(binary::released_xtask(&progress))?;
        let status = Command::new(xtask).args(std::env::args_os().skip(1)).status();
        let is_fine = status.context("the load generator cannot be run")?.success();
        return Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    println!("cargo xtask bench login");
    let all = runtime.block_on(measure(login, &progress))?;
    println!("\n{}", figures::table(&all));
    if login.json {
        println!("{}", figures::json(&all));
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(bench: &LoginOptions, progress: &Progress) -> anyhow::Result<Vec<(&'static str, Figures)>> {
    ensure!(bench.logins > 0 && bench.concurrency > 0, "--logins and --concurrency must be at least 1");
    let kinds: &[_] = match bench.database {
        Databases::Sqlite => &[database::Kind::Sqlite],
        Databases::Postgres => &[database::Kind::Postgres],
        Databases::Both => &[database::Kind::Sqlite, database::Kind::Postgres],
    };
    if kinds.contains(&database::Kind::Postgres) {
        install::ensure(&[Component::Postgres], progress).await?;
    }
    // A copy: others build the same file, with other features, while this runs.
    let directory = tempfile::tempdir().context("no temporary directory can be made")?;
    let usher = binary::usher(bench.profile, directory.path(), progress).await?;
    let mut all = Vec::new();
    for kind in kinds {
        let figures =
            on(*kind, bench, &usher, progress).await.with_context(|| format!("on {}", kind.name()))?;
        all.push((kind.name(), figures));
    }
    Ok(all)
}

async fn on(
    kind: database::Kind,
    bench: &LoginOptions,
    usher: &Path,
    progress: &Progress,
) -> anyhow::Result<Figures> {
    let directory = tempfile::tempdir().context("no temporary directory can be made")?;
    let database = Database::start(kind, directory.path()).await?;
    let site = Site::start(bench.logins).await?;
    progress.line(&format!(
        "{}: {} first logins, {} logins, {} at once ...",
        kind.name(),
        site.people().len(),
        bench.logins,
        bench.concurrency,
    ));
    Runs::new(usher, directory.path(), &database, site, bench).figures().await
}

#[cfg(test)]
mod tests;
