//! Blocks: immutable files of samples by series, made for flash and for small memory.
//!
//! A block is one file, written once in order of labels ([`BlockWriter`]). It becomes visible by
//! rename once it is durable. It is read with positioned reads through a [`PageCache`] that all
//! blocks share.
//! `docs/FORMAT.md` draws its bytes. Owns the files in `blocks/`.
//! **Invariant:** knows no head, and of the WAL only the range that a footer names.

mod error;
mod meta;

mod page;

mod packed;

mod decimal;

mod column;
mod footer;
mod pairs;
mod times;
mod writer;

mod cache;
mod columns;
mod elsewhere;
mod matching;
mod reader;
mod select;
mod texts;
mod tombstones;
mod walk;

#[cfg(test)]
mod tests;

pub use cache::PageCache;
pub use elsewhere::{Elsewhere, NOWHERE};
pub use error::BlockError;
pub use meta::{BlockId, BlockMeta, unfinished};
pub use reader::Block;
pub use select::{BlockSeries, SeriesView, StoredColumn};
pub use tombstones::{Ranges, Tombstones};
pub use writer::{BlockWriter, Options};
