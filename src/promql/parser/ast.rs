//! A parsed query.

use std::ops::Range;

use super::functions::Function;
use crate::model::{Matcher, TimestampMs};

/// A range of bytes in the query.
pub type Span = Range<usize>;

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Number(NumberLiteral),
    Text(StringLiteral),
    Vector(VectorSelector),
    Matrix(MatrixSelector),
    Subquery(Subquery),
    Unary(Unary),
    Binary(Binary),
    Call(Call),
    Aggregate(Aggregate),
    Paren(Paren),
}

/// The type of an expression's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Scalar,
    Text,
    Vector,
    Matrix,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NumberLiteral {
    pub value: f64,
    /// The number was written as `5m`, and is printed so.
    pub is_duration: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StringLiteral {
    pub value: String,
    /// The bytes, if they are not UTF-8. Then the value has replacement characters.
    pub bytes: Option<Vec<u8>>,
    pub span: Span,
}

impl StringLiteral {
    /// Whether it can be a label's name: any UTF-8 but the empty text.
    pub fn is_label_name(&self) -> bool {
        self.bytes.is_none() && !self.value.is_empty()
    }
}

/// `name{label="value"} offset 5m @ 1700000000`.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// A name before the braces is the last matcher.
    pub matchers: Vec<Matcher>,
    /// A name stands before the braces.
    pub is_named: bool,
    /// A positive offset looks back.
    pub offset: Length,
    pub at: Option<At>,
    pub extent: Extent,
    pub span: Span,
}

/// `selector[5m]`. Offset and `@` stand in the selector.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    pub selector: VectorSelector,
    pub range: Length,
    pub span: Span,
}

/// `expr[1h:5m]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    pub expr: Box<Expr>,
    pub range: Length,
    /// `None` means the configuration's evaluation interval.
    pub step: Option<Length>,
    pub offset: Length,
    pub at: Option<At>,
    pub span: Span,
}

/// How a range treats its borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    #[default]
    Plain,
    Anchored,
    Smoothed,
}

/// The time that a selector is evaluated at, whatever the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Time(TimestampMs),
    Start,
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Unary {
    pub is_minus: bool,
    pub expr: Box<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    /// With `bool`.
    pub returns_bool: bool,
    pub lhs: Box<Expr>,
    pub rhs: Box<Expr>,
    /// `None` unless both sides are vectors.
    pub matching: Option<Matching>,
    pub span: Span,
    /// The place of the operator itself.
    pub op_span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    Pow,
    Mul,
    Div,
    Mod,
    Atan2,
    Add,
    Sub,
    Equal,
    NotEqual,
    LessEqual,
    Less,
    GreaterEqual,
    Greater,
    /// `</`, for native histograms.
    TrimUpper,
    /// `>/`, for native histograms.
    TrimLower,
    And,
    Unless,
    Or,
}

/// How series of the two sides are matched.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    pub cardinality: Cardinality,
    /// True for `on(labels)`, false for `ignoring(labels)`.
    pub on: bool,
    pub labels: Vec<String>,
    /// The labels that `group_left` or `group_right` takes from the one side.
    pub include: Vec<String>,
    /// The value in place of a series that the left side lacks.
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
    /// Set operations.
    ManyToMany,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub function: &'static Function,
    pub args: Vec<Expr>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub op: Aggregator,
    pub expr: Box<Expr>,
    /// The first argument of `topk`, `quantile`, `count_values` and the like.
    pub param: Option<Box<Expr>>,
    pub grouping: Vec<String>,
    /// True for `without (grouping)`, false for `by`.
    pub without: bool,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregator {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Paren {
    pub expr: Box<Expr>,
    pub span: Span,
}

/// A length of time, or an expression that computes one.
#[derive(Debug, Clone, PartialEq)]
pub enum Length {
    /// In milliseconds.
    Fixed(i64),
    Computed(Box<DurationExpr>),
}

/// An expression such as `5m * 2` or `step() + 1h`. Values are in seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpr {
    Number(NumberLiteral),
    /// The query's step; 0 in an instant query.
    Step(Span),
    /// The time from the query's start to its end.
    Range(Span),
    Unary(bool, Box<DurationExpr>, Span),
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>, Span),
    MinOf(Box<DurationExpr>, Box<DurationExpr>, Span),
    MaxOf(Box<DurationExpr>, Box<DurationExpr>, Span),
    Paren(Box<DurationExpr>, Span),
}

