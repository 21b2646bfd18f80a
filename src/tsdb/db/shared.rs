//! What the database's face and its threads share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::attempt::{Setbacks, attempt};
use super::bell::Bell;
use super::error::WorkError;
use super::limits::Retention;
use super::log::Log;
use crate::model::TimestampMs;
use crate::stdx::clock::{Clock, Step, Steps};
use crate::stdx::sort::sort_by_key;
use crate::storage::StorageError;
use crate::tsdb::block::{Block, BlockId, BlockMeta, PageCache};
use crate::tsdb::compact::remove;
use crate::tsdb::dir::{Dir, Lock};
use crate::tsdb::exemplars::Exemplars;
use crate::tsdb::head::{Blocks, Head};
use crate::tsdb::metrics::StoreMetrics;
use crate::tsdb::wal::{Position, Segments};

#[derive(Debug)]
pub struct Shared {
    pub head: Arc<Head>,
    pub exemplars: Arc<Exemplars>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    /// Wakes the thread `tsdb`.
    pub bell: Arc<Bell>,
    /// Looked at by commits and by the thread `tsdb`. ORDER: no other lock is taken under it.
    pub steps: Mutex<Steps>,
    /// The wall clock's last, since the start.
    pub last_step: Mutex<Option<Step>>,
    /// From [`Options::give_back`](super::Options::give_back).
    pub give_back: fn(),
    /// `None` in memory.
    pub store: Option<Store>,
}

/// Settings that a reload changes, and flags that the threads need.
#[derive(Debug)]
pub struct Settings {
    retention: Mutex<Retention>,
    pub head_budget: u64,
    pub wal_sync_interval: Duration,
}

impl Settings {
    pub fn new(head_budget: u64, wal_sync_interval: Duration) -> Settings {
        Settings {
            retention: Mutex::default(),
            head_budget,
            wal_sync_interval,
        }
    }

    pub fn set_retention(&self, retention: Retention) {
        *locked(&self.retention) = retention;
    }

    pub fn retention(&self) -> Retention {
        *locked(&self.retention)
    }
}

/// The part of the database on disk.
#[derive(Debug)]
pub struct Store {
    pub dir: Arc<dyn Dir>,
    /// ORDER: its lock before the head's. Never held while the disk works.
    pub log: Log,
    pub segments: Segments,
    /// Held while exemplars are logged and added, so that the log and the ring have one order.
    /// ORDER: before the log's lock.
    pub exemplars: Mutex<()>,
    pub cache: Arc<PageCache>,
    /// Held while the list of blocks is changed, which several threads do. ORDER: before the head's
    /// lock.
    pub changes: Mutex<Changes>,
    /// Held while blocks are merged or samples in them are marked deleted, so that neither sees the
    /// other half done. It has the merges that failed.
    pub merging: Mutex<Setbacks>,
    /// Somebody more urgent than a compaction waits for `merging`.
    pub merging_wanted: AtomicBool,
    /// The bytes of the log that are kept for slow readers.
    pub wal_held_bytes: u64,
    pub metrics: Arc<StoreMetrics>,
    /// Batches are refused for want of room in memory.
    pub is_refusing: AtomicBool,
    /// Where the newest block's part of the log ends.
    pub flushed: Mutex<Position>,
    // ORDER: dropped last.
    #[expect(dead_code, reason = "held for its drop")]
    pub lock: Option<Lock>,
}

#[derive(Debug)]
pub struct Changes {
    pub last_id: BlockId,
}

impl Store {
    /// Returns an id that no block has or had.
    pub fn next_id(&self, now: TimestampMs) -> BlockId {
        let mut changes = locked(&self.changes);
        changes.last_id = BlockId::new(now, [changes.last_id]);
        changes.last_id
    }

    /// Replaces blocks in the list by others. `publish` makes the new list visible.
    pub fn change<T>(
        &self,
        head: &Head,
        gone: &[BlockId],
        new: impl IntoIterator<Item = Arc<Block>>,
        publish: impl FnOnce(Blocks) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let _changes = locked(&self.changes);
        let blocks = head.blocks()?;
        let kept = blocks.iter().filter(|b| !gone.contains(&b.meta().id));
        publish(in_order(kept.cloned().chain(new).collect()))
    }

    /// Finishes blocks and opens them. If that fails none of their files stays, since they will be
    /// written again and would take room on the disk each time.
    pub fn finish_blocks(
        &self,
        ids: &[BlockId],
        finish: impl FnOnce() -> Result<Vec<BlockMeta>, WorkError>,
    ) -> Result<Vec<Arc<Block>>, WorkError> {
        let opened = attempt(|| {
            let open = |meta: BlockMeta| Ok(Block::open(&self.dir, meta.id, &self.cache)?);
            finish()?.into_iter().map(open).collect()
        });
        if opened.is_err() {
            self.remove_files(ids);
        }
        opened
    }

    /// Removes files of blocks that are no longer in the list.
    pub fn remove_files(&self, ids: &[BlockId]) {
        for id in ids {
            remove_logged(&*self.dir, *id);
        }
    }
}

/// Removes a block's file. One that stays is removed at the next start, or found again.
pub fn remove_logged(dir: &dyn Dir, id: BlockId) {
    match remove(dir, id) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            log::error!("cannot remove a block: {error}");
        }
        _ => {}
    }
}

/// Sorts blocks, the newest first.
pub fn in_order(mut blocks: Vec<Arc<Block>>) -> Blocks {
    sort_by_key(&mut blocks, |block| std::cmp::Reverse(block.meta().rank()));
    blocks.into()
}

pub use crate::stdx::locked::locked;
