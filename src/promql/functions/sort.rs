//! `sort` and the like. Only an instant query's answer has an order; a range query's is sorted by
//! labels.

use std::cmp::Ordering;

use super::args::Args;
use super::natural;
use crate::promql::error::QueryError;
use crate::promql::eval::{Grid, Operand, Row, Rows, Run};
use crate::promql::parser::Call;
use crate::stdx::sort::sort_by;

pub(super) fn sort<'q>(
    call: &'q Call,
    operands: Vec<Operand<'q>>,
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let rows = Args::new(operands).vector()?;
    sorted(call, rows, grid, run, |a, b| by_value(a, b, f64::total_cmp))
}

pub(super) fn sort_desc<'q>(
    call: &'q Call,
    operands: Vec<Operand<'q>>,
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let rows = Args::new(operands).vector()?;
    sorted(call, rows, grid, run, |a, b| {
        by_value(a, b, |a, b| b.total_cmp(a))
    })
}

pub(super) fn sort_by_label<'q>(
    call: &'q Call,
    operands: Vec<Operand<'q>>,
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let mut args = Args::new(operands);
    let (rows, names) = (args.vector()?, args.texts()?);
    sorted(call, rows, grid, run, |a, b| by_labels(a, b, &names))
}

pub(super) fn sort_by_label_desc<'q>(
    call: &'q Call,
    operands: Vec<Operand<'q>>,
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    let mut args = Args::new(operands);
    let (rows, names) = (args.vector()?, args.texts()?);
    sorted(call, rows, grid, run, |a, b| by_labels(b, a, &names))
}

const INEFFECTIVE: &str =
    "sort is ineffective for range queries since results are always ordered by labels";

fn sorted<'q>(
    call: &Call,
    mut rows: Box<dyn Rows + 'q>,
    grid: Grid,
    run: &mut Run<'_>,
    order: impl Fn(&Row, &Row) -> Ordering,
) -> Result<Operand<'q>, QueryError> {
    if grid.is_range {
        run.annotations.warn(&call.span, INEFFECTIVE);
        return Ok(Operand::Vector(rows));
    }
    let mut kept = Vec::new();
    while let Some(row) = rows.next(run)? {
        run.check()?;
        if row.present() > 0 {
            run.keep(&row)?;
            kept.push(row);
        }
    }
    sort_by(&mut kept, order);
    Ok(Operand::Vector(Box::new(kept.into_iter())))
}

/// Compares by value. NaN comes last in either direction.
fn by_value(a: &Row, b: &Row, order: impl Fn(&f64, &f64) -> Ordering) -> Ordering {
    match (a.values.first(), b.values.first()) {
        (Some(a), Some(b)) => match (a.is_nan(), b.is_nan()) {
            // Adding 0 makes -0 equal to 0.
            (false, false) => order(&(a + 0.0), &(b + 0.0)),
            (a_is_nan, b_is_nan) => a_is_nan.cmp(&b_is_nan),
        },
        _ => Ordering::Equal,
    }
}

fn by_labels(a: &Row, b: &Row, names: &[String]) -> Ordering {
    for name in names {
        let value = |row: &'_ Row| row.labels.get(name).unwrap_or("").to_owned();
        let (a, b) = (value(a), value(b));
        if a != b {
            return natural::compare(&a, &b);
        }
    }
    a.labels.cmp(&b.labels)
}
