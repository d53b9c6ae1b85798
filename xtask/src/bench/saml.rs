//! `cargo xtask bench saml`: what verifying a response costs, how long it keeps an event loop, and how people log in while
//! others send what is refused.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::{
    Bench, binary,
    database::{Database, Kind},
    federation::Federation,
    figures::{Figure, median},
    flood::Flood,
    load::Journey,
    polls::{self, Polls},
    portal::{Portal, Running, Series},
    site::Site,
    sso::Protocol,
};

const VERIFY_VS_BARE: f64 = 1.5;
const MOST_POLL_CPU_MS: f64 = 1.0;
const POLL_WALL_P999_MS: f64 = 20.0;
const P99_IN_A_FLOOD: f64 = 3.0;
/// Browsers that log in at the same time while a flood comes, and before: a machine with something left.
const FEW: usize = 4;

/// What a response costs without a server around it, in microseconds of processor time.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Verified {
    verify_us: f64,
    bare_us: f64,
    complete_us: f64,
    verify_vs_bare: f64,
}

/// What is measured without a server around it.
pub(super) struct Alone {
    verified: Verified,
    federation: Federation,
}

impl Alone {
    pub(super) async fn measure(bench: &Bench<'_>) -> anyhow::Result<Self> {
        Ok(Self { verified: verified(bench).await?, federation: Federation::read(bench).await? })
    }
}

/// Has it measured, by a program of the SAML backend's.
async fn verified(bench: &Bench<'_>) -> anyhow::Result<Verified> {
    let program = binary::verify(bench.load.profile, bench.progress).await?;
    let output = tokio::process::Command::new(program).kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "it failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("it does not say what it measured")
}

/// Medians of `rounds` rounds, and of the rounds' ratios; of polls, the worst there was.
pub(super) async fn figures(
    bench: &Bench<'_>,
    kind: Kind,
    directory: &Path,
    rounds: usize,
    alone: &Alone,
) -> anyhow::Result<Vec<Figure>> {
    let logins = bench.load.logins;
    let database = Database::start(kind, directory).await?;
    let site = Site::start_speaking(Protocol::Saml, logins).await?;
    let people = site.people().len();
    let concurrency = bench.load.concurrency;
    let mut usher =
        Portal::install(bench.usher, &directory.join("usher"), database.url(), &site, concurrency).await?;
    usher.run(async |running| running.series(Journey::Login, people).await).await?;
    let mut all = Vec::new();
    for round in 0..rounds {
        bench.progress.line(&format!(
            "{}: round {} of {rounds}, {logins} logins by SAML, with and without a flood ...",
            kind.name(),
            round + 1
        ));
        all.push(usher.run(async |running| Round::take(&running, logins).await).await?);
    }
    drop(usher);
    let federation = alone.federation.figures(bench, directory, &site, database.url()).await?;
    let verified = alone.verified;
    let of = |figure: fn(&Round) -> f64| median(all.iter().map(figure));
    let mut figures = vec![
        Figure::new("verify_us", "CPU of a response, to a person (us)", verified.verify_us),
        Figure::new("bare_us", "CPU of its signature by samael (us)", verified.bare_us),
        Figure::at_most("verify_vs_bare", "the whole over the bare", verified.verify_vs_bare, VERIFY_VS_BARE),
        Figure::new("complete_us", "with the way to a thread and back (us)", verified.complete_us),
        Figure::new("cpu_ms_per_login", "CPU of usher a login by SAML (ms)", of(|round| round.busy.cpu_ms()))
            .only_shown(),
        Figure::new("logins_per_s", "logins by SAML a second", of(|round| round.busy.per_s())),
        Figure::new("p50_ms", "a login takes, median (ms)", of(|round| round.busy.percentile_ms(0.5))),
        Figure::new("p99_ms", "a login takes, 99 of 100 (ms)", of(|round| p99(&round.busy))),
        Figure::new("quiet_p99_ms", "4 at once, 99 of 100 (ms)", of(|round| p99(&round.quiet))),
        Figure::new(
            "gate_flood_p99_ms",
            "the same in a flood to the gate (ms)",
            of(|round| p99(&round.gate.0)),
        ),
        Figure::at_most(
            "gate_flood_p99_ratio",
            "flooded over quiet",
            of(|round| p99(&round.gate.0) / p99(&round.quiet)),
            P99_IN_A_FLOOD,
        ),
        Figure::new("gate_flood_per_s", "refused at cookie and gate a second", of(|round| round.gate.1)),
        Figure::new(
            "signature_flood_p99_ms",
            "the same in a flood to the signature (ms)",
            of(|round| p99(&round.signature.0)),
        ),
        Figure::at_most(
            "signature_flood_p99_ratio",
            "flooded over quiet",
            of(|round| p99(&round.signature.0) / p99(&round.quiet)),
            P99_IN_A_FLOOD,
        ),
        Figure::new(
            "signature_flood_per_s",
            "refused at the signature a second",
            of(|round| round.signature.1),
        ),
        Figure::at_most(
            "logout_flood_p99_ratio",
            "flooded with logouts over quiet",
            of(|round| p99(&round.logout.0) / p99(&round.quiet)),
            P99_IN_A_FLOOD,
        ),
        Figure::new("logout_flood_per_s", "logouts refused a second", of(|round| round.logout.1)),
    ];
    figures.extend(poll_figures(&all));
    figures.extend(federation);
    Ok(figures)
}

