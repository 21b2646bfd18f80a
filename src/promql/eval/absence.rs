//! `absent()` and `absent_over_time()`.

use std::collections::HashSet;

use super::row::{Row, absent, is_absent};
use super::rows::Rows;
use super::run::Run;
use crate::model::names::METRIC_NAME;
use crate::model::{Labels, LabelsBuilder, MatchOp, Matcher};
use crate::promql::error::QueryError;
use crate::promql::parser::Expr;

/// Makes one series of 1 at the steps where no row has a value, or none if there is no such step.
pub fn absence(
    rows: &mut dyn Rows,
    of: &Expr,
    steps: usize,
    run: &mut Run<'_>,
) -> Result<Vec<Row>, QueryError> {
    run.hold(steps, steps * size_of::<f64>())?;
    let mut values = vec![1.0; steps];
    while let Some(row) = rows.next(run)? {
        for (slot, value) in values.iter_mut().zip(&row.values) {
            if !is_absent(*value) {
                *slot = absent();
            }
        }
    }
    run.release(steps, steps * size_of::<f64>());
    if values.iter().all(|v| is_absent(*v)) {
        return Ok(Vec::new());
    }
    Ok(vec![Row {
        labels: labels_of(of),
        drops_name: false,
        values,
    }])
}

/// Returns the labels that the selector's `=` matchers give an absent series. A label that is
/// matched twice is left out.
fn labels_of(expr: &Expr) -> Labels {
    let matchers: &[Matcher] = match expr.inner() {
        Expr::Vector(selector) => &selector.matchers,
        Expr::Matrix(matrix) => &matrix.selector.matchers,
        _ => &[],
    };
    let mut labels = LabelsBuilder::default();
    let mut seen = HashSet::new();
    for matcher in matchers.iter().filter(|m| m.name != METRIC_NAME) {
        if matcher.op == MatchOp::Equal && seen.insert(&matcher.name) {
            labels.set(&matcher.name, &matcher.value);
        } else {
            labels.delete(&matcher.name);
        }
    }
    labels.labels()
}
