//! The tokens of the language, and their names in error texts.

use std::ops::Range;

use super::ast::{Aggregator, BinaryOp};
use crate::stdx::gofmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    Identifier,
    /// A name with a colon in it.
    MetricIdentifier,
    Keyword(Keyword),
    String,
    Number,
    Duration,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    At,
    Equal,
    /// Between braces as well as between vectors.
    NotEqual,
    EqualRegex,
    NotEqualRegex,
    /// Arithmetic and comparison.
    Operator(BinaryOp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Operator(BinaryOp),
    Aggregator(Aggregator),
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Bool,
    Fill,
    FillLeft,
    FillRight,
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

const KEYWORDS: [(&str, Keyword); 37] = [
    ("and", Keyword::Operator(BinaryOp::And)),
    ("or", Keyword::Operator(BinaryOp::Or)),
    ("unless", Keyword::Operator(BinaryOp::Unless)),
    ("atan2", Keyword::Operator(BinaryOp::Atan2)),
    ("sum", Keyword::Aggregator(Aggregator::Sum)),
    ("avg", Keyword::Aggregator(Aggregator::Avg)),
    ("count", Keyword::Aggregator(Aggregator::Count)),
    ("min", Keyword::Aggregator(Aggregator::Min)),
    ("max", Keyword::Aggregator(Aggregator::Max)),
    ("group", Keyword::Aggregator(Aggregator::Group)),
    ("stddev", Keyword::Aggregator(Aggregator::Stddev)),
    ("stdvar", Keyword::Aggregator(Aggregator::Stdvar)),
    ("topk", Keyword::Aggregator(Aggregator::Topk)),
    ("bottomk", Keyword::Aggregator(Aggregator::Bottomk)),
    ("count_values", Keyword::Aggregator(Aggregator::CountValues)),
    ("quantile", Keyword::Aggregator(Aggregator::Quantile)),
    ("limitk", Keyword::Aggregator(Aggregator::Limitk)),
    ("limit_ratio", Keyword::Aggregator(Aggregator::LimitRatio)),
    ("offset", Keyword::Offset),
    ("smoothed", Keyword::Smoothed),
    ("anchored", Keyword::Anchored),
    ("by", Keyword::By),
    ("without", Keyword::Without),
    ("on", Keyword::On),
    ("ignoring", Keyword::Ignoring),
    ("group_left", Keyword::GroupLeft),
    ("group_right", Keyword::GroupRight),
    ("bool", Keyword::Bool),
    ("fill", Keyword::Fill),
    ("fill_left", Keyword::FillLeft),
    ("fill_right", Keyword::FillRight),
    ("start", Keyword::Start),
    ("end", Keyword::End),
    ("step", Keyword::Step),
    ("range", Keyword::Range),
    ("max_of", Keyword::MaxOf),
    ("min_of", Keyword::MinOf),
];

/// Finds a keyword, in any case.
pub(super) fn keyword(word: &str) -> Option<Keyword> {
    let is = |(name, _): &&(&str, Keyword)| name.eq_ignore_ascii_case(word);
    KEYWORDS.iter().find(is).map(|(_, keyword)| *keyword)
}

impl Keyword {
    pub fn is_fill(self) -> bool {
        matches!(self, Keyword::Fill | Keyword::FillLeft | Keyword::FillRight)
    }

    /// Whether it is a length of time between brackets and after `offset`.
    pub fn is_duration(self) -> bool {
        use Keyword::{MaxOf, MinOf, Range, Step};
        matches!(self, Step | Range | MaxOf | MinOf)
    }

    /// Whether it is also a function's name.
    pub fn is_function(self) -> bool {
        self.is_duration() || matches!(self, Keyword::Start | Keyword::End)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'q> {
    pub kind: Kind,
    /// As it is written.
    pub text: &'q str,
    /// A byte position in the query.
    pub start: usize,
}

impl Token<'_> {
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub fn span(&self) -> Range<usize> {
        self.start..self.end()
    }

    /// Whether it may be a metric's name.
    pub fn is_metric_name(&self) -> bool {
        use Keyword::{Bool, GroupLeft, GroupRight, Ignoring, On};
        match self.kind {
            Kind::Identifier | Kind::MetricIdentifier => true,
            Kind::Keyword(Bool | GroupLeft | GroupRight | Ignoring | On) => false,
            Kind::Keyword(keyword) => keyword != Keyword::Operator(BinaryOp::Atan2),
            _ => false,
        }
    }

    /// Whether it may be a label's name in a list of labels.
    pub fn is_label_name(&self) -> bool {
        match self.kind {
            Kind::Identifier | Kind::MetricIdentifier => true,
            // NOTE: `without` is missing, as in Prometheus's grammar.
            Kind::Keyword(keyword) => keyword != Keyword::Without,
            _ => false,
        }
    }

    /// Returns the operator that it is between two expressions.
    pub fn binary_op(&self) -> Option<BinaryOp> {
        match self.kind {
            Kind::Operator(op) | Kind::Keyword(Keyword::Operator(op)) => Some(op),
            Kind::NotEqual => Some(BinaryOp::NotEqual),
            _ => None,
        }
    }

    /// Whether it is a minus; `None` if it is no sign.
    pub fn sign(&self) -> Option<bool> {
        match self.kind {
            Kind::Operator(BinaryOp::Add) => Some(false),
            Kind::Operator(BinaryOp::Sub) => Some(true),
            _ => None,
        }
    }

    /// Writes it as in `unexpected <offset>`.
    pub fn describe(&self) -> String {
        match self.kind {
            Kind::End => "end of input".to_owned(),
            Kind::Identifier => format!("identifier {}", gofmt::quote(self.text)),
            Kind::MetricIdentifier => format!("metric identifier {}", gofmt::quote(self.text)),
            Kind::String => format!("string {}", shortened(self.text)),
            Kind::Number => format!("number {}", shortened(self.text)),
            Kind::Duration => format!("duration {}", shortened(self.text)),
            Kind::Keyword(Keyword::Operator(_))
            | Kind::Operator(_)
            | Kind::NotEqual
            | Kind::EqualRegex
            | Kind::NotEqualRegex
            | Kind::At => format!("<op:{}>", self.text),
            Kind::Keyword(Keyword::Aggregator(_)) => format!("<aggr:{}>", self.text),
            Kind::Keyword(keyword) if !keyword.is_function() => format!("<{}>", self.text),
            _ => shortened(self.text),
        }
    }
}

/// Writes Go's `%.10q...` if the text is longer than ten bytes.
fn shortened(text: &str) -> String {
    if text.len() <= 10 {
        return gofmt::quote(text);
    }
    let start: String = text.chars().take(10).collect();
    format!("{}...", gofmt::quote(&start))
}
