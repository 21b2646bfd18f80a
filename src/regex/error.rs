//! Why a pattern is refused, in Go's words (the error codes of Go's `regexp/syntax`).

use thiserror::Error;

/// A pattern that Go refuses.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("error parsing regexp: {message}: `{at}`")]
pub struct Error {
    /// Go's words, such as `missing closing )`.
    pub message: String,
    /// The part of the pattern that is at fault, or its beginning if it is long.
    pub at: String,
}

/// LIMIT: a pattern may have a megabyte, and its error goes to answers and to the log.
const SHOWN_CHARS: usize = 200;

impl Error {
    pub(super) fn new(message: &str, at: &str) -> Error {
        let shown = at
            .char_indices()
            .nth(SHOWN_CHARS)
            .map(|(end, _)| &at[..end]);
        Error {
            message: message.to_owned(),
            at: shown.map_or_else(|| at.to_owned(), |shown| format!("{shown}...")),
        }
    }
}

pub(super) const INVALID_CHAR_RANGE: &str = "invalid character class range";
pub(super) const INVALID_ESCAPE: &str = "invalid escape sequence";
pub(super) const INVALID_NAMED_CAPTURE: &str = "invalid named capture";
pub(super) const INVALID_PERL_OP: &str = "invalid or unsupported Perl syntax";
pub(super) const INVALID_REPEAT_OP: &str = "invalid nested repetition operator";
pub(super) const INVALID_REPEAT_SIZE: &str = "invalid repeat count";
pub(super) const MISSING_BRACKET: &str = "missing closing ]";
pub(super) const MISSING_PAREN: &str = "missing closing )";
pub(super) const MISSING_REPEAT_ARGUMENT: &str = "missing argument to repetition operator";
pub(super) const TRAILING_BACKSLASH: &str = "trailing backslash at end of expression";
pub(super) const UNEXPECTED_PAREN: &str = "unexpected )";
pub(super) const NESTING_DEPTH: &str = "expression nests too deeply";
/// Go's words, with our limit.
pub(super) const LARGE: &str = "expression too large (its automaton may take 8 MiB)";
pub(super) const MANY_PARTS: &str = "expression too large (it may have 131072 parts)";
