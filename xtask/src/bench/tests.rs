//! The benchmark runs and counts. How long anything takes is not asserted: other programs share the machine.

use serde_json::Value;

use super::*;

const KEYS: [&str; 7] = [
    "logins_per_s",
    "p50_ms",
    "p99_ms",
    "cpu_ms_per_login",
    "peak_rss_mb",
    "statements_before_auth",
    "statements_per_login",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_measured_on_both_databases_and_takes_at_most_seven_statements() {
    let bench = LoginOptions {
        json: true,
        logins: 40,
        concurrency: 8,
        database: Databases::Both,
        profile: Profile::Dev,
    };
    let all = measure(&bench, &Progress::silent()).await.expect("every login succeeds");
    let measured = figures::json(&all);
    for database in ["sqlite", "postgres"] {
        let figure = |key: &str| {
            let number = measured.pointer(&format!("/{database}/{key}")).and_then(Value::as_f64);
            number.unwrap_or_else(|| panic!("{database} has no {key}: {measured}"))
        };
        for key in KEYS {
            assert!(figure(key).is_finite(), "{database}: {key}");
        }
        assert!(figure("statements_before_auth").abs() < f64::EPSILON, "{database}: {measured}");
        let per_login = figure("statements_per_login");
        assert!((1.0..=7.0).contains(&per_login), "{database}: {measured}");
    }
}
