//! What a function over a range gets at one step.

use std::ops::Range;

use crate::model::TimestampMs;

/// The samples of a series that a window holds, and its times.
#[derive(Debug, Clone)]
pub struct Span {
    pub range: Range<usize>,
    /// The start of the range, with offset and `@` applied.
    pub start: TimestampMs,
    pub end: TimestampMs,
    /// The step's own time.
    pub t: TimestampMs,
}

/// The samples of one series in `start < t <= end`, in order of time, without stale markers. There
/// are as many times as values.
#[derive(Debug, Clone, Copy)]
pub struct Window<'w> {
    pub times: &'w [TimestampMs],
    pub values: &'w [f64],
    /// The start of the range, with offset and `@` applied.
    pub start: TimestampMs,
    pub end: TimestampMs,
    /// The step's own time.
    pub t: TimestampMs,
}
