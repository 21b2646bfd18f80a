//! Prometheus's own files: blocks written and read, its log read.
//!
//! Owns the directories it is given while it works on them: an export's target, into which whole
//! blocks come by renaming, and an import's source, which it does not change. It touches files in
//! `files.rs` only. **Invariant:** knows nothing of our own database: it gives what it reads to a
//! sink, and takes what it writes from a querier. No bytes make it panic.

mod analyze;
mod dump;
mod export;
mod import;
mod list;
mod open_metrics;

mod directory;
mod stream;

mod block;
mod head;
mod writer;

mod error;
mod meta;
mod ulid;

mod files;
mod head_chunks;
mod index_write;
mod tombstones;
mod wal;
mod xor;

#[cfg(test)]
mod head_tests;
#[cfg(test)]
mod tests;

pub use analyze::{AnalyzeOptions, Analyzed, SeriesSpan, analyze};
pub use block::{PromBlock, SeriesEntry, SeriesReader};
pub use directory::PromDirectory;
pub use dump::{DumpFormat, dump};
pub use error::{Damages, PromError};
pub use export::{Exported, PromSink, Range, compatible_range_ms, export};
pub use import::{Imported, Progress, Sink, Source, import, list_blocks};
pub use list::{BlockRow, print_blocks};
pub use meta::Meta;
pub use open_metrics::{CreateOptions, create_blocks};
pub use stream::{QuerierStream, SeriesStream};
pub use ulid::Ulid;
pub use writer::{BlockStats, PromBlockWriter};
