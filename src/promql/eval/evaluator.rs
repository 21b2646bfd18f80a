//! Evaluates an expression's nodes at all steps.

use super::aggregate::{aggregate, projection, totals};
use super::binary::binary;
use super::counted::Counted;
use super::distinct::merged;
use super::grid::Grid;
use super::instant::{Instant, Look, Newest, Takes};
use super::invariant::{is_invariant, spread};
use super::operand::{Operand, Scalars};
use super::reach::{Reach, left_open};
use super::rollup::{Source, SubRows};
use super::row::{Row, is_absent};
use super::rows::Rows;
use super::run::Run;
use super::view::View;
use super::wanted::Wanted;
use crate::model::{Sample, TimestampMs};
use crate::promql::error::QueryError;
use crate::promql::parser::{
    Aggregate, Aggregator, At, Binary, Expr, Extent, Length, Subquery, Unary, VectorSelector,
};
use crate::promql::query::{Query, Times};
use crate::storage::Queryable;

/// What a query is evaluated on, and at which steps.
pub struct Evaluation {
    /// The view for the query's selectors; `None` if it has no selector.
    pub view: Option<View>,
    pub lookback_ms: i64,
    /// The step of subqueries that name none.
    pub default_step_ms: i64,
    /// The whole query's steps, whatever grid its subqueries have.
    pub grid: Grid,
    pub end: TimestampMs,
    pub is_range: bool,
}

impl Evaluation {
    /// Opens the query's view of `storage`. `expr` is its expression with all lengths fixed.
    ///
    /// # Errors
    /// The storage's.
    pub fn open(
        storage: &dyn Queryable,
        query: &Query<'_>,
        expr: &Expr,
        default_step_ms: i64,
    ) -> Result<Evaluation, QueryError> {
        let (grid, end, is_range) = match query.times {
            Times::At(t) => (Grid::at(t), t, false),
            Times::Range {
                start,
                end,
                step_ms,
            } => (Grid::between(start, end, step_ms), end, true),
        };
        let mut evaluation = Evaluation {
            view: None,
            lookback_ms: i64::try_from(query.settings.lookback.as_millis()).unwrap_or(i64::MAX),
            default_step_ms: default_step_ms.max(1),
            grid,
            end,
            is_range,
        };
        if let Some(span) = evaluation.span(expr, grid) {
            evaluation.view = Some(View::open(storage, span)?);
        }
        Ok(evaluation)
    }

