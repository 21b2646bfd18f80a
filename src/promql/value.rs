//! The result of a query.

use super::annotations::Annotations;
use super::statistics::Statistics;
use crate::model::{Labels, Sample, TimestampMs};

/// A series of a result, in order of time.
pub type Series = (Labels, Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Scalar(Sample),
    Text(TimestampMs, String),
    /// One sample per series, all at the query's time. Sorted by labels, unless the query sorts
    /// them otherwise.
    Vector(Vec<(Labels, Sample)>),
    /// Sorted by labels; no series is empty.
    Matrix(Vec<Series>),
}

/// A result with its annotations and statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub value: Value,
    pub annotations: Annotations,
    pub statistics: Statistics,
}