impl Expr {
    pub fn span(&self) -> Span {
        match self {
            Expr::Number(number) => number.span.clone(),
            Expr::Text(text) => text.span.clone(),
            Expr::Vector(selector) => selector.span.clone(),
            Expr::Matrix(matrix) => matrix.span.clone(),
            Expr::Subquery(subquery) => subquery.span.clone(),
            Expr::Unary(unary) => unary.span.clone(),
            Expr::Binary(binary) => binary.span.clone(),
            Expr::Call(call) => call.span.clone(),
            Expr::Aggregate(aggregate) => aggregate.span.clone(),
            Expr::Paren(paren) => paren.span.clone(),
        }
    }

    pub fn value_type(&self) -> Type {
        match self {
            Expr::Number(_) => Type::Scalar,
            Expr::Text(_) => Type::Text,
            Expr::Vector(_) | Expr::Aggregate(_) => Type::Vector,
            Expr::Matrix(_) | Expr::Subquery(_) => Type::Matrix,
            Expr::Unary(unary) => unary.expr.value_type(),
            Expr::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            Expr::Call(call) => call.function.returns,
            Expr::Paren(paren) => paren.expr.value_type(),
        }
    }

    /// Returns the expression without the parentheses around it.
    pub fn inner(&self) -> &Expr {
        match self {
            Expr::Paren(paren) => paren.expr.inner(),
            expr => expr,
        }
    }
}

impl Type {
    /// The type's name in Prometheus's error texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Scalar => "scalar",
            Type::Text => "string",
            Type::Vector => "instant vector",
            Type::Matrix => "range vector",
        }
    }

    /// The type's name in Prometheus's API.
    pub fn name(self) -> &'static str {
        match self {
            Type::Scalar => "scalar",
            Type::Text => "string",
            Type::Vector => "vector",
            Type::Matrix => "matrix",
        }
    }
}

impl Extent {
    pub fn as_str(self) -> &'static str {
        match self {
            Extent::Plain => "",
            Extent::Anchored => "anchored",
            Extent::Smoothed => "smoothed",
        }
    }
}

impl DurationExpr {
    pub fn span(&self) -> Span {
        match self {
            DurationExpr::Number(number) => number.span.clone(),
            DurationExpr::Step(span)
            | DurationExpr::Range(span)
            | DurationExpr::Unary(_, _, span)
            | DurationExpr::Binary(_, _, _, span)
            | DurationExpr::MinOf(_, _, span)
            | DurationExpr::MaxOf(_, _, span)
            | DurationExpr::Paren(_, span) => span.clone(),
        }
    }
}

impl Length {
    pub(super) fn is_zero(&self) -> bool {
        *self == Length::Fixed(0)
    }

    /// Milliseconds. Computed lengths count as 0; they are replaced before evaluation.
    pub fn ms(&self) -> i64 {
        match self {
            Length::Fixed(ms) => *ms,
            Length::Computed(_) => 0,
        }
    }
}

impl BinaryOp {
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Pow => "^",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Less => "<",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::Greater => ">",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
            BinaryOp::And => "and",
            BinaryOp::Unless => "unless",
            BinaryOp::Or => "or",
        }
    }

    pub fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(
            self,
            Equal | NotEqual | LessEqual | Less | GreaterEqual | Greater
        )
    }

    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Unless | BinaryOp::Or)
    }
}

impl Aggregator {
    pub fn as_str(self) -> &'static str {
        match self {
            Aggregator::Sum => "sum",
            Aggregator::Avg => "avg",
            Aggregator::Count => "count",
            Aggregator::Min => "min",
            Aggregator::Max => "max",
            Aggregator::Group => "group",
            Aggregator::Stddev => "stddev",
            Aggregator::Stdvar => "stdvar",
            Aggregator::Topk => "topk",
            Aggregator::Bottomk => "bottomk",
            Aggregator::CountValues => "count_values",
            Aggregator::Quantile => "quantile",
            Aggregator::Limitk => "limitk",
            Aggregator::LimitRatio => "limit_ratio",
        }
    }

    /// Whether the aggregation takes a parameter first.
    pub fn has_param(self) -> bool {
        use Aggregator::{Bottomk, CountValues, LimitRatio, Limitk, Quantile, Topk};
        matches!(
            self,
            Topk | Bottomk | CountValues | Quantile | Limitk | LimitRatio
        )
    }

    /// Whether it needs `promql-experimental-functions`.
    pub fn is_experimental(self) -> bool {
        matches!(self, Aggregator::Limitk | Aggregator::LimitRatio)
    }
}