/// How long event loops were kept: of all rounds, the worst.
fn poll_figures(all: &[Round]) -> Vec<Figure> {
    let most = |figure: fn(&Round) -> f64| all.iter().map(figure).fold(0.0, f64::max);
    vec![
        Figure::new(
            "polls",
            "polls that were timed, a round",
            median(all.iter().map(|round| round.polls.count)),
        ),
        Figure::at_most(
            "max_poll_cpu_ms",
            "most CPU of a poll, all rounds (ms)",
            most(|round| round.polls.most_cpu_ms),
            MOST_POLL_CPU_MS,
        ),
        Figure::new(
            "p9999_poll_cpu_ms",
            "the same of 9,999 of 10,000 (ms)",
            most(|round| round.polls.p9999_cpu_ms),
        ),
        Figure::at_most(
            "poll_wall_p999_ms",
            "999 of 1000 polls take at most (ms)",
            most(|round| round.polls.p999_wall_ms.max(round.flooded.p999_wall_ms)),
            POLL_WALL_P999_MS,
        ),
        Figure::new(
            "flood_max_poll_cpu_ms",
            "most CPU of a poll in floods (ms)",
            most(|round| round.flooded.most_cpu_ms),
        ),
        Figure::at_most(
            "flood_p9999_poll_cpu_ms",
            "the same of 9,999 of 10,000 (ms)",
            most(|round| round.flooded.p9999_cpu_ms),
            MOST_POLL_CPU_MS,
        ),
    ]
}

fn p99(series: &Series) -> f64 {
    series.percentile_ms(0.99)
}

/// What one run of Usher took.
struct Round {
    /// As many at once as the benchmark was told.
    busy: Series,
    polls: Polls,
    /// Of all that was done while few came, and floods.
    flooded: Polls,
    /// Few at once, and nothing else.
    quiet: Series,
    /// The same while a flood comes, and how many a second there were of it.
    gate: (Series, f64),
    signature: (Series, f64),
    logout: (Series, f64),
}

impl Round {
    async fn take(running: &Running<'_>, logins: usize) -> anyhow::Result<Self> {
        running.warm_up().await?;
        polls::take(running).await?;
        let busy = running.series(Journey::Login, logins).await?;
        let polls = polls::take(running).await?;
        let few = running.at_once(FEW);
        let quiet = few.series(Journey::Login, logins).await?;
        let gate = flooded(&few, Flood::Gate, logins).await?;
        let signature = flooded(&few, Flood::Signature, logins).await?;
        let logout = flooded(&few, Flood::Logout, logins).await?;
        let flooded = polls::take(running).await?;
        Ok(Self { busy, polls, flooded, quiet, gate, signature, logout })
    }
}

async fn flooded(running: &Running<'_>, flood: Flood, logins: usize) -> anyhow::Result<(Series, f64)> {
    let coming = flood.begin(running.site(), &running.origin()).await?;
    let series = running.series(Journey::Login, logins).await?;
    Ok((series, coming.end().await?))
}
