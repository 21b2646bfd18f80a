//! Parts of a query with the same value at every step, which are evaluated once.

use super::operand::{Operand, Scalars};
use super::row::Row;
use super::rows::Rows;
use super::run::Run;
use crate::promql::error::QueryError;
use crate::promql::parser::{Call, Expr};

/// Whether an expression is independent of the step, by `@` or for lack of a selector.
pub fn is_invariant(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) | Expr::Text(_) => true,
        Expr::Vector(selector) => selector.at.is_some(),
        Expr::Matrix(matrix) => matrix.selector.at.is_some(),
        Expr::Subquery(subquery) => subquery.at.is_some(),
        Expr::Unary(unary) => is_invariant(&unary.expr),
        Expr::Paren(paren) => is_invariant(&paren.expr),
        Expr::Binary(binary) => is_invariant(&binary.lhs) && is_invariant(&binary.rhs),
        // NOTE: its parameter does not matter, as in Prometheus. The first step's value applies.
        Expr::Aggregate(aggregate) => is_invariant(&aggregate.expr),
        Expr::Call(call) => is_invariant_call(call),
    }
}

fn is_invariant_call(call: &Call) -> bool {
    let depends_on_step = match call.function.name {
        "days_in_month" | "day_of_month" | "day_of_week" | "day_of_year" | "hour" | "minute"
        | "month" | "year" | "predict_linear" | "time" => true,
        // For a selector it gives the sample's own time.
        "timestamp" => !matches!(call.args.first().map(Expr::inner), Some(Expr::Vector(_))),
        _ => false,
    };
    !depends_on_step && call.args.iter().all(is_invariant)
}

/// Repeats the result of one step for `steps` steps.
pub fn spread(operand: Operand<'_>, steps: usize) -> Operand<'_> {
    match operand {
        Operand::Scalar(scalars) => Operand::Scalar(Scalars::Constant(scalars.at(0))),
        Operand::Text(text) => Operand::Text(text),
        Operand::Vector(rows) => Operand::Vector(Box::new(Spread { rows, steps })),
    }
}

struct Spread<'q> {
    rows: Box<dyn Rows + 'q>,
    steps: usize,
}

impl Rows for Spread<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        let before = run.statistics.queryable_samples;
        let row = self.rows.next(run)?;
        let looked_at = run.statistics.queryable_samples - before;
        run.statistics.queryable_samples = before + looked_at * self.steps as u64;
        Ok(row.map(|mut row| {
            if let [value] = row.values[..] {
                row.values = vec![value; self.steps];
            }
            row
        }))
    }
}
