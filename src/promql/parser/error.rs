//! A fault in a query, with its place.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

/// Displays as in Prometheus: `1:5: parse error: ...`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ParseError {
    /// A range of bytes in the query.
    pub span: Range<usize>,
    pub message: String,
    /// Line and column (in bytes) of the beginning, from 1; `None` in an empty query.
    place: Option<(usize, usize)>,
}

impl ParseError {
    pub(super) fn new(query: &str, span: Range<usize>, message: impl Into<String>) -> ParseError {
        let before = query.get(..span.start).unwrap_or(query);
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.len() - before.rfind('\n').map_or(0, |i| i + 1);
        ParseError {
            span,
            message: message.into(),
            place: (!query.is_empty()).then_some((line, column)),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{line}:{column}: parse error: {}", self.message),
            None => write!(f, "unknown position: parse error: {}", self.message),
        }
    }
}
