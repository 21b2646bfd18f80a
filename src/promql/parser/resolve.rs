//! Replaces computed lengths by fixed ones, once the query's step and range are known.

use super::ast::{BinaryOp, DurationExpr, Expr, Length, Span};

/// Returns a copy in which every length is fixed. `step_ms` and `range_ms` are 0 in an instant
/// query.
///
/// # Errors
/// A length is out of range, in Prometheus's words, with its place in the query.
pub fn resolve(expr: &Expr, step_ms: i64, range_ms: i64) -> Result<Expr, String> {
    let mut expr = expr.clone();
    let query = Query {
        step: step_ms as f64 / 1000.0,
        range: range_ms as f64 / 1000.0,
    };
    expr.visit_mut(&mut |expr| query.fix(expr))?;
    Ok(expr)
}

/// In seconds.
struct Query {
    step: f64,
    range: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Any,
    Positive,
}

impl Query {
    fn fix(&self, expr: &mut Expr) -> Result<(), String> {
        match expr {
            Expr::Vector(selector) => self.length(&mut selector.offset, Sign::Any),
            Expr::Matrix(matrix) => {
                self.length(&mut matrix.range, Sign::Positive)?;
                self.length(&mut matrix.selector.offset, Sign::Any)
            }
            Expr::Subquery(subquery) => {
                self.length(&mut subquery.offset, Sign::Any)?;
                if let Some(step) = &mut subquery.step {
                    self.length(step, Sign::Positive)?;
                }
                self.length(&mut subquery.range, Sign::Positive)
            }
            _ => Ok(()),
        }
    }

    fn length(&self, length: &mut Length, sign: Sign) -> Result<(), String> {
        let Length::Computed(computed) = length else {
            return Ok(());
        };
        let seconds = self.seconds(computed)?;
        let problem = if !seconds.is_finite() {
            "duration is NaN or infinite"
        } else if seconds <= 0.0 && sign == Sign::Positive {
            "duration must be greater than 0"
        } else if seconds.abs() > i64::MAX as f64 / 1e9 {
            // Go's durations are 64-bit nanoseconds.
            "duration is out of range"
        } else {
            *length = Length::Fixed((seconds * 1000.0) as i64);
            return Ok(());
        };
        Err(told(computed, problem))
    }

    fn seconds(&self, length: &DurationExpr) -> Result<f64, String> {
        let value = match length {
            DurationExpr::Number(number) => number.value,
            DurationExpr::Step(_) => self.step,
            DurationExpr::Range(_) => self.range,
            DurationExpr::Paren(inner, _) | DurationExpr::Unary(false, inner, _) => {
                self.seconds(inner)?
            }
            DurationExpr::Unary(true, inner, _) => -self.seconds(inner)?,
            DurationExpr::MinOf(a, b, _) => of_two(self.seconds(a)?, self.seconds(b)?, f64::min),
            DurationExpr::MaxOf(a, b, _) => of_two(self.seconds(a)?, self.seconds(b)?, f64::max),
            DurationExpr::Binary(op, a, b, _) => {
                let (a, b) = (self.seconds(a)?, self.seconds(b)?);
                match op {
                    BinaryOp::Div if b == 0.0 => return Err(told(length, "division by zero")),
                    BinaryOp::Mod if b == 0.0 => return Err(told(length, "modulo by zero")),
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div => a / b,
                    BinaryOp::Mod => a % b,
                    _ => a.powf(b),
                }
            }
        };
        Ok(value)
    }
}

/// Returns NaN if either is NaN, as Go does. Rust's `min` and `max` would drop it.
fn of_two(a: f64, b: f64, choose: fn(f64, f64) -> f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        choose(a, b)
    }
}

fn told(length: &DurationExpr, problem: &str) -> String {
    let place = place(length);
    format!("{}:{}: {problem}", place.start, place.end)
}

/// Returns the bytes that Prometheus names. They leave out the parentheses around anything but a
/// number, and `min_of`'s.
fn place(length: &DurationExpr) -> Span {
    match length {
        DurationExpr::Number(number) => number.span.clone(),
        DurationExpr::Step(span) | DurationExpr::Range(span) => span.clone(),
        DurationExpr::Unary(_, inner, span) => span.start..place(inner).end,
        DurationExpr::Binary(_, a, b, _)
        | DurationExpr::MinOf(a, b, _)
        | DurationExpr::MaxOf(a, b, _) => place(a).start..place(b).end,
        DurationExpr::Paren(inner, span) => match &**inner {
            DurationExpr::Number(number) => span.start..number.span.end,
            inner => place(inner),
        },
    }
}
