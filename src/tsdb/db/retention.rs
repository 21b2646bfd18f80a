//! What is kept: by time, and by bytes of the whole directory.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use super::core::{Core, Store};
use super::error::WorkError;
use super::quarantine::make_room;
use crate::model::{duration, size};
use crate::tsdb::block::{Block, BlockId};
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::{BLOCKS_DIR, QUARANTINE_DIR, WAL_DIR};

/// What is kept. Zero is no limit, of each.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Retention {
    /// How long.
    pub time: Duration,
    /// Of the whole directory, snapshots apart.
    pub bytes: u64,
    /// The same as a part of the medium that the directory is on, 0 to 100; wins over `bytes`.
    pub percentage: f64,
}

/// As Prometheus's status shows it: `15d or 1GiB or 80%`.
impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = [
            (!self.time.is_zero()).then(|| duration::format(self.time)),
            (self.bytes > 0).then(|| size::format(self.bytes)),
            (self.percentage > 0.0).then(|| format!("{}%", self.percentage)),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        f.write_str(&limits.join(" or "))
    }
}

impl Retention {
    pub fn time_ms(&self) -> Option<i64> {
        let ms = i64::try_from(self.time.as_millis()).unwrap_or(i64::MAX);
        (ms > 0).then_some(ms)
    }

    /// Bytes that the whole directory may have, if there is a limit.
    pub fn directory_limit(&self, dir: &dyn Dir) -> Option<u64> {
        let share = self.share_of_medium(dir);
        share.or((self.bytes > 0).then_some(self.bytes))
    }

    fn share_of_medium(&self, dir: &dyn Dir) -> Option<u64> {
        if self.percentage <= 0.0 {
            return None;
        }
        let total = dir.total_bytes().ok().filter(|total| *total > 0)?;
        Some((total as f64 * self.percentage / 100.0) as u64)
    }
}

impl Core {
    /// Removes the blocks that are over a limit.
    pub fn retain(&self, store: &Store) -> Result<(), WorkError> {
        let blocks = self.head.blocks()?;
        let mut by_time: Vec<BlockId> = Vec::new();
        let retention = self.settings.retention();
        if let Some(retention_ms) = retention.time_ms() {
            let before = self.newest()?.saturating_sub(retention_ms);
            let old = blocks.iter().map(|b| b.meta());
            by_time.extend(old.filter(|m| m.max_t < before).map(|m| m.id));
        }
        self.remove_blocks(store, &by_time, "time")?;
        if !by_time.is_empty() {
            store.metrics.time_retentions.inc();
        }
        if retention.percentage > 0.0 && retention.share_of_medium(&*store.dir).is_none() {
            log::warn!(
                "the size of the medium of --storage.tsdb.path is not known: \
                 storage.tsdb.retention.percentage has no effect, storage.tsdb.retention.size has"
            );
        }
        if let Some(limit) = retention.directory_limit(&*store.dir) {
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
