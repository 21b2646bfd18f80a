//! What an evaluation reads of its query's view, and which times it needs one of.

use super::evaluator::Evaluation;
use super::grid::Grid;
use super::info::info_selector;
use super::instant::{Look, Takes};
use super::run::Run;
use super::view::Span;
use crate::model::{Matcher, TimestampMs};
use crate::promql::error::QueryError;
use crate::promql::parser::{Expr, VectorSelector};
use crate::storage::{SelectHints, SeriesSet};

impl Evaluation {
    /// Selects what matches between the two times, both inclusive. No more is read than that,
    /// however far the query's other selectors reach.
    pub fn select(
        &self,
        matchers: &[Matcher],
        times: (TimestampMs, TimestampMs),
        any_order: bool,
        run: &Run<'_>,
    ) -> Result<Box<dyn SeriesSet>, QueryError> {
        run.look()?;
        let Some(view) = self.view.as_ref().filter(|view| view.has(times)) else {
            crate::bug!("a selector looks beyond its query's view");
            let text = "unexpected error: a selector looks beyond its query's view";
            return Err(QueryError::Execution(text.to_owned()));
        };
        let (start, end) = times;
        let hints = SelectHints {
            start,
            end,
            any_order,
            ..SelectHints::default()
        };
        Ok(view.select(&hints, matchers)?)
    }

    /// Returns the times that the selectors of `expr` cover when it is evaluated over `grid`, or a
    /// part of it. Returns `None` where there is no selector.
    pub fn span(&self, expr: &Expr, grid: Grid) -> Option<Span> {
        let all = |exprs: &[&Expr]| {
            let spans = exprs.iter().filter_map(|expr| self.span(expr, grid));
            spans.reduce(Span::and)
        };
        match expr {
            Expr::Number(_) | Expr::Text(_) => None,
            Expr::Vector(selector) => Some(self.looked_at(selector, grid)),
            Expr::Matrix(matrix) => Some(Span::of(self.slide(matrix, grid).times())),
            Expr::Subquery(subquery) => {
                let (inner, _) = self.inner_grid(subquery, grid);
                self.span(&subquery.expr, inner?)
            }
            Expr::Unary(unary) => self.span(&unary.expr, grid),
            Expr::Paren(paren) => self.span(&paren.expr, grid),
            Expr::Binary(node) => all(&[&node.lhs, &node.rhs]),
            Expr::Aggregate(node) => match &node.param {
                Some(param) => all(&[param, &node.expr]),
                None => self.span(&node.expr, grid),
            },
            Expr::Call(call) => match &call.args[..] {
                // NOTE: the second argument says which series it selects, the first at which times.
                [base, ..] if call.function.name == "info" => {
                    let own = self.looked_at(&info_selector(base, Vec::new()), grid);
                    let of_base = self.span(base, grid);
                    Some(of_base.map_or(own, |span| span.and(own)))
                }
                args => all(&args.iter().collect::<Vec<_>>()),
            },
        }
    }

    fn looked_at(&self, selector: &VectorSelector, grid: Grid) -> Span {
        let reach = self.reach(selector.at, &selector.offset, grid);
        Span::of(Look::new(selector, reach, grid, self.lookback_ms, Takes::Values).times())
    }
}
