//! Retention: by time, and by the bytes of the whole directory.

use std::io;
use std::sync::Arc;

use super::error::WorkError;
use super::flush::SPAN_MS;
use super::quarantine::make_room;
use super::shared::{Shared, Store};
use crate::model::TimestampMs;
use crate::stdx::sort::{sort, sort_by_key};
use crate::storage::StorageError;
use crate::tsdb::block::{Block, BlockId, BlockMeta};
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::{BLOCKS_DIR, QUARANTINE_DIR, WAL_DIR};

impl Shared {
    /// Removes the blocks that are over a limit.
    pub fn retain(&self, store: &Store) -> Result<(), WorkError> {
        let blocks = self.head.blocks()?;
        let mut by_time: Vec<BlockId> = Vec::new();
        let retention = self.settings.retention();
        if let Some(retention_ms) = retention.time_ms() {
            let before = self.retention_time()?.saturating_sub(retention_ms);
            let ages = ages(&blocks, self.clock.wall_ms());
            by_time.extend(ages.iter().filter(|age| age.0 < before).map(|age| age.1.id));
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
            let ages = ages(&self.head.blocks()?, self.clock.wall_ms());
            let by_size = over_size(store, ages, limit)?;
            self.remove_blocks(store, &by_size, "size")?;
            if !by_size.is_empty() {
                store.metrics.size_retentions.inc();
            }
        }
        store.show_snapshots();
        Ok(())
    }

    /// Returns the time that retention counts from: the newest sample that is not from the future,
    /// unless it is alone after a gap.
    pub fn retention_time(&self) -> Result<TimestampMs, StorageError> {
        let (stats, now) = (self.head.stats()?, self.clock.wall_ms());
        let newest = stats.max_t.min(now);
        if self.store.is_none() {
            // NOTE: the head may then span days, and only its ends are known.
            return Ok(newest);
        }
        let blocks = self.head.blocks()?;
        // NOTE: imported blocks say nothing about the head's time.
        let metas = { blocks.iter() }
            .map(|b| b.meta())
            .filter(|m| m.wal.is_some());
        let mut spans: Vec<_> = metas.map(|m| (m.min_t, m.max_t.min(now))).collect();
        spans.extend([(stats.min_t, stats.min_t), (newest, newest)]);
        spans.retain(|span| span.0 <= span.1 && span.0 <= now);
        let retention_ms = self.settings.retention().time_ms();
        let half = retention_ms.unwrap_or(i64::MAX) / 2;
        let gap_max = half.clamp(GAP_MIN_MS, GAP_MAX_MS);
        Ok(believed(spans, gap_max).unwrap_or(newest))
    }

    fn remove_blocks(&self, store: &Store, ids: &[BlockId], by: &str) -> Result<(), WorkError> {
        if ids.is_empty() {
            return Ok(());
        }
        // ORDER: out of the list first. Queries that have them read on.
        store.change(&self.head, ids, None, |list| self.head.set_blocks(list))?;
        store.remove_files(ids);
        log::info!(blocks = ids.len(), by = by; "blocks are beyond retention and were removed");
        Ok(())
    }
}

/// LIMIT: a longer gap between samples, or one of half the retention, is doubted. A clock that
/// jumped ahead makes one, and would delete all before it. The gap counts only for as much time as
/// the samples after it span, until that is all of it.
const GAP_MAX_MS: i64 = 24 * 3600 * 1000;
/// LIMIT: the head gives only the times of its ends, which may be this far apart.
const GAP_MIN_MS: i64 = 2 * SPAN_MS;

/// Returns the end of all spans, as far as it is believed.
fn believed(mut spans: Vec<(TimestampMs, TimestampMs)>, gap_max: i64) -> Option<TimestampMs> {
    sort(&mut spans);
    let mut runs: Vec<(TimestampMs, TimestampMs)> = Vec::new();
    for (start, end) in spans {
        match runs.last_mut() {
            Some(run) if start.saturating_sub(run.1) <= gap_max => run.1 = run.1.max(end),
            _ => runs.push((start, end)),
        }
    }
    let after = |before: Option<TimestampMs>, (start, end): (TimestampMs, TimestampMs)| {
        let long = end.saturating_sub(start);
        let doubted = before.filter(|_| long < gap_max);
        Some(doubted.map_or(end, |before| before.saturating_add(gap_max + long)))
    };
    runs.into_iter().fold(None, after)
}

/// A block, and its time for retention.
type Age = (TimestampMs, BlockMeta);

/// Returns the blocks' ages. A block from the future is as old as the next one made, so that the
/// two are removed together.
fn ages(blocks: &[Arc<Block>], now: TimestampMs) -> Vec<Age> {
    let metas: Vec<BlockMeta> = blocks.iter().map(|b| b.meta()).collect();
    let tells = |m: &&BlockMeta| m.max_t <= now && m.wal.is_some_and(|wal| wal.0 < wal.1);
    let age = |meta: &BlockMeta| {
        if meta.max_t <= now {
            return meta.max_t;
        }
        let later = { metas.iter() }.filter(|m| tells(m) && m.rank() > meta.rank());
        later.min_by_key(|m| m.rank()).map_or(now, |m| m.max_t)
    };
    metas.iter().map(|m| (age(m), m.clone())).collect()
}

/// Returns the oldest blocks, until the rest of the directory is within the limit.
fn over_size(store: &Store, mut ages: Vec<Age>, limit: u64) -> io::Result<Vec<BlockId>> {
    let mut bytes = directory_bytes(&*store.dir)?;
    // ORDER: damaged files before good ones.
    if bytes > limit {
        bytes -= make_room(&*store.dir, bytes - limit)?.min(bytes);
    }
    sort_by_key(&mut ages, |age| age.0);
    let mut gone = Vec::new();
    for (_, meta) in ages {
        if bytes <= limit {
            break;
        }
        bytes = bytes.saturating_sub(meta.bytes);
        gone.push(meta.id);
    }
    Ok(gone)
}

/// The bytes of the data directory without snapshots, which are not the store's.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_believed() {
        let check = |spans: &[(i64, i64)], expect: Option<i64>| {
            assert_eq!(believed(spans.to_vec(), 24), expect, "{spans:?}");
        };
        check(&[], None);
        check(&[(5, 9)], Some(9));
        check(&[(9, 30), (0, 10), (20, 25)], Some(30));
        check(&[(0, 10), (34, 35)], Some(35));
        // A gap that is doubted, and one that no longer is.
        check(&[(0, 10), (35, 36)], Some(35));
        check(&[(0, 10), (900, 901), (905, 923)], Some(10 + 24 + 23));
        check(&[(0, 10), (900, 901), (905, 924)], Some(924));
        // Machines that seldom run.
        check(&[(0, 8), (48, 56), (96, 104)], Some(8 + 32 + 32));
        check(&[(0, 8), (i64::MAX - 1, i64::MAX)], Some(33));
    }
}
