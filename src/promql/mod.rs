//! PromQL: reading queries and evaluating them.
//!
//! Today instant and range selectors; the language grows in `parser` and `eval`. Owns nothing but
//! the gate that bounds the queries which run at once. **Invariant:** reads samples through
//! `storage::Querier` alone, and knows no HTTP and no configuration.

mod parser;

mod engine;
mod error;
mod eval;
mod gate;
mod value;

#[cfg(test)]
mod tests;

pub use engine::{Engine, Settings};
pub use error::QueryError;
pub use parser::{At, Expr, MatrixSelector, ParseError, VectorSelector, parse, parse_selector};
pub use value::{Series, Value};
