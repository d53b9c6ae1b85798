//! `cargo xtask bench million`: a database that holds a million people, sessions and login tokens beside one that holds
//! only those who log in, in turn; and logins while many expired tokens are swept away.

use std::{path::Path, time::Duration};

use anyhow::ensure;

use super::{
    Bench,
    database::{Database, Kind},
    figures::Figure,
    portal::{Portal, millis},
    rows,
    site::Site,
    turns::{Turns, Words},
};

const WORDS: Words = Words {
    cpu: "CPU of usher a login, empty (ms)",
    p50: "a login takes, median, empty (ms)",
    p99: "a login takes, 99 of 100, empty (ms)",
};
/// Usher's sweep begins a minute after its start.
const SWEEP_BEGINS: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(500);

/// Medians of `rounds` rounds; a ratio is the median of the rounds' ratios.
pub(super) async fn figures(
    bench: &Bench<'_>,
    kind: Kind,
    directory: &Path,
    rounds: usize,
    people: usize,
) -> anyhow::Result<Vec<Figure>> {
    let (logins, concurrency) = (bench.load.logins, bench.load.concurrency);
    ensure!(people >= logins, "--people must be at least as many as --logins");
    // Those who log in are spread over the whole; an odd step, so that they are of both homeservers.
    let step = ((people / logins).max(1) - 1) | 1;
    let site = Site::start_with((0..people).step_by(step)).await?;
    site.register_all()?;
    let small = Database::start(kind, directory).await?;
    let large = small.beside("large", directory).await?;
    let mut on_small =
        Portal::install(bench.usher, &directory.join("small"), small.url(), &site, concurrency).await?;
    let mut on_large =
        Portal::install(bench.usher, &directory.join("large"), large.url(), &site, concurrency).await?;
    rows::insert_people(kind, &small, &site.issuer(), people, step).await?;
    bench.progress.line(&format!("{}: inserting {people} people and all they have ...", kind.name()));
    rows::insert_people(kind, &large, &site.issuer(), people, 1).await?;
    rows::insert_tokens(kind, &large, &site.issuer()).await?;
    rows::settle(kind, &small).await?;
    rows::settle(kind, &large).await?;
    let mut turns = Turns::default();
    for round in 0..rounds {
        bench.progress.line(&format!(
            "{}: round {} of {rounds}, {logins} logins on either database ...",
            kind.name(),
            round + 1
        ));
        turns.take(&mut on_small, &mut on_large, async |portal| portal.logins(logins).await).await?;
    }
    let mut figures = turns.figures(&WORDS);
    bench.progress.line(&format!("{}: waiting for the sweep ...", kind.name()));
    figures.extend(sweep(kind, &mut on_large, &large, logins).await?);
    Ok(figures)
}

/// Logins with nothing to sweep, and while a third of the tokens is swept.
async fn sweep(
    kind: Kind,
    portal: &mut Portal,
    database: &Database,
    logins: usize,
) -> anyhow::Result<Vec<Figure>> {
    rows::expire(kind, database).await?;
    let expired = rows::count_expired(database).await?;
    let (quiet, busy, swept, elapsed) = portal
        .run(async |running| {
            let quiet = running.logins(logins).await?;
            let began = std::time::Instant::now();
            while rows::count_expired(database).await? == expired {
                ensure!(began.elapsed() < SWEEP_BEGINS, "the sweep does not begin");
                tokio::time::sleep(POLL).await;
            }
            let began = std::time::Instant::now();
            let before = rows::count_expired(database).await?;
            let busy = running.logins(logins).await?;
            let after = rows::count_expired(database).await?;
            Ok((quiet, busy, before.saturating_sub(after), began.elapsed()))
        })
        .await?;
    Ok(vec![
        Figure::new("p99_ms_before_sweep", "99 of 100, nothing to sweep (ms)", quiet.percentile_ms(0.99)),
        Figure::new("p99_ms_during_sweep", "99 of 100, during a sweep (ms)", busy.percentile_ms(0.99)),
        Figure::new("p50_ms_before_sweep", "median, nothing to sweep (ms)", quiet.percentile_ms(0.5)),
        Figure::new("p50_ms_during_sweep", "median, during a sweep (ms)", busy.percentile_ms(0.5)),
        Figure::new("swept_rows_per_s", "rows swept a second, meanwhile", swept_per_s(swept, elapsed)),
    ])
}

fn swept_per_s(rows: u32, elapsed: Duration) -> f64 {
    f64::from(rows) * 1000.0 / millis(elapsed)
}
