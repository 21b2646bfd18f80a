//! What is kept: by time, and by bytes of the whole directory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::core::{Core, Store};
use super::error::WorkError;
use super::quarantine::make_room;
use crate::tsdb::block::{Block, BlockId};
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::{BLOCKS_DIR, QUARANTINE_DIR, WAL_DIR};

impl Core {
    /// Removes the blocks that are over a limit.
    pub fn retain(&self, store: &Store) -> Result<(), WorkError> {
        let blocks = self.head.blocks()?;
        let mut by_time: Vec<BlockId> = Vec::new();
        if let Some(retention_ms) = self.settings.retention_ms() {
            let before = self.newest()?.saturating_sub(retention_ms);
            let old = blocks.iter().map(|b| b.meta());
            by_time.extend(old.filter(|m| m.max_t < before).map(|m| m.id));
        }
        self.remove_blocks(store, &by_time, "time")?;
        if !by_time.is_empty() {
            store.metrics.time_retentions.inc();
        }
        let limit = self.settings.retention_bytes.load(Relaxed);
        if limit > 0 {
            let by_size = over_size(store, &self.head.blocks()?, limit)?;
            self.remove_blocks(store, &by_size, "size")?;
            if !by_size.is_empty() {
                store.metrics.size_retentions.inc();
            }
        }
        store.show_snapshots();
        Ok(())
    }

    fn remove_blocks(&self, store: &Store, ids: &[BlockId], by: &str) -> Result<(), WorkError> {
        if ids.is_empty() {
            return Ok(());
        }
        // ORDER: out of the list first; queries that have them read on.
        store.change(&self.head, ids, None, |list| self.head.set_blocks(list))?;
        store.remove_files(ids);
        log::info!(blocks = ids.len(), by = by; "blocks are beyond retention and were removed");
        Ok(())
    }
}

/// The oldest blocks, until the rest of the directory is within the limit.
fn over_size(store: &Store, blocks: &[Arc<Block>], limit: u64) -> io::Result<Vec<BlockId>> {
    let mut bytes = directory_bytes(&*store.dir)?;
    // ORDER: damaged files before good ones.
    if bytes > limit {
        bytes -= make_room(&*store.dir, bytes - limit)?.min(bytes);
    }
    let mut metas: Vec<_> = blocks.iter().map(|b| b.meta()).collect();
    metas.sort_by_key(|meta| meta.max_t);
    let mut gone = Vec::new();
    for meta in metas {
        if bytes <= limit {
            break;
        }
        bytes = bytes.saturating_sub(meta.bytes);
        gone.push(meta.id);
    }
    Ok(gone)
}

/// Of everything in the data directory but snapshots, which are not the store's.
pub fn directory_bytes(dir: &dyn Dir) -> io::Result<u64> {
    let mut bytes = 0;
    for path in ["", WAL_DIR, BLOCKS_DIR, QUARANTINE_DIR] {
        match dir.list(path) {
            Ok(list) => {
                bytes += { list.iter() }
                    .filter(|entry| !entry.is_dir)
                    .map(|entry| entry.len)
                    .sum::<u64>();
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(bytes)
}
