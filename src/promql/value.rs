//! What a query answers.

use super::annotations::Annotations;
use crate::model::{Labels, Sample, TimestampMs};

/// A series of an answer, in order of time.
pub type Series = (Labels, Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Scalar(Sample),
    Text(TimestampMs, String),
    /// One sample a series, all at the time of the query; sorted by labels, unless the query sorts
    /// them otherwise.
    Vector(Vec<(Labels, Sample)>),
    /// Sorted by labels; no series is empty.
    Matrix(Vec<Series>),
}

/// An answer with all that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub value: Value,
    pub annotations: Annotations,
    pub statistics: Statistics,
}

/// What a query cost (`stats=all`).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Statistics {
    /// Samples that the steps looked at; one in several windows counts for each.
    pub queryable_samples: u64,
    /// Samples that were read from the storage.
    pub read_samples: u64,
    /// The most that were held at once.
    pub peak_samples: u64,
    /// Seconds.
    pub queue_time: f64,
    pub prepare_time: f64,
    pub eval_time: f64,
    pub sort_time: f64,
}

impl Statistics {
    /// Preparing, evaluating and sorting, in seconds.
    pub fn total_eval_time(&self) -> f64 {
        self.prepare_time + self.eval_time + self.sort_time
    }
}
