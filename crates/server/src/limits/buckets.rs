//! Where a limit's state is kept: at most 100,000 keys, whatever is thrown at it.
//!
//! A key that is no different from one that was never seen is idle, and makes room when room is needed. While a part
//! of the table is full of keys that are not, keys it does not know share one bucket: a flood that is wide enough to
//! fill the table slows strangers down for as long as it lasts, and nobody who is in the table already.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{
    RateLimiter,
    clock::Reference as _,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};

use crate::clock::Clock;

/// Of one limit.
pub(super) const MAX_KEYS: usize = 100_000;
/// Parts with a lock each, held for less than a microsecond unless room must be made (MAX_KEYS / SHARDS keys are
/// looked at then).
const SHARDS: usize = 64;
const MAX_KEYS_OF_SHARD: usize = MAX_KEYS / SHARDS;

/// A limiter whose state is bounded.
pub(super) type Limiter<K> = RateLimiter<K, Buckets<K>, Ticks, NoOpMiddleware<Duration>>;

/// The app's clock as governor wants it: one that no change of the wall clock moves.
#[derive(Clone)]
pub(super) struct Ticks(Arc<dyn Clock>);

/// One bucket a key: the time at which it is full again (GCRA's "theoretical arrival time").
pub(super) struct Buckets<K> {
    shards: Box<[Mutex<Shard<K>>]>,
    hasher: RandomState,
    ticks: Ticks,
    origin: Duration,
}

struct Shard<K> {
    full_at: HashMap<K, Nanos>,
    /// Of all that found no room.
    overflow: Option<Nanos>,
    /// No key of this shard is idle before.
    none_idle_before: Nanos,
}

impl Ticks {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self(clock)
    }
}

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

impl<K: Hash + Eq + Copy> Buckets<K> {
    pub(super) fn new(ticks: Ticks) -> Self {
        let shard = || {
            Mutex::new(Shard { full_at: HashMap::new(), overflow: None, none_idle_before: Nanos::default() })
        };
        let shards = std::iter::repeat_with(shard).take(SHARDS).collect();
        let origin = governor::clock::Clock::now(&ticks);
        Self { shards, hasher: RandomState::new(), ticks, origin }
    }

    fn now(&self) -> Nanos {
        governor::clock::Clock::now(&self.ticks).duration_since(self.origin)
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K>> {
        let shards = u64::try_from(SHARDS).expect("few");
        let index = usize::try_from(self.hasher.hash_one(key) % shards).expect("few");
        lock(&self.shards[index])
    }
}

impl<K: Hash + Eq + Copy> Shard<K> {
    fn forget_idle(&mut self, now: Nanos) {
        if now < self.none_idle_before {
            return;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        self.overflow = self.overflow.filter(|full_at| *full_at > now);
        // Buckets are full later and later, never earlier; those to come are full after now.
        self.none_idle_before = self.full_at.values().min().copied().unwrap_or_default();
    }
}

impl<K: Hash + Eq + Copy> StateStore for Buckets<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(key);
        if let Some(full_at) = shard.full_at.get_mut(key) {
            let (outcome, next) = measure(Some(*full_at))?;
            *full_at = next;
            return Ok(outcome);
        }
        if shard.full_at.len() >= MAX_KEYS_OF_SHARD {
            shard.forget_idle(self.now());
        }
        if shard.full_at.len() >= MAX_KEYS_OF_SHARD {
            let (outcome, next) = measure(shard.overflow)?;
            shard.overflow = Some(next);
            return Ok(outcome);
        }
        let (outcome, next) = measure(None)?;
        shard.none_idle_before = shard.none_idle_before.min(next);
        shard.full_at.insert(*key, next);
        Ok(outcome)
    }
}

impl<K: Hash + Eq + Copy> ShrinkableKeyedStateStore<K> for Buckets<K> {
    /// The argument counts a bucket as idle one refill after it is full; when it is full is soon enough.
    fn retain_recent(&self, _: Nanos) {
        let now = self.now();
        for shard in &self.shards {
            lock(shard).forget_idle(now);
        }
    }

    fn shrink_to_fit(&self) {
        for shard in &self.shards {
            lock(shard).full_at.shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).full_at.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K> fmt::Debug for Buckets<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").finish_non_exhaustive()
    }
}

/// Nothing is left half done under the lock, so that a panic there spoils nothing.
fn lock<K>(shard: &Mutex<Shard<K>>) -> MutexGuard<'_, Shard<K>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
