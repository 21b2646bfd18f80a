//! The ways in which functions are computed.

use super::scratch::Scratch;
use crate::promql::error::QueryError;
use crate::promql::eval::{Grid, Operand, Run, Window};
use crate::promql::parser::Call;

/// How a function is computed. Scalar arguments are given in their order, whatever stands between
/// them.
#[derive(Clone, Copy)]
pub(in crate::promql) enum Implementation {
    /// Computes a value from each window of a series. The result has no name unless `keeps_name`.
    Window { f: WindowFn, keeps_name: bool },
    /// Computes a value from each value of a series and the scalar arguments at its step;
    /// `absent()` means none. The result has no name. Where the call leaves the vector out,
    /// `time()` without labels takes its place.
    Value { f: ValueFn },
    /// Computes rows from all arguments at once. The rows may share labels after functions that
    /// change labels (`label_replace`, `label_join`) or drop names (`histogram_quantile` and the
    /// like). The evaluator merges them, and refuses rows that meet at a step.
    Whole(WholeFn),
}

/// Maps a window, and the call's scalar arguments at the step, to a value; `absent()` means none.
/// It is not called with an empty window. The scratch may be kept from window to window and from
/// series to series.
pub(in crate::promql) type WindowFn = fn(&Window<'_>, &[f64], &mut Scratch) -> f64;

pub(in crate::promql) type ValueFn = fn(f64, &[f64]) -> f64;

pub(in crate::promql) type WholeFn =
    for<'q> fn(&'q Call, Vec<Operand<'q>>, Grid, &mut Run<'_>) -> Result<Operand<'q>, QueryError>;
