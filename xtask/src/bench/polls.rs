//! How long Usher's event loops are kept by single steps, as Usher itself says if it was built with `time-polls`.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{portal::Running, probe};

/// What it says when it is asked.
const TOLD: &str = "polls were timed";
const DEADLINE: Duration = Duration::from_mins(1);

/// What it has seen since it was last asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Polls {
    pub(super) count: f64,
    /// The most processor time of its thread that one took.
    pub(super) most_cpu_ms: f64,
    /// The same of 9,999 of 10,000.
    pub(super) p9999_cpu_ms: f64,
    /// How long 999 of 1000 took at most by the clock.
    pub(super) p999_wall_ms: f64,
}

/// Asks it, and has it forget.
pub(super) async fn take(running: &Running<'_>) -> anyhow::Result<Polls> {
    let lines = || -> anyhow::Result<Vec<String>> {
        Ok(running.log()?.lines().filter(|line| line.contains(TOLD)).map(str::to_owned).collect())
    };
    let before = lines()?.len();
    let pid = i32::try_from(running.pid()?).ok().and_then(Pid::from_raw).context("a process has an id")?;
    kill_process(pid, Signal::USR1)?;
    let began = std::time::Instant::now();
    while began.elapsed() < DEADLINE {
        if let Some(line) = lines()?.get(before) {
            return read(line).context("it says something else about its polls");
        }
        ensure!(
            !probe::has_ended(running.pid()?)?,
            "it ended when it was asked about its polls: it does not time them"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("it does not say how long its polls took")
}

fn read(line: &str) -> Option<Polls> {
    let number = |key: &str| -> Option<f64> {
        let (_, rest) = line.split_once(&format!("{key}="))?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    Some(Polls {
        count: number("polls")?,
        most_cpu_ms: number("most_cpu_us")? / 1000.0,
        p9999_cpu_ms: number("p9999_cpu_us")? / 1000.0,
        p999_wall_ms: number("p999_wall_us")? / 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_read() {
        let line = "2026-01-01T00:00:00Z  INFO usher_server::polls: polls were timed polls=1200 most_cpu_us=750 p9999_cpu_us=500 p999_wall_us=12000";
        let polls = read(line).expect("it is one");
        let numbers = [polls.count, polls.most_cpu_ms, polls.p9999_cpu_ms, polls.p999_wall_ms];
        assert_eq!(numbers.map(|number| format!("{number}")), ["1200", "0.75", "0.5", "12"]);
        assert!(read("polls were timed").is_none());
    }
}
