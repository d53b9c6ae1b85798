//! The figures, for people and for programs, each beside what is needed of it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::database::Kind;

/// One thing that was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    key: &'static str,
    what: &'static str,
    value: f64,
    is_wanted: bool,
    /// Where the same key needs something else.
    own: Option<f64>,
}

/// What was measured on one database.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// Where.
    pub(super) kind: Kind,
    /// In the order of the table.
    pub(super) figures: Vec<Figure>,
}

impl Figure {
    pub(super) fn new(key: &'static str, what: &'static str, value: f64) -> Self {
        Self { key, what, value, is_wanted: true, own: None }
    }

    /// One of which no more is needed than `most`, whatever its key needs elsewhere.
    pub(super) fn at_most(key: &'static str, what: &'static str, value: f64, most: f64) -> Self {
        Self { own: Some(most), ..Self::new(key, what, value) }
    }

    /// The same, of which nothing is needed where it was measured.
    pub(super) fn only_shown(self) -> Self {
        Self { is_wanted: false, ..self }
    }

    /// The most it may be.
    fn needed(&self, kind: Kind) -> Option<f64> {
        if !self.is_wanted {
            return None;
        }
        if self.own.is_some() {
            return self.own;
        }
        Some(match (self.key, kind) {
            ("cpu_ms_per_login", Kind::Sqlite) => 1.45,
            ("cpu_ms_per_login", Kind::Postgres) => 0.85,
            ("vs_floor", _) => 1.35,
            ("floor_other_statements" | "statements_before_auth", _) => 0.0,
            ("statements_per_login", _) => 7.0,
            ("peak_rss_mb" | "peak_rss_mb_10k_attempts", _) => 40.0,
            ("get_login_cpu_ms", _) => 0.05,
            ("first_answer_ms", _) => 150.0,
            ("passthrough_statements", _) => 1.0,
            ("challenge_cpu_ms", _) => 0.4,
            ("passthrough_cpu_ms", _) => 0.5,
            ("stream_growth_mb", _) => 4.0,
            ("cpu_ratio_1m" | "p50_ratio_1m", _) => 1.2,
            ("challenge_statements" | "round_cpu_ms" | "p99_ratio_1m", _) => 2.0,
            _ => return None,
        })
    }

    fn is_missed(&self, kind: Kind) -> bool {
        // As it is shown: a hundredth of a percent over is no miss.
        self.needed(kind).is_some_and(|needed| rounded(self.value) > needed)
    }
}

/// Whether a figure is over what is needed.
pub(super) fn is_any_missed(all: &[Measured]) -> bool {
    all.iter().any(|measured| measured.figures.iter().any(|figure| figure.is_missed(measured.kind)))
}

/// Two columns a database: the figure, and the most it may be.
pub(super) fn table(all: &[Measured]) -> String {
    let mut table = format!("{:<44}", "");
    for Measured { kind, .. } in all {
        let _ = write!(table, "{:>12}  {:<16}", kind.name(), "needed");
    }
    let Some(longest) = all.iter().max_by_key(|measured| measured.figures.len()) else { return table };
    for Figure { key, what, .. } in &longest.figures {
        let _ = write!(table, "\n{what:<44}");
        for Measured { kind, figures } in all {
            let Some(figure) = figures.iter().find(|figure| figure.key == *key) else {
                let _ = write!(table, "{:>12}  {:<16}", "-", "");
                continue;
            };
            let needed = figure.needed(*kind).map(|needed| {
                let word = if figure.is_missed(*kind) { " MISSED" } else { "" };
                format!("<= {needed}{word}")
            });
            let _ = write!(table, "{:>12.3}  {:<16}", figure.value, needed.unwrap_or_default());
        }
    }
    table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// An object a database: key and number, `needed` (the same keys), `missed` (a list of them).
pub(super) fn json(all: &[Measured]) -> Map<String, Value> {
    let object = |Measured { kind, figures }: &Measured| {
        let number = |figure: &Figure| (figure.key.to_owned(), json!(rounded(figure.value)));
        let mut object: Map<_, _> = figures.iter().map(number).collect();
        let needed = figures.iter().filter_map(|figure| Some((figure.key, figure.needed(*kind)?)));
        let needed: Map<_, _> = needed.map(|(key, needed)| (key.to_owned(), json!(needed))).collect();
        let missed = figures.iter().filter(|figure| figure.is_missed(*kind));
        let missed: Vec<_> = missed.map(|figure| figure.key).collect();
        object.insert("needed".to_owned(), Value::Object(needed));
        object.insert("missed".to_owned(), json!(missed));
        (kind.name().to_owned(), Value::Object(object))
    };
    all.iter().map(object).collect()
}

/// To a thousandth; a zero has no sign.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0 + 0.0
}

/// The middle one, or between the two in the middle; 0 of none.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (below, above) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(below), values.get(above)) {
        (Some(below), Some(above)) => f64::midpoint(*below, *above),
        _ => 0.0,
    }
}

/// The share of one of `count`.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub(super) fn each(total: f64, count: usize) -> f64 {
    total / count as f64
}

/// Signed: a run that asked less than the idle one did is a mistake that must show.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub(super) fn difference(run: u64, idle: u64) -> f64 {
    run as f64 - idle as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_its_limit_is_missed_in_table_and_json() {
        for (name, key, kind, value, is_missed) in [
            ("under", "cpu_ms_per_login", Kind::Postgres, 0.7, false),
            ("exactly", "cpu_ms_per_login", Kind::Postgres, 0.85, false),
            ("over", "cpu_ms_per_login", Kind::Postgres, 0.851, true),
            ("over on the other database alone", "cpu_ms_per_login", Kind::Sqlite, 0.851, false),
            ("one statement too many", "statements_per_login", Kind::Sqlite, 8.0, true),
            ("nothing is needed of it", "p50_ms", Kind::Sqlite, 1e9, false),
        ] {
            let all = [Measured { kind, figures: vec![Figure::new(key, "it", value)] }];
            assert_eq!(is_any_missed(&all), is_missed, "{name}");
            assert_eq!(table(&all).contains("MISSED"), is_missed, "{name}");
            let missed = json(&all)[kind.name()]["missed"].as_array().map_or(0, Vec::len);
            assert_eq!(missed == 1, is_missed, "{name}");
            let shown = [Measured { kind, figures: vec![Figure::new(key, "it", value).only_shown()] }];
            assert!(!is_any_missed(&shown), "{name}");
        }
    }

    #[test]
    fn a_median_is_in_the_middle() {
        for (values, expected) in [(&[][..], 0.0), (&[3.0], 3.0), (&[4.0, 1.0], 2.5), (&[9.0, 1.0, 2.0], 2.0)]
        {
            assert!((median(values.iter().copied()) - expected).abs() < f64::EPSILON, "{values:?}");
        }
    }
}
