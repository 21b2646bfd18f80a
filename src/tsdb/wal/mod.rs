//! The write-ahead log: what was committed is read from it after a crash.
//!
//! Segments are self-contained: each names every series before its first use. So one segment can be
//! dropped or lost alone, and reading can begin at any. [`Wal`] writes. [`Segments`] syncs and
//! drops. [`replay()`] and [`Reader`] read; [`replay_ahead`] reads on a thread of its own. Owns the
//! files in `wal/`, which `docs/FORMAT.md` draws.
//! **Invariant:** knows no head, no block and no query.

mod ahead;
mod entry;
mod part;
mod reader;
mod replay;
mod segments;
mod writer;

mod batch;
mod column_batches;
mod decoder;
mod definition;
mod exemplar;
mod format;
mod metrics;
mod reading;
mod segment;
mod slots;
mod value;
mod varint;

#[cfg(test)]
mod tests;

pub use ahead::replay_ahead;
pub use entry::{Entry, Logged, Position};
pub use reader::{Lost, Reader};
pub use replay::{Replayed, replay};
pub use segments::{Dropped, Hold, Segments};
pub use writer::{LABELS_BYTES_MAX, Options, SEGMENT_BYTES, Wal, WalError, segment_limit};
