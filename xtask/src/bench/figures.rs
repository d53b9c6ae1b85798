//! The figures, for people and for programs.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::load::Timing;

/// What was measured on one database.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// Of people who have an account.
    pub(super) login: Costs,
    /// Of people who get theirs with this login.
    pub(super) first_login: Costs,
    /// `GET /login`.
    pub(super) get_login_cpu_ms: f64,
    /// `GET /login/sso/redirect`.
    pub(super) redirect_cpu_ms: f64,
    /// After all logins.
    pub(super) peak_rss_mb: f64,
    /// After all logins.
    pub(super) threads: u32,
    /// Of one request that authenticates nobody: `GET /login`, or the redirect.
    pub(super) statements_before_auth: f64,
    /// Of a person who has an account.
    pub(super) statements_per_login: f64,
}

/// What logins cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Costs {
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_ms: f64,
}

impl Costs {
    /// Of `count` logins for which Usher used `cpu`.
    pub(super) fn of(timing: &Timing, cpu: Duration, count: usize) -> Self {
        Self {
            per_s: 1000.0 / each(millis(timing.elapsed), count),
            p50_ms: millis(timing.percentile(0.5)),
            p99_ms: millis(timing.percentile(0.99)),
            cpu_ms: each(millis(cpu), count),
        }
    }
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The share of one of `count`.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub(super) fn each(total: f64, count: usize) -> f64 {
    total / count as f64
}

impl Figures {
    /// Key, what it is, value; in the order of the table.
    fn rows(&self) -> Vec<(&'static str, &'static str, f64)> {
        vec![
            ("logins_per_s", "logins a second", self.login.per_s),
            ("p50_ms", "a login takes, median (ms)", self.login.p50_ms),
            ("p99_ms", "a login takes, 99 of 100 (ms)", self.login.p99_ms),
            ("cpu_ms_per_login", "CPU of usher a login (ms)", self.login.cpu_ms),
            ("peak_rss_mb", "most memory of usher (MiB)", self.peak_rss_mb),
            ("threads", "threads of usher", f64::from(self.threads)),
            (
                "statements_before_auth",
                "statements a request before authentication",
                self.statements_before_auth,
            ),
            ("statements_per_login", "statements a login", self.statements_per_login),
            ("get_login_cpu_ms", "CPU of usher a GET /login (ms)", self.get_login_cpu_ms),
            ("redirect_cpu_ms", "CPU of usher a redirect (ms)", self.redirect_cpu_ms),
            ("first_logins_per_s", "first logins a second", self.first_login.per_s),
            ("first_p50_ms", "a first login takes, median (ms)", self.first_login.p50_ms),
            ("first_p99_ms", "a first login takes, 99 of 100 (ms)", self.first_login.p99_ms),
            ("first_cpu_ms_per_login", "CPU of usher a first login (ms)", self.first_login.cpu_ms),
        ]
    }
}

/// One column a database.
pub(super) fn table(all: &[(&str, Figures)]) -> String {
    let columns: Vec<_> = all.iter().map(|(_, figures)| figures.rows()).collect();
    let mut table = format!("{:<44}", "");
    for (name, _) in all {
        let _ = write!(table, "{name:>12}");
    }
    let names = columns.first().into_iter().flatten().map(|(_, what, _)| *what);
    for (index, what) in names.enumerate() {
        let _ = write!(table, "\n{what:<44}");
        for column in &columns {
            let _ = write!(table, "{:>12.3}", column[index].2);
        }
    }
    table
}

/// One object, on one line: database, key, number.
pub(super) fn json(all: &[(&str, Figures)]) -> Value {
    let object = |figures: &Figures| {
        let numbers =
            figures.rows().into_iter().map(|(key, _, value)| (key.to_owned(), json!(rounded(value))));
        Value::Object(numbers.collect())
    };
    Value::Object(all.iter().map(|(name, figures)| ((*name).to_owned(), object(figures))).collect())
}

/// To a thousandth; a zero has no sign.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0 + 0.0
}
