//! Reads a directory of ours that no database runs on. It writes nothing but the lock.

use std::path::Path;
use std::sync::Arc;

use super::error::OpenError;
use super::open::refuse_foreign;
use super::querier::DbQuerier;
use super::replay::replay_into;
use super::shared::in_order;
use crate::metrics::Registry;
use crate::model::TimestampMs;
use crate::stdx::clock::RealClock;
use crate::stdx::sort::sort_by_key;
use crate::storage::{Querier, Queryable, StorageError};
use crate::tsdb::block::{Block, BlockId, PageCache};
use crate::tsdb::dir::{Dir, Disk, Lock};
use crate::tsdb::filenames::{BLOCKS_DIR, LOCK, WAL_DIR, segment_number};
use crate::tsdb::head::Head;
use crate::tsdb::metrics::{HeadMetrics, StoreMetrics};

/// LIMIT: pages that are read again, by neighbouring series.
const PAGE_CACHE_BYTES: usize = 4 << 20;

/// The blocks, and what the log has beyond them.
#[derive(Debug)]
pub struct Offline {
    head: Arc<Head>,
    /// In order of time.
    blocks: Vec<Arc<Block>>,
    // ORDER: dropped last.
    _lock: Lock,
}

impl Offline {
    /// Whether the directory is one of ours.
    pub fn is_ours(path: &Path) -> bool {
        if !path.is_dir() {
            return false;
        }
        let has_segment = |disk: &Disk| {
            let files = disk.list(WAL_DIR).unwrap_or_default();
            files.iter().any(|f| segment_number(&f.name).is_some())
        };
        path.join(BLOCKS_DIR).is_dir() || Disk::open(path).is_ok_and(|disk| has_segment(&disk))
    }

    /// Opens the directory. Damaged blocks are left out.
    ///
    /// # Errors
    /// A database runs on it, it is another program's, or it cannot be read.
    pub fn open(path: &Path) -> Result<Offline, OpenError> {
        let io = OpenError::io("cannot open the data directory");
        let dir: Arc<dyn Dir> = Arc::new(Disk::open(path).map_err(io)?);
        refuse_foreign(&*dir, &path.display().to_string())?;
        let lock = Lock::take(&path.join(LOCK))?;
        let registry = Registry::new();
        let head = Head::new(HeadMetrics::new(&registry), Arc::new(RealClock::new()));
        let head = Arc::new(head);
        let mut blocks = open_blocks(&dir)?;
        let ends = blocks.iter().filter_map(|b| b.meta().wal).map(|w| w.1);
        let flushed = ends.max();
        for meta in blocks.iter().map(|b| b.meta()) {
            if meta.wal.is_some() {
                head.saw(meta.max_t)?;
            }
        }
        head.set_blocks(in_order(blocks.clone()))?;
        replay_into(&dir, flushed, &head, None, &StoreMetrics::new(&registry))?;
        sort_by_key(&mut blocks, |block| (block.meta().min_t, block.id()));
        Ok(Offline {
            head,
            blocks,
            _lock: lock,
        })
    }

    /// Returns the times of the oldest and the newest sample; `None` if there is none.
    ///
    /// # Errors
    /// The storage is closed.
    pub fn range(&self) -> Result<Option<(TimestampMs, TimestampMs)>, StorageError> {
        let stats = self.head.stats()?;
        let metas = self.blocks.iter().map(|b| b.meta());
        let range = metas.fold((stats.min_t, stats.max_t), |range, meta| {
            (range.0.min(meta.min_t), range.1.max(meta.max_t))
        });
        Ok((range.0 <= range.1).then_some(range))
    }

    /// Whether there may be samples between the two times (inclusive).
    ///
    /// # Errors
    /// The storage is closed.
    pub fn may_have(&self, start: TimestampMs, end: TimestampMs) -> Result<bool, StorageError> {
        let stats = self.head.stats()?;
        let in_head = stats.min_t <= end && start <= stats.max_t;
        Ok(in_head || self.blocks.iter().any(|b| b.meta().overlaps(start, end)))
    }

    /// Returns the good blocks, in order of time.
    pub fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }
}

impl Queryable for Offline {
    fn querier(
        &self,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Box<dyn Querier>, StorageError> {
        let head = self.head.querier(start, end)?;
        Ok(Box::new(DbQuerier::new(head, (start, end), None)))
    }
}

/// Opens the good blocks, without those that are merged into another.
fn open_blocks(dir: &Arc<dyn Dir>) -> Result<Vec<Arc<Block>>, OpenError> {
    let cache = Arc::new(PageCache::new(PAGE_CACHE_BYTES));
    let mut blocks = Vec::new();
    for id in block_ids(&**dir)? {
        match Block::open(dir, id, &cache) {
            Ok(block) => blocks.push(block),
            Err(error) => log::error!("a block is left out: {error}"),
        }
    }
    let obsolete: Vec<_> = blocks.iter().flat_map(|b| b.meta().sources).collect();
    blocks.retain(|block| !obsolete.contains(&block.id()));
    Ok(blocks)
}

/// Returns the ids of all blocks in the directory.
pub fn block_ids(dir: &dyn Dir) -> Result<Vec<BlockId>, OpenError> {
    let list = match dir.list(BLOCKS_DIR) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        list => list.map_err(OpenError::io("cannot list blocks"))?,
    };
    let ids = list.iter().filter_map(|e| BlockId::from_file_name(&e.name));
    Ok(ids.collect())
}
