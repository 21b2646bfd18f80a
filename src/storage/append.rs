//! Appending: a scrape's samples are collected in an [`Appender`] and committed as one batch.

use crate::model::{Labels, SeriesRef, TimestampMs};
use crate::storage::{Exemplar, PendingExemplar, StorageError};

/// One sample that waits for its commit.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    pub series: SeriesRef,
    pub t: TimestampMs,
    pub v: f64,
}

/// A batch in its caller's hands. Dropping or clearing it takes everything back; it may be reused.
#[derive(Debug, Default)]
pub struct Appender {
    pub samples: Vec<Pending>,
    pub exemplars: Vec<PendingExemplar>,
}

impl Appender {
    pub fn append(&mut self, series: SeriesRef, t: TimestampMs, v: f64) {
        self.samples.push(Pending { series, t, v });
    }

    pub fn append_exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) {
        self.exemplars.push(PendingExemplar { series, exemplar });
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.exemplars.is_empty()
    }

    pub fn clear(&mut self) {
        self.samples.clear();
        self.exemplars.clear();
    }
}

/// What became of a batch. What is not counted as a fault was stored.
///
/// The order of the checks and the meaning of the faults are Prometheus's (reference section 5.4).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Committed {
    /// Stored, an equal sample at the same time included.
    pub appended: u64,
    /// Older than the newest of its series.
    pub out_of_order: u64,
    /// The same time as the newest of its series, another value.
    pub duplicate: u64,
    /// Before the appendable window.
    pub too_old: u64,
    /// Exemplars that come before the newest of their series. Other faults of exemplars the storage
    /// counts alone.
    pub exemplars_out_of_order: u64,
    /// Positions among the samples whose series is gone: resolve their labels anew and commit
    /// those.
    pub gone: Vec<u32>,
    /// Of those that are counted above, the first that was met.
    pub first_fault: Option<Fault>,
}

/// Why a sample was not stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    OutOfOrder,
    Duplicate {
        t: TimestampMs,
        existing: f64,
        new: f64,
    },
    /// Before the appendable window.
    OutOfBounds,
    /// Before the window of samples that are out of order, where these are taken.
    TooOld,
}

impl Committed {
    pub fn refuse(&mut self, fault: Fault) {
        match fault {
            Fault::OutOfOrder => self.out_of_order += 1,
            Fault::Duplicate { .. } => self.duplicate += 1,
            Fault::OutOfBounds | Fault::TooOld => self.too_old += 1,
        }
        self.first_fault.get_or_insert(fault);
    }

    /// Adds the counts of another part of the batch. What is gone has positions, and is left out.
    pub fn add(&mut self, other: &Committed) {
        self.appended += other.appended;
        self.out_of_order += other.out_of_order;
        self.duplicate += other.duplicate;
        self.too_old += other.too_old;
        self.exemplars_out_of_order += other.exemplars_out_of_order;
        self.first_fault = self.first_fault.or(other.first_fault);
    }
}

/// Storage that takes samples.
pub trait Appendable: Send + Sync {
    /// The reference of the series with these labels, which is made if there is none.
    ///
    /// # Errors
    /// The budget for series is used up, or the storage is closed.
    fn resolve(&self, labels: &Labels) -> Result<SeriesRef, StorageError>;

    /// The reference of the series with these labels, if there is one.
    ///
    /// # Errors
    /// The storage is closed.
    fn find(&self, _labels: &Labels) -> Result<Option<SeriesRef>, StorageError> {
        Ok(None)
    }

    /// Whether exemplars are kept at all: who reads them from foreign bytes can save itself the
    /// work.
    fn takes_exemplars(&self) -> bool {
        false
    }

    /// Whether samples are taken that are older than the newest of their series.
    fn takes_late(&self) -> bool {
        false
    }

    /// Stores a batch: all samples of it are visible to queries at once, or none; its exemplars
    /// soon after. Those of series that are gone are left out.
    ///
    /// # Errors
    /// Nothing was stored: the storage is closed or its disk fails.
    fn commit(&self, batch: &Appender) -> Result<Committed, StorageError>;
}
