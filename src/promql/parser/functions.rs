//! The signatures of all functions (reference section 4.1).

use super::ast::Type;
use Arity::{Any, Exactly, UpTo};
use Type::{Matrix, Scalar, Text, Vector};

#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    /// Types of the arguments; the last counts for those that may follow.
    pub args: &'static [Type],
    pub arity: Arity,
    pub returns: Type,
    /// Behind `promql-experimental-functions`.
    pub is_experimental: bool,
}

/// How many arguments there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// As many as have types.
    Exactly,
    /// The last may be left out or, where more than one is allowed, be followed by such a number
    /// less one.
    UpTo(usize),
    /// The last may be left out, or repeated at will.
    Any,
}

/// All there are, sorted by name.
pub fn functions() -> &'static [Function] {
    &FUNCTIONS
}

/// Finds a function by its name, which is matched by case.
pub fn function(name: &str) -> Option<&'static Function> {
    let found = FUNCTIONS.binary_search_by(|f| f.name.cmp(name));
    found.ok().and_then(|i| FUNCTIONS.get(i))
}

const fn stable(
    name: &'static str,
    args: &'static [Type],
    arity: Arity,
    returns: Type,
) -> Function {
    Function {
        name,
        args,
        arity,
        returns,
        is_experimental: false,
    }
}

const fn experimental(
    name: &'static str,
    args: &'static [Type],
    arity: Arity,
    returns: Type,
) -> Function {
    Function {
        is_experimental: true,
        ..stable(name, args, arity, returns)
    }
}

/// Sorted by name.
#[rustfmt::skip]
static FUNCTIONS: [Function; 90] = [
    stable("abs", &[Vector], Exactly, Vector),
    stable("absent", &[Vector], Exactly, Vector),
    stable("absent_over_time", &[Matrix], Exactly, Vector),
    stable("acos", &[Vector], Exactly, Vector),
    stable("acosh", &[Vector], Exactly, Vector),
    stable("asin", &[Vector], Exactly, Vector),
    stable("asinh", &[Vector], Exactly, Vector),
    stable("atan", &[Vector], Exactly, Vector),
    stable("atanh", &[Vector], Exactly, Vector),
    stable("avg_over_time", &[Matrix], Exactly, Vector),
    stable("ceil", &[Vector], Exactly, Vector),
    stable("changes", &[Matrix], Exactly, Vector),
    stable("clamp", &[Vector, Scalar, Scalar], Exactly, Vector),
    stable("clamp_max", &[Vector, Scalar], Exactly, Vector),
    stable("clamp_min", &[Vector, Scalar], Exactly, Vector),
    stable("cos", &[Vector], Exactly, Vector),
    stable("cosh", &[Vector], Exactly, Vector),
    stable("count_over_time", &[Matrix], Exactly, Vector),
    stable("day_of_month", &[Vector], UpTo(1), Vector),
    stable("day_of_week", &[Vector], UpTo(1), Vector),
    stable("day_of_year", &[Vector], UpTo(1), Vector),
    stable("days_in_month", &[Vector], UpTo(1), Vector),
    stable("deg", &[Vector], Exactly, Vector),
    stable("delta", &[Matrix], Exactly, Vector),
    stable("deriv", &[Matrix], Exactly, Vector),
    experimental("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Exactly, Vector),
    experimental("end", &[], Exactly, Scalar),
    stable("exp", &[Vector], Exactly, Vector),
    stable("first_over_time", &[Matrix], Exactly, Vector),
    stable("floor", &[Vector], Exactly, Vector),
    stable("histogram_avg", &[Vector], Exactly, Vector),
    stable("histogram_count", &[Vector], Exactly, Vector),
    stable("histogram_fraction", &[Scalar, Scalar, Vector], Exactly, Vector),
    stable("histogram_quantile", &[Scalar, Vector], Exactly, Vector),
    experimental("histogram_quantiles", &[Vector, Text, Scalar, Scalar], UpTo(9), Vector),
    stable("histogram_stddev", &[Vector], Exactly, Vector),
    stable("histogram_stdvar", &[Vector], Exactly, Vector),
    stable("histogram_sum", &[Vector], Exactly, Vector),
    stable("hour", &[Vector], UpTo(1), Vector),
    stable("idelta", &[Matrix], Exactly, Vector),
    stable("increase", &[Matrix], Exactly, Vector),
    experimental("info", &[Vector, Vector], UpTo(1), Vector),
    stable("irate", &[Matrix], Exactly, Vector),
    stable("label_join", &[Vector, Text, Text, Text], Any, Vector),
    stable("label_replace", &[Vector, Text, Text, Text, Text], Exactly, Vector),
    stable("last_over_time", &[Matrix], Exactly, Vector),
    stable("ln", &[Vector], Exactly, Vector),
    stable("log10", &[Vector], Exactly, Vector),
    stable("log2", &[Vector], Exactly, Vector),
    experimental("mad_over_time", &[Matrix], Exactly, Vector),
    experimental("max_of", &[Scalar, Scalar], Exactly, Scalar),
    stable("max_over_time", &[Matrix], Exactly, Vector),
    experimental("min_of", &[Scalar, Scalar], Exactly, Scalar),
    stable("min_over_time", &[Matrix], Exactly, Vector),
    stable("minute", &[Vector], UpTo(1), Vector),
    stable("month", &[Vector], UpTo(1), Vector),
    stable("pi", &[], Exactly, Scalar),
    stable("predict_linear", &[Matrix, Scalar], Exactly, Vector),
    stable("present_over_time", &[Matrix], Exactly, Vector),
    stable("quantile_over_time", &[Scalar, Matrix], Exactly, Vector),
    stable("rad", &[Vector], Exactly, Vector),
    experimental("range", &[], Exactly, Scalar),
    stable("rate", &[Matrix], Exactly, Vector),
    stable("resets", &[Matrix], Exactly, Vector),
    stable("round", &[Vector, Scalar], UpTo(1), Vector),
    stable("scalar", &[Vector], Exactly, Scalar),
    stable("sgn", &[Vector], Exactly, Vector),
    stable("sin", &[Vector], Exactly, Vector),
    stable("sinh", &[Vector], Exactly, Vector),
    stable("sort", &[Vector], Exactly, Vector),
    experimental("sort_by_label", &[Vector, Text], Any, Vector),
    experimental("sort_by_label_desc", &[Vector, Text], Any, Vector),
    stable("sort_desc", &[Vector], Exactly, Vector),
    stable("sqrt", &[Vector], Exactly, Vector),
    experimental("start", &[], Exactly, Scalar),
    experimental("start_timestamp", &[Vector], Exactly, Vector),
    stable("stddev_over_time", &[Matrix], Exactly, Vector),
    stable("stdvar_over_time", &[Matrix], Exactly, Vector),
    experimental("step", &[], Exactly, Scalar),
    stable("sum_over_time", &[Matrix], Exactly, Vector),
    stable("tan", &[Vector], Exactly, Vector),
    stable("tanh", &[Vector], Exactly, Vector),
    stable("time", &[], Exactly, Scalar),
    stable("timestamp", &[Vector], Exactly, Vector),
    experimental("ts_of_first_over_time", &[Matrix], Exactly, Vector),
    experimental("ts_of_last_over_time", &[Matrix], Exactly, Vector),
    experimental("ts_of_max_over_time", &[Matrix], Exactly, Vector),
    experimental("ts_of_min_over_time", &[Matrix], Exactly, Vector),
    stable("vector", &[Scalar], Exactly, Vector),
    stable("year", &[Vector], UpTo(1), Vector),
];
