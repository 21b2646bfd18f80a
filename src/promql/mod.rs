//! PromQL: parses queries and evaluates them.
//!
//! `parser` reads a query and `eval` evaluates it, with the functions in `functions`. Owns only the
//! gate that bounds concurrent queries. **Invariant:** reads samples through
//! `storage::Querier` only, and knows no HTTP and no configuration.

mod parser;

mod active;
mod annotations;
mod engine;
mod error;
mod eval;
mod functions;
mod gate;
mod query;
mod query_log;
mod statistics;
mod value;

#[cfg(test)]
mod tests;

pub use active::{ActiveQueries, UnfinishedQuery};
pub use annotations::Severity;
pub use engine::Engine;
pub use error::QueryError;
pub use parser::{
    Aggregate, Aggregator, Arity, At, Binary, BinaryOp, Call, Cardinality, DurationExpr, Expr,
    Extent, Features, Length, Matching, Subquery, VectorSelector, functions, parse, parse_selector,
    pretty, resolve, selectors,
};
pub use query::{Query, Settings, Times, default_memory_budget};
pub use query_log::{HttpOrigin, QueryLog};

pub use value::{Answer, Series, Value};
