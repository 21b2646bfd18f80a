//! A series of an intermediate result, and streams of them.

use super::run::Run;
use crate::model::names::METRIC_NAME;
use crate::model::{Labels, is_stale_nan, stale_nan};
use crate::promql::QueryError;

/// Stands where a series has no value at a step: the staleness marker's bits. No selector lets a
/// marker through, and no computation makes one, as it is a signalling NaN.
#[inline]
pub fn absent() -> f64 {
    stale_nan()
}

#[inline]
pub fn is_absent(v: f64) -> bool {
    is_stale_nan(v)
}

/// A series over all steps of its grid.
///
/// NOTE: floats only. Native histograms will stand beside `values`, in a table that is empty where
/// a series has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub labels: Labels,
    /// The name is to be dropped at the end of the query. Only with delayed name removal; without,
    /// the name is taken off at once.
    pub drops_name: bool,
    /// One a step; [`absent`] where there is none.
    pub values: Vec<f64>,
}

impl Row {
    /// For what makes another metric of a series.
    pub fn drop_name(&mut self, run: &Run<'_>) {
        if run.delays_names() {
            self.drops_name = true;
        } else {
            self.labels = without_name(&self.labels);
        }
    }

    /// How many steps have a value.
    pub fn present(&self) -> usize {
        self.values.iter().filter(|v| !is_absent(**v)).count()
    }
}

/// What says which metric a series is of, and of what kind.
const OF_THE_METRIC: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

pub fn is_of_the_metric(label: &str) -> bool {
    OF_THE_METRIC.contains(&label)
}

/// The same labels less the metric's name, type and unit.
pub fn without_name(labels: &Labels) -> Labels {
    // NOTE: most labels sort behind these, so that the search ends at once.
    if OF_THE_METRIC.iter().all(|name| labels.get(name).is_none()) {
        return labels.clone();
    }
    let others = labels
        .iter()
        .filter(|(name, _)| !OF_THE_METRIC.contains(name));
    Labels::from_sorted(others)
}

/// Series, one after another. No two that it gives have the same labels (with `drops_name` aside)
/// unless it says so; an order is not promised.
pub trait Rows {
    /// # Errors
    /// A limit, the query's cancellation, or the storage. Not to be called again after one.
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError>;

    /// Said before the first row by who takes the values of each step apart: a series may then come
    /// as several rows that have no step in common.
    fn take_parts(&mut self) {}
}

impl Rows for std::vec::IntoIter<Row> {
    fn next(&mut self, _: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        Ok(Iterator::next(self))
    }
}
