//! Flushing: samples move from the head into a block. Their series stay.
//!
//! A flush reads the head by a view, as a query does. Once its block is in the list, new queries
//! see both, and take samples that are in both as one. So the head's samples can be dropped some
//! series at a time, after the last query that does not see the block has ended.

use std::sync::Arc;

use super::floors::{Published, Taken};
use super::lock::{Blocks, Head};
use super::query::HeadQuerier;
use crate::model::{Labels, Sample, TimestampMs};
use crate::storage::{Series as _, StorageError};

/// LIMIT: series per hold of the lock, half a millisecond. Each may decode and encode a chunk.
const SERIES_AT_ONCE: usize = 256;

/// The approximate bytes of a series beside its samples: its place, its labels' numbers, its
/// entries in the table and in the postings.
const SERIES_BYTES: usize = 160;

/// The head's content, as a block will hold it.
#[derive(Debug)]
pub struct Flush {
    view: HeadQuerier,
    taken: Vec<Taken>,
}

impl Head {
    /// Begins a flush of the samples that are committed now.
    pub fn flush(self: &Arc<Head>) -> Result<Flush, StorageError> {
        Ok(Flush {
            view: self.querier(TimestampMs::MIN, TimestampMs::MAX)?,
            taken: Vec::new(),
        })
    }

    pub fn blocks(&self) -> Result<Blocks, StorageError> {
        Ok(self.lock()?.blocks.clone())
    }

    /// Sets the blocks that new views see.
    pub fn set_blocks(&self, blocks: Blocks) -> Result<(), StorageError> {
        let mut state = self.lock()?;
        let old = std::mem::replace(&mut state.blocks, blocks);
        drop(state);
        // NOTE: this may close files, so it happens without the lock.
        drop(old);
        Ok(())
    }

    /// Returns the approximate bytes of samples, and of their series.
    pub fn used_bytes(&self) -> Result<(usize, usize), StorageError> {
        let state = self.lock()?;
        let series = state.slab.len() * SERIES_BYTES + state.index.text_bytes();
        Ok((state.sample_bytes(), series))
    }

    /// Returns the approximate bytes of samples, and the milliseconds between the oldest and the
    /// newest of them.
    pub fn extent(&self) -> Result<(usize, u64), StorageError> {
        let state = self.lock()?;
        let span = state.max_t.saturating_sub(state.min_t);
        Ok((state.sample_bytes(), u64::try_from(span).unwrap_or(0)))
    }
}

impl Flush {
    /// Returns the blocks of the flush's view, which have what the head no longer has.
    pub fn blocks(&self) -> Blocks {
        self.view.blocks.clone()
    }

    /// Gives each series' labels and samples to `each`, in order of labels, until it fails.
    pub fn read<E: From<StorageError>>(
        &mut self,
        mut each: impl FnMut(&Labels, &[Sample]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut samples = Vec::new();
        let mut set = self.view.select_all()?;
        self.taken.reserve_exact(set.len());
        while let Some(series) = set.next_series()? {
            samples.clear();
            series.read(TimestampMs::MIN, TimestampMs::MAX, &mut samples)?;
            each(&series.labels(), &samples)?;
            let (series, through) = series.seen()?;
            self.taken.push(Taken { series, through });
        }
        Ok(())
    }

    /// Changes the list of blocks. One of them now has what was read.
    pub fn publish(mut self, blocks: Blocks) -> Result<Release, StorageError> {
        self.taken.sort_unstable_by_key(|taken| taken.series);
        let head = self.view.head().clone();
        let mut state = head.lock()?;
        let old = std::mem::replace(&mut state.blocks, blocks);
        let published = Arc::new(Published {
            views_until: state.views.last_id(),
            commit: self.view.commit(),
            taken: self.taken,
        });
        state.floors.add(published.clone());
        drop(state);
        drop(old);
        Ok(Release { head, published })
    }
}

/// Samples that are in a block, and still in the head.
#[derive(Debug)]
pub struct Release {
    head: Arc<Head>,
    published: Arc<Published>,
}

impl Release {
    /// Drops what no view needs. Returns `false` if a view needs some of it; then try again later.
    pub fn run(&self) -> Result<bool, StorageError> {
        let mut done = true;
        let mut dropped = 0;
        let published = &*self.published;
        for taken in published.taken.chunks(SERIES_AT_ONCE) {
            let mut state = self.head.lock()?;
            let state = &mut *state;
            let needed = state.views.start_until(published.views_until);
            done &= needed.is_none();
            let unneeded = needed.map_or(TimestampMs::MAX, |t| t.saturating_sub(1));
            let mut gone = 0;
            for taken in taken {
                if let Some((at, series)) = state.slab.get_mut(taken.series) {
                    if needed.is_none() {
                        state.late.drop_through(at, published.commit);
                    }
                    gone += series.drop_through(&mut state.pool, taken.through.min(unneeded));
                }
            }
            state.chunks -= gone;
            dropped += gone;
        }
        self.head.metrics.chunks_removed.add(dropped as f64);
        if done {
            self.head.lock()?.floors.remove(&self.published);
        }
        Ok(done)
    }
}
