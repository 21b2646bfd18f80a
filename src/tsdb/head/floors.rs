//! The head's samples that a block has already, from when the block is visible until they leave the
//! head.
//!
//! A view that sees the block must not see these samples in the head too. Otherwise, deleted from
//! the block, they would still be there, and the next block would have them again. So for such a
//! view a series begins after what the block took of it. Older views see the series whole.

use std::sync::Arc;

use super::views::NEVER;
use crate::model::{SeriesRef, TimestampMs};

/// Samples of a series up to a time.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub series: SeriesRef,
    pub through: TimestampMs,
}

/// What one block took over.
#[derive(Debug)]
pub struct Published {
    /// Views up to this one do not see the block.
    pub views_until: u64,
    /// The last commit that the block has.
    pub commit: u64,
    /// In order of series.
    pub taken: Vec<Taken>,
}

/// NOTE: one entry per block whose samples an older view still needs; mostly none.
#[derive(Debug, Default)]
pub struct Floors(Vec<Arc<Published>>);

/// What a view sees of a series in blocks.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    /// Samples in order up to this time ...
    pub through: TimestampMs,
    /// ... and late ones up to this commit.
    pub commit: u64,
}

impl Floors {
    pub fn add(&mut self, published: Arc<Published>) {
        self.0.push(published);
    }

    /// Removes an entry, once its samples have left the head.
    pub fn remove(&mut self, published: &Arc<Published>) {
        self.0.retain(|of| !Arc::ptr_eq(of, published));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn of(&self, series: SeriesRef, view: u64) -> Floor {
        let mut floor = Floor {
            through: NEVER,
            commit: 0,
        };
        for published in self.0.iter().filter(|of| of.views_until < view) {
            let taken = &published.taken;
            if let Ok(at) = taken.binary_search_by_key(&series, |taken| taken.series) {
                floor.through = floor.through.max(taken[at].through);
                floor.commit = floor.commit.max(published.commit);
            }
        }
        floor
    }
}

impl Floor {
    /// Returns the first time that the view sees in the head.
    pub fn after(self) -> TimestampMs {
        self.through.saturating_add(1)
    }
}
