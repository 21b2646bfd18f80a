//! What a query answers.

use super::annotations::Annotations;
use super::statistics::Statistics;
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
