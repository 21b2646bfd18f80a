//! The one lock, and what is behind it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use hashbrown::HashTable;

use super::floors::Floors;
use super::index::{Index, PairId};
use super::late::LateSamples;
use super::slab::Slab;
use super::views::Views;
use crate::model::{LabelsRef, TimestampMs};
use crate::stdx::clock::Clock;
use crate::storage::StorageError;
use crate::tsdb::block::Block;
use crate::tsdb::chunk::Pool;
use crate::tsdb::metrics::HeadMetrics;

#[derive(Debug)]
pub struct Head {
    state: Mutex<State>,
    pub metrics: HeadMetrics,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether it was said that a panic closed the head.
    told: AtomicBool,
}

/// All of the head's data. A method that changes it leaves it whole, or panics.
#[derive(Debug)]
pub(super) struct State {
    pub slab: Slab,
    pub index: Index,
    /// Pairs of the series that was new last; they may be gone since, and then have no text.
    pub interned: Vec<PairId>,
    /// Of the bits of all open chunks.
    pub pool: Pool,
    /// Indices of the slab, by the hash of the series' labels.
    pub table: HashTable<u32>,
    /// Seeded at random: labels come from strangers.
    pub hasher: foldhash::fast::RandomState,
    pub views: Views,
    pub late: LateSamples,
    /// What blocks have already.
    pub floors: Floors,
    /// The number of the last commit; from 1 on, so that 0 means never.
    pub commit: u64,
    /// Of the samples that are held; `MAX` and `MIN` while there is none.
    pub min_t: TimestampMs,
    /// Of the samples that were ever held, so that the appendable window never goes back.
    pub max_t: TimestampMs,
    /// What the clock said when it was set back, the last time.
    pub set_back_from: TimestampMs,
    /// Samples that were taken late because their series' newest is dated after the clock.
    pub corrected: u64,
    /// The oldest sample appended since a collection began; see [`super::gc`].
    pub min_t_since: TimestampMs,
    pub chunks: u64,
    pub samples_appended: u64,
    /// What a view sees beside the head, in order of age, the newest first: kept here so that both
    /// are taken at once.
    pub blocks: Blocks,
}

/// The list of blocks; replaced, never changed.
pub type Blocks = Arc<[Arc<Block>]>;

impl Head {
    pub fn new(metrics: HeadMetrics, clock: Arc<dyn Clock>) -> Head {
        Head {
            clock,
            state: Mutex::new(State::new()),
            metrics,
            told: AtomicBool::new(false),
        }
    }

    /// # Errors
    /// A panic under the lock has closed the head.
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, State>, StorageError> {
        self.state.lock().map_err(|_| {
            if !self.told.swap(true, Relaxed) {
                log::error!("a panic left the head in doubt: its storage is closed");
            }
            StorageError::Closed
        })
    }
}

impl State {
    fn new() -> State {
        State {
            slab: Slab::default(),
            index: Index::default(),
            interned: Vec::new(),
            pool: Pool::default(),
            table: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            views: Views::default(),
            late: LateSamples::default(),
            floors: Floors::default(),
            commit: 0,
            min_t: TimestampMs::MAX,
            max_t: TimestampMs::MIN,
            set_back_from: TimestampMs::MIN,
            corrected: 0,
            min_t_since: TimestampMs::MAX,
            chunks: 0,
            samples_appended: 0,
            blocks: Arc::new([]),
        }
    }

    /// Whether the series at `at` has these labels.
    pub fn has_labels(&self, at: u32, labels: LabelsRef<'_>) -> bool {
        let pairs = self
            .slab
            .pairs(at)
            .iter()
            .map(|pair| self.index.text(*pair));
        labels.iter().eq(pairs)
    }
}
