//! Garbage: chunks and series that retention lets go, and series that never got a sample.

use super::lock::{Head, State};
use crate::model::{SeriesRef, TimestampMs};
use crate::storage::StorageError;

/// LIMIT: places looked at, or series removed, in one hold of the lock: a fraction of a
/// millisecond.
const PLACES_AT_ONCE: u32 = 1024;

/// What a collection found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    pub series: u64,
    pub chunks: u64,
}

impl Head {
    /// Drops closed chunks that end before what `retention_ms` keeps, and series that do; and
    /// series that were empty at the last collection and still are. What a live view may ask for
    /// stays. Retention counts from the newest sample or from `now`, whichever is earlier: neither
    /// a sample from the future nor a clock that jumped ahead takes everything else away.
    pub fn collect(
        &self,
        now: TimestampMs,
        retention_ms: Option<i64>,
    ) -> Result<Collected, StorageError> {
        let limit = |state: &State| match retention_ms {
            Some(retention_ms) => now.min(state.max_t).saturating_sub(retention_ms),
            None => TimestampMs::MIN,
        };
        let (places, mut done) = {
            let mut state = self.lock()?;
            state.min_t_since = TimestampMs::MAX;
            (state.slab.places(), Collected::default())
        };
        let mut oldest = TimestampMs::MAX;
        let mut unneeded = Vec::new();
        for from in (0..places).step_by(PLACES_AT_ONCE as usize) {
            let mut state = self.lock()?;
            let before = state.keep_from(limit(&state));
            let to = places.min(from + PLACES_AT_ONCE);
            done.chunks += state.look_through(from..to, before, &mut oldest, &mut unneeded);
        }
        for unneeded in unneeded.chunks(PLACES_AT_ONCE as usize) {
            let mut state = self.lock()?;
            let before = state.keep_from(limit(&state));
            state.remove(unneeded, before, &mut oldest, &mut done);
        }
        let mut state = self.lock()?;
        state.min_t = oldest.min(state.min_t_since);
        state.slab.compact_pairs();
        drop(state);
        self.metrics.series_removed.add(done.series as f64);
        self.metrics.chunks_removed.add(done.chunks as f64);
        Ok(done)
    }
}

impl State {
    /// ORDER: asked anew in each hold of the lock, for a view may have begun since.
    fn keep_from(&self, limit: TimestampMs) -> TimestampMs {
        self.views.start().map_or(limit, |start| start.min(limit))
    }

    fn look_through(
        &mut self,
        places: std::ops::Range<u32>,
        before: TimestampMs,
        oldest: &mut TimestampMs,
        unneeded: &mut Vec<SeriesRef>,
    ) -> u64 {
        let mut dropped = 0;
        for at in places {
            let series = self.slab.at_mut(at);
            if !series.live {
                continue;
            }
            let never_used = series.is_empty() && series.idle;
            series.idle = series.is_empty();
            dropped += series.drop_closed(&mut self.pool, before);
            if never_used || (!series.is_empty() && series.open.last_t() < before) {
                unneeded.push(self.slab.reference(at));
            } else if let Some(first_t) = series.first_t(&self.pool) {
                *oldest = first_t.min(*oldest);
            }
        }
        self.chunks -= dropped;
        dropped
    }

    fn remove(
        &mut self,
        unneeded: &[SeriesRef],
        before: TimestampMs,
        oldest: &mut TimestampMs,
        done: &mut Collected,
    ) {
        let mut pairs = Vec::new();
        for reference in unneeded {
            let Some((at, series)) = self.slab.get_mut(*reference) else {
                continue;
            };
            // NOTE: it may have been appended to, resolved or seen since it was looked at.
            let needed = if series.is_empty() {
                !series.idle
            } else {
                series.open.last_t() >= before
            };
            if needed {
                *oldest = series.first_t(&self.pool).unwrap_or(*oldest).min(*oldest);
                continue;
            }
            done.series += 1;
            done.chunks += series.chunks();
            self.chunks -= series.chunks();
            series.clear(&mut self.pool);
            let hash = series.hash;
            pairs.extend_from_slice(self.slab.pairs(at));
            self.forget(hash, at);
        }
        pairs.sort_unstable();
        pairs.dedup();
        let slab = &self.slab;
        self.index.sweep(&pairs, |at| !slab.at(at).live);
    }

    fn forget(&mut self, hash: u32, at: u32) {
        let entry = self
            .table
            .find_entry(super::append::spread(hash), |found| *found == at);
        match entry {
            Ok(entry) => drop(entry.remove()),
            Err(_) => crate::bug!("a series is not in the table"),
        }
        self.slab.remove(at);
    }
}
