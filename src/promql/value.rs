//! What a query answers.

use crate::model::{Labels, Sample};

/// A series of an answer, in order of time.
pub type Series = (Labels, Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One sample a series, all at the time of the query; sorted by labels.
    Vector(Vec<(Labels, Sample)>),
    /// Sorted by labels; no series is empty.
    Matrix(Vec<Series>),
}
