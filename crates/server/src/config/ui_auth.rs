//! `ui_auth`: requests that need a person to sign in again (MSC2454).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Problems, fields::Fields as _};

/// How requests wait for their person.
#[derive(Clone, Debug)]
pub struct UiAuthConfig {
    /// From the request to its repetition.
    pub session_lifetime: Duration,
    /// Sessions that one device of one person may have open.
    pub max_open: u32,
    /// How long after a proven fresh authentication the same device may delete devices without another; zero: never.
    pub grace: Duration,
    /// What becomes of `POST /account/password` of linked people.
    pub password: PasswordChange,
}

/// What becomes of `POST /account/password` of people who sign in by single sign-on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordChange {
    /// They are told that they have none.
    Refused,
    /// It is the homeserver's matter.
    PassedThrough,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUiAuth {
    /// How long a request waits for its person to sign in again and for the client to repeat it, at least 1m. Default: 10m.
    session_lifetime: Option<String>,
    /// How many requests of one device of one person may wait at once; the oldest one that nobody has signed in for makes
    /// room. Default: 10.
    max_open: Option<u32>,
    /// For how long after somebody has proven that they authenticated anew, the same device may delete devices without
    /// asking them again. Never more than device deletions. At most 15m. Default: 0s, never.
    grace: Option<String>,
    /// What becomes of a linked person's `POST /account/password`: `refuse` (they have no password), or `pass_through` to
    /// the homeserver, for homeservers whose people have one besides. Default: `refuse`.
    password: Option<String>,
}

impl RawUiAuth {
    pub(super) fn validate(self, problems: &mut Problems) -> UiAuthConfig {
        let minute = Duration::from_mins(1);
        let session_lifetime = problems.duration(
            "ui_auth.session_lifetime",
            self.session_lifetime.as_deref(),
            10 * minute,
            (minute, 60 * minute),
        );
        let max_open = self.max_open.unwrap_or(10);
        if !(1..=1000).contains(&max_open) {
            problems.error("ui_auth.max_open", "must be between 1 and 1000");
        }
        let grace = problems.duration(
            "ui_auth.grace",
            self.grace.as_deref(),
            Duration::ZERO,
            (Duration::ZERO, 15 * minute),
        );
        if !grace.is_zero() {
            problems.warn(
                "ui_auth.grace",
                "lets whoever holds an access token delete devices for a while after its owner has signed in again",
            );
        }
        let password = match self.password.as_deref() {
            None | Some("refuse") => PasswordChange::Refused,
            Some("pass_through") => PasswordChange::PassedThrough,
            Some(_) => {
                problems.error("ui_auth.password", "must be `refuse` or `pass_through`");
                PasswordChange::Refused
            }
        };
        UiAuthConfig { session_lifetime, max_open, grace, password }
    }
}
