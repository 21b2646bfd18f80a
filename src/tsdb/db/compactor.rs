//! The thread `tsdb-compact`: merges blocks, one output at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossbeam_channel::{Receiver, select};

use super::core::{Core, Store, locked};
use super::error::WorkError;
use super::flush::SPAN_MS;
use super::retention::directory_bytes;
use crate::model::{Matcher, TimestampMs};
use crate::stdx::stop::Stop;
use crate::tsdb::block::{Block, Options};
use crate::tsdb::compact::{Outcome, PlanOptions, merge, plan};

/// How long after a failure the next attempt waits.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(60);

pub struct Compactor {
    pub core: Arc<Core>,
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
        let Some(store) = &self.core.store else {
            return;
        };
        loop {
            match self.core.compact(store, stop) {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) if stop.is_stopped() => return,
                Err(error) => {
                    store.metrics.compactions_failed.inc();
                    log::error!("compaction failed and will be tried again: {error}");
                    let pause = self.core.clock.after(PAUSE_AFTER_FAILURE);
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

impl Core {
    /// Merges what the plan says; `false` when it says nothing.
    pub fn compact(&self, store: &Store, stop: &Stop) -> Result<bool, WorkError> {
        let _merging = locked(&store.merging);
        let blocks = self.head.blocks()?;
        let metas: Vec<_> = blocks.iter().map(|block| block.meta().clone()).collect();
        let options = PlanOptions {
            flush_range_ms: SPAN_MS,
            retention_ms: self.settings.retention_ms().unwrap_or(0),
            room_bytes: self.room_bytes(store),
        };
        let Some(ids) = plan(&metas, self.newest()?, &options) else {
            return Ok(false);
        };
        let chosen: Vec<Arc<Block>> = { blocks.iter() }
            .filter(|block| ids.contains(&block.meta().id))
            .cloned()
            .collect();
        store.metrics.compactions_triggered.inc();
        let began = self.clock.mono();
        let id = store.next_id(self.clock.wall_ms());
        let stopped = || stop.is_stopped() || store.merging_wanted.load(Relaxed);
        let meta = match merge(&store.dir, &chosen, id, &Options::default(), &stopped)? {
            // NOTE: the bell rings again within a minute.
            Outcome::Stopped => return Ok(false),
            Outcome::Empty => None,
            Outcome::Written(meta) => Some(meta),
        };
        let block = match &meta {
            Some(meta) => Some(Block::open(&store.dir, meta.id, &store.cache)?),
            None => None,
        };
        store.change(&self.head, &ids, block, |list| self.head.set_blocks(list))?;
        store.remove_files(&ids);
        let took = self.clock.mono().saturating_sub(began);
        store.metrics.compactions.inc();
        store
            .metrics
            .compaction_duration
            .observe(took.as_secs_f64());
        if let Some(meta) = meta {
            store.metrics.compacted_bytes.add(meta.bytes as f64);
            log::info!(block = meta.id.to_string().as_str(), sources = ids.len(),
                series = meta.series, samples = meta.samples, bytes = meta.bytes,
                took = format!("{took:?}").as_str(); "blocks were merged");
        }
        Ok(true)
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
        store.merging_wanted.store(true, Relaxed);
        let _merging = locked(&store.merging);
        store.merging_wanted.store(false, Relaxed);
        let mut series = 0;
        for block in self.head.blocks()?.iter() {
            if block.meta().overlaps(start, end) {
                series += block.delete(matchers, start, end)?;
            }
        }
        Ok(series)
    }

    /// What an output may take, of the medium and of the limit for the directory.
    fn room_bytes(&self, store: &Store) -> u64 {
        let free = store.dir.free_bytes().unwrap_or(u64::MAX);
        let limit = self.settings.retention_bytes.load(Relaxed);
        if limit == 0 {
            return free;
        }
        let used = directory_bytes(&*store.dir).unwrap_or(0);
        free.min(limit.saturating_sub(used))
    }
}
