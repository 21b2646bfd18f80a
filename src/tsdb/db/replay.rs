//! Replays the log at the start: what was committed after the newest block.

use std::ops::Range;
use std::sync::Arc;

use super::error::OpenError;
use crate::model::{LabelsRef, SeriesRef, TimestampMs};
use crate::storage::{Exemplar, Pending};
use crate::tsdb::dir::Dir;
use crate::tsdb::exemplars::Exemplars;
use crate::tsdb::head::Head;
use crate::tsdb::metrics::StoreMetrics;
use crate::tsdb::wal::{Entry, Logged, Position, Replayed, replay_ahead};

/// Reads the log into the head, a record at a time.
pub fn replay_into(
    dir: &Arc<dyn Dir>,
    from: Option<Position>,
    head: &Head,
    exemplars: Option<&Exemplars>,
    metrics: &StoreMetrics,
) -> Result<Replayed, OpenError> {
    let mut sink = Sink {
        head,
        exemplars: exemplars.filter(|exemplars| exemplars.is_on()),
        series: Vec::new(),
        failed: None,
    };
    let replayed = replay_ahead(dir, from, &mut |entry| sink.take(entry))
        .map_err(OpenError::io("cannot read the log"))?;
    if let Some(error) = sink.failed {
        return Err(error.into());
    }
    tell(&replayed, metrics);
    Ok(replayed)
}

struct Sink<'a> {
    head: &'a Head,
    exemplars: Option<&'a Exemplars>,
    /// The series by their ids in the log.
    series: Vec<Option<SeriesRef>>,
    /// The first error. Nothing is taken after it.
    failed: Option<crate::storage::StorageError>,
}

impl Sink<'_> {
    fn take(&mut self, entry: Entry<'_>) {
        if self.failed.is_some() {
            return;
        }
        match entry {
            Entry::Series { id, labels } => self.name(id, labels),
            Entry::Scrapes { ids, times, values } => self.scrapes(ids, times, values),
            Entry::Samples(samples) => self.samples(samples, false),
            Entry::OutOfOrder(samples) => self.samples(samples, true),
            Entry::Exemplars(exemplars) => self.exemplars(exemplars),
        }
    }

    fn name(&mut self, id: u32, labels: LabelsRef<'_>) {
        let at = id as usize;
        if self.series.len() <= at {
            self.series.resize(at + 1, None);
        }
        match self.head.resolve(labels) {
            Ok(series) => self.series[at] = Some(series),
            Err(error) => self.failed = Some(error),
        }
    }

    fn exemplars(&self, all: &[(u32, Exemplar)]) {
        let Some(exemplars) = self.exemplars else {
            return;
        };
        for (id, exemplar) in all {
            if let Some(Some(series)) = self.series.get(*id as usize).copied() {
                let labels = || self.head.labels(series);
                exemplars.add_again(series, exemplar.clone(), labels);
            }
        }
    }

    fn scrapes(&mut self, ids: &[Range<u32>], times: &[TimestampMs], values: &[f64]) {
        let ids = ids.iter().cloned().flatten();
        let series = ids.map(|id| self.series.get(id as usize).copied().flatten());
        if let Err(error) = self.head.take_rows_again(series, times, values) {
            self.failed = Some(error);
        }
    }

    fn samples(&mut self, samples: &[Logged], late: bool) {
        let of = |&Logged { id, t, v }: &Logged| {
            let series = self.series.get(id as usize).copied()??;
            Some(Pending { series, t, v })
        };
        if let Err(error) = self.head.take_again(samples.iter().filter_map(of), late) {
            self.failed = Some(error);
        }
    }
}

fn tell(replayed: &Replayed, metrics: &StoreMetrics) {
    metrics.skipped_records.add(replayed.skipped_records as f64);
    metrics.skipped_bytes.add(replayed.skipped_bytes as f64);
    metrics.unread_samples.add(replayed.unread_samples as f64);
    log::info!(segments = replayed.segments, records = replayed.records,
        samples = replayed.samples; "the write-ahead log was read");
    metrics.torn_bytes.add(replayed.torn_bytes as f64);
    if replayed.torn_bytes > 0 {
        log::info!(bytes = replayed.torn_bytes;
            "the write-ahead log ends in the middle of a record, as a stop without warning leaves \
             it");
    }
    if replayed.skipped_ranges > 0 {
        metrics.wal_corruptions.add(replayed.skipped_ranges as f64);
        log::error!(records = replayed.skipped_records, bytes = replayed.skipped_bytes,
            unread_samples = replayed.unread_samples,
            segments = format!("{:?}", replayed.damaged).as_str();
            "the write-ahead log is damaged; the rest of it was read");
    }
    metrics.unknown_segments.add(replayed.unknown.len() as f64);
    if !replayed.unknown.is_empty() {
        log::error!(segments = format!("{:?}", replayed.unknown).as_str();
            "segments of the write-ahead log have an unknown version and were left alone");
    }
}
