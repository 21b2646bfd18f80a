//! The result of a query: rows become samples, in order.

use super::distinct::{Merge, same_labels};
use super::evaluator::Evaluation;
use super::grid::Grid;
use super::operand::{Operand, Scalars};
use super::rollup::{Source, present};
use super::row::{Row, is_absent, without_name};
use super::rows::Rows;
use super::run::Run;
use super::stored::Stored;
use super::window::Window;
use crate::model::{Labels, Sample, is_stale_nan};
use crate::promql::error::QueryError;
use crate::promql::functions::extend;
use crate::promql::parser::{Aggregator, Expr, Extent, MatrixSelector, Type};
use crate::promql::value::{Series, Value};
use crate::stdx::sort::sort_by;
use crate::storage::Columns;

impl Evaluation {
    /// Returns the whole query's result.
    pub fn value(&self, expr: &Expr, run: &mut Run<'_>) -> Result<Value, QueryError> {
        let kind = expr.value_type();
        if self.is_range && !matches!(kind, Type::Scalar | Type::Vector) {
            return Err(QueryError::RangeQueryType(kind.as_str()));
        }
        match expr.inner() {
            Expr::Matrix(matrix) => self.matrix(matrix, run).map(Value::Matrix),
            Expr::Subquery(subquery) => {
                let (source, _) = self.subquery(subquery, self.grid, run)?;
                match source {
                    Source::Rows(sub) => sorted(sub.rows, sub.grid, run).map(Value::Matrix),
                    _ => Ok(Value::Matrix(Vec::new())),
                }
            }
            _ => match self.eval(expr, self.grid, run)? {
                Operand::Text(text) => Ok(Value::Text(self.grid.start, text)),
                Operand::Scalar(scalars) => self.scalar(scalars, run),
                Operand::Vector(rows) if self.is_range => {
                    sorted(rows, self.grid, run).map(Value::Matrix)
                }
                Operand::Vector(rows) => self.vector(rows, is_ordered(expr), run),
            },
        }
    }

    fn scalar(&self, scalars: Scalars, run: &mut Run<'_>) -> Result<Value, QueryError> {
        let t = self.grid.start;
        if !self.is_range {
            return Ok(Value::Scalar(Sample {
                t,
                v: scalars.at(0),
            }));
        }
        run.hold(self.grid.steps, self.grid.steps * size_of::<Sample>())?;
        let sample = |step| Sample {
            t: self.grid.time(step),
            v: scalars.at(step),
        };
        let samples = (0..self.grid.steps).map(sample).collect();
        Ok(Value::Matrix(vec![(Labels::empty(), samples)]))
    }

    fn vector(
        &self,
        rows: Box<dyn Rows + '_>,
        is_ordered: bool,
        run: &mut Run<'_>,
    ) -> Result<Value, QueryError> {
        let mut rows = named_at_last(rows, run);
        let mut vector = Vec::new();
        while let Some(row) = rows.next(run)? {
            run.check()?;
            let Some(v) = row.values.first().copied().filter(|v| !is_absent(*v)) else {
                continue;
            };
            run.hold(1, size_of::<(Labels, Sample)>() + row.labels.heap_bytes())?;
            let t = self.grid.start;
            vector.push((row.labels, Sample { t, v }));
        }
        if !is_ordered {
            sort(&mut vector, run)?;
        }
        Ok(Value::Vector(vector))
    }

    /// Returns the samples of a bare range selector.
    fn matrix(
        &self,
        matrix: &MatrixSelector,
        run: &mut Run<'_>,
    ) -> Result<Vec<Series>, QueryError> {
        let slide = self.slide(matrix, self.grid);
        let extent = matrix.selector.extent;
        let mut stored = Stored::open(self, &matrix.selector.matchers, slide.times(), run)?;
        let (mut found, mut samples) = (Vec::new(), Vec::new());
        while let Some(series) = stored.next(&mut samples, run)? {
            samples.retain(|s| !is_stale_nan(s.v));
            let mut kept = Vec::new();
            if extent == Extent::Plain {
                kept.extend_from_slice(&samples);
            } else if !samples.is_empty() {
                let mut apart = Columns::default();
                apart.extend(samples.iter().copied());
                let end = slide.reach.first;
                let window = Window {
                    times: &apart.times,
                    values: &apart.values,
                    start: end.saturating_sub(slide.range_ms),
                    end,
                    t: self.grid.start,
                };
                extend(&window, extent, &mut kept);
            }
            if !kept.is_empty() {
                let labels = series.labels();
                run.hold(kept.len(), bytes_of(&labels, kept.len()))?;
                run.looked_at(kept.len(), kept.len());
                found.push((labels, kept));
            }
        }
        sort(&mut found, run)?;
        Ok(found)
    }
}

fn sorted(
    rows: Box<dyn Rows + '_>,
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<Vec<Series>, QueryError> {
    let mut rows = named_at_last(rows, run);
    let mut matrix: Vec<Series> = Vec::new();
    while let Some(row) = rows.next(run)? {
        run.check()?;
        let count = row.present();
        if count == 0 {
            continue;
        }
        run.hold(count, bytes_of(&row.labels, count))?;
        let mut samples = Vec::with_capacity(count);
        samples.extend(present(&row.values, grid));
        matrix.push((row.labels, samples));
    }
    sort(&mut matrix, run)?;
    Ok(matrix)
}

fn bytes_of(labels: &Labels, samples: usize) -> usize {
    size_of::<Series>() + labels.heap_bytes() + samples * size_of::<Sample>()
}

/// Whether an instant query's result has an order of its own.
fn is_ordered(expr: &Expr) -> bool {
    match expr.inner() {
        Expr::Call(call) => matches!(
            call.function.name,
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc"
        ),
        Expr::Aggregate(node) => matches!(node.op, Aggregator::Topk | Aggregator::Bottomk),
        _ => false,
    }
}

/// Drops the names that were marked, with delayed name removal.
fn named_at_last<'q>(rows: Box<dyn Rows + 'q>, run: &Run<'_>) -> Box<dyn Rows + 'q> {
    if run.delays_names() {
        Box::new(Merge::new(Box::new(Unnamed(rows))))
    } else {
        rows
    }
}

struct Unnamed<'q>(Box<dyn Rows + 'q>);

impl Rows for Unnamed<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        Ok(self.0.next(run)?.map(|mut row| {
            if row.drops_name {
                row.labels = without_name(&row.labels);
            }
            row
        }))
    }
}

/// Sorts by labels. No two series of a result have the same.
fn sort<T>(series: &mut [(Labels, T)], run: &mut Run<'_>) -> Result<(), QueryError> {
    run.look()?;
    let start = run.now();
    // NOTE: the storage gives series in order, and most operations keep it.
    if !series.is_sorted_by(|a, b| a.0 < b.0) {
        sort_by(series, |a, b| a.0.cmp(&b.0));
        if series.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(same_labels());
        }
    }
    run.statistics.sort_time += run.now().saturating_sub(start).as_secs_f64();
    run.look()
}
