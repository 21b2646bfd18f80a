//! Parses text into an expression.
//!
//! Owns nothing. **Invariant:** knows no storage and no time.

mod ast;
mod error;
mod features;
mod functions;

mod calls;
mod check;

mod cursor;
mod expression;
mod lengths;
mod matching;
mod modifiers;
mod pretty;
mod printer;
mod resolve;
mod selector;
mod walk;

mod lexer;
mod literal;
mod token;

#[cfg(test)]
mod tests;

pub use ast::{
    Aggregate, Aggregator, At, Binary, BinaryOp, Call, Cardinality, DurationExpr, Expr, Extent,
    Length, Matching, MatrixSelector, Span, StringLiteral, Subquery, Type, Unary, VectorSelector,
};
pub use expression::parse;
pub use features::Features;
pub use functions::{Arity, functions};
pub use pretty::pretty;
pub use resolve::resolve;
pub use selector::parse_selector;
pub use walk::selectors;
