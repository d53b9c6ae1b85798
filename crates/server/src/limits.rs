//! Rate limits: how often an address may begin, come back and redeem, and how often an account may sign in.
//!
//! They are this replica's own (DESIGN: nothing in memory that a second replica would need). The algorithm is
//! governor's GCRA; where its state is kept is `limits/buckets.rs`, which never grows beyond its bound.

mod buckets;
mod mention;
mod source;

use std::{
    fmt,
    hash::{BuildHasher as _, Hash, RandomState},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use governor::{RateLimiter, clock::Clock as _};
use ruma_common::UserId;

pub use self::mention::Mention;
use self::{
    buckets::{Buckets, Limiter, Ticks},
    source::Source,
};
use crate::{
    clock::Clock,
    config::{LimitsConfig, Quota},
};

/// Between two lines in the log about one limit.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// All limits of one portal.
pub struct Limits {
    redirect: Limit<Source>,
    callback: Limit<Source>,
    click: Limit<Source>,
    login: Limit<Source>,
    issued: Limit<u64>,
    redeemed: Limit<u64>,
    /// Of lines in the log about requests that came to a host that nobody knows.
    misdirected: Option<Limiter<()>>,
    /// Of lines in the log about what came for a provider from whoever it was.
    mentioned: Option<Limiter<u64>>,
    /// Accounts are kept as hashes that nobody outside can foresee.
    hasher: RandomState,
}

/// Too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limited {
    /// By an address.
    #[error("this address is limited")]
    Address {
        /// When it may come again.
        retry_after: Duration,
    },
    /// By an account.
    #[error("this account is limited")]
    Account {
        /// When it may sign in again.
        retry_after: Duration,
    },
}

impl Limits {
    /// With fresh buckets for everybody.
    #[must_use]
    pub fn new(config: &LimitsConfig, clock: &Arc<dyn Clock>) -> Self {
        Self {
            redirect: Limit::new("redirect", config.redirect, clock),
            callback: Limit::new("callback", config.callback, clock),
            click: Limit::new("click", config.click, clock),
            login: Limit::new("login", config.login, clock),
            issued: Limit::new("account", config.account, clock),
            redeemed: Limit::new("account", config.account, clock),
            misdirected: once_a_minute(clock),
            mentioned: once_a_minute(clock),
            hasher: RandomState::new(),
        }
    }

    /// Whether the log may say once more that requests come to a host that nobody knows.
    pub(crate) fn may_mention_misdirected(&self) -> bool {
        self.misdirected.as_ref().is_some_and(|limiter| limiter.check_key(&()).is_ok())
    }

    /// `client` wants to begin a login.
    pub(crate) fn redirect(&self, client: IpAddr) -> Result<(), Limited> {
        Self::address(&self.redirect, client)
    }

    /// `client` comes back from a provider, with an attempt of ours.
    pub(crate) fn callback(&self, client: IpAddr) -> Result<(), Limited> {
        Self::address(&self.callback, client)
    }

    /// `client` answers a page of ours, with an attempt of ours.
    pub(crate) fn click(&self, client: IpAddr) -> Result<(), Limited> {
        Self::address(&self.click, client)
    }

    /// `client` wants to redeem a login token of ours.
    pub(crate) fn login(&self, client: IpAddr) -> Result<(), Limited> {
        Self::address(&self.login, client)
    }

    /// A login token is about to be made for `user`.
    pub(crate) fn issue(&self, user: &UserId) -> Result<(), Limited> {
        self.account(&self.issued, user)
    }

    /// A login token of `user` is about to be redeemed.
    pub(crate) fn redeem(&self, user: &UserId) -> Result<(), Limited> {
        self.account(&self.redeemed, user)
    }

    /// Forgets everybody who is no different from somebody who was never here.
    pub(crate) fn forget_idle(&self) {
        for limit in [&self.redirect, &self.callback, &self.click, &self.login] {
            limit.forget_idle();
        }
        for limit in [&self.issued, &self.redeemed] {
            limit.forget_idle();
        }
    }

    fn address(limit: &Limit<Source>, client: IpAddr) -> Result<(), Limited> {
        let source = Source::from(client);
        limit.check(&source, &source).map_err(|retry_after| Limited::Address { retry_after })
    }

    fn account(&self, limit: &Limit<u64>, user: &UserId) -> Result<(), Limited> {
        let key = self.hasher.hash_one(user.as_str());
        limit.check(&key, &user).map_err(|retry_after| Limited::Account { retry_after })
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { redirect, callback, click, login, issued, .. } = self;
        f.debug_list().entries([redirect, callback, click, login]).entry(issued).finish()
    }
}

impl Limited {
    /// When to come again.
    pub(crate) fn retry_after(self) -> Duration {
        match self {
            Self::Address { retry_after } | Self::Account { retry_after } => retry_after,
        }
    }
}

fn once_a_minute<K: Hash + Eq + Copy>(clock: &Arc<dyn Clock>) -> Option<Limiter<K>> {
    let ticks = || Ticks::new(Arc::clone(clock));
    let quota = governor::Quota::with_period(LOG_INTERVAL)?;
    Some(RateLimiter::new(quota, Buckets::new(ticks()), ticks()))
}

/// One limit; `None` inside: switched off.
struct Limit<K: Hash + Eq + Copy> {
    name: &'static str,
    limiter: Option<Limiter<K>>,
    /// One for the limit as a whole: whoever floods us does not flood the log.
    log: Option<Limiter<()>>,
}

impl<K: Hash + Eq + Copy> Limit<K> {
    fn new(name: &'static str, quota: Option<Quota>, clock: &Arc<dyn Clock>) -> Self {
        let ticks = || Ticks::new(Arc::clone(clock));
        let limiter = quota.map(|quota| RateLimiter::new(quota.into(), Buckets::new(ticks()), ticks()));
        Self { name, limiter, log: once_a_minute(clock) }
    }

    /// The error is how long to wait.
    fn check(&self, key: &K, who: &dyn fmt::Display) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let Err(not_until) = limiter.check_key(key) else { return Ok(()) };
        let retry_after = not_until.wait_time_from(limiter.clock().now());
        if self.log.as_ref().is_some_and(|log| log.check_key(&()).is_ok()) {
            tracing::warn!(
                limit = self.name,
                who = %who,
                "a rate limit is reached; more of this is not logged for a minute"
            );
        }
        Err(retry_after)
    }

    fn forget_idle(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

impl<K: Hash + Eq + Copy> fmt::Debug for Limit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("name", &self.name)
            .field("is_on", &self.limiter.is_some())
            .finish_non_exhaustive()
    }
}
