//! `limits`: how often an address and an account may do what.

use std::{num::NonZeroU32, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Problems, section};

/// More than that a second is no limit.
const MAX: u32 = 1_000_000;

/// The limits; `None`: switched off.
#[derive(Clone, Copy, Debug)]
pub struct LimitsConfig {
    /// Logins begun, by address.
    pub redirect: Option<Quota>,
    /// Ways back from a provider, by address.
    pub callback: Option<Quota>,
    /// Answers to pages of ours, by address.
    pub click: Option<Quota>,
    /// `POST /login`, by address.
    pub login: Option<Quota>,
    /// Login tokens issued, and login tokens redeemed, by account.
    pub account: Option<Quota>,
}

/// So many at once, and then one more each `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    burst: NonZeroU32,
    /// Between a nanosecond and a minute.
    period: Duration,
}

/// As governor has it.
impl From<Quota> for governor::Quota {
    fn from(quota: Quota) -> Self {
        Self::with_period(quota.period)
            .expect("the config has no quota without a period")
            .allow_burst(quota.burst)
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    /// Logins that an address may begin. Default: 300 at once, 20 more a second.
    #[schemars(with = "RawLimit")]
    redirect: Value,
    /// Times that an address may come back from the single sign-on with a sign-in it began. Default: 300 at once, 20 more a second.
    #[schemars(with = "RawLimit")]
    callback: Value,
    /// Times that an address may answer a page of Usher's, which asks for a homeserver or about an app's site. Default: 600 at once, 40 more a second.
    #[schemars(with = "RawLimit")]
    click: Value,
    /// Times that an address may redeem a login token of Usher's. Default: 300 at once, 20 more a second.
    #[schemars(with = "RawLimit")]
    login: Value,
    /// Times that an account may sign in, wherever its owner is: counted when it is known who they are (before a page asks about the app's site), and when their app redeems its login token. Default: 20 at once, 10 more a minute.
    #[schemars(with = "RawLimit")]
    account: Value,
}

/// How the schema describes one limit.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "read by hand, for better words about what is wrong")]
enum RawLimit {
    Off(Off),
    Quota(RawQuota),
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "likewise")]
enum Off {
    Off,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RawQuota {
    /// How many at once.
    burst: Option<u32>,
    /// How many more each second.
    per_second: Option<u32>,
    /// How many more each minute; instead of `per_second`.
    per_minute: Option<u32>,
}

impl RawLimits {
    pub(super) fn validate(self, problems: &mut Problems) -> LimitsConfig {
        let second = Duration::from_secs(1);
        // A campus is one address: a lecture that begins is hundreds of people who sign in at once.
        let address = || Quota::new(300, second / 20);
        // Each of them may be shown two pages.
        let pages = || Quota::new(600, second / 40);
        let account = || Quota::new(20, Duration::from_mins(1) / 10);
        let mut quota =
            |name: &str, raw, default: Quota| quota(&format!("limits.{name}"), raw, default, problems);
        LimitsConfig {
            redirect: quota("redirect", self.redirect, address()),
            callback: quota("callback", self.callback, address()),
            click: quota("click", self.click, pages()),
            login: quota("login", self.login, address()),
            account: quota("account", self.account, account()),
        }
    }
}

impl Quota {
    fn new(burst: u32, period: Duration) -> Self {
        Self { burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN), period }
    }
}

fn quota(path: &str, raw: Value, default: Quota, problems: &mut Problems) -> Option<Quota> {
    match raw {
        Value::Null => Some(default),
        // `off` is false to some readers of YAML.
        Value::String(word) if word == "off" => None,
        Value::Bool(false) => None,
        Value::Object(_) => {
            let raw: RawQuota = section::read_at(raw, path, problems);
            let mut bounded = |key: &str, value: Option<u32>| {
                let value =
                    value.and_then(NonZeroU32::new).filter(|value| value.get() <= MAX).or_else(|| {
                        if value.is_some() {
                            let message = format!("must be between 1 and {MAX}; `{path}: off` is no limit");
                            problems.error(format!("{path}.{key}"), message);
                        }
                        None
                    });
                value.map(NonZeroU32::get)
            };
            let burst = bounded("burst", raw.burst);
            let per_second = bounded("per_second", raw.per_second);
            let per_minute = bounded("per_minute", raw.per_minute);
            if raw.per_second.is_some() && raw.per_minute.is_some() {
                problems.error(path, "has both `per_second` and `per_minute`; keep one of them");
            }
            let second = per_second.map(|count| Duration::from_secs(1) / count);
            let minute = per_minute.map(|count| Duration::from_mins(1) / count);
            let burst = burst.unwrap_or(default.burst.get());
            Some(Quota::new(burst, second.or(minute).unwrap_or(default.period)))
        }
        Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let message = "must be `off`, or a section with `burst` and `per_second` or `per_minute`";
            problems.unread(path, message);
            Some(default)
        }
    }
}
