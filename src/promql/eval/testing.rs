//! Queries over rows that a test writes down: `x{a="1"} 1 _ 3` is a series with two values at three
//! steps. Rows end with semicolons or lines.

use std::time::Duration;

use super::aggregate::aggregate;
use super::binary::binary;
use super::{Grid, Operand, Row, Run, Scalars, absent, is_absent};
use crate::model::Labels;
use crate::promql::QueryError;
use crate::promql::annotations::Severity;
use crate::promql::parser::{Expr, Features, parse, parse_selector};
use crate::stdx::clock::ManualClock;
use crate::stdx::gofmt;
use crate::stdx::stop::stop;

/// Evaluates `query` over `rows`. Returns the rows in their order, or `error: …`; then the
/// annotations.
pub fn evaluate(query: &str, rows: &str) -> Vec<String> {
    evaluate_with(query, rows, false)
}

/// Does as [`evaluate`], with delayed name removal. A `!` follows the labels of rows whose name is
/// dropped.
pub fn evaluate_with(query: &str, rows: &str, delays_names: bool) -> Vec<String> {
    let features = Features {
        experimental_functions: true,
        extended_ranges: true,
        fill_modifiers: true,
        start_timestamps: true,
    };
    let expr = parse(query, &features).unwrap_or_else(|e| panic!("{query}: {e}"));
    let rows = read(rows);
    let steps = rows.first().map_or(1, |row| row.values.len());
    let grid = Grid::between(0, (steps as i64 - 1) * 1_000, 1_000);
    let (_hold, cancel) = stop();
    let clock = ManualClock::new(0);
    let mut run = Run::new(&clock, Duration::from_secs(1), &cancel, 1_000, delays_names);
    let mut lines = match collect(&expr, &rows, grid, &mut run) {
        Ok(rows) => rows.iter().map(write).collect(),
        Err(error) => vec![format!("error: {error}")],
    };
    lines.extend(run.annotations.texts(Severity::Warning, query));
    lines.extend(run.annotations.texts(Severity::Info, query));
    lines
}

/// Compares lines in any order. A test's lines may be indented.
pub fn check(query: &str, rows: &str, expect: &str) {
    compare(query, evaluate(query, rows), expect);
}

pub fn check_delayed(query: &str, rows: &str, expect: &str) {
    compare(query, evaluate_with(query, rows, true), expect);
}

fn compare(query: &str, mut got: Vec<String>, expect: &str) {
    let mut expect: Vec<String> = lines(expect).map(str::to_owned).collect();
    got.sort();
    expect.sort();
    assert_eq!(got, expect, "{query}");
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split('\n').map(str::trim);
    parts.filter(|line| !line.is_empty())
}

fn read(text: &str) -> Vec<Row> {
    let parts = text.split([';', '\n']).map(str::trim);
    let row = |text: &str| {
        let (series, values) = text.rsplit_once('}').map_or_else(
            || text.split_once(' ').unwrap(),
            |(series, values)| (series, values),
        );
        let series = if series.contains('{') {
            format!("{series}}}")
        } else {
            series.to_owned()
        };
        let matchers = parse_selector(&series).unwrap();
        let value = |v: &str| {
            if v == "_" {
                absent()
            } else {
                v.parse().unwrap()
            }
        };
        Row {
            labels: Labels::from_pairs(matchers.iter().map(|m| (&m.name, &m.value))),
            drops_name: false,
            values: values.split_whitespace().map(value).collect(),
        }
    };
    parts.filter(|part| !part.is_empty()).map(row).collect()
}

fn write(row: &Row) -> String {
    let mut text = row.labels.series_text();
    if row.drops_name {
        text.push('!');
    }
    for v in &row.values {
        text.push(' ');
        text.push_str(&if is_absent(*v) {
            "_".to_owned()
        } else {
            gofmt::v(*v)
        });
    }
    text
}

fn collect(
    expr: &Expr,
    rows: &[Row],
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Vec<Row>, QueryError> {
    let held = run.held();
    let mut all = Vec::new();
    match operand(expr, rows, grid, run)? {
        Operand::Vector(mut rows) => {
            while let Some(row) = rows.next(run)? {
                assert_eq!(row.values.len(), grid.steps, "{row:?}");
                all.push(row);
            }
        }
        Operand::Scalar(scalars) => all.push(Row {
            labels: Labels::empty(),
            drops_name: false,
            values: (0..grid.steps).map(|step| scalars.at(step)).collect(),
        }),
        Operand::Text(_) => {}
    }
    assert_eq!(run.held(), held, "all that was held is given back");
    Ok(all)
}

/// A name selects rows; `scalar(name)` is the name's only series.
fn operand<'q>(
    expr: &'q Expr,
    rows: &[Row],
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Operand<'q>, QueryError> {
    Ok(match expr {
        Expr::Number(number) => Operand::Scalar(Scalars::Constant(number.value)),
        Expr::Text(text) => Operand::Text(text.value.clone()),
        Expr::Paren(paren) => operand(&paren.expr, rows, grid, run)?,
        Expr::Unary(unary) => match operand(&unary.expr, rows, grid, run)? {
            Operand::Scalar(Scalars::Constant(v)) => Operand::Scalar(Scalars::Constant(-v)),
            _ => panic!("only numbers are negated"),
        },
        Expr::Vector(selector) => {
            let is_in = |labels: &Labels| {
                let value = |name: &str| labels.get(name).unwrap_or("").to_owned();
                selector.matchers.iter().all(|m| m.matches(&value(&m.name)))
            };
            let those = rows.iter().filter(|row| is_in(&row.labels)).cloned();
            Operand::Vector(Box::new(those.collect::<Vec<_>>().into_iter()))
        }
        Expr::Call(call) if call.function.name == "scalar" => {
            match operand(&call.args[0], rows, grid, run)? {
                Operand::Vector(mut rows) => {
                    let row = rows.next(run)?.unwrap();
                    Operand::Scalar(Scalars::Each(row.values))
                }
                _ => panic!("scalar() of a vector"),
            }
        }
        // Every other function drops names.
        Expr::Call(call) => match operand(&call.args[0], rows, grid, run)? {
            Operand::Vector(mut rows) => {
                let mut all = Vec::new();
                while let Some(mut row) = rows.next(run)? {
                    run.drop_name(&mut row);
                    all.push(row);
                }
                Operand::Vector(Box::new(all.into_iter()))
            }
            other => other,
        },
        Expr::Aggregate(node) => {
            let param = match &node.param {
                Some(param) => Some(operand(param, rows, grid, run)?),
                None => None,
            };
            let Operand::Vector(input) = operand(&node.expr, rows, grid, run)? else {
                panic!("no vector");
            };
            Operand::Vector(aggregate(node, input, param, grid, run)?)
        }
        Expr::Binary(node) => {
            let lhs = operand(&node.lhs, rows, grid, run)?;
            let rhs = operand(&node.rhs, rows, grid, run)?;
            binary(node, lhs, rhs, grid, run)?
        }
        Expr::Matrix(_) | Expr::Subquery(_) => panic!("no ranges here"),
    })
}
