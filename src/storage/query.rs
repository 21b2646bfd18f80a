//! Queries: series by matchers within a range of time.

use std::borrow::Cow;

use thiserror::Error;

use super::Spans;
use crate::model::labels::pairs_of;
use crate::model::{Labels, Matcher, Sample, TimestampMs, is_stale_nan};

#[derive(Debug, Error)]
pub enum StorageError {
    #[error("the storage is closed")]
    Closed,
    #[error("{0}")]
    Other(String),
}

/// What the caller will use a selection for. A storage may read less because of it.
#[derive(Debug, Clone, Copy)]
pub struct SelectHints {
    /// Inclusive, in milliseconds. Nothing earlier is asked for, even where the view has more.
    pub start: TimestampMs,
    /// Inclusive, in milliseconds.
    pub end: TimestampMs,
    /// The largest number of series; 0 is no limit.
    pub limit: usize,
    /// The series may come in any order, which saves the storage a sort.
    pub any_order: bool,
}

/// Asks for all that the view has.
impl Default for SelectHints {
    fn default() -> SelectHints {
        SelectHints {
            start: TimestampMs::MIN,
            end: TimestampMs::MAX,
            limit: 0,
            any_order: false,
        }
    }
}

/// Storage that answers queries.
pub trait Queryable: Send + Sync {
    /// Opens a consistent view of the samples between `start` and `end` (inclusive). It shows each
    /// batch whole or not at all, however long it is kept.
    fn querier(
        &self,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Box<dyn Querier>, StorageError>;
}

/// A view for one query.
pub trait Querier: Send {
    /// Returns the series that match all of `matchers`, sorted by labels unless `hints.any_order`
    /// is set.
    fn select(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, StorageError>;

    /// Returns the label names of the matching series, sorted, at most `limit` (0: all).
    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, StorageError>;

    /// Returns the values of one label among the matching series, sorted, at most `limit` (0: all).
    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError>;
}

/// Yields series one after another.
pub trait SeriesSet: Send {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>>;

    /// The approximate number of series still to come, where it is known at once.
    fn left(&self) -> Option<usize> {
        None
    }
}

/// One series of a selection.
pub trait Series: Send {
    /// Makes the labels. Call it once.
    fn labels(&self) -> Labels;

    /// Returns the text that [`Labels::of_pushed`] takes, for callers that compare series. A
    /// storage that has the text at hand lends it.
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.labels().text().to_owned())
    }

    /// Calls `each` with every name and value, in order of names. It serves callers that need only
    /// some labels; where the text is at hand it allocates nothing.
    fn each_label(&self, each: &mut dyn FnMut(&str, &str)) {
        for (name, value) in pairs_of(&self.text()) {
            each(name, value);
        }
    }

    /// Appends the samples with `start <= t <= end` to `out`, in order of time. Stale markers are
    /// samples like others.
    fn read(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<Sample>,
    ) -> Result<(), StorageError>;

    /// Reads as [`Series::read`] does, with times and values in separate columns.
    fn read_columns(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Columns,
    ) -> Result<(), StorageError> {
        let mut samples = Vec::new();
        self.read(start, end, &mut samples)?;
        out.extend(samples);
        Ok(())
    }

    /// Appends the times of all samples that [`Series::read`] would give, and which of them are
    /// stale markers. It serves callers that count samples: a storage need not read values for it.
    fn read_times(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Times,
    ) -> Result<(), StorageError> {
        let mut samples = Vec::new();
        self.read(start, end, &mut samples)?;
        out.extend(&samples);
        Ok(())
    }

    /// Adds all samples that [`Series::read`] would give to `out`, as far as they are in order. It
    /// serves [`Spans::read`], which reads once more where they are not.
    fn read_spans(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Spans,
    ) -> Result<(), StorageError> {
        out.add_read(|times| self.read_times(start, end, times))
    }
}

/// Samples by columns, both of one length. A cleared value reuses its memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// Ascending.
    pub times: Vec<TimestampMs>,
    pub values: Vec<f64>,
}

impl Columns {
    pub fn len(&self) -> usize {
        self.times.len()
    }

    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Keeps the first `len` samples.
    pub fn truncate(&mut self, len: usize) {
        self.times.truncate(len);
        self.values.truncate(len);
    }

    pub fn push(&mut self, sample: Sample) {
        self.times.push(sample.t);
        self.values.push(sample.v);
    }

    pub fn extend(&mut self, samples: impl IntoIterator<Item = Sample>) {
        samples.into_iter().for_each(|sample| self.push(sample));
    }

    pub fn samples(&self) -> impl Iterator<Item = Sample> {
        let pairs = self.times.iter().zip(&self.values);
        pairs.map(|(t, v)| Sample { t: *t, v: *v })
    }

    /// Removes all stale markers.
    pub fn drop_stale(&mut self) {
        // NOTE: mostly there are none. Without a branch per value it is quick to see that none is
        // NaN.
        if !self.values.iter().fold(false, |any, v| any | v.is_nan()) {
            return;
        }
        let mut stale = self.values.iter().map(|v| is_stale_nan(*v));
        self.times.retain(|_| stale.next() != Some(true));
        self.values.retain(|v| !is_stale_nan(*v));
    }

    pub fn heap_bytes(&self) -> usize {
        self.times.capacity() * size_of::<TimestampMs>() + self.values.capacity() * size_of::<f64>()
    }
}

/// The result of [`Series::read_times`]. A cleared value reuses its memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    /// Ascending.
    pub times: Vec<TimestampMs>,
    /// Positions in `times`, ascending. Mostly there are none.
    pub stale: Vec<u32>,
}

impl Times {
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    pub fn extend(&mut self, samples: &[Sample]) {
        let first = self.times.len();
        self.times.extend(samples.iter().map(|s| s.t));
        let stale = samples
            .iter()
            .enumerate()
            .filter(|(_, s)| is_stale_nan(s.v));
        self.stale.extend(stale.map(|(i, _)| (first + i) as u32));
    }

    /// Keeps the first `len` times.
    pub fn truncate(&mut self, len: usize) {
        self.times.truncate(len);
        let kept = self.stale.partition_point(|at| (*at as usize) < len);
        self.stale.truncate(kept);
    }
}