    /// Evaluates `expr` over `grid`: a scalar, a text or an instant vector.
    pub fn eval<'q>(
        &self,
        expr: &'q Expr,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        run.look()?;
        if grid.steps > 1 && is_invariant(expr) {
            let before = run.statistics.queryable_samples;
            let operand = self.node(expr, grid.first(), run)?;
            let looked_at = run.statistics.queryable_samples - before;
            run.statistics.queryable_samples = before + looked_at * grid.steps as u64;
            return Ok(spread(operand, grid.steps));
        }
        self.node(expr, grid, run)
    }

    fn node<'q>(
        &self,
        expr: &'q Expr,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        match expr {
            Expr::Number(number) => Ok(Operand::Scalar(Scalars::Constant(number.value))),
            Expr::Text(text) => Ok(Operand::Text(text.value.clone())),
            Expr::Vector(selector) => {
                let rows = self.instant(selector, Takes::Values, Wanted::all(), grid, run)?;
                Ok(Operand::Vector(Box::new(rows)))
            }
            // NOTE: the functions over ranges read them; the type check keeps ranges from other
            // places.
            Expr::Matrix(_) | Expr::Subquery(_) => {
                Err(QueryError::RangeQueryType(expr.value_type().as_str()))
            }
            Expr::Unary(unary) => self.unary(unary, grid, run),
            Expr::Binary(binary) => self.binary(binary, grid, run),
            Expr::Call(call) => self.call(call, grid, run),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, grid, run),
            Expr::Paren(paren) => self.node(&paren.expr, grid, run),
        }
    }

    /// Evaluates an expression whose type is vector, as [`Evaluation::eval`] does.
    pub fn rows<'q>(
        &self,
        expr: &'q Expr,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Box<dyn Rows + 'q>, QueryError> {
        match self.eval(expr, grid, run)? {
            Operand::Vector(rows) => Ok(rows),
            Operand::Scalar(_) | Operand::Text(_) => Err(unexpected("instant vector", expr)),
        }
    }

    pub fn scalars(
        &self,
        expr: &Expr,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Scalars, QueryError> {
        match self.eval(expr, grid, run)? {
            Operand::Scalar(scalars) => Ok(scalars),
            Operand::Vector(_) | Operand::Text(_) => Err(unexpected("scalar", expr)),
        }
    }

    pub fn instant(
        &self,
        selector: &VectorSelector,
        takes: Takes,
        wanted: Wanted,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Instant, QueryError> {
        let reach = self.reach(selector.at, &selector.offset, grid);
        let look = Look::new(selector, reach, grid, self.lookback_ms, takes);
        let newest = Newest::new(look, wanted, run.counted(grid));
        Instant::open(self, selector, newest, run)
    }

    pub fn reach(&self, at: Option<At>, offset: &Length, grid: Grid) -> Reach {
        Reach::new(grid, at, offset.ms(), (self.grid.start, self.end))
    }

    fn unary<'q>(
        &self,
        unary: &'q Unary,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        match self.eval(&unary.expr, grid, run)? {
            operand if !unary.is_minus => Ok(operand),
            Operand::Scalar(scalars) => Ok(Operand::Scalar(scalars.map(|v| -v))),
            Operand::Vector(rows) => {
                let negated: Box<dyn Rows + 'q> = Box::new(Negated(rows));
                Ok(Operand::Vector(merged(negated, &unary.expr, run)))
            }
            Operand::Text(_) => Err(unexpected("instant vector", &unary.expr)),
        }
    }

    fn binary<'q>(
        &self,
        node: &'q Binary,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        let lhs = self.eval(&node.lhs, grid, run)?;
        let rhs = self.eval(&node.rhs, grid, run)?;
        let vector = match (&lhs, &rhs) {
            (Operand::Vector(_), Operand::Scalar(_)) => Some(&*node.lhs),
            (Operand::Scalar(_), Operand::Vector(_)) => Some(&*node.rhs),
            _ => None,
        };
        let keeps_name = node.op.is_comparison() && !node.returns_bool;
        let result = binary(node, lhs, rhs, grid, run)?;
        Ok(match (result, vector) {
            (Operand::Vector(rows), Some(of)) if !keeps_name => {
                Operand::Vector(merged(rows, of, run))
            }
            (result, _) => result,
        })
    }

    fn aggregate<'q>(
        &self,
        node: &'q Aggregate,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<Operand<'q>, QueryError> {
        let param = match &node.param {
            Some(param) => Some(self.eval(param, grid, run)?),
            None => None,
        };
        let (mut input, is_tally) = self.grouped(node, grid, run)?;
        if asks_for_groups_alone(node.op) {
            input.take_parts();
        }
        if is_tally {
            let rows = totals(node, input, grid.steps, run)?;
            return Ok(Operand::Vector(Box::new(rows)));
        }
        let rows = aggregate(node, input, param, grid, run)?;
        Ok(Operand::Vector(rows))
    }

    /// Returns the rows that an aggregation takes. Stored series get no more labels than it groups
    /// by. Also returns whether the rows are already counted.
    fn grouped<'q>(
        &self,
        node: &'q Aggregate,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<(Box<dyn Rows + 'q>, bool), QueryError> {
        let is_pinned = grid.steps > 1 && is_invariant(&node.expr);
        if is_pinned || run.delays_names() || !asks_for_groups_alone(node.op) {
            return Ok((self.rows(&node.expr, grid, run)?, false));
        }
        let input: Box<dyn Rows + 'q> = match node.expr.inner() {
            Expr::Vector(selector) => {
                let takes = match (selector.extent, node.op) {
                    (Extent::Plain, Aggregator::Count) => Takes::Number,
                    (Extent::Plain, Aggregator::Group) => Takes::Presence,
                    _ => Takes::Values,
                };
                let wanted = Wanted::few(projection(node), false);
                let rows = self.instant(selector, takes, wanted, grid, run)?;
                return Ok((Box::new(rows), takes == Takes::Number));
            }
            Expr::Call(call) => match self.windows_of(call, projection(node), grid, run)? {
                Some(rollup) => Box::new(rollup),
                None => self.rows(&node.expr, grid, run)?,
            },
            _ => self.rows(&node.expr, grid, run)?,
        };
        Ok((input, false))
    }

    /// Returns a subquery's rows over its own steps, for windows at the steps of `grid`, and its
    /// reach.
    pub fn subquery<'q>(
        &self,
        subquery: &'q Subquery,
        grid: Grid,
        run: &mut Run<'_>,
    ) -> Result<(Source<'q>, Reach), QueryError> {
        let (inner, reach) = self.inner_grid(subquery, grid);
        let Some(inner) = inner else {
            return Ok((Source::Nothing, reach));
        };
        // ORDER: before any row with so many steps is made. The source releases what it reads when
        // it ends.
        run.hold(inner.steps, inner.steps.saturating_mul(size_of::<Sample>()))?;
        let windows = (reach, subquery.range.ms(), grid.steps);
        let counted = Counted::within(inner, windows, &run.counted(grid));
        let inner = run.count_only(inner, counted)?;
        let counted = run.statistics.queryable_samples;
        let rows = self.rows(&subquery.expr, inner, run)?;
        run.statistics.queryable_samples = counted;
        Ok((Source::Rows(SubRows::new(rows, inner)), reach))
    }

    /// Returns a subquery's own steps, if any, that windows at the steps of `grid` cover, and its
    /// reach.
    pub fn inner_grid(&self, subquery: &Subquery, grid: Grid) -> (Option<Grid>, Reach) {
        let reach = self.reach(subquery.at, &subquery.offset, grid);
        let first = left_open(reach.first, subquery.range.ms());
        let step_ms = match &subquery.step {
            Some(step) => step.ms().max(1),
            None => self.default_step_ms,
        };
        (aligned(first, reach.last, step_ms), reach)
    }
}

