//! The throw-away Postgres starts, hangs, comes back and leaves nothing behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Postgres, Settings, newest, parent, pid_of};

async fn says(postgres: &Postgres, sql: &str) -> String {
    let output = tokio::process::Command::new(postgres.binaries.join("psql"))
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql])
        .arg(postgres.url().as_str())
        .output()
        .await
        .expect("psql runs");
    String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr })
        .trim()
        .to_owned()
}

#[test]
fn a_missing_postgres_names_the_package() {
    let error = newest(Path::new("/no/such/place")).expect_err("it is not there").to_string();
    assert!(error.contains("apt-get install postgresql"), "{error}");
}

#[test]
fn versions_are_compared_as_numbers() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for version in ["9", "15", "16", "17"] {
        fs::create_dir_all(dir.path().join(version).join("bin")).expect("it can be made");
    }
    for version in ["9", "15", "16"] {
        fs::write(dir.path().join(version).join("bin/initdb"), "").expect("it can be written");
    }
    assert_eq!(newest(dir.path()).expect("16 is there"), dir.path().join("16/bin"), "17 has no initdb");
}

#[tokio::test]
async fn data_survives_a_stop_and_a_crash_and_nothing_survives_a_drop() {
    let settings =
        Settings { password: Some("p@ss/word".to_owned()), has_statement_statistics: true, is_durable: true };
    let mut postgres = Postgres::start_with(settings).await.expect("Postgres starts");
    assert_eq!(says(&postgres, "CREATE TABLE t AS SELECT 7 AS n").await, "SELECT 1");
    let url = postgres.create_database("it's new").await.expect("a database is made");
    assert!(url.as_str().ends_with("/it's%20new"), "{url}");
    assert_eq!(says(&postgres, "SHOW shared_preload_libraries").await, "pg_stat_statements");

    let port = postgres.url().port();
    postgres.stop().await.expect("it stops");
    assert!(says(&postgres, "SELECT 1").await.contains("refused"));
    postgres.start_again().await.expect("it starts again");
    postgres.kill().await.expect("it crashes");
    postgres.start_again().await.expect("it recovers");
    assert_eq!(postgres.url().port(), port);
    assert_eq!(says(&postgres, "SELECT n FROM t").await, "7");

    let directory = postgres.directory.path().to_owned();
    let server = pid_of(postgres.server.as_ref().expect("it runs")).expect("it has an id");
    postgres.pause().expect("it can be paused");
    drop(postgres);
    assert!(!directory.exists());
    assert_eq!(parent(server), None, "the server is gone");
}

/// The program that runs the tests is started again as the parent that dies.
#[test]
fn nothing_survives_a_parent_that_is_killed() {
    const MARK: &str = "USHER_LAB_POSTGRES_PARENT";
    if let Some(file) = std::env::var_os(MARK) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let postgres = runtime.block_on(Postgres::start()).expect("Postgres starts");
        fs::write(&file, postgres.directory.path().as_os_str().as_encoded_bytes())
            .expect("it can be written");
        loop {
            std::thread::park();
        }
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("directory");
    let mut parent = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "real::postgres::tests::nothing_survives_a_parent_that_is_killed"])
        .env(MARK, &file)
        .stdout(Stdio::null())
        .spawn()
        .expect("this program runs");
    let directory = loop {
        let written = fs::read_to_string(&file).unwrap_or_default();
        if !written.is_empty() {
            break PathBuf::from(written);
        }
        assert_eq!(parent.try_wait().expect("it can be asked"), None, "Postgres started");
        std::thread::yield_now();
    };
    assert!(directory.join("data/postmaster.pid").exists());
    parent.kill().expect("it can be killed");
    parent.wait().expect("it ends");
    while directory.exists() {
        std::thread::yield_now();
    }
}
