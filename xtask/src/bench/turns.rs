//! The same work on a database that is nearly empty and on one that is full, in turn, so that the company on the machine is
//! the same for both.

use super::{
    figures::{Figure, median},
    portal::{Portal, Series},
};

/// What either database took, turn by turn.
#[derive(Default)]
pub(super) struct Turns {
    emptier: Vec<Series>,
    fuller: Vec<Series>,
}

impl Turns {
    /// The next turn of both. Whoever comes second finds the machine warmer: each is second in turn.
    pub(super) async fn take(
        &mut self,
        emptier: &mut Portal,
        fuller: &mut Portal,
        work: impl AsyncFn(&mut Portal) -> anyhow::Result<Series>,
    ) -> anyhow::Result<()> {
        if self.emptier.len().is_multiple_of(2) {
            self.emptier.push(work(emptier).await?);
            self.fuller.push(work(fuller).await?);
        } else {
            self.fuller.push(work(fuller).await?);
            self.emptier.push(work(emptier).await?);
        }
        Ok(())
    }

    /// Medians, and the medians of the turns' ratios.
    pub(super) fn figures(&self, what: &Words) -> Vec<Figure> {
        let p50 = |series: &Series| series.percentile_ms(0.5);
        let p99 = |series: &Series| series.percentile_ms(0.99);
        let of = |series: &[Series], figure: fn(&Series) -> f64| median(series.iter().map(figure));
        let (emptier, fuller) = (&self.emptier, &self.fuller);
        let ratio = |figure: fn(&Series) -> f64| {
            median(fuller.iter().zip(emptier).map(|(large, small)| figure(large) / figure(small)))
        };
        vec![
            Figure::new("empty_cpu_ms", what.cpu, of(emptier, Series::cpu_ms)),
            Figure::new("cpu_ms_1m", "the same, full (ms)", of(fuller, Series::cpu_ms)),
            Figure::new("cpu_ratio_1m", "full over empty", ratio(Series::cpu_ms)),
            Figure::new("empty_p50_ms", what.p50, of(emptier, p50)),
            Figure::new("p50_ms_1m", "the same, full (ms)", of(fuller, p50)),
            Figure::new("p50_ratio_1m", "full over empty", ratio(p50)),
            Figure::new("empty_p99_ms", what.p99, of(emptier, p99)),
            Figure::new("p99_ms_1m", "the same, full (ms)", of(fuller, p99)),
            Figure::new("p99_ratio_1m", "full over empty", ratio(p99)),
        ]
    }
}

/// What is said of the emptier one's figures.
pub(super) struct Words {
    pub(super) cpu: &'static str,
    pub(super) p50: &'static str,
    pub(super) p99: &'static str,
}
