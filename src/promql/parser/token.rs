//! The words of the language, and how error texts name them.

use std::ops::Range;

use crate::stdx::gofmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    Identifier,
    /// With a colon in it.
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
    NotEqual,
    EqualRegex,
    NotEqualRegex,
    /// Arithmetic and comparison.
    Operator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Offset,
    Start,
    End,
    Anchored,
    Smoothed,
    /// `and`, `or`, `unless`, `atan2`.
    Operator,
    Aggregator,
    /// Those that can't be the name of a metric.
    Reserved,
    /// Others, which are names unless something follows that makes them more.
    Other,
}

const KEYWORDS: [(&str, Keyword); 37] = [
    ("and", Keyword::Operator),
    ("or", Keyword::Operator),
    ("unless", Keyword::Operator),
    ("atan2", Keyword::Operator),
    ("sum", Keyword::Aggregator),
    ("avg", Keyword::Aggregator),
    ("count", Keyword::Aggregator),
    ("min", Keyword::Aggregator),
    ("max", Keyword::Aggregator),
    ("group", Keyword::Aggregator),
    ("stddev", Keyword::Aggregator),
    ("stdvar", Keyword::Aggregator),
    ("topk", Keyword::Aggregator),
    ("bottomk", Keyword::Aggregator),
    ("count_values", Keyword::Aggregator),
    ("quantile", Keyword::Aggregator),
    ("limitk", Keyword::Aggregator),
    ("limit_ratio", Keyword::Aggregator),
    ("offset", Keyword::Offset),
    ("smoothed", Keyword::Smoothed),
    ("anchored", Keyword::Anchored),
    ("by", Keyword::Other),
    ("without", Keyword::Other),
    ("on", Keyword::Reserved),
    ("ignoring", Keyword::Reserved),
    ("group_left", Keyword::Reserved),
    ("group_right", Keyword::Reserved),
    ("bool", Keyword::Reserved),
    ("fill", Keyword::Other),
    ("fill_left", Keyword::Other),
    ("fill_right", Keyword::Other),
    ("start", Keyword::Start),
    ("end", Keyword::End),
    ("step", Keyword::Other),
    ("range", Keyword::Other),
    ("max_of", Keyword::Other),
    ("min_of", Keyword::Other),
];

/// Case does not matter.
pub(super) fn keyword(word: &str) -> Option<Keyword> {
    let is = |(name, _): &&(&str, Keyword)| name.eq_ignore_ascii_case(word);
    KEYWORDS.iter().find(is).map(|(_, keyword)| *keyword)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'q> {
    pub kind: Kind,
    /// As it is written.
    pub text: &'q str,
    pub span: Range<usize>,
}

impl Token<'_> {
    /// Whether it may be the name of a metric.
    pub fn is_metric_name(&self) -> bool {
        match self.kind {
            Kind::Identifier | Kind::MetricIdentifier => true,
            Kind::Keyword(Keyword::Reserved) => false,
            Kind::Keyword(_) => !self.text.eq_ignore_ascii_case("atan2"),
            _ => false,
        }
    }

    /// As in `unexpected <offset>`.
    pub fn describe(&self) -> String {
        match self.kind {
            Kind::End => "end of input".to_owned(),
            Kind::Identifier => format!("identifier {}", gofmt::quote(self.text)),
            Kind::MetricIdentifier => format!("metric identifier {}", gofmt::quote(self.text)),
            Kind::String => format!("string {}", shortened(self.text)),
            Kind::Number => format!("number {}", shortened(self.text)),
            Kind::Duration => format!("duration {}", shortened(self.text)),
            Kind::Keyword(Keyword::Operator) | Kind::Operator => format!("<op:{}>", self.text),
            Kind::NotEqual | Kind::EqualRegex | Kind::NotEqualRegex | Kind::At => {
                format!("<op:{}>", self.text)
            }
            Kind::Keyword(Keyword::Aggregator) => format!("<aggr:{}>", self.text),
            Kind::Keyword(_) => format!("<{}>", self.text),
            _ => shortened(self.text),
        }
    }
}

/// Go's `%.10q...` where it is longer than ten bytes.
fn shortened(text: &str) -> String {
    if text.len() <= 10 {
        return gofmt::quote(text);
    }
    let start: String = text.chars().take(10).collect();
    format!("{}...", gofmt::quote(&start))
}
