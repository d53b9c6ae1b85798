//! `cargo xtask bench floor`: Usher beside a bare program that does the least a login needs (`crates/floor`), in turn,
//! so that the company on the machine is the same for both.

use std::{collections::BTreeSet, path::Path};

use super::{
    Bench,
    database::{Database, Kind},
    figures::{Figure, median},
    load::Journey,
    portal::{Portal, Series},
    site::Site,
};

/// Medians of `rounds` rounds; the ratio is the median of the rounds' ratios.
pub(super) async fn figures(
    bench: &Bench<'_>,
    kind: Kind,
    directory: &Path,
    floor: &Path,
    rounds: usize,
) -> anyhow::Result<Vec<Figure>> {
    let (logins, concurrency) = (bench.load.logins, bench.load.concurrency);
    let database = Database::start(kind, directory).await?;
    let site = Site::start(logins).await?;
    let people = site.people().len();
    let mut usher =
        Portal::install(bench.usher, &directory.join("usher"), database.url(), &site, concurrency).await?;
    usher.run(async |running| running.series(Journey::Login, people).await).await?;
    let mut floor =
        Portal::install(floor, &directory.join("floor"), database.url(), &site, concurrency).await?;
    let (mut of_usher, mut of_floor): (Vec<Series>, Vec<Series>) = (Vec::new(), Vec::new());
    let mut usual = BTreeSet::new();
    for round in 0..rounds {
        bench.progress.line(&format!(
            "{}: round {} of {rounds}, {logins} logins by usher and by the floor ...",
            kind.name(),
            round + 1
        ));
        // Whoever comes second finds the database warmer: each is second in turn.
        if round % 2 == 0 {
            of_usher.push(usher.logins(logins).await?);
            if round == 0 {
                usual = database.usual_statements(logins).await?;
            }
            of_floor.push(floor.logins(logins).await?);
        } else {
            of_floor.push(floor.logins(logins).await?);
            of_usher.push(usher.logins(logins).await?);
        }
    }
    let of = |series: &[Series], figure: fn(&Series) -> f64| median(series.iter().map(figure));
    let ratios = of_usher.iter().zip(&of_floor).map(|(usher, floor)| usher.cpu_ms() / floor.cpu_ms());
    let mut figures = vec![
        Figure::new("cpu_ms_per_login", "CPU of usher a login (ms)", of(&of_usher, Series::cpu_ms)),
        Figure::new("floor_cpu_ms", "CPU of the floor a login (ms)", of(&of_floor, Series::cpu_ms)),
        Figure::new("vs_floor", "usher's CPU over the floor's", median(ratios)),
        Figure::new("logins_per_s", "logins a second, usher", of(&of_usher, Series::per_s)),
        Figure::new("floor_logins_per_s", "logins a second, floor", of(&of_floor, Series::per_s)),
        Figure::new("p50_ms", "a login takes, usher, median (ms)", of(&of_usher, |s| s.percentile_ms(0.5))),
        Figure::new(
            "floor_p50_ms",
            "a login takes, floor, median (ms)",
            of(&of_floor, |s| s.percentile_ms(0.5)),
        ),
    ];
    if kind == Kind::Postgres {
        let others: Vec<_> = database.usual_statements(logins).await?.difference(&usual).cloned().collect();
        for statement in &others {
            bench.progress.line(&format!("the floor runs what usher does not: {statement}"));
        }
        let what = "statements of the floor that are not usher's";
        figures.push(Figure::new("floor_other_statements", what, count(others.len())));
    }
    Ok(figures)
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
