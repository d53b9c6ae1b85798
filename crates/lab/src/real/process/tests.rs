//! Processes start, end, and say why.

use std::{process::Command, time::Duration};

use tempfile::TempDir;
use url::Url;

use super::{Process, command};
use crate::real::free_port;

const GRACE: Duration = Duration::from_secs(5);

fn dir() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn shell(dir: &TempDir, script: &str) -> Process {
    let mut shell = command("sh");
    shell.args(["-c", script]);
    Process::spawn("the shell", shell, &dir.path().join("log")).expect("sh runs")
}

fn exists(pid: u32) -> bool {
    // A zombie has ended.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

#[tokio::test]
async fn a_process_that_ends_before_it_is_up_says_why() {
    let dir = dir();
    let mut process = shell(&dir, "echo 'no such database' >&2; exit 3");
    let url = Url::parse(&format!("http://127.0.0.1:{}/", free_port().expect("a port"))).expect("a URL");
    let error = process.ready(&url, GRACE).await.expect_err("nothing listens").to_string();
    for part in ["the shell ended", "exit status: 3", "no such database"] {
        assert!(error.contains(part), "{part:?} in {error}");
    }
}

#[tokio::test]
async fn a_process_that_is_never_up_is_given_up_on() {
    let dir = dir();
    let mut process = shell(&dir, "echo waiting; exec sleep 60");
    let url = Url::parse(&format!("http://127.0.0.1:{}/", free_port().expect("a port"))).expect("a URL");
    let error = process.ready(&url, Duration::ZERO).await.expect_err("nothing listens").to_string();
    assert!(error.contains("was not up after 0 s"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let dir = dir();
    let error = Process::spawn("the ghost", Command::new("/no/such/program"), &dir.path().join("log"))
        .expect_err("it is not there");
    assert!(format!("{error:#}").contains("the ghost cannot be started: /no/such/program"), "{error:#}");
}

#[tokio::test]
async fn stopping_asks_first_and_then_insists() {
    // (name, script, how it ended)
    let cases = [
        ("polite", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done", GRACE, "exit status: 7"),
        (
            "stubborn",
            "trap '' TERM; echo up; while :; do sleep 0.05; done",
            Duration::from_millis(200),
            "SIGKILL",
        ),
    ];
    for (name, script, grace, expected) in cases {
        let dir = dir();
        let mut process = shell(&dir, script);
        while process.log_tail() != "up" {
            tokio::task::yield_now().await;
        }
        let status = process.stop(grace).await.expect("it can be stopped");
        assert!(status.to_string().contains(expected), "{name}: {status}");
        assert!(!exists(process.id()), "{name}");
    }
}

#[tokio::test]
async fn a_dropped_process_takes_its_children_along() {
    let dir = dir();
    let process = shell(&dir, "sleep 600 & echo $!; wait");
    while process.log_tail().is_empty() {
        tokio::task::yield_now().await;
    }
    let child: u32 = process.log_tail().trim().parse().expect("the shell printed a process id");
    assert!(exists(child));
    drop(process);
    while exists(child) {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_process_outlives_the_thread_that_asked_for_it() {
    let dir = dir();
    let started = std::thread::scope(|scope| scope.spawn(|| shell(&dir, "exec sleep 600")).join());
    let mut process = started.expect("no panic");
    assert_eq!(process.ended().expect("it can be asked"), None);
    process.pause().expect("it can be paused");
    process.resume().expect("it can be resumed");
    assert!(process.kill().expect("it can be killed").to_string().contains("SIGKILL"));
    assert!(process.ended().expect("it can be asked").is_some());
}

/// The program that runs the tests is started again as the parent that dies.
#[test]
fn a_process_dies_with_its_parent_even_if_the_parent_is_killed() {
    const MARK: &str = "USHER_LAB_PARENT_DIR";
    if let Some(dir) = std::env::var_os(MARK) {
        let mut sleeper = command("sleep");
        sleeper.arg("600");
        let log = std::path::Path::new(&dir).join("log");
        let process = Process::spawn("the sleeper", sleeper, &log).expect("sleep runs");
        std::fs::write(std::path::Path::new(&dir).join("pid"), process.id().to_string())
            .expect("it can be written");
        loop {
            std::thread::park();
        }
    }
    let dir = dir();
    let name = "real::process::tests::a_process_dies_with_its_parent_even_if_the_parent_is_killed";
    let mut parent = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", name])
        .env(MARK, dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("this program runs");
    let pid: u32 = loop {
        let written = std::fs::read_to_string(dir.path().join("pid")).unwrap_or_default();
        if let Ok(pid) = written.parse() {
            break pid;
        }
        std::thread::yield_now();
    };
    // The child is setpriv until it becomes sleep, with the rule in force.
    while !std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().starts_with("sleep") {
        std::thread::yield_now();
    }
    assert!(exists(pid));
    parent.kill().expect("it can be killed");
    parent.wait().expect("it ends");
    while exists(pid) {
        std::thread::yield_now();
    }
}
