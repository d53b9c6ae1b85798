use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use governor::Quota;
use usher_core::Timestamp;

use super::*;

/// A clock that stands still until it is told otherwise.
#[derive(Debug, Default)]
struct Still(AtomicU64);

impl Still {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_nanos()).expect("a test's time fits"), Ordering::SeqCst);
    }
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

/// `burst` at once, and one a second.
fn limiter(burst: u32) -> (Limiter<u64>, Arc<Still>) {
    let clock = Arc::new(Still::default());
    let ticks = || Ticks::new(Arc::<Still>::clone(&clock));
    let burst = NonZeroU32::new(burst).expect("not zero");
    let quota = Quota::with_period(Duration::from_secs(1)).expect("not zero").allow_burst(burst);
    (RateLimiter::new(quota, Buckets::new(ticks()), ticks()), clock)
}

fn is_allowed(limiter: &Limiter<u64>, key: u64) -> bool {
    limiter.check_key(&key).is_ok()
}

#[test]
fn a_burst_and_then_one_a_second_for_each_key() {
    let (limiter, clock) = limiter(3);
    for key in [1, 2] {
        assert_eq!([(); 4].map(|()| is_allowed(&limiter, key)), [true, true, true, false], "{key}");
    }
    clock.advance(Duration::from_millis(999));
    assert!(!is_allowed(&limiter, 1), "a millisecond too early");
    clock.advance(Duration::from_millis(1));
    assert_eq!([(); 2].map(|()| is_allowed(&limiter, 1)), [true, false]);
    let error = limiter.check_key(&1).expect_err("limited");
    assert_eq!(error.wait_time_from(clock.monotonic()), Duration::from_secs(1));
}

#[test]
fn a_flood_of_addresses_takes_no_more_than_its_share_of_memory() {
    let (limiter, clock) = limiter(5);
    let known = u64::MAX;
    assert!(is_allowed(&limiter, known));
    for key in 0..1_000_000 {
        is_allowed(&limiter, key);
    }
    assert!(limiter.len() <= MAX_KEYS, "{} keys", limiter.len());
    assert!(limiter.len() > MAX_KEYS * 9 / 10, "{} keys", limiter.len());
    let capacity: usize =
        limiter.into_state_store().shards.iter().map(|shard| lock(shard).full_at.capacity()).sum();
    assert!(capacity <= MAX_KEYS * 3, "room for {capacity} keys");
    drop(clock);
}

#[test]
fn while_the_table_is_full_strangers_share_and_the_known_do_not_notice() {
    let (limiter, clock) = limiter(5);
    let known = u64::MAX;
    assert!(is_allowed(&limiter, known));
    let allowed = (0..1_000_000).filter(|key| is_allowed(&limiter, *key)).count();
    assert!(allowed <= MAX_KEYS + SHARDS * 5, "{allowed}: one bucket's worth beyond what is kept");
    assert!(!is_allowed(&limiter, 2_000_000), "a stranger: the shared bucket is empty");
    assert!(is_allowed(&limiter, known), "somebody who was here before");
    clock.advance(Duration::from_secs(1));
    assert!(is_allowed(&limiter, 2_000_000), "as soon as the others are idle");
    assert!(limiter.len() <= MAX_KEYS);
}

#[test]
fn who_is_not_idle_is_not_forgotten_for_a_stranger() {
    let (limiter, clock) = limiter(5);
    for _ in 0..5 {
        assert!(is_allowed(&limiter, u64::MAX));
    }
    for round in 0..3 {
        clock.advance(Duration::from_secs(1));
        for key in 0..200_000 {
            is_allowed(&limiter, 200_000 * round + key);
        }
    }
    let left = (0..5).filter(|_| is_allowed(&limiter, u64::MAX)).count();
    assert_eq!(left, 3, "three of five came back in three seconds");
}

#[test]
fn the_idle_are_forgotten_and_their_memory_given_back() {
    let (limiter, clock) = limiter(5);
    for key in 0..50_000 {
        is_allowed(&limiter, key);
    }
    assert!(is_allowed(&limiter, 7), "twice: idle a second later than the others");
    limiter.retain_recent();
    assert_eq!(limiter.len(), 50_000, "nobody is idle yet");
    clock.advance(Duration::from_secs(1));
    limiter.retain_recent();
    assert_eq!(limiter.len(), 1);
    limiter.shrink_to_fit();
    let capacity: usize =
        limiter.into_state_store().shards.iter().map(|shard| lock(shard).full_at.capacity()).sum();
    assert!(capacity < 1000, "room for {capacity} keys");
}
