//! Expositions: what a scrape target answers, in Prometheus's text format (0.0.4 and 1.0.0) and in
//! OpenMetrics (0.0.1 and 1.0.0), read entry by entry out of the body, which is borrowed.
//!
//! Owns nothing. A well-formed line costs no allocation, and one that the caller has seen before,
//! at the same place, costs a comparison of bytes and the reading of its number.
//! **Invariant:** knows no target, no series of the storage and no relabelling; no bytes make it
//! panic.

mod parser;

mod labels;
mod line;
mod protocol;

mod error;
mod escape;
mod float;
mod lexer;
mod media_type;

pub use error::ParseError;
pub use labels::{labels, parse_exemplar};
pub use parser::{Entry, Parser, Point};
pub use protocol::{Format, Protocol, accept_header, format_of};

#[cfg(test)]
mod tests;
