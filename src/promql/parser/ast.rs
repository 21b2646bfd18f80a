//! What a query is, once it is read.

use std::ops::Range;

use crate::model::{Matcher, TimestampMs};

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Vector(VectorSelector),
    Matrix(MatrixSelector),
    Paren(Box<Expr>, Range<usize>),
}

/// `name{label="value"} offset 5m @ 1700000000`.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// That of a name before the braces is the last.
    pub matchers: Vec<Matcher>,
    /// Positive looks back.
    pub offset_ms: i64,
    pub at: Option<At>,
    /// In bytes of the query.
    pub span: Range<usize>,
}

/// `selector[5m]`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    pub selector: VectorSelector,
    pub range_ms: i64,
    pub span: Range<usize>,
}

/// The time that a selector is evaluated at, whatever the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Time(TimestampMs),
    Start,
    End,
}

impl Expr {
    pub fn span(&self) -> Range<usize> {
        match self {
            Expr::Vector(selector) => selector.span.clone(),
            Expr::Matrix(matrix) => matrix.span.clone(),
            Expr::Paren(_, span) => span.clone(),
        }
    }

    /// As Prometheus's error texts name what comes out.
    pub fn type_name(&self) -> &'static str {
        match self {
            Expr::Vector(_) => "instant vector",
            Expr::Matrix(_) => "range vector",
            Expr::Paren(inner, _) => inner.type_name(),
        }
    }
}
