//! Series of an intermediate result.

use crate::model::names::METRIC_NAME;
use crate::model::{Labels, is_stale_nan, stale_nan};

/// The value of a series where it has none at a step: the bits of the stale marker. No selector
/// lets a marker through, and no computation makes one, since it is a signalling NaN.
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
    /// The name is dropped at the end of the query. Used only with delayed name removal; else the
    /// name is dropped at once.
    pub drops_name: bool,
    /// One value per step, [`absent`] where there is none.
    pub values: Vec<f64>,
}

impl Row {
    /// The number of steps with a value.
    pub fn present(&self) -> usize {
        self.values.iter().filter(|v| !is_absent(**v)).count()
    }
}

/// The labels that say a series' metric and its kind.
const OF_THE_METRIC: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

pub fn is_of_the_metric(label: &str) -> bool {
    OF_THE_METRIC.contains(&label)
}

/// Returns the labels without the metric's name, type and unit.
pub fn without_name(labels: &Labels) -> Labels {
    // NOTE: most labels sort behind these, so the search ends at once.
    if OF_THE_METRIC.iter().all(|name| labels.get(name).is_none()) {
        return labels.clone();
    }
    let others = labels
        .iter()
        .filter(|(name, _)| !OF_THE_METRIC.contains(name));
    Labels::from_sorted(others)
}
