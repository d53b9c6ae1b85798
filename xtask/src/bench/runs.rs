//! The runs of Usher on one database, one process each, so that what a run cost is known by itself: SQLite's count of
//! statements is told only at the end, and peak memory is never forgotten.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use usher_lab::{real::free_port, usher::Usher};

use super::{
    LoginOptions,
    database::Database,
    figures::{Costs, Figures, each, millis},
    load::{Journey, Timing, drive},
    probe,
    site::Site,
};

/// As much of Usher's log as an error shows.
const LOG_LINES: usize = 15;
/// Before the measurement each browser does this many logins: connections are opened, statements prepared.
const WARM_UP: usize = 4;
/// The kernel counts processor time in hundredths of a second, so requests that cost next to nothing are made this
/// many times as often as logins.
const CHEAP: usize = 10;

/// One database, and Usher on it.
pub(super) struct Runs<'a> {
    binary: &'a Path,
    directory: &'a Path,
    database: &'a Database,
    site: Arc<Site>,
    bench: &'a LoginOptions,
}

/// A running Usher.
struct Running<'a> {
    usher: &'a Usher,
    site: &'a Arc<Site>,
    concurrency: usize,
}

/// How a series of journeys went.
struct Series {
    timing: Timing,
    cpu: Duration,
}

impl<'a> Runs<'a> {
    pub(super) fn new(
        binary: &'a Path,
        directory: &'a Path,
        database: &'a Database,
        site: Arc<Site>,
        bench: &'a LoginOptions,
    ) -> Self {
        Self { binary, directory, database, site, bench }
    }

    /// First logins of everybody; a run that does nothing; one of people who never authenticate; logins of people
    /// who are known. What a run costs the database by itself is taken off the others.
    pub(super) async fn figures(&self) -> anyhow::Result<Figures> {
        let (people, logins, concurrency) =
            (self.site.people().len(), self.bench.logins, self.bench.concurrency);
        let listen = format!("127.0.0.1:{}", free_port()?);
        let config = self.site.config(&listen, self.database.url());
        let mut usher = Usher::start(self.binary, self.directory, &config).await?;
        let first =
            self.finish(&mut usher, async |running| running.series(Journey::Login, people).await).await?;

        let mut counted = self.database.statements(&usher).await?;
        let (idle, ()) = self.run(&mut usher, &mut counted, async |_| Ok(())).await?;
        let cheap = CHEAP * logins;
        let (before, (flows, redirects)) = self
            .run(&mut usher, &mut counted, async |running| {
                let flows = running.series(Journey::Flows, cheap).await?;
                Ok((flows, running.series(Journey::Abandoned, cheap).await?))
            })
            .await?;
        let warm_up = WARM_UP * concurrency;
        let (during, (known, memory_and_threads)) = self
            .run(&mut usher, &mut counted, async |running| {
                running.series(Journey::Login, warm_up).await?;
                let known = running.series(Journey::Login, logins).await?;
                Ok((known, probe::memory_and_threads(running.pid()?)?))
            })
            .await?;
        let (peak_rss, threads) = memory_and_threads;
        Ok(Figures {
            login: Costs::of(&known.timing, known.cpu, logins),
            first_login: Costs::of(&first.timing, first.cpu, people),
            get_login_cpu_ms: each(millis(flows.cpu), cheap),
            redirect_cpu_ms: each(millis(redirects.cpu), cheap),
            peak_rss_mb: f64::from(peak_rss) / 1024.0,
            threads,
            statements_before_auth: each(difference(before, idle), 2 * cheap),
            statements_per_login: each(difference(during, idle), warm_up + logins),
        })
    }

    /// Starts Usher, has `work` done and ends it; the statements of this run.
    async fn run<T>(
        &self,
        usher: &mut Usher,
        counted: &mut u64,
        work: impl AsyncFnOnce(Running<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<(u64, T)> {
        usher.start_again().await?;
        let done = self.finish(usher, work).await?;
        let now = self.database.statements(usher).await?;
        let statements = now - *counted;
        *counted = now;
        Ok((statements, done))
    }

    async fn finish<T>(
        &self,
        usher: &mut Usher,
        work: impl AsyncFnOnce(Running<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let running = Running { usher, site: &self.site, concurrency: self.bench.concurrency };
        let done = work(running).await.map_err(|error| with_log(&error, usher))?;
        usher.stop().await?;
        Ok(done)
    }
}

impl Running<'_> {
    fn pid(&self) -> anyhow::Result<u32> {
        self.usher.id().context("usher does not run")
    }

    async fn series(&self, journey: Journey, count: usize) -> anyhow::Result<Series> {
        let pid = self.pid()?;
        let origin = self.usher.address().origin().ascii_serialization();
        let before = probe::cpu(pid)?;
        let timing = drive(self.site, &origin, journey, count, self.concurrency).await?;
        Ok(Series { timing, cpu: probe::cpu(pid)?.saturating_sub(before) })
    }
}

/// Signed: a run that asked less than the idle one did is a mistake that must show.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn difference(run: u64, idle: u64) -> f64 {
    run as f64 - idle as f64
}

fn with_log(error: &anyhow::Error, usher: &Usher) -> anyhow::Error {
    let log = usher.log().unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    anyhow!("{error:#}\nThe end of usher's log:\n{tail}")
}
