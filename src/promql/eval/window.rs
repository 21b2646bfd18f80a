//! What a function over a range is given at one step.

use std::ops::Range;

use crate::model::TimestampMs;
use crate::promql::functions::Scratch;

/// Which samples of a series a window holds, and what it is of.
#[derive(Debug, Clone)]
pub struct Span {
    pub range: Range<usize>,
    /// Of the range, offset and `@` applied.
    pub start: TimestampMs,
    pub end: TimestampMs,
    /// The step's own time.
    pub t: TimestampMs,
}

/// The samples of one series in `start < t <= end`, in order of time, stale markers left out; as
/// many times as values.
#[derive(Debug, Clone, Copy)]
pub struct Window<'w> {
    pub times: &'w [TimestampMs],
    pub values: &'w [f64],
    /// Of the range, offset and `@` applied.
    pub start: TimestampMs,
    pub end: TimestampMs,
    /// The step's own time.
    pub t: TimestampMs,
}

/// A function from a window, and the call's scalar arguments at the step, to a value:
/// [`super::absent`] for none. It is not called with an empty window. The scratch may be kept from
/// window to window and from series to series.
pub type WindowFn = fn(&Window<'_>, &[f64], &mut Scratch) -> f64;
