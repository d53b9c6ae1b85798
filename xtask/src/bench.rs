//! `cargo xtask bench`: what a login and a request that needs UI auth cost, on SQLite and on Postgres.
//!
//! Virtual browsers go through redirect, single sign-on, callback and `POST /login` against a scripted one and scripted
//! homeservers that cost almost nothing. They live in this process; Usher is a process of its own, and only what that
//! one uses is counted as its cost. What each figure means: `docs/performance.md`.

mod binary;
mod browser;
mod connection;
mod dangerous;
mod database;
#[cfg(feature = "saml")]
mod federation;
mod figures;
mod first_answer;
#[cfg(feature = "saml")]
mod flood;
mod floor;
mod load;
mod login;
mod million;
mod oidc;
#[cfg(feature = "saml")]
mod polls;
mod portal;
mod probe;
mod profile;
mod rows;
#[cfg(feature = "saml")]
mod saml;
mod site;
mod sso;
mod turns;
mod uia;

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use usher_lab::real::{
    Progress,
    install::{self, Component},
};

use self::{database::Kind, figures::Measured};

/// Measures Usher.
#[derive(Clone, Debug, Subcommand)]
pub enum Options {
    /// What a login costs, and what Usher needs besides.
    Login(Load),
    /// What a login costs beside a bare program that does the least it needs.
    Floor {
        /// How much, and on what.
        #[command(flatten)]
        load: Load,
        /// How often the two take turns.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// What a login costs beside a million people and login tokens in the database.
    Million {
        /// How much, and on what.
        #[command(flatten)]
        load: Load,
        /// How often the empty and the full database take turns.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// People in the full database.
        #[arg(long, default_value_t = 1_000_000)]
        people: usize,
    },
    /// What a request that needs UI auth costs, and beside a million stored sessions.
    Uia {
        /// How much, and on what.
        #[command(flatten)]
        load: Load,
        /// How often the empty and the full table take turns.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Sessions in the full table.
        #[arg(long, default_value_t = 1_000_000)]
        rows: usize,
    },
    /// What a login by OpenID Connect costs, beside one by CAS.
    Oidc {
        /// How much, and on what.
        #[command(flatten)]
        load: Load,
        /// How often the two take turns.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// What verifying a SAML response costs, and how people log in by SAML while others send what is refused.
    Saml {
        /// How much, and on what.
        #[command(flatten)]
        load: Load,
        /// How often it is measured.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Where the processor time goes, by `perf`.
    Profile {
        /// How much, and on what.
        #[command(flatten)]
        load: Load,
        /// That of what.
        #[arg(long, value_enum, default_value_t = Subject::Login)]
        of: Subject,
    },
}

/// How much is measured, and on what.
#[derive(Clone, Debug, Args)]
pub struct Load {
    /// Also print the figures as one JSON object on the last line.
    #[arg(long)]
    json: bool,
    /// Fail if a figure is over what is needed.
    #[arg(long)]
    strict: bool,
    /// Logins, or requests of each kind, that are measured, on each database and in each round.
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

/// What can be looked at more closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// A login of somebody who has an account.
    Login,
    /// A request that is answered with a challenge.
    Challenge,
    /// The same to its end.
    Round,
    /// A request that passes through.
    Passthrough,
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

/// What every measurement needs.
struct Bench<'a> {
    load: &'a Load,
    usher: &'a Path,
    progress: &'a Progress,
}

impl Options {
    fn load(&self) -> &Load {
        match self {
            Self::Login(load)
            | Self::Profile { load, .. }
            | Self::Floor { load, .. }
            | Self::Million { load, .. }
            | Self::Oidc { load, .. }
            | Self::Saml { load, .. }
            | Self::Uia { load, .. } => load,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Login(_) => "login",
            Self::Floor { .. } => "floor",
            Self::Million { .. } => "million",
            Self::Oidc { .. } => "oidc",
            Self::Saml { .. } => "saml",
            Self::Uia { .. } => "uia",
            Self::Profile { .. } => "profile",
        }
    }
}

impl Load {
    fn kinds(&self) -> &'static [Kind] {
        match self.database {
            Databases::Sqlite => &[Kind::Sqlite],
            Databases::Postgres => &[Kind::Postgres],
            Databases::Both => &[Kind::Sqlite, Kind::Postgres],
        }
    }
}

/// Runs the benchmark and prints its figures. A login that fails is an error, with its reason.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let load = options.load();
    let (runtime, progress) = (tokio::runtime::Runtime::new(), Progress::printing());
    let runtime = runtime.context("the runtime cannot be started")?;
    // `cargo xtask` is a debug build: as a load generator it would take the processor from what it measures. And it is
    // built without what signs responses.
    let is_too_slow = load.profile == Profile::Release && cfg!(debug_assertions);
    let is_lacking = matches!(options, Options::Saml { .. }) && !cfg!(feature = "saml");
    if is_too_slow || is_lacking {
        let xtask = runtime.block_on(binary::load_generator(load.profile, &progress))?;
        let status = Command::new(xtask).args(std::env::args_os().skip(1)).status();
        let is_fine = status.context("the load generator cannot be run")?.success();
        return Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    println!("cargo xtask bench {}", options.name());
    let before = probe::machine()?;
    if let Options::Profile { of, .. } = options {
        let shares = runtime.block_on(profiled(load, *of, &progress))?;
        println!("\n{}\n\n{before}", profile::table(&shares));
        return Ok(ExitCode::SUCCESS);
    }
    let all = runtime.block_on(measure(options, &progress))?;
    println!("\n{}\n\nat the start: {before}\nat the end:   {}", figures::table(&all), probe::machine()?);
    if load.profile == Profile::Dev {
        println!("Usher was a debug build: its times mean nothing.");
    }
    if load.json {
        println!("{}", report(options.name(), &before, &all));
    }
    let is_over = load.strict && figures::is_any_missed(&all);
    Ok(if is_over { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn report(name: &str, machine: &str, all: &[Measured]) -> Value {
    let mut report = figures::json(all);
    report.insert("bench".to_owned(), json!(name));
    report.insert("machine".to_owned(), json!(machine));
    Value::Object(report)
}

async fn measure(options: &Options, progress: &Progress) -> anyhow::Result<Vec<Measured>> {
    let load = options.load();
    let with_shells = matches!(options, Options::Million { .. } | Options::Uia { .. });
    let times_polls = matches!(options, Options::Saml { .. });
    let (programs, usher) = prepare(load, with_shells, times_polls, progress).await?;
    let bench = Bench { load, usher: &usher, progress };
    #[cfg(feature = "saml")]
    let alone = if times_polls { Some(saml::Alone::measure(&bench).await?) } else { None };
    let mut all = Vec::new();
    for kind in load.kinds().iter().copied() {
        let directory = tempfile::tempdir().context("no temporary directory can be made")?;
        let figures = match options {
            Options::Login(_) => login::figures(&bench, kind, directory.path()).await,
            Options::Floor { rounds, .. } => {
                let floor = programs.path().join(binary::FLOOR);
                floor::figures(&bench, kind, directory.path(), &floor, *rounds).await
            }
            Options::Million { rounds, people, .. } => {
                million::figures(&bench, kind, directory.path(), *rounds, *people).await
            }
            Options::Oidc { rounds, .. } => oidc::figures(&bench, kind, directory.path(), *rounds).await,
            #[cfg(feature = "saml")]
            Options::Saml { rounds, .. } => {
                let alone = alone.as_ref().context("what has no server around it was not measured")?;
                saml::figures(&bench, kind, directory.path(), *rounds, alone).await
            }
            #[cfg(not(feature = "saml"))]
            Options::Saml { .. } => bail!("this program was built without what signs responses"),
            Options::Uia { rounds, rows, .. } => {
                uia::figures(&bench, kind, directory.path(), *rounds, *rows).await
            }
            Options::Profile { .. } => bail!("a profile has no figures"),
        };
        all.push(Measured { kind, figures: figures.with_context(|| format!("on {}", kind.name()))? });
    }
    Ok(all)
}

async fn profiled(
    load: &Load,
    of: Subject,
    progress: &Progress,
) -> anyhow::Result<Vec<(Kind, Vec<(&'static str, f64)>)>> {
    let (_programs, usher) = prepare(load, of != Subject::Login, false, progress).await?;
    let bench = Bench { load, usher: &usher, progress };
    let mut all = Vec::new();
    for kind in load.kinds().iter().copied() {
        let directory = tempfile::tempdir().context("no temporary directory can be made")?;
        let shares = profile::shares(&bench, kind, directory.path(), of).await;
        all.push((kind, shares.with_context(|| format!("on {}", kind.name()))?));
    }
    Ok(all)
}

/// Installs and builds what is measured: a directory with copies, since others build the same files, with other
/// features, while this runs; and where `usher` is in it.
async fn prepare(
    load: &Load,
    with_shells: bool,
    times_polls: bool,
    progress: &Progress,
) -> anyhow::Result<(tempfile::TempDir, std::path::PathBuf)> {
    ensure!(load.logins > 0 && load.concurrency > 0, "--logins and --concurrency must be at least 1");
    ensure!(!load.strict || load.profile == Profile::Release, "--strict is for the figures of a release");
    if load.kinds().contains(&Kind::Postgres) {
        install::ensure(&[Component::Postgres], progress).await?;
    }
    if with_shells {
        install::ensure(&[Component::DocumentTools], progress).await?;
    }
    let programs = tempfile::tempdir().context("no temporary directory can be made")?;
    let usher = binary::programs(load.profile, times_polls, programs.path(), progress).await?;
    Ok((programs, usher))
}

#[cfg(test)]
mod tests;
