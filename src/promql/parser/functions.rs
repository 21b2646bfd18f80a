//! The signatures of all functions (reference section 4.1).

use super::ast::Type;
use Arity::{Any, Exactly, UpTo};
use Type::{Matrix, Scalar, Text, Vector};

#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    /// Types of the arguments. The last also counts for those that may follow.
    pub args: &'static [Type],
    pub arity: Arity,
    pub returns: Type,
    /// The function needs `promql-experimental-functions`.
    pub is_experimental: bool,
}

/// The number of arguments that a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// As many as `args` has types.
    Exactly,
    /// The last argument may occur up to this many times, or not at all.
    UpTo(usize),
    /// The last argument may be left out, or repeated at will.
    Any,
}

/// All functions, sorted by name.
pub fn functions() -> &'static [Function] {
    &FUNCTIONS
}

/// Finds a function by its name, case-sensitively.
pub fn function(name: &str) -> Option<&'static Function> {
    let found = FUNCTIONS.binary_search_by(|f| f.name.cmp(name));
    found.ok().and_then(|i| FUNCTIONS.get(i))
}

const fn of(name: &'static str, args: &'static [Type], arity: Arity, returns: Type) -> Function {
    Function {
        name,
        args,
        arity,
        returns,
        is_experimental: false,
    }
}

impl Function {
    const fn experimental(mut self) -> Function {
        self.is_experimental = true;
        self
    }
}

/// Sorted by name.
#[rustfmt::skip]
static FUNCTIONS: [Function; 90] = [
    of("abs", &[Vector], Exactly, Vector),
    of("absent", &[Vector], Exactly, Vector),
    of("absent_over_time", &[Matrix], Exactly, Vector),
    of("acos", &[Vector], Exactly, Vector),
    of("acosh", &[Vector], Exactly, Vector),
    of("asin", &[Vector], Exactly, Vector),
    of("asinh", &[Vector], Exactly, Vector),
    of("atan", &[Vector], Exactly, Vector),
    of("atanh", &[Vector], Exactly, Vector),
    of("avg_over_time", &[Matrix], Exactly, Vector),
    of("ceil", &[Vector], Exactly, Vector),
    of("changes", &[Matrix], Exactly, Vector),
    of("clamp", &[Vector, Scalar, Scalar], Exactly, Vector),
    of("clamp_max", &[Vector, Scalar], Exactly, Vector),
    of("clamp_min", &[Vector, Scalar], Exactly, Vector),
    of("cos", &[Vector], Exactly, Vector),
    of("cosh", &[Vector], Exactly, Vector),
    of("count_over_time", &[Matrix], Exactly, Vector),
    of("day_of_month", &[Vector], UpTo(1), Vector),
    of("day_of_week", &[Vector], UpTo(1), Vector),
    of("day_of_year", &[Vector], UpTo(1), Vector),
    of("days_in_month", &[Vector], UpTo(1), Vector),
    of("deg", &[Vector], Exactly, Vector),
    of("delta", &[Matrix], Exactly, Vector),
    of("deriv", &[Matrix], Exactly, Vector),
    of("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Exactly, Vector).experimental(),
    of("end", &[], Exactly, Scalar).experimental(),
    of("exp", &[Vector], Exactly, Vector),
    of("first_over_time", &[Matrix], Exactly, Vector),
    of("floor", &[Vector], Exactly, Vector),
    of("histogram_avg", &[Vector], Exactly, Vector),
    of("histogram_count", &[Vector], Exactly, Vector),
    of("histogram_fraction", &[Scalar, Scalar, Vector], Exactly, Vector),
    of("histogram_quantile", &[Scalar, Vector], Exactly, Vector),
    of("histogram_quantiles", &[Vector, Text, Scalar, Scalar], UpTo(9), Vector).experimental(),
    of("histogram_stddev", &[Vector], Exactly, Vector),
    of("histogram_stdvar", &[Vector], Exactly, Vector),
    of("histogram_sum", &[Vector], Exactly, Vector),
    of("hour", &[Vector], UpTo(1), Vector),
    of("idelta", &[Matrix], Exactly, Vector),
    of("increase", &[Matrix], Exactly, Vector),
    of("info", &[Vector, Vector], UpTo(1), Vector).experimental(),
    of("irate", &[Matrix], Exactly, Vector),
    of("label_join", &[Vector, Text, Text, Text], Any, Vector),
    of("label_replace", &[Vector, Text, Text, Text, Text], Exactly, Vector),
    of("last_over_time", &[Matrix], Exactly, Vector),
    of("ln", &[Vector], Exactly, Vector),
    of("log10", &[Vector], Exactly, Vector),
    of("log2", &[Vector], Exactly, Vector),
    of("mad_over_time", &[Matrix], Exactly, Vector).experimental(),
    of("max_of", &[Scalar, Scalar], Exactly, Scalar).experimental(),
    of("max_over_time", &[Matrix], Exactly, Vector),
    of("min_of", &[Scalar, Scalar], Exactly, Scalar).experimental(),
    of("min_over_time", &[Matrix], Exactly, Vector),
    of("minute", &[Vector], UpTo(1), Vector),
    of("month", &[Vector], UpTo(1), Vector),
    of("pi", &[], Exactly, Scalar),
    of("predict_linear", &[Matrix, Scalar], Exactly, Vector),
    of("present_over_time", &[Matrix], Exactly, Vector),
    of("quantile_over_time", &[Scalar, Matrix], Exactly, Vector),
    of("rad", &[Vector], Exactly, Vector),
    of("range", &[], Exactly, Scalar).experimental(),
    of("rate", &[Matrix], Exactly, Vector),
    of("resets", &[Matrix], Exactly, Vector),
    of("round", &[Vector, Scalar], UpTo(1), Vector),
    of("scalar", &[Vector], Exactly, Scalar),
    of("sgn", &[Vector], Exactly, Vector),
    of("sin", &[Vector], Exactly, Vector),
    of("sinh", &[Vector], Exactly, Vector),
    of("sort", &[Vector], Exactly, Vector),
    of("sort_by_label", &[Vector, Text], Any, Vector).experimental(),
    of("sort_by_label_desc", &[Vector, Text], Any, Vector).experimental(),
    of("sort_desc", &[Vector], Exactly, Vector),
    of("sqrt", &[Vector], Exactly, Vector),
    of("start", &[], Exactly, Scalar).experimental(),
    of("start_timestamp", &[Vector], Exactly, Vector).experimental(),
    of("stddev_over_time", &[Matrix], Exactly, Vector),
    of("stdvar_over_time", &[Matrix], Exactly, Vector),
    of("step", &[], Exactly, Scalar).experimental(),
    of("sum_over_time", &[Matrix], Exactly, Vector),
    of("tan", &[Vector], Exactly, Vector),
    of("tanh", &[Vector], Exactly, Vector),
    of("time", &[], Exactly, Scalar),
    of("timestamp", &[Vector], Exactly, Vector),
    of("ts_of_first_over_time", &[Matrix], Exactly, Vector).experimental(),
    of("ts_of_last_over_time", &[Matrix], Exactly, Vector).experimental(),
    of("ts_of_max_over_time", &[Matrix], Exactly, Vector).experimental(),
    of("ts_of_min_over_time", &[Matrix], Exactly, Vector).experimental(),
    of("vector", &[Scalar], Exactly, Vector),
    of("year", &[Vector], UpTo(1), Vector),
];
