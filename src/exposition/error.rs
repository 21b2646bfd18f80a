//! Why a body, a series or an exemplar cannot be read, in the words of Prometheus's parsers.

use super::float::FloatError;
use super::lexer::Token;
use crate::stdx::gofmt::quote_bytes as quoted;

/// An error that fails the whole scrape, since the rest of such a body cannot be trusted.
///
/// NOTE: boxed, because results on the hot path carry it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ParseError(Box<Problem>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error(
        "{expected}, got {} ({:?}) while parsing: {}",
        quoted(got),
        token.name(),
        quoted(parsing)
    )]
    Token {
        expected: &'static str,
        got: Vec<u8>,
        token: Token,
        parsing: Vec<u8>,
    },
    #[error("{fault} while parsing: {}", quoted(parsing))]
    Float { fault: FloatError, parsing: Vec<u8> },
    #[error("metric name already set while parsing: {}", quoted(.0))]
    NameTwice(Vec<u8>),
    #[error("metric name not set while parsing: {}", quoted(.0))]
    NameMissing(Vec<u8>),
    #[error("expected text in {keyword}{got}")]
    Text { keyword: &'static str, got: String },
    #[error("invalid metric type {}", quoted(.0))]
    Type(Vec<u8>),
    #[error("help text {} is not a valid utf8 string", quoted(.0))]
    Help(Vec<u8>),
    #[error("unit {} not a suffix of metric {}", quoted(unit), quoted(metric))]
    Unit { unit: Vec<u8>, metric: Vec<u8> },
    #[error("invalid UTF-8 label value: {}", quoted(.0))]
    LabelValue(Vec<u8>),
    #[error("invalid metric name or label names: {}", quoted(.0))]
    Names(Vec<u8>),
    #[error("label name \"{0}\" is not unique: invalid sample")]
    LabelTwice(String),
    #[error(
        "strconv.ParseInt: parsing {}: value out of range while parsing: {}",
        quoted(text),
        quoted(parsing)
    )]
    TimestampRange { text: Vec<u8>, parsing: Vec<u8> },
    #[error("invalid {exemplar}timestamp {value}")]
    Timestamp {
        exemplar: &'static str,
        value: &'static str,
    },
    #[error("unexpected data after # EOF")]
    AfterEof,
    #[error("data does not end with # EOF")]
    NoEof,
}

impl From<Problem> for ParseError {
    #[cold]
    fn from(problem: Problem) -> ParseError {
        ParseError(Box::new(problem))
    }
}

/// Returns the bytes that an error's text shows. LIMIT: an unclosed quote may reach to the end of a
/// body of any size; its beginning says enough.
pub(super) fn excerpt(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..EXCERPT_BYTES_MAX).unwrap_or(bytes).to_vec()
}

const EXCERPT_BYTES_MAX: usize = 1024;
