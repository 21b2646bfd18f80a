//! The one lock, and the state behind it.

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
    /// Whether it was logged that a panic closed the head.
    told: AtomicBool,
}

/// All of the head's data. A method that changes it leaves it whole, or panics.
#[derive(Debug)]
pub(super) struct State {
    pub slab: Slab,
    pub index: Index,
    /// The pairs of the last new series. They may be gone, and then have no text.
    pub interned: Vec<PairId>,
    /// Holds the bits of all chunks.
    pub pool: Pool,
    /// Slab indices, by the hash of the series' labels.
    pub table: HashTable<u32>,
    /// Seeded at random: labels come from strangers.
    pub hasher: foldhash::fast::RandomState,
    pub views: Views,
    pub late: LateSamples,
    /// What blocks have already.
    pub floors: Floors,
    /// The number of the last commit. Numbers start at 1, so 0 means never.
    pub commit: u64,
    /// The oldest time of the samples held; `MAX` while there is none.
    pub min_t: TimestampMs,
    /// The newest time of all samples ever held, so that the appendable window never moves back;
    /// `MIN` while there was none.
    pub max_t: TimestampMs,
    /// What the clock said before it was last set back.
    pub set_back_from: TimestampMs,
    /// Samples that were taken late because their series' newest is dated after the clock.
    pub corrected: u64,
    /// The oldest sample appended since a collection began; see [`super::gc`].
    pub min_t_since: TimestampMs,
    pub chunks: u64,
    pub samples_appended: u64,
    /// The blocks that a view sees beside the head, the newest first. They are here so that both
    /// are taken at once.
    pub blocks: Blocks,
}

/// The list of blocks, which is replaced and never changed.
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

    /// Takes the lock.
    ///
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

    /// The approximate bytes of samples.
    pub fn sample_bytes(&self) -> usize {
        self.pool.used_bytes() + self.late.used_bytes()
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
