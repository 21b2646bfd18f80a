//! Adds blocks to a directory of ours that no database runs on.

use std::path::Path;
use std::sync::Arc;

use super::error::OpenError;
use super::offline::block_ids;
use super::open::{refuse_foreign, remove_leftovers};
use crate::stdx::clock::Clock;
use crate::tsdb::block::{Block, BlockError, BlockId, BlockWriter, Options, PageCache};
use crate::tsdb::dir::{Dir, Disk, Lock};
use crate::tsdb::filenames::{BLOCKS_DIR, LOCK, WAL_DIR};

/// Keeps databases out of the directory while it lives.
#[derive(Debug)]
pub struct OfflineWriter {
    dir: Arc<dyn Dir>,
    clock: Arc<dyn Clock>,
    last_id: BlockId,
    // ORDER: dropped last.
    _lock: Option<Lock>,
}

impl OfflineWriter {
    /// Opens the directory, and makes it if it is missing.
    ///
    /// # Errors
    /// A database runs on it, it is another program's, or it cannot be read or written.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<OfflineWriter, OpenError> {
        let io = OpenError::io("cannot open the data directory");
        let dir: Arc<dyn Dir> = Arc::new(Disk::open(path).map_err(io)?);
        refuse_foreign(&*dir, &path.display().to_string())?;
        let lock = Lock::take(&path.join(LOCK))?;
        OfflineWriter::within(dir, clock, Some(lock))
    }

    /// Opens a directory that nobody else has.
    fn within(
        dir: Arc<dyn Dir>,
        clock: Arc<dyn Clock>,
        lock: Option<Lock>,
    ) -> Result<OfflineWriter, OpenError> {
        for sub in [WAL_DIR, BLOCKS_DIR] {
            let io = OpenError::io("cannot make a directory");
            dir.create_dir(sub).map_err(io)?;
        }
        remove_leftovers(&*dir)?;
        Ok(OfflineWriter {
            last_id: last_id(&dir)?,
            dir,
            clock,
            _lock: lock,
        })
    }

    /// Does the same for tests that check what the disk does.
    #[cfg(test)]
    pub fn on_double(dir: Arc<dyn Dir>, clock: Arc<dyn Clock>) -> Result<OfflineWriter, OpenError> {
        OfflineWriter::within(dir, clock, None)
    }

    /// Returns the data directory, for files beside the blocks.
    pub fn dir(&self) -> &dyn Dir {
        &*self.dir
    }

    /// Begins a block, which exists once it is finished.
    ///
    /// # Errors
    /// The disk's.
    pub fn begin_block(&mut self) -> Result<BlockWriter, BlockError> {
        self.last_id = BlockId::new(self.clock.wall_ms(), [self.last_id]);
        BlockWriter::create(self.dir.clone(), self.last_id, &Options::default())
    }
}

/// Returns the greatest id in use, by a block or by one that was merged into it.
fn last_id(dir: &Arc<dyn Dir>) -> Result<BlockId, OpenError> {
    let cache = Arc::new(PageCache::new(0));
    let mut last = BlockId(0);
    for id in block_ids(&**dir)? {
        last = last.max(id);
        // NOTE: a block that cannot be opened is the database's to quarantine.
        if let Ok(block) = Block::open(dir, id, &cache) {
            last = block.meta().sources.into_iter().fold(last, BlockId::max);
        }
    }
    Ok(last)
}
