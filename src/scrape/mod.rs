//! Scraping: targets from discovery's groups, a loop and a thread for each, samples into storage.
//!
//! Owns the threads `scrape` (the manager), `reloader` (coalesces updates of the targets) and
//! `scrape-NNNN` (one per target, and `scrape-NNNN-new` for its first turn), the caches of the
//! targets' series, and the failure log files.
//! **Invariant:** knows no encoding on disk, no YAML, no HTTP client. A target that hangs, lies or
//! grows affects only itself, and nobody waits for it.

mod manager;
mod prepare;
mod view;

mod pool;
mod pool_shared;
mod pools;
mod reloader;
mod restart;
mod runner;

mod scrape_loop;

mod error;
mod memory;

mod ingest;
mod refusals;
mod report;

mod cache;
mod texts;

mod merge;
mod target;
mod url;

mod schedule;

mod buffers;
mod end_of_run;
mod failure_log;
mod metrics;

pub use manager::{Handle, Options};
pub use pools::Applied;
pub use prepare::{PrepareEnv, Prepared, prepare};
pub use schedule::Alignment;
pub use target::Target;
pub use view::{FamilyMetadata, View};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
