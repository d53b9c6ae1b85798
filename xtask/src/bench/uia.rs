//! `cargo xtask bench uia`: the cost of a request that needs UI auth, at a homeserver's own host (MSC2454): the challenge,
//! the whole way, and what passes through; memory while much passes through; and the challenge beside a million stored
//! sessions.

use std::path::Path;

use anyhow::ensure;

use super::{
    Bench,
    database::{Database, Kind},
    figures::{Figure, difference, each},
    load::Journey,
    portal::{Portal, Running, Series, WARM_UP},
    probe::{self, mebibytes},
    rows,
    site::Site,
    turns::{Turns, Words},
};

const WORDS: Words = Words {
    cpu: "CPU of usher a challenge, empty (ms)",
    p50: "a challenge takes, median, empty (ms)",
    p99: "a challenge takes, 99 of 100, empty (ms)",
};

/// What a person has of stored sessions.
const SESSIONS_EACH: usize = 4;
/// Long requests, one after the other.
const STREAMS: usize = 4;

/// What a request costs, then the challenge on an empty and on a full table in turn.
pub(super) async fn figures(
    bench: &Bench<'_>,
    kind: Kind,
    directory: &Path,
    rounds: usize,
    sessions: usize,
) -> anyhow::Result<Vec<Figure>> {
    let (requests, concurrency) = (bench.load.logins, bench.load.concurrency);
    // A person a request, so that nobody has more sessions open than people do. They are spread over those who have
    // stored ones; an odd step, so that they are of both homeservers.
    let people = sessions / SESSIONS_EACH;
    ensure!(people >= requests, "--rows must be at least {SESSIONS_EACH} times --logins");
    let step = (people / requests - 1) | 1;
    let site = Site::start_at_hosts((0..people).step_by(step).take(requests)).await?;
    let empty = Database::start(kind, directory).await?;
    let full = empty.beside("full", directory).await?;
    let mut on_empty =
        Portal::install(bench.usher, &directory.join("empty"), empty.url(), &site, concurrency).await?;
    let mut on_full =
        Portal::install(bench.usher, &directory.join("full"), full.url(), &site, concurrency).await?;
    bench
        .progress
        .line(&format!("{}: inserting {people} people twice, and {sessions} sessions ...", kind.name()));
    for database in [&empty, &full] {
        rows::insert_people(kind, database, &site.issuer(), people, 1).await?;
    }
    rows::insert_ui_auth_sessions(kind, &full, &site.issuer()).await?;
    for database in [&empty, &full] {
        rows::settle(kind, database).await?;
    }
    let mut figures = costs(bench, kind, &mut on_empty, &empty).await?;
    let mut turns = Turns::default();
    for round in 0..rounds {
        bench.progress.line(&format!(
            "{}: round {} of {rounds}, {requests} challenges on either table ...",
            kind.name(),
            round + 1
        ));
        for database in [&empty, &full] {
            rows::forget_opened_sessions(kind, database).await?;
        }
        let challenges = async |portal: &mut Portal| {
            portal.run(async |running| running.after_others(Journey::Challenge, requests).await).await
        };
        turns.take(&mut on_empty, &mut on_full, challenges).await?;
    }
    figures.extend(turns.figures(&WORDS));
    // Every index of a file has its own pages to write, and the more rows, the more of them: docs/performance.md.
    let shown = |figure: Figure| if kind == Kind::Sqlite { figure.only_shown() } else { figure };
    Ok(figures.into_iter().map(shown).collect())
}

/// A run of each kind of request, and one of none, whose statements are taken off the others'.
async fn costs(
    bench: &Bench<'_>,
    kind: Kind,
    usher: &mut Portal,
    database: &Database,
) -> anyhow::Result<Vec<Figure>> {
    let (requests, concurrency) = (bench.load.logins, bench.load.concurrency);
    bench.progress.line(&format!(
        "{}: {requests} challenges, whole ways and requests that pass through, {concurrency} at once ...",
        kind.name()
    ));
    let mut counted = database.statements(usher.process()).await?;
    let mut since_last = async |usher: &Portal| -> anyhow::Result<u64> {
        let before = counted;
        counted = database.statements(usher.process()).await?;
        Ok(counted - before)
    };
    usher.run(async |_| Ok(())).await?;
    let idle = since_last(usher).await?;
    let (challenges, _) =
        usher.run(async |running| cost(&running, Journey::Challenge, requests).await).await?;
    let by_challenges = since_last(usher).await?;
    let (confirmed, most) =
        usher.run(async |running| cost(&running, Journey::Confirmed, requests).await).await?;
    let by_confirmed = since_last(usher).await?;
    let (passed, _) =
        usher.run(async |running| cost(&running, Journey::PassedThrough, requests).await).await?;
    let by_passed = since_last(usher).await?;
    let (growth, streaming) = usher.run(async |running| streamed(&running).await).await?;
    let statements = |of: u64| each(difference(of, idle), WARM_UP * concurrency + requests);
    Ok(vec![
        Figure::new("challenge_cpu_ms", "CPU of usher a challenge (ms)", challenges.cpu_ms()),
        Figure::new("challenge_statements", "statements a challenge", statements(by_challenges)),
        Figure::new("challenges_per_s", "challenges a second", challenges.per_s()),
        Figure::new("challenge_p50_ms", "a challenge takes, median (ms)", challenges.percentile_ms(0.5)),
        Figure::new("challenge_p99_ms", "a challenge takes, 99 of 100 (ms)", challenges.percentile_ms(0.99)),
        Figure::new("round_cpu_ms", "CPU of usher a whole way (ms)", confirmed.cpu_ms()),
        Figure::new("round_statements", "statements a whole way", statements(by_confirmed)),
        Figure::new("rounds_per_s", "whole ways a second", confirmed.per_s()),
        Figure::new("round_p50_ms", "a whole way takes, median (ms)", confirmed.percentile_ms(0.5)),
        Figure::new("round_p99_ms", "a whole way takes, 99 of 100 (ms)", confirmed.percentile_ms(0.99)),
        Figure::new("passthrough_cpu_ms", "CPU of usher a request passed on (ms)", passed.cpu_ms()),
        Figure::new("passthrough_statements", "statements a request passed on", statements(by_passed)),
        Figure::new(
            "passthrough_p50_ms",
            "a request passed on takes, median (ms)",
            passed.percentile_ms(0.5),
        ),
        Figure::new("peak_rss_mb", "most memory of usher (MiB)", mebibytes(most.max(streaming))),
        Figure::new("stream_growth_mb", "growth while 20 MiB stream both ways (MiB)", mebibytes(growth)),
    ])
}

/// What requests cost, and the most memory since the start.
async fn cost(running: &Running<'_>, journey: Journey, count: usize) -> anyhow::Result<(Series, u32)> {
    let series = running.after_others(journey, count).await?;
    Ok((series, probe::memory_and_threads(running.pid()?)?.0))
}

/// How much the memory grows at most while long requests stream through, and the most memory since the start.
async fn streamed(running: &Running<'_>) -> anyhow::Result<(u32, u32)> {
    // Connections are opened and buffers are there, as they are anyway.
    running.after_others(Journey::PassedThrough, STREAMS).await?;
    let pid = running.pid()?;
    let (before, _) = probe::memory_and_threads(pid)?;
    let streams = async { running.at_once(1).series(Journey::Streamed, STREAMS).await.map(drop) };
    let growth = probe::growth_during(pid, streams).await?;
    Ok((growth, before.max(probe::memory_and_threads(pid)?.0)))
}
