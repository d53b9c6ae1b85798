//! `cargo xtask bench oidc`: a login by OpenID Connect, whose id_token ES256 signs, beside one by CAS, in turn, so that the
//! company on the machine is the same for both. Each has an Usher and a database of its own.

use std::path::Path;

use super::{
    Bench,
    database::{Database, Kind},
    figures::{Figure, median},
    load::Journey,
    portal::{Portal, Series},
    site::Site,
    sso::Protocol,
};

/// The most processor time a login may take, in milliseconds; on SQLite, what one by CAS may, and as much more.
const CPU_ON_POSTGRES: f64 = 1.0;
const CPU_ON_SQLITE: f64 = 1.6;
const P99_VS_CAS: f64 = 2.0;

/// Medians of `rounds` rounds; the ratio is the median of the rounds' ratios. Requests for documents are all there were.
pub(super) async fn figures(
    bench: &Bench<'_>,
    kind: Kind,
    directory: &Path,
    rounds: usize,
) -> anyhow::Result<Vec<Figure>> {
    let logins = bench.load.logins;
    let mut oidc = Side::start(bench, kind, directory, Protocol::Oidc).await?;
    let mut cas = Side::start(bench, kind, directory, Protocol::Cas).await?;
    let (mut by_oidc, mut by_cas) = (Vec::new(), Vec::new());
    let (mut discovery, mut keys) = (0, 0);
    for round in 0..rounds {
        bench.progress.line(&format!(
            "{}: round {} of {rounds}, {logins} logins by OpenID Connect and by CAS ...",
            kind.name(),
            round + 1
        ));
        // Whoever comes second finds the machine warmer: each is second in turn.
        let is_oidc_first = round % 2 == 0;
        for is_oidc in [is_oidc_first, !is_oidc_first] {
            if is_oidc {
                let (series, asked) = oidc.logins(logins).await?;
                by_oidc.push(series);
                discovery += asked.0;
                keys += asked.1;
            } else {
                by_cas.push(cas.logins(logins).await?.0);
            }
        }
    }
    let of = |series: &[Series], figure: fn(&Series) -> f64| median(series.iter().map(figure));
    let p99 = |series: &Series| series.percentile_ms(0.99);
    let ratios = by_oidc.iter().zip(&by_cas).map(|(oidc, cas)| p99(oidc) / p99(cas));
    let most = match kind {
        Kind::Postgres => CPU_ON_POSTGRES,
        Kind::Sqlite => CPU_ON_SQLITE,
    };
    let cpu = of(&by_oidc, Series::cpu_ms);
    Ok(vec![
        Figure::at_most("cpu_ms_per_login", "CPU of usher a login by OIDC (ms)", cpu, most),
        Figure::new("cas_cpu_ms", "CPU of usher a login by CAS (ms)", of(&by_cas, Series::cpu_ms)),
        Figure::at_most("p99_vs_cas", "99 of 100, OIDC over CAS", median(ratios), P99_VS_CAS),
        Figure::new("p50_ms", "a login by OIDC takes, median (ms)", of(&by_oidc, |s| s.percentile_ms(0.5))),
        Figure::new("p99_ms", "a login by OIDC takes, 99 of 100 (ms)", of(&by_oidc, p99)),
        Figure::new("cas_p99_ms", "a login by CAS takes, 99 of 100 (ms)", of(&by_cas, p99)),
        Figure::new("logins_per_s", "logins by OIDC a second", of(&by_oidc, Series::per_s)),
        Figure::at_most("discovery_requests", "requests for discovery, all logins", count(discovery), 0.0),
        Figure::at_most("key_requests", "requests for keys, all logins", count(keys), 0.0),
    ])
}

/// One of the two.
struct Side {
    usher: Portal,
    // After Usher: it must be gone before its database is.
    _database: Database,
}

impl Side {
    /// Everybody has an account then.
    async fn start(
        bench: &Bench<'_>,
        kind: Kind,
        directory: &Path,
        protocol: Protocol,
    ) -> anyhow::Result<Self> {
        let directory = directory.join(format!("{protocol:?}"));
        std::fs::create_dir_all(&directory)?;
        let database = Database::start(kind, &directory).await?;
        let site = Site::start_speaking(protocol, bench.load.logins).await?;
        let people = site.people().len();
        let concurrency = bench.load.concurrency;
        let mut usher =
            Portal::install(bench.usher, &directory.join("usher"), database.url(), &site, concurrency)
                .await?;
        usher.run(async |running| running.series(Journey::Login, people).await).await?;
        Ok(Self { usher, _database: database })
    }

    async fn logins(&mut self, count: usize) -> anyhow::Result<(Series, (u64, u64))> {
        self.usher.run(async |running| running.logins_and_documents(count).await).await
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}
