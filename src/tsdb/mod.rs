//! The time series database: where samples are kept and queries find them.
//!
//! [`Db`] is its face; behind it stand the head (everything in memory, one lock) and the encoding
//! of chunks. Owns the thread `tsdb`, which collects what retention lets go.
//! **Invariant:** knows no target, no rule, no expression and no HTTP.

mod db;
mod head;

mod chunk;
mod metrics;

pub use db::{Db, Options};
pub use head::{Cardinality, Counted, HeadStats};
