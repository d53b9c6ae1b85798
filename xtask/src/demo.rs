//! `cargo xtask demo`: an organisation with two homeservers and one sign-on, all of it real, on this machine.
//!
//! What an operator would do with Usher is done with Usher's own commands; what a person would do is done in a browser
//! without a screen; what a client would do is done over the client-server API. Every claim that is printed was
//! checked: the demo stops at the first that does not hold.

mod client_page;
mod dangerous;
mod deletions;
mod organisation;
mod report;
mod session;
mod sso;
mod story;

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use usher_lab::real::install::{self, Component};

use crate::workspace;
use organisation::Organisation;
use report::Report;

/// What an interrupted command says in its exit code: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// How to run the demo.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Leave after the last step instead of staying up.
    #[arg(long)]
    once: bool,
    /// Keep Usher's data in a Postgres that is started for it, instead of a SQLite file.
    #[arg(long)]
    postgres: bool,
    /// What people sign in at.
    #[arg(long, value_enum, default_value_t)]
    sso: sso::Kind,
}

/// Runs the demo. Whatever happens, nothing is left running: every process dies with this one.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    runtime.block_on(async {
        let mut stop = Stop::new()?;
        let report = Report::printing();
        let organisation = tokio::select! {
            told = tell(&report, options) => told?,
            () = stop.asked() => {
                // What was started went with the future that started it.
                report.line("Interrupted. Everything that was started has been stopped.");
                return Ok(ExitCode::from(INTERRUPTED));
            }
        };
        if !options.once {
            report.invitation(&organisation);
            stop.asked().await;
            report.line("");
            report.line("Stopping ...");
        }
        organisation.stop().await?;
        report.line("");
        report.line(if options.once { "demo: ok" } else { "Stopped. Nothing is left running." });
        Ok(ExitCode::SUCCESS)
    })
}

async fn tell(report: &Report, options: Options) -> anyhow::Result<Organisation> {
    let progress = report.progress();
    report.title(options.postgres);

    report.step("Install what is missing");
    let mut components = vec![Component::Synapse, options.sso.component()];
    components.extend(options.postgres.then_some(Component::Postgres));
    install::ensure(&components, &progress).await.context("not everything could be installed")?;
    report.note(&format!(
        "there: Synapse, {}{}",
        options.sso.program(),
        if options.postgres { ", Postgres" } else { "" }
    ));

    report.step("Build usher");
    report.note("cargo build --workspace --bin usher ...");
    let binary = workspace::build_usher(&progress).await?;

    report.step("Configure Usher, as an operator would");
    let mut plan = organisation::Plan::new(binary, options.sso, options.postgres, &progress).await?;
    plan.configure(report, &progress).await?;

    report.step("Start everything");
    let organisation = plan.start(&progress).await?;

    match story::tell(&organisation, report).await {
        Ok(()) => Ok(organisation),
        Err(error) => Err(error.context(format!("the demo failed. {}", organisation.last_words()))),
    }
}

/// Ctrl-C, and what init systems and closed terminals send.
struct Stop([Signal; 3]);

impl Stop {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be listened to");
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
