//! From text to an expression.
//!
//! Owns nothing. **Invariant:** knows no storage and no time.

mod ast;
mod error;
mod lexer;
mod literal;
mod selector;
mod token;

#[cfg(test)]
mod tests;

pub use ast::{At, Expr, MatrixSelector, VectorSelector};
pub use error::ParseError;
pub use selector::{parse, parse_selector};
