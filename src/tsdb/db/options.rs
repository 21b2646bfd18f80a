//! The options of a database.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::limits::Retention;
use crate::metrics::Registry;
use crate::stdx::clock::Clock;
use crate::stdx::memory;
use crate::tsdb::dir::Dir;

#[derive(Debug, Clone)]
pub struct Options {
    pub place: Place,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    pub retention: Retention,
    /// The bytes of memory at which the head is flushed.
    pub head_budget: u64,
    /// How often the log is synced, which is the most that a power cut loses.
    pub wal_sync_interval: Duration,
    /// How long a write of the log is waited for: then its samples wait in memory, as on a full
    /// disk.
    pub log_patience: Duration,
    /// Bytes of the log that are kept for readers that lag, without a limit for the
    /// directory.
    pub wal_held_bytes: u64,
    /// How much older than its series' newest a sample may be; zero refuses such samples.
    pub out_of_order_window: Duration,
    /// The number of exemplars kept, over all series; zero keeps none.
    pub exemplars_max: u64,
    /// Called after much memory was freed. It gives the allocator's free pages back, if it can.
    pub give_back: fn(),
}

/// Where a database stores its data.
#[derive(Debug, Clone)]
pub enum Place {
    /// Nowhere: the data ends with the process. For tests and benchmarks.
    Memory,
    Path {
        path: PathBuf,
        lock: bool,
    },
    /// A directory that nobody else has.
    Dir(Arc<dyn Dir>),
}

impl Options {
    pub fn new(place: Place, clock: Arc<dyn Clock>, registry: Registry) -> Options {
        Options {
            place,
            clock,
            registry,
            retention: Retention::default(),
            head_budget: default_head_budget(),
            wal_sync_interval: Duration::from_secs(30),
            log_patience: LOG_PATIENCE,
            wal_held_bytes: WAL_HELD_BYTES,
            out_of_order_window: Duration::ZERO,
            exemplars_max: 0,
            give_back: || {},
        }
    }

    pub fn in_memory(clock: Arc<dyn Clock>, registry: Registry) -> Options {
        Options::new(Place::Memory, clock, registry)
    }
}

/// LIMIT: a disk that is busy answers within a second, and a scrape may wait so long.
const LOG_PATIENCE: Duration = if cfg!(test) {
    Duration::from_secs(60)
} else {
    Duration::from_secs(1)
};

/// LIMIT: a day of 2,000 series every 15 s, which is a day's outage of a small machine's receiver.
const WAL_HELD_BYTES: u64 = 32 << 20;

/// LIMIT: smaller blocks are too short to compress well.
const HEAD_BUDGET_MIN: u64 = 16 << 20;
/// LIMIT: 2 h of a million samples a minute. A larger head reaches 2 h first.
const HEAD_BUDGET_MAX: u64 = 512 << 20;

/// Returns an eighth of the memory that the process may use, between 16 and 512 MiB.
pub fn default_head_budget() -> u64 {
    let memory = memory::usable_bytes().unwrap_or(0);
    (memory / 8).clamp(HEAD_BUDGET_MIN, HEAD_BUDGET_MAX)
}
