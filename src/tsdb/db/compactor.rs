//! The thread `tsdb-compact`: merges blocks, one output at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossbeam_channel::{Receiver, select};

use super::attempt::attempt;
use super::error::WorkError;
use super::flush::SPAN_MS;
use super::quarantine::quarantine;
use super::retention::directory_bytes;
use super::shared::{Shared, Store, locked};
use crate::model::{Matcher, TimestampMs};
use crate::stdx::stop::Stop;
use crate::tsdb::block::{Block, BlockId, Options};
use crate::tsdb::compact::{Outcome, PlanOptions, merge, plan};

/// The pause before the next merge after a failure, which then has other blocks. Mostly it is the
/// disk that fails, and needs time.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(60);

pub struct Compactor {
    pub shared: Arc<Shared>,
    /// Rung when there may be something to merge.
    pub bell: Receiver<()>,
}

impl Compactor {
    pub fn run(self, stop: &Stop) {
        loop {
            select! {
                recv(stop.channel()) -> _ => return,
                recv(self.bell) -> rung => {
                    if rung.is_err() {
                        return;
                    }
                    self.on_bell(stop);
                }
            }
        }
    }

    fn on_bell(&self, stop: &Stop) {
        let Some(store) = &self.shared.store else {
            return;
        };
        loop {
            match self.shared.compact(store, stop) {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) if stop.is_stopped() => return,
                Err(_) => {
                    let pause = self.shared.clock.after(PAUSE_AFTER_FAILURE);
                    select! {
                        recv(stop.channel()) -> _ => {}
                        recv(pause) -> _ => {}
                    }
                    return;
                }
            }
        }
    }
}

impl Shared {
    /// Merges the planned blocks. Returns `false` if none are planned.
    pub fn compact(&self, store: &Store, stop: &Stop) -> Result<bool, WorkError> {
        let mut setbacks = locked(&store.merging);
        let blocks = self.head.blocks()?;
        let metas: Vec<_> = blocks.iter().map(|block| block.meta().clone()).collect();
        let options = PlanOptions {
            flush_range_ms: SPAN_MS,
            retention_ms: self.settings.retention().time_ms().unwrap_or(0),
            room_bytes: self.room_bytes(store),
            left_out: setbacks.left_out(&metas, self.clock.mono()),
        };
        let Some(ids) = plan(&metas, self.newest()?, &options) else {
            return Ok(false);
        };
        let chosen: Vec<Arc<Block>> = { blocks.iter() }
            .filter(|block| ids.contains(&block.meta().id))
            .cloned()
            .collect();
        let stopped = || stop.is_stopped() || store.merging_wanted.load(Relaxed);
        let merged = attempt(|| self.merge_into_one(store, &chosen, &stopped));
        if let Err(error) = &merged {
            store.metrics.compactions_failed.inc();
            // NOTE: a full disk is not the blocks' fault.
            let pause = if error.is_full() {
                PAUSE_AFTER_FAILURE
            } else {
                setbacks.note(&ids, self.clock.mono())
            };
            let named: Vec<String> = ids.iter().map(ToString::to_string).collect();
            log::error!(blocks = named.join(",").as_str(), pause = format!("{pause:?}").as_str();
                "blocks could not be merged, and stay as they are: {error}");
        }
        merged
    }

    /// Replaces blocks by one. Returns `false` if it was stopped.
    fn merge_into_one(
        &self,
        store: &Store,
        chosen: &[Arc<Block>],
        stopped: &dyn Fn() -> bool,
    ) -> Result<bool, WorkError> {
        store.metrics.compactions_triggered.inc();
        let began = self.clock.mono();
        let ids: Vec<BlockId> = chosen.iter().map(|block| block.id()).collect();
        let id = store.next_id(self.clock.wall_ms());
        let mut was_stopped = false;
        let finish = || {
            let outcome = merge(&store.dir, chosen, id, &Options::default(), stopped)?;
            was_stopped = outcome == Outcome::Stopped;
            Ok(match outcome {
                Outcome::Stopped | Outcome::Empty => Vec::new(),
                Outcome::Written(meta) => vec![meta],
            })
        };
        let merged = store.finish_blocks(&[id], finish)?;
        if was_stopped {
            // NOTE: the bell rings again within a minute.
            return Ok(false);
        }
        let blocks = merged.iter().cloned();
        store.change(&self.head, &ids, blocks, |list| self.head.set_blocks(list))?;
        // NOTE: a file that stays is removed at the next start.
        let removed = attempt(|| {
            store.set_lost_aside(chosen);
            store.remove_files(&ids);
            Ok(())
        });
        if let Err(error) = removed {
            log::error!("cannot remove blocks that were merged: {error}");
        }
        let took = self.clock.mono().saturating_sub(began);
        store.metrics.compactions.inc();
        store
            .metrics
            .compaction_duration
            .observe(took.as_secs_f64());
        for meta in merged.iter().map(|block| block.meta()) {
            store.metrics.compacted_bytes.add(meta.bytes as f64);
            log::info!(block = meta.id.to_string().as_str(), sources = ids.len(),
                series = meta.series, samples = meta.samples, bytes = meta.bytes,
                took = format!("{took:?}").as_str(); "blocks were merged");
        }
        Ok(true)
    }

    /// Rewrites each block with deleted samples.
    pub fn clean_tombstones(&self) -> Result<u64, WorkError> {
        let store = self.store.as_ref().ok_or(WorkError::InMemory)?;
        let _merging = store.urgently_merging();
        let mut cleaned = 0;
        for block in self.head.blocks()?.iter() {
            if block.meta().tombstones > 0 {
                self.merge_into_one(store, std::slice::from_ref(block), &|| false)?;
                cleaned += 1;
            }
        }
        Ok(cleaned)
    }

    /// Marks samples in all blocks as deleted.
    pub fn delete(
        &self,
        matchers: &[Matcher],
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<u64, WorkError> {
        let Some(store) = &self.store else {
            return Ok(0);
        };
        let _merging = store.urgently_merging();
        let mut series = 0;
        for block in self.head.blocks()?.iter() {
            if block.meta().overlaps(start, end) {
                series += block.delete(matchers, start, end)?;
            }
        }
        Ok(series)
    }

    /// The bytes that an output may take, by the medium and by the directory's limit.
    fn room_bytes(&self, store: &Store) -> u64 {
        let free = store.dir.free_bytes().unwrap_or(u64::MAX);
        // NOTE: a merge takes nothing of what a flush needs, since without flushes nothing goes on.
        let head = self.head.used_bytes().map_or(0, |used| used.0 as u64);
        let free = free.saturating_sub(head.saturating_mul(2));
        let Some(limit) = self.settings.retention().directory_limit(&*store.dir) else {
            return free;
        };
        let used = directory_bytes(&*store.dir).unwrap_or(0);
        free.min(limit.saturating_sub(used))
    }
}

impl Store {
    /// Quarantines blocks that a merge could not read in full. A person may still save what they
    /// hold.
    fn set_lost_aside(&self, merged: &[Arc<Block>]) {
        for block in merged {
            let lost = block.lost_pages();
            if lost > 0 {
                self.metrics.compaction_lost_pages.add(lost as f64);
                self.metrics.quarantined.inc();
                let why = format!("{lost} pages of it could not be read when it was merged");
                quarantine(&*self.dir, block.id(), &why);
            }
        }
    }
}
