//! A program that signs people in, Usher or the floor, on one database. Each of its runs is a process of its own, so
//! that what a run cost is known by itself: SQLite's count of statements is told only at the end, and peak memory is
//! never forgotten.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use usher_lab::{real::free_port, usher::Usher};

use super::{
    figures::each,
    load::{Journey, Timing, drive},
    probe,
    site::Site,
};

/// As much of the program's log as an error shows.
const LOG_LINES: usize = 15;
/// Before a measurement each browser does this many logins: connections are opened, statements prepared.
pub(super) const WARM_UP: usize = 4;

/// The program, between its runs.
pub(super) struct Portal {
    process: Usher,
    site: Arc<Site>,
    concurrency: usize,
}

/// The program while it runs.
pub(super) struct Running<'a> {
    process: &'a Usher,
    site: &'a Arc<Site>,
    concurrency: usize,
}

/// How a series of journeys went.
pub(super) struct Series {
    timing: Timing,
    cpu: Duration,
    count: usize,
}

impl Portal {
    /// Starts `binary` for the first time, in `directory`, and ends it again: Usher has made its tables then.
    pub(super) async fn install(
        binary: &Path,
        directory: &Path,
        database_url: &str,
        site: &Arc<Site>,
        concurrency: usize,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("{} cannot be made", directory.display()))?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let config = site.config(&listen, database_url);
        let mut process = Usher::start(binary, directory, &config).await?;
        process.stop().await?;
        Ok(Self { process, site: Arc::clone(site), concurrency })
    }

    /// Starts it, has `work` done and ends it.
    pub(super) async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(Running<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.process.start_again().await?;
        let running = Running { process: &self.process, site: &self.site, concurrency: self.concurrency };
        let done = work(running).await.map_err(|error| with_log(&error, &self.process))?;
        self.process.stop().await?;
        Ok(done)
    }

    /// A run of `count` logins, after others that do not count.
    pub(super) async fn logins(&mut self, count: usize) -> anyhow::Result<Series> {
        self.run(async |running| running.logins(count).await).await
    }

    /// The process, for its log.
    pub(super) fn process(&self) -> &Usher {
        &self.process
    }
}

impl Running<'_> {
    /// Its process id.
    pub(super) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("the program does not run")
    }

    /// `count` logins, after others that do not count.
    pub(super) async fn logins(&self, count: usize) -> anyhow::Result<Series> {
        self.after_others(Journey::Login, count).await
    }

    /// `count` journeys, after others that do not count.
    pub(super) async fn after_others(&self, journey: Journey, count: usize) -> anyhow::Result<Series> {
        self.series(journey, WARM_UP * self.concurrency).await?;
        self.series(journey, count).await
    }

    /// The logins that come before those that count.
    #[cfg(feature = "saml")]
    pub(super) async fn warm_up(&self) -> anyhow::Result<()> {
        self.series(Journey::Login, WARM_UP * self.concurrency).await.map(drop)
    }

    /// The same program, with as many journeys at the same time.
    pub(super) fn at_once(&self, concurrency: usize) -> Self {
        Self { concurrency, ..*self }
    }

    /// What is around it.
    #[cfg(feature = "saml")]
    pub(super) fn site(&self) -> &Arc<Site> {
        self.site
    }

    /// `http://127.0.0.1:PORT`
    pub(super) fn origin(&self) -> String {
        self.process.address().origin().ascii_serialization()
    }

    /// What it has logged.
    #[cfg(feature = "saml")]
    pub(super) fn log(&self) -> anyhow::Result<String> {
        self.process.log()
    }

    /// The same, and what was asked of the single sign-on's documents while they counted: discovery, keys.
    pub(super) async fn logins_and_documents(&self, count: usize) -> anyhow::Result<(Series, (u64, u64))> {
        self.series(Journey::Login, WARM_UP * self.concurrency).await?;
        let before = self.site.sso().documents();
        let series = self.series(Journey::Login, count).await?;
        let after = self.site.sso().documents();
        Ok((series, (after.0 - before.0, after.1 - before.1)))
    }

    /// `count` journeys, as many at once as the benchmark was told.
    pub(super) async fn series(&self, journey: Journey, count: usize) -> anyhow::Result<Series> {
        let pid = self.pid()?;
        let before = probe::cpu(pid)?;
        let timing = drive(self.site, &self.origin(), journey, count, self.concurrency).await?;
        Ok(Series { timing, cpu: probe::cpu(pid)?.saturating_sub(before), count })
    }
}

impl Series {
    /// Processor time of the program for one journey.
    pub(super) fn cpu_ms(&self) -> f64 {
        each(millis(self.cpu), self.count)
    }

    /// Journeys a second.
    pub(super) fn per_s(&self) -> f64 {
        1000.0 / each(millis(self.timing.elapsed), self.count)
    }

    /// How long this share of the journeys took at most.
    pub(super) fn percentile_ms(&self, share: f64) -> f64 {
        millis(self.timing.percentile(share))
    }
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn with_log(error: &anyhow::Error, process: &Usher) -> anyhow::Error {
    let log = process.log().unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    anyhow!("{error:#}\nThe end of its log:\n{tail}")
}
