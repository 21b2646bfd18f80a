//! The time series database: keeps samples, and answers queries for them.
//!
//! [`Db`] is its face. Behind it are the log, the head (in memory, one lock: what is not in blocks
//! yet), the blocks, and the chunk encoding. Owns the data directory and three threads: `wal-write`
//! writes the log, `tsdb` syncs it, flushes and drops samples, and `tsdb-compact` merges blocks.
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
