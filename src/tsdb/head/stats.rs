//! Statistics of the head.

use super::lock::{Head, State};
use crate::model::names::METRIC_NAME;
use crate::model::{SeriesRef, TimestampMs};
use crate::stdx::sort::sort_by;
use crate::storage::StorageError;

/// A summary of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadStats {
    pub series: u64,
    /// The number of distinct pairs of a name and a value.
    pub label_pairs: u64,
    pub chunks: u64,
    /// `i64::MAX` while there are no samples.
    pub min_t: TimestampMs,
    /// `i64::MIN` while there are no samples.
    pub max_t: TimestampMs,
    /// Counted since the start.
    pub samples_appended: u64,
    /// Those of them that were taken late because their series' newest is dated after the clock.
    pub corrected: u64,
    pub symbol_bytes: u64,
}

/// A name and its count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    pub name: String,
    pub value: u64,
}

/// Where the head's series come from, the largest first (the API's `status/tsdb`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cardinality {
    pub series_count_by_metric_name: Vec<Counted>,
    pub label_value_count_by_label_name: Vec<Counted>,
    pub memory_in_bytes_by_label_name: Vec<Counted>,
    pub series_count_by_label_value_pair: Vec<Counted>,
}

impl Head {
    pub fn stats(&self) -> Result<HeadStats, StorageError> {
        let state = self.lock()?;
        Ok(HeadStats {
            series: state.slab.len() as u64,
            label_pairs: state.index.pair_count() as u64,
            chunks: state.chunks,
            min_t: state.min_t,
            max_t: state.max_t,
            samples_appended: state.samples_appended,
            corrected: state.corrected,
            symbol_bytes: state.index.text_bytes() as u64,
        })
    }

    /// Returns the `limit` largest of each kind.
    pub fn cardinality(&self, limit: usize) -> Result<Cardinality, StorageError> {
        let (series, values, bytes, pairs) = self.lock()?.counts();
        Ok(Cardinality {
            series_count_by_metric_name: largest(series, limit),
            label_value_count_by_label_name: largest(values, limit),
            memory_in_bytes_by_label_name: largest(bytes, limit),
            series_count_by_label_value_pair: largest(pairs, limit),
        })
    }

    /// The bytes on the heap, without the allocator's overhead.
    pub fn heap_bytes(&self) -> Result<usize, StorageError> {
        let state = self.lock()?;
        let table = state.table.capacity() * 6;
        Ok(state.slab.heap_bytes() + state.pool.heap_bytes() + state.index.heap_bytes() + table)
    }

    pub fn has_series(&self, series: SeriesRef) -> Result<bool, StorageError> {
        Ok(self.lock()?.slab.get(series).is_some())
    }
}

type Counts = Vec<Counted>;

impl State {
    /// Counts series by metric, values by name, bytes by name, and series by pair.
    fn counts(&self) -> (Counts, Counts, Counts, Counts) {
        let mut all = (Counts::new(), Counts::new(), Counts::new(), Counts::new());
        for name in self.index.names() {
            all.1.push(Counted::new(&*name.text, name.pairs.len()));
            let mut bytes = 0;
            for pair in &name.pairs {
                let (value, series) = (self.index.value(*pair), self.index.series_count(*pair));
                bytes += series * (label_bytes(&name.text) + label_bytes(value));
                all.3
                    .push(Counted::new(format!("{}={value}", name.text), series));
                if &*name.text == METRIC_NAME {
                    all.0.push(Counted::new(value, series));
                }
            }
            all.2.push(Counted::new(&*name.text, bytes));
        }
        all
    }
}

impl Counted {
    fn new(name: impl Into<String>, value: usize) -> Counted {
        Counted {
            name: name.into(),
            value: value as u64,
        }
    }
}

/// Returns what Prometheus counts for a text in a series' labels: the text and its length.
fn label_bytes(text: &str) -> usize {
    let length = if text.len() < 255 { 1 } else { 4 };
    text.len() + length
}

fn largest(mut counts: Counts, limit: usize) -> Counts {
    sort_by(&mut counts, |a, b| {
        b.value.cmp(&a.value).then_with(|| a.name.cmp(&b.name))
    });
    counts.truncate(limit);
    counts
}
