//! A document of the provider that is fetched when it is first needed, kept, and looked at anew now and then.
//!
//! However many people wait for it, it is asked for once. A provider that is away is asked once in a while, not once a
//! person; what was fetched before is good for a day.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::Mutex;
use usher_core::Timestamp;

use crate::calls::Failure;

/// After a failure, everybody who comes within this time is told of that failure.
const PATIENCE: Duration = Duration::from_secs(3);
/// After a failure to look at it anew, the next look.
const RETRY: Duration = Duration::from_mins(1);
/// How long it is good although nobody could look.
const MAX_AGE: Duration = Duration::from_hours(24);
/// Between two looks because something is missing.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// The document.
#[derive(Debug)]
pub(crate) struct Cached<T> {
    /// After how long it is looked at anew.
    refresh: Duration,
    kept: RwLock<Option<Kept<T>>>,
    /// Held by whoever fetches.
    attempts: Mutex<Attempts>,
}

#[derive(Debug)]
struct Kept<T> {
    value: Arc<T>,
    at: Timestamp,
}

#[derive(Debug, Default)]
struct Attempts {
    failed: Option<(Timestamp, Failure)>,
    renewed: Option<Timestamp>,
}

impl<T> Cached<T> {
    pub(crate) fn new(refresh: Duration) -> Self {
        Self { refresh, kept: RwLock::new(None), attempts: Mutex::default() }
    }

    /// What was fetched, or is.
    pub(crate) async fn get(
        &self,
        now: Timestamp,
        fetch: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Arc<T>, Failure> {
        let value = match self.kept(now) {
            Some((value, age)) if age < self.refresh => return Ok(value),
            Some((value, age)) if age <= MAX_AGE => value,
            Some(_) | None => return self.first(now, fetch).await,
        };
        // If somebody else is at it, or nobody was there a moment ago, what there is will do.
        let Ok(mut attempts) = self.attempts.try_lock() else { return Ok(value) };
        if attempts.failed.as_ref().is_some_and(|(at, _)| now.since(*at) < RETRY) {
            return Ok(value);
        }
        Ok(self.fetch(now, &mut attempts, fetch).await.unwrap_or(value))
    }

    /// What was fetched, however old, if anything was.
    pub(crate) fn peek(&self) -> Option<Arc<T>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map(|kept| Arc::clone(&kept.value))
    }

