//! Expositions: what a scrape target answers, in Prometheus's text format (0.0.4 and 1.0.0) and in
//! OpenMetrics (0.0.1 and 1.0.0). The parser borrows the body and reads it entry by entry.
//!
//! Owns nothing. A well-formed line costs no allocation. A line that the caller saw at the same
//! place before costs a comparison of bytes and the reading of its number.
//! **Invariant:** knows no target, no series of the storage and no relabelling; no bytes make it
//! panic.

mod entry;
mod parser;

mod labels;
mod line;
mod protocol;

mod error;
mod escape;
mod float;
mod lexer;
mod media_type;

pub use entry::{Entry, Point};
pub use error::ParseError;
pub use labels::{labels, parse_exemplar};
pub use parser::Parser;
pub use protocol::{Format, Protocol, accept_header, format_of};

#[cfg(test)]
mod tests;
