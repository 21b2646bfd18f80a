//! Garbage collection: chunks and series that retention drops, and series that never got a sample.

use super::lock::{Head, State};
use super::series::Series;
use crate::model::{SeriesRef, TimestampMs};
use crate::storage::StorageError;

/// LIMIT: places visited, or series removed, per hold of the lock, a fraction of a millisecond.
const PLACES_AT_ONCE: u32 = 1024;

/// The result of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    pub series: u64,
    pub chunks: u64,
}

impl Head {
    /// Drops garbage:
    ///
    /// - closed chunks, and series, that end before what `retention_ms`, counted from `newest`,
    ///   keeps;
    /// - series that were empty at the last collection and still are;
    /// - series whose samples are all in blocks, once their newest sample no longer matters: it is
    ///   old enough, or it came before the clock was set back.
    ///
    /// What a live view may ask for stays.
    pub fn collect(
        &self,
        newest: TimestampMs,
        retention_ms: Option<i64>,
    ) -> Result<Collected, StorageError> {
        let limit = retention_ms.map_or(TimestampMs::MIN, |ms| newest.saturating_sub(ms));
        let now = self.clock.wall_ms();
        let (places, mut done) = {
            let mut state = self.lock()?;
            state.min_t_since = TimestampMs::MAX;
            (state.slab.places(), Collected::default())
        };
        let mut oldest = TimestampMs::MAX;
        let mut unneeded = Vec::new();
        for from in (0..places).step_by(PLACES_AT_ONCE as usize) {
            let mut state = self.lock()?;
            let before = state.bounds(limit, now);
            let to = places.min(from + PLACES_AT_ONCE);
            done.chunks += state.look_through(from..to, before, &mut oldest, &mut unneeded);
        }
        for unneeded in unneeded.chunks(PLACES_AT_ONCE as usize) {
            let mut state = self.lock()?;
            let before = state.bounds(limit, now);
            state.remove(unneeded, before, &mut oldest, &mut done);
        }
        let mut state = self.lock()?;
        state.min_t = oldest.min(state.min_t_since);
        state.slab.compact_pairs();
        state.index.compact();
        drop(state);
        self.metrics.series_removed.add(done.series as f64);
        self.metrics.chunks_removed.add(done.chunks as f64);
        Ok(done)
    }
}

/// The times before which things may be dropped.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    samples: TimestampMs,
    /// The bound for a series without samples. Nothing as old is accepted any more, so nobody will
    /// compare a new sample with the series' newest.
    newest: TimestampMs,
    /// A series without samples whose newest is after this restarts, so its newest does not matter
    /// either.
    ahead: TimestampMs,
}

impl Bounds {
    /// Whether nothing depends on the series' newest sample.
    fn is_blank(self, series: &Series) -> bool {
        series.is_new() || series.is_empty() && series.open.last_t() > self.ahead
    }

    fn is_needed(self, series: &Series) -> bool {
        if self.is_blank(series) {
            !series.idle
        } else if series.is_empty() {
            series.open.last_t() >= self.newest.max(self.samples)
        } else {
            series.open.last_t() >= self.samples
        }
    }
}

impl State {
    /// ORDER: computed anew in each hold of the lock, since a view may have begun meanwhile.
    fn bounds(&self, limit: TimestampMs, now: TimestampMs) -> Bounds {
        let seen = self.views.start();
        // NOTE: a view may still need such a series in its place.
        let ahead = if seen.is_some() {
            TimestampMs::MAX
        } else {
            self.ahead(now)
        };
        let seen = seen.unwrap_or(TimestampMs::MAX);
        Bounds {
            samples: limit.min(seen),
            newest: self.min_valid(now).min(seen),
            ahead,
        }
    }

    fn look_through(
        &mut self,
        places: std::ops::Range<u32>,
        bounds: Bounds,
        oldest: &mut TimestampMs,
        unneeded: &mut Vec<SeriesRef>,
    ) -> u64 {
        let mut dropped = 0;
        for at in places {
            let series = self.slab.at_mut(at);
            if !series.live {
                continue;
            }
            dropped += series.drop_closed(&mut self.pool, bounds.samples);
            let needed = bounds.is_needed(series) || self.late.has_series(at);
            series.idle = bounds.is_blank(series);
            if !needed {
                unneeded.push(self.slab.reference(at));
            } else if let Some(first_t) = self.first_t(at) {
                *oldest = first_t.min(*oldest);
            }
        }
        self.chunks -= dropped;
        dropped
    }

    fn remove(
        &mut self,
        unneeded: &[SeriesRef],
        bounds: Bounds,
        oldest: &mut TimestampMs,
        done: &mut Collected,
    ) {
        let mut pairs = Vec::new();
        for reference in unneeded {
            let Some((at, series)) = self.slab.get_mut(*reference) else {
                continue;
            };
            // NOTE: it may have been appended to, resolved or seen in the meantime.
            if bounds.is_needed(series) || self.late.has_series(at) {
                *oldest = self.first_t(at).unwrap_or(*oldest).min(*oldest);
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
        if let Ok(entry) = entry {
            entry.remove();
        } else {
            crate::bug!("a series is not in the table");
        }
        self.slab.remove(at);
    }
}
