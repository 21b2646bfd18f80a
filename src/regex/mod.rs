//! Go's regular expressions (RE2 syntax) on `regex-automata`; used by matchers, relabelling and
//! PromQL alike.
//!
//! Rust's own syntax differs from Go's in a third of the cases that matter, so the patterns are
//! read here, into `regex_syntax::hir`. What comes down to literals, prefixes and the like never
//! meets an automaton; everything else is compiled when it is first needed.
//!
//! Owns nothing. **Invariant:** no other room names a regex crate.

mod anchored;
mod captures;
mod class;
mod error;
mod parse;
mod shape;
mod unicode;

#[cfg(test)]
mod tests;

pub use anchored::Regex;
pub use captures::{Captures, Template};
pub use error::Error;
