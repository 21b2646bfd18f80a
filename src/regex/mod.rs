//! Go's regular expressions (RE2 syntax) on `regex-automata`, for matchers, relabelling and PromQL.
//!
//! Rust's syntax differs from Go's in a third of the cases that matter, so this room parses
//! patterns itself, into `regex_syntax::hir`. Patterns that reduce to literals, prefixes and the
//! like need no automaton. All others are compiled at their first use.
//!
//! Owns nothing. **Invariant:** no other room names a regex crate.

mod anchored;
mod captures;
mod class;
mod error;
mod factor;
mod parse;
mod shape;
mod unicode;

#[cfg(test)]
mod tests;

pub use anchored::Regex;
pub use captures::{Captures, Template};
pub use error::Error;
