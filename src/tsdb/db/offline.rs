//! A directory of ours that no database runs on: read for the tools, and nothing written but the
//! lock.

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
use crate::storage::{Querier, Queryable, StorageError};
use crate::tsdb::block::{Block, BlockError, BlockId, BlockMeta, PageCache};
use crate::tsdb::dir::{Dir, Disk, Lock};
use crate::tsdb::filenames::{BLOCKS_DIR, LOCK, WAL_DIR, segment_number};
use crate::tsdb::head::Head;
use crate::tsdb::metrics::{HeadMetrics, StoreMetrics};
use crate::tsdb::prometheus::{BlockRow, SeriesSpan};

/// LIMIT: pages that are read again, by series that stand beside each other.
const PAGE_CACHE_BYTES: usize = 4 << 20;

/// Of a chunk, as `analyze` counts chunks: one of plain samples.
const FLOATS: u8 = 1;

/// Blocks, and what the log has beyond them.
#[derive(Debug)]
pub struct Offline {
    head: Arc<Head>,
    /// In order of time.
    blocks: Vec<Arc<Block>>,
    // ORDER: let go last.
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

    /// # Errors
    /// A database runs on it, it is another's, or it can't be read. Damaged blocks are left out.
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
        blocks.sort_unstable_by_key(|block| (block.meta().min_t, block.id()));
        Ok(Offline {
            head,
            blocks,
            _lock: lock,
        })
    }

    /// The times of the oldest and of the newest sample; `None` when there is none.
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

    /// What `tsdb list` prints, in order of time.
    ///
    /// # Errors
    /// A block can't be read.
    pub fn rows(&self) -> Result<Vec<BlockRow>, BlockError> {
        let rows = self.blocks.iter().map(|block| {
            let meta = block.meta();
            let mut chunks = 0;
            spans(block, &mut |span| chunks += span.chunks.len() as u64)?;
            Ok(BlockRow {
                id: meta.id.to_string(),
                min_t: meta.min_t,
                max_t: meta.max_t.saturating_add(1),
                samples: meta.samples,
                chunks,
                series: meta.series,
                bytes: meta.bytes,
            })
        });
        rows.collect()
    }

    /// The block of this name, or the newest where it is empty.
    pub fn block(&self, id: &str) -> Option<BlockMeta> {
        let metas = self.blocks.iter().map(|b| b.meta());
        match id {
            "" => metas.max_by_key(|meta| meta.id),
            id => { metas }.find(|meta| meta.id.to_string() == id),
        }
    }

    /// Every series of a block for `analyze`, with the sizes of its columns as those of chunks.
    ///
    /// # Errors
    /// The block can't be read.
    pub fn spans(&self, id: BlockId, take: &mut dyn FnMut(SeriesSpan)) -> Result<(), BlockError> {
        match self.blocks.iter().find(|block| block.id() == id) {
            Some(block) => spans(block, take),
            None => Ok(()),
        }
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

/// The good ones, without those that are merged into another.
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

/// Of all blocks that stand there.
pub fn block_ids(dir: &dyn Dir) -> Result<Vec<BlockId>, OpenError> {
    let list = match dir.list(BLOCKS_DIR) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        list => list.map_err(OpenError::io("cannot list blocks"))?,
    };
    let ids = list.iter().filter_map(|e| BlockId::from_file_name(&e.name));
    Ok(ids.collect())
}

fn spans(block: &Arc<Block>, take: &mut dyn FnMut(SeriesSpan)) -> Result<(), BlockError> {
    let mut series = block.select(&[], TimestampMs::MIN, TimestampMs::MAX)?;
    while let Some(view) = series.next_series() {
        let view = view?;
        let mut span = SeriesSpan {
            labels: crate::storage::Series::labels(&view),
            min_t: TimestampMs::MAX,
            max_t: TimestampMs::MIN,
            chunks: Vec::new(),
        };
        for column in view.stored_columns() {
            span.min_t = span.min_t.min(column.first);
            span.max_t = span.max_t.max(column.last);
            let samples = u16::try_from(column.samples).unwrap_or(u16::MAX);
            span.chunks.push((FLOATS, samples, column.bytes as usize));
        }
        if !span.chunks.is_empty() {
            take(span);
        }
    }
    Ok(())
}
