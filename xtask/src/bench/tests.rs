//! The benchmarks run and count. How long anything takes is not asserted: other programs share the machine.

use super::*;

const FEW: Load = Load {
    json: true,
    strict: false,
    logins: 40,
    concurrency: 8,
    database: Databases::Both,
    profile: Profile::Dev,
};

async fn figures_of(options: &Options, keys: &[&str]) -> impl Fn(&str, &str) -> f64 {
    let all = measure(options, &Progress::silent()).await.expect("every login succeeds");
    let measured = report(options.name(), "", &all);
    let figure = move |database: &str, key: &str| {
        let number = measured.pointer(&format!("/{database}/{key}")).and_then(Value::as_f64);
        number.unwrap_or_else(|| panic!("{database} has no {key}: {measured}"))
    };
    for database in ["sqlite", "postgres"] {
        for key in keys {
            assert!(figure(database, key).is_finite(), "{database}: {key}");
        }
    }
    figure
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_measured_on_both_databases_and_takes_at_most_seven_statements() {
    let keys = [
        "logins_per_s",
        "p50_ms",
        "p99_ms",
        "cpu_ms_per_login",
        "peak_rss_mb",
        "peak_rss_mb_10k_attempts",
        "first_answer_ms",
        "get_login_cpu_ms",
    ];
    let figure = figures_of(&Options::Login(FEW), &keys).await;
    for database in ["sqlite", "postgres"] {
        assert!(figure(database, "statements_before_auth").abs() < f64::EPSILON, "{database}");
        let per_login = figure(database, "statements_per_login");
        assert!((1.0..=7.0).contains(&per_login), "{database}: {per_login}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_floor_signs_people_in_by_ushers_own_statements() {
    let options = Options::Floor { load: FEW, rounds: 2 };
    let figure = figures_of(&options, &["cpu_ms_per_login", "floor_cpu_ms", "vs_floor"]).await;
    assert!(
        figure("postgres", "floor_other_statements").abs() < f64::EPSILON,
        "bring crates/floor up to date"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_auth_is_measured_and_what_is_nobodys_of_ours_costs_one_statement() {
    let options = Options::Uia { load: FEW, rounds: 2, rows: 400 };
    let keys = [
        "challenge_cpu_ms",
        "round_cpu_ms",
        "passthrough_cpu_ms",
        "peak_rss_mb",
        "cpu_ratio_1m",
        "p50_ratio_1m",
        "p99_ratio_1m",
    ];
    let figure = figures_of(&options, &keys).await;
    for database in ["sqlite", "postgres"] {
        for (key, most) in [("challenge_statements", 2.0), ("passthrough_statements", 1.0)] {
            let statements = figure(database, key);
            assert!((1.0..=most).contains(&statements), "{database}: {key} {statements}");
        }
        let growth = figure(database, "stream_growth_mb");
        assert!(growth < 10.0, "{database}: 20 MiB there and back took {growth} MiB");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_by_openid_connect_is_measured_beside_one_by_cas_and_fetches_no_documents() {
    let options = Options::Oidc { load: FEW, rounds: 2 };
    let figure = figures_of(&options, &["cpu_ms_per_login", "cas_cpu_ms", "p99_vs_cas"]).await;
    for database in ["sqlite", "postgres"] {
        for key in ["discovery_requests", "key_requests"] {
            assert!(figure(database, key).abs() < f64::EPSILON, "{database}: {key}");
        }
    }
}

#[cfg(feature = "saml")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_by_saml_is_measured_with_its_polls_and_in_floods() {
    let options = Options::Saml { load: FEW, rounds: 1 };
    let keys = [
        "verify_us",
        "bare_us",
        "verify_vs_bare",
        "cpu_ms_per_login",
        "polls",
        "max_poll_cpu_ms",
        "p9999_poll_cpu_ms",
        "poll_wall_p999_ms",
        "flood_max_poll_cpu_ms",
        "flood_p9999_poll_cpu_ms",
        "gate_flood_p99_ratio",
        "gate_flood_per_s",
        "signature_flood_p99_ratio",
        "signature_flood_per_s",
        "logout_flood_p99_ratio",
        "logout_flood_per_s",
        "aggregate_mb",
        "aggregate_load_s",
        "aggregate_peak_mb",
        "aggregate_resident_mb",
    ];
    let figure = figures_of(&options, &keys).await;
    for database in ["sqlite", "postgres"] {
        assert!(figure(database, "polls") > 40.0, "{database}: each login is more than one");
    }
}
