//! What a function over a range is given at one step.

use crate::model::{Sample, TimestampMs};
use crate::promql::functions::Scratch;

/// The samples of one series in `start < t <= end`, in order of time, stale markers left out.
#[derive(Debug, Clone, Copy)]
pub struct Window<'w> {
    pub samples: &'w [Sample],
    /// Of the range, offset and `@` applied.
    pub start: TimestampMs,
    pub end: TimestampMs,
    /// The step's own time.
    pub t: TimestampMs,
    /// No value of the series, far beyond this window, is below the one before it; a counter need
    /// not be searched for resets.
    pub never_falls: bool,
}

/// A function from a window, and the call's scalar arguments at the step, to a value:
/// [`super::absent`] for none. It is not called with an empty window. The scratch may be kept from
/// window to window and from series to series.
pub type WindowFn = fn(&Window<'_>, &[f64], &mut Scratch) -> f64;
