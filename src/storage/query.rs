//! Querying: series by matchers within a range of time.

use std::borrow::Cow;
use std::ops::Range;

use thiserror::Error;

use crate::model::labels::pairs_of;
use crate::model::{Labels, Matcher, Sample, TimestampMs, is_stale_nan};

#[derive(Debug, Error)]
pub enum StorageError {
    #[error("the storage is closed")]
    Closed,
    #[error("{0}")]
    Other(String),
}

/// What a selection will be used for; a storage may read less because of it.
#[derive(Debug, Clone, Copy)]
pub struct SelectHints {
    /// Inclusive, milliseconds. Nothing before it is asked for, even where the view has more.
    pub start: TimestampMs,
    /// Inclusive, milliseconds.
    pub end: TimestampMs,
    /// At most this many series; 0 is no limit.
    pub limit: usize,
    /// The series may come in any order: nothing is sorted that need not be.
    pub any_order: bool,
}

/// All that the view has.
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
    /// A consistent view of what is stored between `start` and `end` (inclusive): of each batch all
    /// or nothing, however long the view is kept.
    fn querier(
        &self,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Box<dyn Querier>, StorageError>;
}

/// A view for one query.
pub trait Querier: Send {
    /// The series that match all of `matchers`, sorted by labels unless the hints say that this
    /// does not matter.
    fn select(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, StorageError>;

    /// Names of labels of the series that match, sorted, at most `limit` (0: all).
    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, StorageError>;

    /// Values of one label among the series that match, sorted, at most `limit` (0: all).
    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError>;
}

/// Series one after another.
pub trait SeriesSet: Send {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>>;

    /// How many are still to come, about, where that is known at once.
    fn left(&self) -> Option<usize> {
        None
    }
}

/// One series of a selection.
pub trait Series: Send {
    /// Made when asked for: ask once.
    fn labels(&self) -> Labels;

    /// What [`Labels::of_pushed`] would take: for those who compare series. A storage that has it
    /// at hand lends it.
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.labels().text().to_owned())
    }

    /// Calls `each` with every name and value, in order of names; builds nothing where the text is
    /// at hand. For those who need but some of the labels, or none of a series that they skip.
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

    /// As [`Series::read`], times and values apart: for those who go over one of them alone.
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

    /// Appends when the samples of [`Series::read`] are, all of them, and which of these are stale
    /// markers. For those who count samples: a storage may answer without reading values.
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
}

/// Samples by columns, both of one length. Cleared and used again, they allocate nothing.
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

    /// Keeps the first `len`.
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

    /// Takes all stale markers out.
    pub fn drop_stale(&mut self) {
        // NOTE: mostly there are none, and that none is NaN is quick to see without a branch for
        // each.
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

/// What [`Series::read_times`] answers. One that is cleared and used again allocates nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    /// Ascending.
    pub times: Vec<TimestampMs>,
    /// Places in `times`, ascending. Mostly there are none.
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

    /// When the newest sample is no stale marker, and less than `reach_ms` ago.
    pub fn spans(&self, reach_ms: i64) -> impl Iterator<Item = Range<TimestampMs>> {
        let (mut at, mut stale) = (0, self.stale.iter().copied().peekable());
        std::iter::from_fn(move || {
            while stale.next_if(|marker| *marker as usize == at).is_some() {
                at += 1;
            }
            let until = stale.peek().map(|marker| *marker as usize);
            let alive = self.times.get(at..until.unwrap_or(self.times.len()))?;
            let start = *alive.first()?;
            let run = unbroken(alive, reach_ms);
            let reached = alive[run - 1].saturating_add(reach_ms);
            at += run;
            Some(match (alive.get(run), until) {
                (None, Some(marker)) => start..reached.min(self.times[marker]),
                _ => start..reached,
            })
        })
    }

    /// Keeps the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.times.truncate(len);
        let kept = self.stale.partition_point(|at| (*at as usize) < len);
        self.stale.truncate(kept);
    }
}

/// How many of `times`, from the first on, are each at most `reach_ms` after the one before.
fn unbroken(times: &[TimestampMs], reach_ms: i64) -> usize {
    /// Compared without a branch for each.
    const STRIDE: usize = 64;
    // NOTE: what ascends is apart by a number without a sign, however far.
    let is_far = |pair: &[TimestampMs]| pair[1].wrapping_sub(pair[0]) as u64 > reach_ms as u64;
    let any_far = |stride: &[TimestampMs]| stride.windows(2).fold(false, |any, p| any | is_far(p));
    let mut at = 0;
    while times.get(at..=at + STRIDE).is_some_and(|s| !any_far(s)) {
        at += STRIDE;
    }
    let near = times[at..].windows(2).take_while(|pair| !is_far(pair));
    at + 1 + near.count()
}
