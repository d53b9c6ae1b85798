//! How long one step of a connection or of a use case keeps its event loop, for `cargo xtask bench saml`; off unless the
//! feature `time-polls` is on.
//!
//! A step is one poll of a connection's whole task (reading, everything its route does before it waits, writing), or of a
//! use case on the runtime that ends last. SIGUSR1 has what was seen since the last one logged, and forgotten.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_service::{Service as _, ServiceFactory, apply_fn_factory};
use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use tokio::signal::unix::{SignalKind, signal};

/// A future whose polls are timed.
pub(crate) struct Timed<F>(Pin<Box<F>>);

/// What has been seen.
struct Seen {
    /// The most processor time of its own thread that a poll took.
    most: Duration,
    /// How much each took. What the kernel does meanwhile for somebody else (packets of others, pages) is charged to it as
    /// well, so that the most of all says little without the most of nearly all.
    processor: Histogram,
    /// How long each took by the clock.
    walls: Histogram,
}

/// How many took how many microseconds: a bucket an eighth of an octave.
struct Histogram([u64; BUCKETS]);

const BUCKETS: usize = 256;
/// Parts of an octave.
const PARTS: u32 = 8;

static SEEN: Mutex<Seen> = Mutex::new(Seen::NOTHING);

/// Times every poll of a use case.
pub(crate) fn timed<F: Future>(future: F) -> Timed<F> {
    Timed(Box::pin(future))
}

/// Times every poll of what serves a connection.
pub(crate) fn timed_service<S, C>(
    factory: S,
) -> impl ServiceFactory<C, Config = (), Response = S::Response, Error = S::Error, InitError = S::InitError>
where
    S: ServiceFactory<C, Config = ()>,
{
    apply_fn_factory(factory, |connection, service: &S::Service| timed(service.call(connection)))
}

/// Logs what was seen, whenever it is asked to.
pub(crate) fn tell_when_asked() -> anyhow::Result<()> {
    let mut asked = signal(SignalKind::user_defined1()).context("SIGUSR1 cannot be caught")?;
    tokio::spawn(async move {
        while asked.recv().await.is_some() {
            let seen = std::mem::replace(&mut *seen(), Seen::NOTHING);
            let (most, polls) = (seen.most.as_micros(), seen.walls.count());
            let (nearly, wall) = (seen.processor.percentile(0.9999), seen.walls.percentile(0.999));
            tracing::info!(
                polls,
                most_cpu_us = most,
                p9999_cpu_us = nearly,
                p999_wall_us = wall,
                "polls were timed"
            );
        }
    });
    Ok(())
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let (began, before) = (Instant::now(), processor_time());
        let polled = self.0.as_mut().poll(context);
        let (took, wall) = (processor_time().saturating_sub(before), began.elapsed());
        seen().add(took, wall);
        polled
    }
}

impl Seen {
    const NOTHING: Self = Self { most: Duration::ZERO, processor: Histogram::EMPTY, walls: Histogram::EMPTY };

    fn add(&mut self, took: Duration, wall: Duration) {
        self.most = self.most.max(took);
        self.processor.add(took);
        self.walls.add(wall);
    }
}

impl Histogram {
    const EMPTY: Self = Self([0; BUCKETS]);

    fn add(&mut self, time: Duration) {
        self.0[bucket(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))] += 1;
    }

    fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The end of the bucket in which this share ends.
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
    fn percentile(&self, share: f64) -> u64 {
        let wanted = self.count() as f64 * share;
        let mut so_far = 0;
        for (index, count) in self.0.iter().enumerate() {
            so_far += count;
            if so_far as f64 >= wanted {
                return end_of(index);
            }
        }
        0
    }
}

fn seen() -> std::sync::MutexGuard<'static, Seen> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The one of a number: below 16 each has its own, above it is known to an eighth of its octave.
fn bucket(number: u64) -> usize {
    let shift = (u64::BITS - number.leading_zeros()).saturating_sub(PARTS.ilog2() + 1);
    let index = u64::from(shift * PARTS) + (number >> shift);
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The largest number of a bucket.
fn end_of(bucket: usize) -> u64 {
    let parts = usize::try_from(PARTS).unwrap_or(1);
    let shift = (bucket / parts).saturating_sub(1);
    let high = u64::try_from(bucket - shift * parts).unwrap_or(u64::MAX);
    ((high + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_a_bucket_that_is_little_wider_than_itself() {
        for number in (0..4000).chain([1 << 20, (1 << 20) + 1, 123_456_789]) {
            let end = end_of(bucket(number));
            assert!(number <= end && end <= number + number / 8, "{number}: {end}");
            assert_eq!(bucket(end), bucket(number), "{number}");
            assert_ne!(bucket(end + 1), bucket(number), "{number}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn what_most_polls_took_and_what_the_worst_one_did_are_told_apart() {
        let mut seen = Seen::NOTHING;
        assert_eq!(seen.walls.percentile(0.999), 0);
        for number in 1..=1000 {
            seen.add(
                Duration::from_micros(number),
                Duration::from_micros(if number > 990 { 5000 } else { 10 }),
            );
        }
        assert_eq!(seen.most, Duration::from_millis(1));
        assert_eq!([0.99, 0.999].map(|share| seen.walls.percentile(share)), [10, 5119]);
        assert_eq!((seen.processor.count(), seen.processor.percentile(0.99)), (1000, 1023));
    }

    #[tokio::test]
    async fn a_poll_that_works_is_seen() {
        let work = std::future::poll_fn(|_| {
            let (mut number, began) = (0_u64, processor_time());
            while processor_time().saturating_sub(began) < Duration::from_millis(5) {
                number = number.wrapping_add(1);
            }
            Poll::Ready(number)
        });
        assert!(timed(work).await > 0);
        assert!(super::seen().most >= Duration::from_millis(5));
    }
}
