//! From the head to a block, while samples go on coming.

use super::attempt::attempt;
use super::core::{Core, Store, locked};
use super::error::WorkError;
use crate::model::{TimestampMs, timestamp};
use crate::storage::StorageError;
use crate::tsdb::block::{BlockWriter, Options};
use crate::tsdb::head::Release;
use crate::tsdb::wal::Dropped;

/// The head becomes a block at the latest with so much time in it.
pub const SPAN_MS: i64 = 2 * 3600 * 1000;

/// LIMIT: of samples in the head, where room ends; blocks of less compress badly, and are many.
const EARLY_BYTES: usize = 256 << 10;

/// Of a limit for the directory the log may have this part; the rest is for blocks.
const LOG_SHARE: u64 = 4;

/// LIMIT: how far ahead of the wall clock samples may be dated and still tell the time.
const AHEAD_MS: i64 = 3600 * 1000;

impl Core {
    /// Whether the head has enough for a block.
    pub fn flush_is_due(&self) -> Result<bool, StorageError> {
        let stats = self.head.stats()?;
        if stats.chunks == 0 {
            return Ok(false);
        }
        let (samples, series) = self.head.used_bytes()?;
        // NOTE: series stay when their samples go. So that each flush brings something, they count
        // for half of the budget at most.
        let budget = usize::try_from(self.settings.head_budget).unwrap_or(usize::MAX);
        if samples >= EARLY_BYTES && self.room_ends()? {
            return Ok(true);
        }
        let newest = stats.max_t.min(self.clock.wall_ms() + AHEAD_MS);
        Ok(samples + series.min(budget / 2) >= budget
            || newest.saturating_sub(stats.min_t) >= SPAN_MS)
    }

    /// Whether the head had better be a block soon, while there is room for one beside the log that
    /// it takes the place of.
    pub fn room_ends(&self) -> Result<bool, StorageError> {
        let Some(store) = &self.store else {
            return Ok(false);
        };
        let samples = self.head.used_bytes()?.0 as u64;
        let free = store.dir.free_bytes().unwrap_or(u64::MAX);
        let limit = self.settings.retention().directory_limit(&*store.dir);
        Ok(free < samples.saturating_mul(2)
            || limit.is_some_and(|limit| store.keeper.bytes() >= limit / LOG_SHARE))
    }

    /// Makes a block of everything that is committed. What it returns lets the samples go.
    /// `pause` is called between series; its error ends the flush, and nothing was done.
    pub fn flush(
        &self,
        store: &Store,
        mut pause: impl FnMut() -> Result<(), WorkError>,
    ) -> Result<Release, WorkError> {
        let began = self.clock.mono();
        let from = *locked(&store.flushed);
        let begun = self.begin_flush(store)?;
        let (mut flush, cut) = (begun.flush, begun.cut);
        let id = store.next_id(self.clock.wall_ms());
        let mut writer = BlockWriter::create(store.dir.clone(), id, &Options::default())?;
        flush.read(|labels, samples| -> Result<(), WorkError> {
            pause()?;
            Ok(writer.add(labels, samples)?)
        })?;
        // ORDER: before there is a block with whose end reading the log begins.
        if let Err(error) = self.log_exemplars_again(store) {
            log::error!("a restart will not know older exemplars: {error}");
        }
        let finish = || writer.finish(0, &[], Some((from, cut)));
        let (meta, block) = store.finish_block(id, finish)?.unzip();
        let release = store.change(&self.head, &[], block, |list| flush.publish(list))?;
        store.let_go_waiting(begun.waiting)?;
        if let Some(meta) = meta {
            store.metrics.flushed_bytes.add(meta.bytes as f64);
            // ORDER: only what a durable block names is let go.
            *locked(&store.flushed) = cut;
            let took = format!("{:?}", self.clock.mono().saturating_sub(began));
            log::info!(block = meta.id.to_string().as_str(), series = meta.series,
                samples = meta.samples, bytes = meta.bytes, took = took.as_str();
                "the head became a block");
        }
        store.metrics.truncations.inc();
        // NOTE: what is left of the log is no reason to hold on to the samples.
        let dropped = attempt(|| Ok(store.keeper.drop_before(cut, store.wal_held_bytes)?));
        match dropped {
            Ok(dropped) => store.tell_dropped(dropped),
            Err(error) => log::error!("cannot remove segments of the log: {error}"),
        }
        Ok(release)
    }

    /// The newest sample or the wall clock, whichever is earlier: what retention counts from.
    pub fn newest(&self) -> Result<TimestampMs, StorageError> {
        Ok(self.head.stats()?.max_t.min(self.clock.wall_ms()))
    }
}

impl Store {
    /// What a reader still wanted is not lost in silence.
    fn tell_dropped(&self, dropped: Dropped) {
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
