//! Snapshots: `snapshots/NAME`, a directory that another database can open.
//!
//! Blocks are immutable, so that a hard link to their file is a copy. The head's samples are
//! written to a block that is only in the snapshot. A snapshot has another name until it is
//! complete and durable. The next start removes what a crash leaves of one.
//!
//! Snapshots belong to the operator. Retention does not remove them, and they do not count for the
//! directory's limit: otherwise the store would be emptied to make up for bytes that this does not
//! free. A gauge shows the bytes that only snapshots hold.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard};

use super::attempt::Setbacks;
use super::error::WorkError;
use super::flush::Parts;
use super::log::Begun;
use super::shared::{Shared, Store, locked};
use crate::model::timestamp;
use crate::tsdb::block::Block;
use crate::tsdb::dir::{Dir, Sub, remove_tree};
use crate::tsdb::filenames::{BLOCKS_DIR, SNAPSHOTS_DIR, TMP_SUFFIX};
use crate::tsdb::head::{Blocks, Flush};
use crate::tsdb::wal::Position;

impl Shared {
    pub fn snapshot(&self, skip_head: bool) -> Result<String, WorkError> {
        let store = self.store.as_ref().ok_or(WorkError::InMemory)?;
        // NOTE: so that a deletion is in all of its blocks, or in none.
        let _merging = store.urgently_merging();
        let began = self.clock.mono();
        let name = self.snapshot_name();
        let path = format!("{SNAPSHOTS_DIR}/{name}");
        let tmp = format!("{path}{TMP_SUFFIX}");
        let done = self.fill_snapshot(store, &tmp, skip_head).and_then(|()| {
            store.dir.rename(&tmp, &path)?;
            Ok(store.dir.sync_dir(SNAPSHOTS_DIR)?)
        });
        if let Err(error) = done {
            // NOTE: what cannot be removed now is removed at the next start.
            let _ = remove_tree(&*store.dir, &tmp);
            return Err(error);
        }
        let took = format!("{:?}", self.clock.mono().saturating_sub(began));
        log::info!(path = path.as_str(), took = took.as_str(); "a snapshot was made");
        store.show_snapshots();
        Ok(name)
    }

    /// Makes a name as Prometheus does: the time, and a random number.
    fn snapshot_name(&self) -> String {
        let time = timestamp::rfc3339(self.clock.wall_ms());
        let time = time.split(['.', 'Z']).next().unwrap_or_default();
        let time: String = time.chars().filter(|c| !"-:".contains(*c)).collect();
        let number = RandomState::new().build_hasher().finish();
        format!("{time}Z-{number:016x}")
    }

    fn fill_snapshot(&self, store: &Store, tmp: &str, skip_head: bool) -> Result<(), WorkError> {
        for path in [SNAPSHOTS_DIR, tmp] {
            store.dir.create_dir(path)?;
        }
        store.dir.sync_dir("")?;
        let into: Arc<dyn Dir> = Arc::new(Sub {
            dir: store.dir.clone(),
            path: tmp.to_owned(),
        });
        into.create_dir(BLOCKS_DIR)?;
        let from = *locked(&store.flushed);
        let head = if skip_head {
            None
        } else {
            Some(store.log.begin_flush(&self.head)?)
        };
        // NOTE: of the same moment, so that nothing is missing between the head and the blocks.
        let blocks = match &head {
            Some(begun) => begun.flush.blocks(),
            None => self.head.blocks()?,
        };
        store.put_blocks(&blocks, &into, tmp)?;
        if let Some(Begun { flush, cut, .. }) = head {
            self.put_head(store, flush, (from, cut), &into)?;
        }
        into.sync_dir(BLOCKS_DIR)?;
        Ok(into.sync_dir("")?)
    }

    fn put_head(
        &self,
        store: &Store,
        mut flush: Flush,
        wal: (Position, Position),
        into: &Arc<dyn Dir>,
    ) -> Result<(), WorkError> {
        let mut parts = Parts::new(self.clock.wall_ms(), into);
        flush.read(|labels, samples| parts.add(store, labels, samples))?;
        parts.finish(wal)?;
        Ok(())
    }
}

impl Store {
    fn put_blocks(&self, blocks: &Blocks, into: &Arc<dyn Dir>, tmp: &str) -> Result<(), WorkError> {
        for block in blocks.iter() {
            let path = block.id().path();
            // NOTE: some media have no hard links, and retention may have removed the name. Then
            // the open file is copied.
            let link = || self.dir.link(&path, &format!("{tmp}/{path}")).is_ok();
            Block::put_into(block, &**into, link)?;
        }
        Ok(())
    }

    /// Takes the right to change blocks, before a running compaction continues.
    pub fn urgently_merging(&self) -> MutexGuard<'_, Setbacks> {
        self.merging_wanted.store(true, Relaxed);
        let merging = locked(&self.merging);
        self.merging_wanted.store(false, Relaxed);
        merging
    }

    /// Sets the gauge of bytes that would be free without snapshots.
    pub fn show_snapshots(&self) {
        if let Ok(bytes) = snapshot_bytes(&*self.dir) {
            self.metrics.snapshot_bytes.set(bytes as f64);
        }
    }
}

/// Returns the bytes of heads, and of blocks that the store no longer has.
fn snapshot_bytes(dir: &dyn Dir) -> io::Result<u64> {
    let held = dir.list(BLOCKS_DIR)?;
    let mut seen: HashSet<String> = held.into_iter().map(|entry| entry.name).collect();
    let snapshots = match dir.list(SNAPSHOTS_DIR) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        snapshots => snapshots?,
    };
    let mut bytes = 0;
    for snapshot in snapshots.iter().filter(|entry| entry.is_dir) {
        let path = format!("{SNAPSHOTS_DIR}/{}/{BLOCKS_DIR}", snapshot.name);
        for entry in dir.list(&path).unwrap_or_default() {
            if seen.insert(entry.name) {
                bytes += entry.len;
            }
        }
    }
    Ok(bytes)
}

/// Removes what a crash left of snapshots.
pub fn remove_unfinished(dir: &dyn Dir) -> io::Result<()> {
    let snapshots = match dir.list(SNAPSHOTS_DIR) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        snapshots => snapshots?,
    };
    for entry in snapshots {
        if entry.is_dir && entry.name.ends_with(TMP_SUFFIX) {
            let path = format!("{SNAPSHOTS_DIR}/{}", entry.name);
            remove_tree(dir, &path)?;
            log::info!(path = path.as_str(); "removed a snapshot that was not finished");
        }
    }
    Ok(())
}
