//! An aggregation's scalar parameter: `k`, a quantile, a ratio.

use crate::promql::QueryError;
use crate::promql::eval::{Grid, Operand, Run, Scalars};
use crate::promql::parser::{Aggregate, Span};
use crate::stdx::gofmt;

/// The limits of 64-bit integers, as Prometheus has them.
const INT_MAX: f64 = 9_223_372_036_854_774_784.0;
const INT_MIN: f64 = -9_223_372_036_854_774_784.0;

pub(super) struct Params {
    pub values: Scalars,
    min: f64,
    max: f64,
    has_nan: bool,
    span: Span,
}

impl Params {
    pub fn new(node: &Aggregate, param: Option<Operand<'_>>, grid: Grid) -> Params {
        let values = match param {
            Some(Operand::Scalar(values)) => values,
            _ => Scalars::Constant(0.0),
        };
        let steps = match &values {
            Scalars::Constant(_) => 1,
            Scalars::Each(_) => grid.steps,
        };
        let all = || (0..steps).map(|step| values.at(step));
        Params {
            has_nan: all().any(f64::is_nan),
            min: all().fold(f64::MAX, f64::min),
            max: all().fold(-f64::MAX, f64::max),
            span: node.param.as_ref().map_or(0..0, |param| param.span()),
            values,
        }
    }

    /// Whether there is anything to choose, for aggregations that choose a number of series.
    ///
    /// # Errors
    /// The value is not a number of series.
    pub fn counts(&self) -> Result<bool, QueryError> {
        // NOTE: to Prometheus the maximum of values with a NaN is NaN, so there is no early end.
        if self.max < 1.0 && !self.has_nan {
            return Ok(false);
        }
        let text = match () {
            () if self.has_nan => "Parameter value is NaN".to_owned(),
            () if self.min <= INT_MIN => {
                format!("Scalar value {} underflows int64", text_float(self.min))
            }
            () if self.max >= INT_MAX => {
                format!("Scalar value {} overflows int64", text_float(self.max))
            }
            () => return Ok(true),
        };
        Err(QueryError::Execution(text))
    }

    /// Whether there is anything to choose, for `limit_ratio`.
    ///
    /// # Errors
    /// The value is NaN.
    pub fn ratios(&self, run: &mut Run<'_>) -> Result<bool, QueryError> {
        if self.has_nan {
            return Err(QueryError::Execution("Ratio value is NaN".to_owned()));
        }
        if self.max == 0.0 && self.min == 0.0 {
            return Ok(false);
        }
        for (is_out, value, cap) in [
            (self.max > 1.0, self.max, "1"),
            (self.min < -1.0, self.min, "-1"),
        ] {
            if is_out {
                let got = text_float(value);
                let text =
                    format!("ratio value should be between -1 and 1, got {got}, capping to {cap}");
                run.annotations.warn(&self.span, text);
            }
        }
        Ok(true)
    }

    pub fn warn_of_quantiles(&self, run: &mut Run<'_>) {
        for (is_out, value) in [
            (self.has_nan, f64::NAN),
            (self.max > 1.0 && !self.has_nan, self.max),
            (self.min < 0.0 && !self.has_nan, self.min),
        ] {
            if is_out {
                let got = text_float(value);
                let text = format!("quantile value should be between 0 and 1, got {got}");
                run.annotations.warn(&self.span, text);
            }
        }
    }
}

/// Writes Go's `%g`.
fn text_float(v: f64) -> String {
    let mut text = String::new();
    gofmt::push_text_float(&mut text, v);
    text
}