/// Whether an aggregation does not distinguish the series of a group.
fn asks_for_groups_alone(op: Aggregator) -> bool {
    use Aggregator::{Avg, Count, Group, Max, Min, Quantile, Stddev, Stdvar, Sum};
    matches!(
        op,
        Avg | Count | Group | Max | Min | Quantile | Stddev | Stdvar | Sum
    )
}

/// Returns the multiples of `step_ms` from `first` to `last`.
fn aligned(first: TimestampMs, last: TimestampMs, step_ms: i64) -> Option<Grid> {
    let before = first.saturating_sub(1).div_euclid(step_ms);
    let start = before.checked_add(1)?.checked_mul(step_ms)?;
    (start <= last).then(|| Grid::between(start, last, step_ms))
}

fn unexpected(wanted: &str, expr: &Expr) -> QueryError {
    let got = expr.value_type().as_str();
    QueryError::Execution(format!("expected type {wanted}, got {got}"))
}

struct Negated<'q>(Box<dyn Rows + 'q>);

impl Rows for Negated<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        let Some(mut row) = self.0.next(run)? else {
            return Ok(None);
        };
        for v in &mut row.values {
            *v = if is_absent(*v) { *v } else { -*v };
        }
        run.drop_name(&mut row);
        Ok(Some(row))
    }

    fn take_parts(&mut self) {
        self.0.take_parts();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subqueries_are_aligned() {
        let check = |first, last, step, expect: Option<(i64, usize)>| {
            let grid = aligned(first, last, step).map(|grid| (grid.start, grid.steps));
            assert_eq!(grid, expect, "{first} {last} {step}");
        };
        check(1, 10, 5, Some((5, 2)));
        check(5, 10, 5, Some((5, 2)));
        check(6, 9, 5, None);
        check(-7, 1, 5, Some((-5, 2)));
        check(-9, 1, 5, Some((-5, 2)));
        check(-10, 1, 5, Some((-10, 3)));
        check(0, 0, 7, Some((0, 1)));
        check(i64::MAX - 1, i64::MAX, 5, None);
    }
}
