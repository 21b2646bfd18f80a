//! Appending: from labels to series, and batches into chunks.

use std::hash::BuildHasher;

use super::lock::{Head, State};
use super::series::Series;
use super::views::NEVER;
use crate::model::{Labels, SeriesRef, TimestampMs};
use crate::storage::{Appender, Committed, Pending, StorageError};

/// LIMIT: samples are taken up to so much behind the newest of the head, as Prometheus takes them
/// (half of its smallest block; reference section 8.7).
const BEHIND_MAX_MS: i64 = 3600 * 1000;

/// What becomes of a sample.
enum Verdict {
    Append,
    /// It is there already.
    Same,
    Duplicate,
    OutOfOrder,
    TooOld,
}

impl Head {
    pub fn resolve(&self, labels: &Labels) -> Result<SeriesRef, StorageError> {
        if labels.is_empty() {
            return Err(StorageError::Other(
                "empty labelset: invalid sample".to_owned(),
            ));
        }
        let mut state = self.lock()?;
        let (series, created) = state.resolve(labels)?;
        drop(state);
        if created {
            self.metrics.series_created.inc();
        }
        Ok(series)
    }

    pub fn commit(&self, batch: &Appender) -> Result<Committed, StorageError> {
        let done = self.lock()?.commit(&batch.samples);
        self.metrics.count(&done);
        Ok(done)
    }
}

impl State {
    fn resolve(&mut self, labels: &Labels) -> Result<(SeriesRef, bool), StorageError> {
        // NOTE: half of the hash is kept with each series, for 4 bytes of memory.
        let hash = self.hasher.hash_one(labels) as u32;
        let same = |at: &u32| self.slab.at(*at).hash == hash && self.has_labels(*at, labels);
        if let Some(at) = self.table.find(spread(hash), same).copied() {
            self.slab.at_mut(at).idle = false;
            return Ok((self.slab.reference(at), false));
        }
        let pairs: Vec<_> = labels
            .iter()
            .map(|(name, value)| self.index.intern(name, value))
            .collect();
        let Some(at) = self.slab.insert(hash, &pairs) else {
            // NOTE: no series is gone, but pairs that are new have none, and are released.
            self.index.sweep(&pairs, |_| false);
            let series = self.slab.len();
            return Err(StorageError::Other(format!(
                "the head has no place for another series: it has {series}"
            )));
        };
        for pair in &pairs {
            self.index.add(*pair, at);
        }
        let slab = &self.slab;
        let rehash = |at: &u32| spread(slab.at(*at).hash);
        self.table.insert_unique(spread(hash), at, rehash);
        Ok((self.slab.reference(at), true))
    }

    fn commit(&mut self, batch: &[Pending]) -> Committed {
        let mut done = Committed::default();
        self.commit += 1;
        // NOTE: fixed for the batch: its own newest samples push none of it out of the window.
        let min_valid = self.min_valid();
        for (position, pending) in batch.iter().enumerate() {
            let (t, v) = (pending.t, pending.v);
            let Some((at, series)) = self.slab.get_mut(pending.series) else {
                done.gone.push(position as u32);
                continue;
            };
            match judge(series, t, v, min_valid, self.commit) {
                Verdict::Append => {
                    if self.views.needs_mark(series.commit) {
                        self.views.mark(self.commit, at, newest(series));
                    }
                    series.commit = self.commit;
                    self.chunks += series.append(&mut self.pool, t, v);
                    self.min_t = self.min_t.min(t);
                    self.min_t_since = self.min_t_since.min(t);
                    self.max_t = self.max_t.max(t);
                    done.appended += 1;
                }
                Verdict::Same => done.appended += 1,
                Verdict::Duplicate => done.duplicate += 1,
                Verdict::OutOfOrder => done.out_of_order += 1,
                Verdict::TooOld => done.too_old += 1,
            }
        }
        self.samples_appended += done.appended;
        done
    }

    fn min_valid(&self) -> TimestampMs {
        if self.max_t == TimestampMs::MIN {
            // NOTE: the smallest number means "no time" here, and is no time of anything.
            return TimestampMs::MIN + 1;
        }
        self.max_t
            .saturating_sub(BEHIND_MAX_MS)
            .max(TimestampMs::MIN + 1)
    }
}

/// The newest time of a series, or [`NEVER`].
pub(super) fn newest(series: &Series) -> TimestampMs {
    if series.is_empty() {
        NEVER
    } else {
        series.open.last_t()
    }
}

/// Prometheus's rules, in its order (reference section 5.4).
#[inline]
fn judge(series: &Series, t: TimestampMs, v: f64, min_valid: TimestampMs, commit: u64) -> Verdict {
    if t < min_valid {
        return Verdict::TooOld;
    }
    if series.is_empty() {
        return Verdict::Append;
    }
    let last_t = series.open.last_t();
    if t > last_t {
        Verdict::Append
    } else if t < last_t {
        Verdict::OutOfOrder
    } else if series.commit != commit && series.open.last_v().to_bits() == v.to_bits() {
        Verdict::Same
    } else {
        // NOTE: within one batch even an equal repetition is a fault of who sent it.
        Verdict::Duplicate
    }
}

/// A table's hash needs its highest bits too.
pub(super) fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
