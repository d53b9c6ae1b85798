//! Many browsers at once, each taking the next journey as soon as it is done with the last.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::{
    browser::Browser,
    site::{Site, Stranger},
};

/// What a browser does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journey {
    /// `GET /login`.
    Flows,
    /// The redirect to the provider, and nothing more.
    Abandoned,
    /// A whole login.
    Login,
    /// A request to delete a device, answered with a 401 of Usher's.
    Challenge,
    /// The same, confirmed by signing in again, and done.
    Confirmed,
    /// A request to delete devices by somebody whom nobody is linked to: a kilobyte, answered by their homeserver.
    PassedThrough,
    /// One of theirs with a long body and a long answer.
    Streamed,
}

/// How it went.
#[derive(Debug)]
pub(super) struct Timing {
    /// From the first journey's start to the last one's end.
    pub(super) elapsed: Duration,
    /// Of each journey, in ascending order.
    durations: Vec<Duration>,
}

impl Timing {
    /// The shortest time within which this share of the journeys was done (nearest rank).
    pub(super) fn percentile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count is a count"
        )]
        let rank = (share * self.durations.len() as f64).ceil() as usize;
        self.durations.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Makes `count` journeys at the portal at `origin`, `concurrency` at once, each by the next person in turn. The
/// first that fails ends it all.
pub(super) async fn drive(
    site: &Arc<Site>,
    origin: &str,
    journey: Journey,
    count: usize,
    concurrency: usize,
) -> anyhow::Result<Timing> {
    let mut browsers = Vec::new();
    for _ in 0..concurrency.min(count) {
        browsers.push(Browser::open(site, origin).await?);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for browser in browsers {
        tasks.spawn(travel(browser, Arc::clone(site), journey, count, Arc::clone(&next)));
    }
    let mut durations = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        durations.extend(done.context("a browser panicked")??);
    }
    let elapsed = began.elapsed();
    durations.sort_unstable();
    Ok(Timing { elapsed, durations })
}

async fn travel(
    mut browser: Browser,
    site: Arc<Site>,
    journey: Journey,
    count: usize,
    next: Arc<AtomicUsize>,
) -> anyhow::Result<Vec<Duration>> {
    let mut durations = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(durations);
        }
        let person = &site.people()[number % site.people().len()];
        let began = Instant::now();
        match journey {
            Journey::Flows => browser.ask_for_flows().await,
            Journey::Abandoned => browser.abandon().await,
            Journey::Login => browser.sign_in(person).await,
            Journey::Challenge => browser.is_challenged(person).await,
            Journey::Confirmed => browser.deletes_a_device(person).await,
            Journey::PassedThrough => browser.passes_through(stranger(&site, number)?).await,
            Journey::Streamed => browser.streams(stranger(&site, number)?).await,
        }
        .with_context(|| format!("{journey:?} {number} of {}", person.mxid))?;
        durations.push(began.elapsed());
    }
}

fn stranger(site: &Site, number: usize) -> anyhow::Result<&Stranger> {
    let strangers = site.strangers();
    strangers.get(number % strangers.len().max(1)).context("there are no strangers at this site")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let timing = |millis: &[u64]| Timing {
            elapsed: Duration::ZERO,
            durations: millis.iter().copied().map(Duration::from_millis).collect(),
        };
        let hundred: Vec<u64> = (1..=100).collect();
        for (name, millis, share, expected) in [
            ("one, the middle", &[5][..], 0.5, 5),
            ("one, the end", &[5], 0.99, 5),
            ("two", &[1, 9], 0.5, 1),
            ("three", &[1, 2, 9], 0.5, 2),
            ("a hundred, the middle", &hundred, 0.5, 50),
            ("a hundred, the end", &hundred, 0.99, 99),
            ("none", &[], 0.5, 0),
        ] {
            assert_eq!(timing(millis).percentile(share), Duration::from_millis(expected), "{name}");
        }
    }
}
