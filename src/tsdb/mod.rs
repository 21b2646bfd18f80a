//! The time series database: where samples are kept and queries find them.
//!
//! [`Db`] is its face; behind it stand the log, the head (what is not in blocks yet, in memory, one
//! lock), the blocks, and the encoding of chunks. Owns the data directory and the threads `tsdb`,
//! which makes durable, flushes and lets go, and `tsdb-compact`, which merges blocks.
//! **Invariant:** knows no target, no rule, no expression and no HTTP.

mod db;
mod head;

pub mod block;
pub mod compact;
pub mod dir;
pub mod filenames;
pub mod wal;

mod chunk;
mod exemplars;
mod metrics;

pub use db::{
    Db, Offline, OfflineWriter, OpenError, Options, Place, Retention, WorkError,
    default_head_budget,
};
pub use head::{Cardinality, Counted, HeadStats};
