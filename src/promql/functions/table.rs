//! The table of function implementations.

use super::implementation::{Implementation, WholeFn, WindowFn};
use super::{classic, date, labels, math, over_time, rank, rate, sort, trend};

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
