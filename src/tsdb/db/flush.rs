//! Flushes the head into blocks, while samples go on coming.
//!
//! Samples dated far from now, because the clock was set in between, get a block of their own. One
//! block over all would be in the way of every query, merge and retention between the two.

use std::sync::Arc;

use super::attempt::attempt;
use super::error::WorkError;
use super::quarantine::quarantine_segment;
use super::shared::{Shared, Store, locked};
use crate::model::{Labels, Sample, TimestampMs, timestamp};
use crate::storage::StorageError;
use crate::tsdb::block::{BlockId, BlockMeta, BlockWriter, Options};
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::BLOCKS_DIR;
use crate::tsdb::head::Release;
use crate::tsdb::wal::{Dropped, Position};

/// The longest time span of the head before it is flushed.
pub const SPAN_MS: i64 = 2 * 3600 * 1000;

/// LIMIT: of samples in the head, where room ends; blocks of less compress badly, and are many.
pub const EARLY_BYTES: usize = 256 << 10;

/// The log may have one in so many parts of the directory's limit. The rest is for blocks.
const LOG_SHARE: u64 = 4;

/// LIMIT: how far ahead of the wall clock samples may be dated and still tell the time.
const AHEAD_MS: i64 = 3600 * 1000;

/// LIMIT: older samples get a block of their own. A flush's samples are from some hours, unless the
/// clock was set, or senders delivered what they had kept.
const PAST_MS: i64 = 24 * 3600 * 1000;

impl Shared {
    /// Whether the head has enough for a block.
    pub fn flush_is_due(&self) -> Result<bool, StorageError> {
        // NOTE: late samples are in no chunk.
        if self.head.extent()?.0 == 0 {
            return Ok(false);
        }
        let stats = self.head.stats()?;
        let newest = if self.is_ahead(stats.max_t) {
            self.clock.wall_ms()
        } else {
            stats.max_t
        };
        Ok(newest.saturating_sub(stats.min_t) >= SPAN_MS || self.lacks_room()?)
    }

    /// Whether samples up to `max_t` are too far ahead of the wall clock to tell the time.
    pub fn is_ahead(&self, max_t: TimestampMs) -> bool {
        max_t > self.clock.wall_ms().saturating_add(AHEAD_MS)
    }

    /// Whether the head must become a block because of the room that it takes.
    pub fn lacks_room(&self) -> Result<bool, StorageError> {
        let (samples, series) = self.head.used_bytes()?;
        // NOTE: series stay when their samples are dropped. So that each flush frees something,
        // they count for half of the budget at most.
        let budget = usize::try_from(self.settings.head_budget).unwrap_or(usize::MAX);
        Ok(samples + series.min(budget / 2) >= budget
            || samples >= EARLY_BYTES && self.room_ends()?)
    }

    /// Whether to flush soon, while there is still room for a block beside the log that it
    /// replaces.
    pub fn room_ends(&self) -> Result<bool, StorageError> {
        let Some(store) = &self.store else {
            return Ok(false);
        };
        let samples = self.head.used_bytes()?.0 as u64;
        let free = store.dir.free_bytes().unwrap_or(u64::MAX);
        let limit = self.settings.retention().directory_limit(&*store.dir);
        Ok(free < samples.saturating_mul(2)
            || limit.is_some_and(|limit| store.segments.bytes() >= limit / LOG_SHARE))
    }

