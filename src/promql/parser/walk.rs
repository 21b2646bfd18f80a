//! Walks an expression.

use super::ast::{Expr, VectorSelector};

impl Expr {
    /// Returns the direct children, in the order of the text.
    pub fn children(&self) -> impl Iterator<Item = &Expr> {
        let (first, second, rest): (Option<&Expr>, Option<&Expr>, &[Expr]) = match self {
            Expr::Number(_) | Expr::Text(_) | Expr::Vector(_) | Expr::Matrix(_) => {
                (None, None, &[])
            }
            Expr::Subquery(subquery) => (Some(&subquery.expr), None, &[]),
            Expr::Unary(unary) => (Some(&unary.expr), None, &[]),
            Expr::Paren(paren) => (Some(&paren.expr), None, &[]),
            Expr::Binary(binary) => (Some(&binary.lhs), Some(&binary.rhs), &[]),
            Expr::Call(call) => (None, None, &call.args),
            Expr::Aggregate(aggregate) => (aggregate.param.as_deref(), Some(&aggregate.expr), &[]),
        };
        first.into_iter().chain(second).chain(rest)
    }

    fn children_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let (first, second, rest): (Option<&mut Expr>, Option<&mut Expr>, &mut [Expr]) = match self
        {
            Expr::Number(_) | Expr::Text(_) | Expr::Vector(_) | Expr::Matrix(_) => {
                (None, None, &mut [])
            }
            Expr::Subquery(subquery) => (Some(&mut subquery.expr), None, &mut []),
            Expr::Unary(unary) => (Some(&mut unary.expr), None, &mut []),
            Expr::Paren(paren) => (Some(&mut paren.expr), None, &mut []),
            Expr::Binary(binary) => (Some(&mut binary.lhs), Some(&mut binary.rhs), &mut []),
            Expr::Call(call) => (None, None, &mut call.args),
            // NOTE: the parameter comes last, as in Prometheus.
            Expr::Aggregate(aggregate) => (
                Some(&mut aggregate.expr),
                aggregate.param.as_deref_mut(),
                &mut [],
            ),
        };
        first.into_iter().chain(second).chain(rest)
    }

    /// Calls `visit` for this expression and all inside it, from the outside in.
    ///
    /// # Errors
    /// The first that `visit` returns.
    pub(super) fn visit_mut<E>(
        &mut self,
        visit: &mut impl FnMut(&mut Expr) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(self)?;
        self.children_mut()
            .try_for_each(|child| child.visit_mut(visit))
    }
}

/// Returns all selectors, including those of ranges.
pub fn selectors(expr: &Expr) -> Vec<&VectorSelector> {
    let mut found = Vec::new();
    collect(expr, &mut found);
    found
}

fn collect<'e>(expr: &'e Expr, found: &mut Vec<&'e VectorSelector>) {
    match expr {
        Expr::Vector(selector) => found.push(selector),
        Expr::Matrix(matrix) => found.push(&matrix.selector),
        expr => expr.children().for_each(|child| collect(child, found)),
    }
}
