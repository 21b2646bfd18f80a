//! The series that a scrape writes about itself: `up` and its companions (reference section 5.6).

use super::refusals::{Case, Kind, NoSeries, Refusals};
use crate::model::names::METRIC_NAME;
use crate::model::{Labels, LabelsBuilder, SeriesRef, TimestampMs, stale_nan};
use crate::storage::{Appendable, Appender};

/// In the order of [`Report::values`]. The last three need `extra_scrape_metrics`.
const NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];
const PLAIN: usize = 5;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Report {
    pub up: bool,
    pub duration_seconds: f64,
    pub scraped: u64,
    pub added: u64,
    pub series_added: u64,
    pub timeout_seconds: f64,
    pub sample_limit: u64,
    /// -1 if the body was too big.
    pub body_bytes: i64,
}

impl Report {
    fn values(&self) -> [f64; 8] {
        [
            if self.up { 1.0 } else { 0.0 },
            self.duration_seconds,
            self.scraped as f64,
            self.added as f64,
            self.series_added as f64,
            self.timeout_seconds,
            self.sample_limit as f64,
            self.body_bytes as f64,
        ]
    }
}

/// The references of the report's series, once they are known.
#[derive(Debug, Default)]
pub(super) struct ReportRefs([Option<SeriesRef>; 8]);

impl ReportRefs {
    /// Adds the report to the batch. Its samples are refused as a page's are.
    pub fn append(
        &mut self,
        report: &Report,
        (extra, target): (bool, &Labels),
        storage: &dyn Appendable,
        t: TimestampMs,
        batch: &mut Appender,
        refusals: &mut Refusals,
    ) {
        let count = if extra { NAMES.len() } else { PLAIN };
        let known = self.0.iter_mut().take(count);
        for ((name, series), v) in NAMES.iter().zip(known).zip(report.values()) {
            let series = if let Some(known) = *series {
                known
            } else {
                let labels = labels(name, target);
                match storage.resolve(&labels) {
                    Ok(new) => *series.insert(new),
                    Err(why) => {
                        let case = NoSeries { why, labels, t, v };
                        refusals.add(Kind::NoSeries, 1, || Case::NoSeries(case));
                        continue;
                    }
                }
            };
            batch.append(series, t, v);
        }
        // Series that are no longer reported, because a reload said so.
        for series in self.0.iter_mut().skip(count).filter_map(Option::take) {
            batch.append(series, t, stale_nan());
        }
    }

    pub fn known(&self) -> impl Iterator<Item = SeriesRef> + '_ {
        self.0.iter().flatten().copied()
    }

    /// Returns the labels of a series of the report, so that it can be made anew.
    pub fn labels_of(&self, series: SeriesRef, target: &Labels) -> Option<Labels> {
        let at = self.0.iter().position(|s| *s == Some(series))?;
        Some(labels(NAMES[at], target))
    }

    pub fn replace(&mut self, old: SeriesRef, new: SeriesRef) {
        let of_old = self.0.iter_mut().filter(|s| **s == Some(old));
        of_old.for_each(|s| *s = Some(new));
    }
}

/// Returns labels that are never relabelled, and have no limit.
fn labels(name: &str, target: &Labels) -> Labels {
    let mut builder = LabelsBuilder::new(target);
    builder.set(METRIC_NAME, name);
    builder.labels()
}