    /// Makes blocks of everything that is committed. The returned value drops the samples from the
    /// head.
    /// `pause` is called between series. Its error ends the flush, and nothing was done.
    pub fn flush(
        &self,
        store: &Store,
        mut pause: impl FnMut() -> Result<(), WorkError>,
    ) -> Result<Release, WorkError> {
        let began = self.clock.mono();
        // NOTE: a start on a medium that could not be written has not made it; else it is there.
        store.dir.create_dir(BLOCKS_DIR)?;
        let from = *locked(&store.flushed);
        let begun = store.log.begin_flush(&self.head)?;
        let (mut flush, cut) = (begun.flush, begun.cut);
        let mut parts = Parts::new(self.clock.wall_ms(), &store.dir);
        flush.read(|labels, samples| -> Result<(), WorkError> {
            pause()?;
            parts.add(store, labels, samples)
        })?;
        // ORDER: before there is a block at whose end reading the log begins.
        if let Err(error) = self.log_exemplars_again(store) {
            log::error!("a restart will not know older exemplars: {error}");
        }
        let ids = parts.ids.clone();
        let blocks = store.finish_blocks(&ids, || parts.finish((from, cut)))?;
        let publish = |list| flush.publish(list);
        let release = store.change(&self.head, &[], blocks.iter().cloned(), publish)?;
        store.log.let_go(begun.waiting)?;
        if !blocks.is_empty() {
            // ORDER: only what a durable block names is dropped.
            *locked(&store.flushed) = cut;
        }
        for meta in blocks.iter().map(|block| block.meta()) {
            store.metrics.flushed_bytes.add(meta.bytes as f64);
            let took = format!("{:?}", self.clock.mono().saturating_sub(began));
            log::info!(block = meta.id.to_string().as_str(), series = meta.series,
                samples = meta.samples, bytes = meta.bytes, took = took.as_str();
                "the head became a block");
            if meta.min_t > self.clock.wall_ms() {
                log::warn!(block = meta.id.to_string().as_str(), samples = meta.samples,
                    oldest = timestamp::rfc3339(meta.min_t).as_str(),
                    newest = timestamp::rfc3339(meta.max_t).as_str();
                    "samples from the future have a block of their own");
            }
        }
        store.metrics.truncations.inc();
        // NOTE: a log that could not be dropped is no reason to keep the samples.
        let dropped = attempt(|| Ok(store.segments.drop_before(cut, store.wal_held_bytes)?));
        match dropped {
            Ok(dropped) => store.put_away(dropped),
            Err(error) => log::error!("cannot remove segments of the log: {error}"),
        }
        Ok(release)
    }

    /// Returns the newest sample's time or the wall clock, whichever is earlier.
    pub fn newest(&self) -> Result<TimestampMs, StorageError> {
        Ok(self.head.stats()?.max_t.min(self.clock.wall_ms()))
    }
}

/// The blocks of a flush: of the past, of now, and of the future; mostly only the middle one.
pub struct Parts {
    now: TimestampMs,
    dir: Arc<dyn Dir>,
    /// The beginnings of now and of the future.
    bounds: [TimestampMs; 2],
    writers: [Option<BlockWriter>; 3],
    /// The ids of the blocks so far.
    ids: Vec<BlockId>,
}

impl Parts {
    pub fn new(now: TimestampMs, dir: &Arc<dyn Dir>) -> Parts {
        Parts {
            now,
            dir: dir.clone(),
            bounds: [now.saturating_sub(PAST_MS), now.saturating_add(AHEAD_MS)],
            writers: [None, None, None],
            ids: Vec::new(),
        }
    }

    pub fn add(
        &mut self,
        store: &Store,
        labels: &Labels,
        samples: &[Sample],
    ) -> Result<(), WorkError> {
        let [now, future] = self
            .bounds
            .map(|from| samples.partition_point(|s| s.t < from));
        let parts = [&samples[..now], &samples[future..], &samples[now..future]];
        for (writer, part) in self.writers.iter_mut().zip(parts) {
            if part.is_empty() {
                continue;
            }
            if let Some(writer) = writer {
                writer.add(labels, part)?;
                continue;
            }
            let id = store.next_id(self.now);
            self.ids.push(id);
            let new = BlockWriter::create(self.dir.clone(), id, &Options::default())?;
            writer.insert(new).add(labels, part)?;
        }
        Ok(())
    }

    /// Makes the blocks durable. The last one names the part of the log that all of them hold, the
    /// others the empty one before it. After a crash between them the log is read again.
    pub fn finish(self, wal: (Position, Position)) -> Result<Vec<BlockMeta>, WorkError> {
        let mut writers = self.writers.into_iter().flatten().peekable();
        let mut metas = Vec::new();
        while let Some(writer) = writers.next() {
            let end = if writers.peek().is_some() {
                wal.0
            } else {
                wal.1
            };
            metas.extend(writer.finish(0, &[], Some((wal.0, end)))?);
        }
        Ok(metas)
    }
}

impl Store {
    /// Quarantines damaged segments, and logs those that a reader still wanted, so that nothing is
    /// lost silently.
    fn put_away(&self, dropped: Dropped) {
        for number in dropped.damaged {
            self.metrics.quarantined.inc();
            quarantine_segment(&*self.dir, number);
        }
        if dropped.held == 0 {
            return;
        }
        self.metrics.dropped_segments.add(f64::from(dropped.held));
        let (from, until) = dropped.held_times.unwrap_or_default();
        log::error!(segments = dropped.held, from = timestamp::rfc3339(from).as_str(),
            until = timestamp::rfc3339(until).as_str(), limit_bytes = self.wal_held_bytes;
            "segments of the log that a reader has not read yet had to go");
    }
}
