//! `cargo xtask bench profile`: where the processor time of a login or of a request goes, by `perf` (Debian: `linux-perf`).

mod parts;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use usher_lab::real::process::{self, Process};

use self::parts::Parts;
use super::{
    Bench, Subject,
    database::{Database, Kind},
    load::Journey,
    portal::Portal,
    rows,
    site::Site,
};

/// Samples a second of each thread that runs; no divisor of anything that ticks.
const FREQUENCY: &str = "999";
/// So much of the stack is kept of a sample, in bytes: futures within futures are deep.
const CALL_GRAPH: &str = "dwarf,24576";
const ATTACHED: Duration = Duration::from_secs(2);
const WRITTEN: Duration = Duration::from_mins(1);

/// The share of each part, of samples taken during the logins of people who are known, or their requests.
pub(super) async fn shares(
    bench: &Bench<'_>,
    kind: Kind,
    directory: &Path,
    of: Subject,
) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let (count, concurrency) = (bench.load.logins, bench.load.concurrency);
    let journey = match of {
        Subject::Login => Journey::Login,
        Subject::Challenge => Journey::Challenge,
        Subject::Round => Journey::Confirmed,
        Subject::Passthrough => Journey::PassedThrough,
    };
    let database = Database::start(kind, directory).await?;
    let site = match of {
        Subject::Login => Site::start(count).await?,
        Subject::Challenge | Subject::Round | Subject::Passthrough => Site::start_at_hosts(0..count).await?,
    };
    let people = site.people().len();
    let samples = directory.join("perf.data");
    let mut usher =
        Portal::install(bench.usher, &directory.join("usher"), database.url(), &site, concurrency).await?;
    if of != Subject::Login {
        rows::insert_people(kind, &database, &site.issuer(), count, 1).await?;
        rows::settle(kind, &database).await?;
    }
    bench.progress.line(&format!("{}: {count} times under perf ...", kind.name()));
    usher
        .run(async |running| {
            running.series(journey, people).await?;
            let mut command = process::command("perf");
            command.args(["record", "-F", FREQUENCY, "--call-graph", CALL_GRAPH, "-o"]).arg(&samples);
            command.args(["-p", &running.pid()?.to_string()]);
            let mut perf = Process::spawn("perf", command, &directory.join("perf.log"))?;
            tokio::time::sleep(ATTACHED).await;
            ensure!(perf.ended()?.is_none(), "perf cannot record:\n{}", perf.log_tail());
            running.series(journey, count).await?;
            // It ends by the signal and writes what it has; its exit status says no more than that.
            perf.stop(WRITTEN).await.map(drop)
        })
        .await?;
    bench.progress.line(&format!("{}: reading the samples ...", kind.name()));
    let mut script = Command::new("perf");
    script.args(["script", "--no-inline", "-F", "ip,sym", "-i"]).arg(&samples);
    let mut script =
        script.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("perf cannot be run")?;
    let output = script.stdout.take().context("its output was piped")?;
    let parts = Parts::read(std::io::BufReader::new(output))?;
    ensure!(script.wait()?.success(), "perf script failed");
    parts.shares().context("perf took no samples")
}

/// One line a part, one column a database.
pub(super) fn table(all: &[(Kind, Vec<(&'static str, f64)>)]) -> String {
    let mut lines = vec![
        all.iter().fold(format!("{:<64}", ""), |line, (kind, _)| line + &format!("{:>10}", kind.name())),
    ];
    let names = all.first().into_iter().flat_map(|(_, shares)| shares.iter().map(|(name, _)| *name));
    for (index, name) in names.enumerate() {
        let shares = all.iter().map(|(_, shares)| format!("{:>8.1} %", 100.0 * shares[index].1));
        lines.push(format!("{name:<64}") + &shares.collect::<String>());
    }
    lines.join("\n")
}
