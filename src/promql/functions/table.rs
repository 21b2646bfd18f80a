//! The table of function implementations.

use super::{classic, date, labels, math, over_time, rank, rate, sort, trend};
use crate::promql::error::QueryError;
use crate::promql::eval::{Grid, Operand, Run, WindowFn};
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

pub(in crate::promql) type ValueFn = fn(f64, &[f64]) -> f64;

pub(in crate::promql) type WholeFn =
    for<'q> fn(&'q Call, Vec<Operand<'q>>, Grid, &mut Run<'_>) -> Result<Operand<'q>, QueryError>;

/// Returns `None` for the evaluator's own functions.
pub(in crate::promql) fn implementation(name: &str) -> Option<Implementation> {
    window(name).or_else(|| value(name)).or_else(|| whole(name))
}

fn value(name: &str) -> Option<Implementation> {
    let f = math::function(name).or_else(|| date::function(name))?;
    Some(Implementation::Value { f })
}

fn whole(name: &str) -> Option<Implementation> {
    let f: WholeFn = match name {
        "histogram_avg" | "histogram_count" | "histogram_stddev" | "histogram_stdvar"
        | "histogram_sum" => classic::native,
        "histogram_fraction" => classic::histogram_fraction,
        "histogram_quantile" => classic::histogram_quantile,
        "histogram_quantiles" => classic::histogram_quantiles,
        "label_join" => labels::join,
        "label_replace" => labels::replace,
        "sort" => sort::sort,
        "sort_by_label" => sort::sort_by_label,
        "sort_by_label_desc" => sort::sort_by_label_desc,
        "sort_desc" => sort::sort_desc,
        _ => return None,
    };
    Some(Implementation::Whole(f))
}

fn window(name: &str) -> Option<Implementation> {
    let f: WindowFn = match name {
        "avg_over_time" => over_time::avg,
        "changes" => rate::changes,
        "count_over_time" => over_time::count,
        "delta" => rate::delta,
        "deriv" => trend::deriv,
        "double_exponential_smoothing" => trend::double_exponential,
        "first_over_time" => over_time::first,
        "idelta" => rate::idelta,
        "increase" => rate::increase,
        "irate" => rate::irate,
        "last_over_time" => over_time::last,
        "mad_over_time" => rank::mad,
        "max_over_time" => over_time::max,
        "min_over_time" => over_time::min,
        "predict_linear" => trend::predict,
        "present_over_time" => over_time::present,
        "quantile_over_time" => rank::quantile,
        "rate" => rate::rate,
        "resets" => rate::resets,
        "stddev_over_time" => over_time::stddev,
        "stdvar_over_time" => over_time::stdvar,
        "sum_over_time" => over_time::sum,
        "ts_of_first_over_time" => over_time::ts_of_first,
        "ts_of_last_over_time" => over_time::ts_of_last,
        "ts_of_max_over_time" => over_time::ts_of_max,
        "ts_of_min_over_time" => over_time::ts_of_min,
        _ => return None,
    };
    Some(Implementation::Window {
        f,
        keeps_name: matches!(name, "first_over_time" | "last_over_time"),
    })
}
