//! `cargo xtask bench login`: the cost of a login, of a first login and of the requests before anybody has
//! authenticated; statements, memory, and the time from start to first answer.

use std::path::Path;

use super::{
    Bench,
    database::{Database, Kind},
    figures::{Figure, difference, each},
    first_answer,
    load::Journey,
    portal::{Portal, WARM_UP},
    probe::{self, mebibytes},
    site::Site,
};

/// The kernel counts processor time in hundredths of a second, so requests that cost next to nothing are made this
/// many times as often as logins.
const CHEAP: usize = 10;
/// Browsers that have begun and not come back, when memory is looked at.
const ATTEMPTS: usize = 10_000;

/// First logins of everybody; a run that does nothing; one of people who never authenticate; logins of people who
/// are known; logins while many attempts are open. What a run costs the database by itself is taken off the others.
pub(super) async fn figures(bench: &Bench<'_>, kind: Kind, directory: &Path) -> anyhow::Result<Vec<Figure>> {
    let (logins, concurrency) = (bench.load.logins, bench.load.concurrency);
    let database = Database::start(kind, directory).await?;
    let site = Site::start(logins).await?;
    let people = site.people().len();
    bench
        .progress
        .line(&format!("{}: {people} first logins, {logins} logins, {concurrency} at once ...", kind.name()));
    let mut usher =
        Portal::install(bench.usher, &directory.join("usher"), database.url(), &site, concurrency).await?;
    let first = usher.run(async |running| running.series(Journey::Login, people).await).await?;

    let mut counted = database.statements(usher.process()).await?;
    let mut since_last = async |usher: &Portal| -> anyhow::Result<u64> {
        let before = counted;
        counted = database.statements(usher.process()).await?;
        Ok(counted - before)
    };
    usher.run(async |_| Ok(())).await?;
    let idle = since_last(&usher).await?;
    let cheap = CHEAP * logins;
    let (flows, redirects) = usher
        .run(async |running| {
            let flows = running.series(Journey::Flows, cheap).await?;
            Ok((flows, running.series(Journey::Abandoned, cheap).await?))
        })
        .await?;
    let before = since_last(&usher).await?;
    let (known, memory, threads) = usher
        .run(async |running| {
            let known = running.logins(logins).await?;
            let (memory, threads) = probe::memory_and_threads(running.pid()?)?;
            Ok((known, memory, threads))
        })
        .await?;
    let during = since_last(&usher).await?;
    let with_attempts = usher
        .run(async |running| {
            running.series(Journey::Abandoned, ATTEMPTS).await?;
            running.logins(logins).await?;
            Ok(probe::memory_and_threads(running.pid()?)?.0)
        })
        .await?;
    let first_answer =
        first_answer::median_ms(bench.usher, &directory.join("usher"), usher.process()).await?;
    let statements_before = each(difference(before, idle), 2 * cheap);
    let statements = each(difference(during, idle), WARM_UP * concurrency + logins);
    Ok(vec![
        Figure::new("logins_per_s", "logins a second", known.per_s()),
        Figure::new("p50_ms", "a login takes, median (ms)", known.percentile_ms(0.5)),
        Figure::new("p99_ms", "a login takes, 99 of 100 (ms)", known.percentile_ms(0.99)),
        Figure::new("cpu_ms_per_login", "CPU of usher a login (ms)", known.cpu_ms()),
        Figure::new("peak_rss_mb", "most memory of usher (MiB)", mebibytes(memory)),
        Figure::new(
            "peak_rss_mb_10k_attempts",
            "the same with 10,000 attempts open (MiB)",
            mebibytes(with_attempts),
        ),
        Figure::new("threads", "threads of usher", f64::from(threads)),
        Figure::new("first_answer_ms", "from start to first answer (ms)", first_answer),
        Figure::new("statements_before_auth", "statements a request before auth.", statements_before),
        Figure::new("statements_per_login", "statements a login", statements),
        Figure::new("get_login_cpu_ms", "CPU of usher a GET /login (ms)", flows.cpu_ms()),
        Figure::new("redirect_cpu_ms", "CPU of usher a redirect (ms)", redirects.cpu_ms()),
        Figure::new("first_logins_per_s", "first logins a second", first.per_s()),
        Figure::new("first_p50_ms", "a first login takes, median (ms)", first.percentile_ms(0.5)),
        Figure::new("first_p99_ms", "a first login takes, 99 of 100 (ms)", first.percentile_ms(0.99)),
        Figure::new("first_cpu_ms_per_login", "CPU of usher a first login (ms)", first.cpu_ms()),
    ])
}