    /// What there is instead of `seen`, which lacks something; `seen` itself if it was looked at a moment ago.
    pub(crate) async fn renew(
        &self,
        now: Timestamp,
        seen: &Arc<T>,
        fetch: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Arc<T>, Failure> {
        let mut attempts = self.attempts.lock().await;
        if let Some((value, _)) = self.kept(now).filter(|(value, _)| !Arc::ptr_eq(value, seen)) {
            return Ok(value);
        }
        if attempts.renewed.is_some_and(|at| now.since(at) < RENEWAL_PAUSE) {
            return Ok(Arc::clone(seen));
        }
        attempts.renewed = Some(now);
        self.fetch(now, &mut attempts, fetch).await
    }

    async fn first(
        &self,
        now: Timestamp,
        fetch: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Arc<T>, Failure> {
        let mut attempts = self.attempts.lock().await;
        if let Some((value, _)) = self.kept(now).filter(|(_, age)| *age <= MAX_AGE) {
            return Ok(value);
        }
        if let Some((_, failure)) = attempts.failed.as_ref().filter(|(at, _)| now.since(*at) < PATIENCE) {
            return Err(failure.clone());
        }
        self.fetch(now, &mut attempts, fetch).await
    }

    async fn fetch(
        &self,
        now: Timestamp,
        attempts: &mut Attempts,
        fetch: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Arc<T>, Failure> {
        match fetch.await {
            Ok(value) => {
                let value = Arc::new(value);
                attempts.failed = None;
                *self.kept.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(Kept { value: Arc::clone(&value), at: now });
                Ok(value)
            }
            Err(failure) => {
                attempts.failed = Some((now, failure.clone()));
                Err(failure)
            }
        }
    }

    fn kept(&self, now: Timestamp) -> Option<(Arc<T>, Duration)> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map(|kept| (Arc::clone(&kept.value), now.since(kept.at)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("away")]
    struct Away;

    const REFRESH: Duration = Duration::from_hours(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    /// A document that counts how often it is fetched, and may be away.
    struct Source {
        cached: Cached<u32>,
        fetched: AtomicU32,
    }

    impl Source {
        fn new() -> Self {
            Self { cached: Cached::new(REFRESH), fetched: AtomicU32::new(0) }
        }

        async fn fetch(&self, is_away: bool) -> Result<u32, Failure> {
            tokio::task::yield_now().await;
            let count = self.fetched.fetch_add(1, Ordering::SeqCst) + 1;
            if is_away { Err(Failure::unavailable(Away)) } else { Ok(count) }
        }

        async fn get(&self, seconds: i64, is_away: bool) -> Option<u32> {
            self.cached.get(at(seconds), self.fetch(is_away)).await.ok().map(|value| *value)
        }

        async fn renew(&self, seconds: i64, is_away: bool) -> Option<u32> {
            let seen = self.cached.kept(at(seconds)).expect("something is kept").0;
            self.cached.renew(at(seconds), &seen, self.fetch(is_away)).await.ok().map(|value| *value)
        }
    }

    #[tokio::test]
    async fn it_is_fetched_once_and_again_when_its_time_is_over() {
        let source = Source::new();
        for (name, seconds, expected) in [
            ("first", 0, 1),
            ("at once", 0, 1),
            ("just before", 3599, 1),
            ("then", 3600, 2),
            ("kept", 7199, 2),
        ] {
            assert_eq!(source.get(seconds, false).await, Some(expected), "{name}");
        }
    }

    #[tokio::test]
    async fn a_source_that_is_away_is_asked_once_in_a_while() {
        let source = Source::new();
        for (name, seconds, is_away, expected, fetched) in [
            ("away", 0, true, None, 1),
            ("within three seconds nobody asks", 2, false, None, 1),
            ("then somebody does", 3, false, Some(2), 2),
            ("away when it is looked at anew", 3700, true, Some(2), 3),
            ("within a minute nobody asks", 3759, false, Some(2), 3),
            ("then somebody does", 3760, true, Some(2), 4),
            ("good for a day", 24 * 3600, true, Some(2), 5),
            ("and no longer", 24 * 3600 + 70, true, None, 6),
            ("until it is back", 24 * 3600 + 140, false, Some(7), 7),
        ] {
            assert_eq!(source.get(seconds, is_away).await, expected, "{name}");
            assert_eq!(source.fetched.load(Ordering::SeqCst), fetched, "{name}");
        }
    }

    #[tokio::test]
    async fn many_who_wait_ask_once() {
        let source = Source::new();
        let (a, b, c) = tokio::join!(source.get(0, false), source.get(0, false), source.get(0, false));
        assert_eq!((a, b, c), (Some(1), Some(1), Some(1)));
        let (a, b) = tokio::join!(source.renew(1, false), source.renew(1, false));
        assert_eq!((a, b), (Some(2), Some(2)), "a renewal too");
        let source = Source::new();
        let (a, b) = tokio::join!(source.get(0, true), source.get(0, true));
        assert_eq!((a, b, source.fetched.load(Ordering::SeqCst)), (None, None, 1), "and are told once");
    }

    #[tokio::test]
    async fn what_lacks_something_is_renewed_once_in_ten_seconds() {
        let source = Source::new();
        source.get(0, false).await;
        for (name, seconds, is_away, expected) in [
            ("renewed", 1, false, Some(2)),
            ("not again", 10, false, Some(2)),
            ("again", 11, false, Some(3)),
            ("away", 21, true, None),
            ("not again", 30, false, Some(3)),
        ] {
            assert_eq!(source.renew(seconds, is_away).await, expected, "{name}");
        }
        assert_eq!(source.get(31, false).await, Some(3), "the old one is still there");
    }
}
