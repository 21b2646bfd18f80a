//! Appending: a scrape's samples are collected in an [`Appender`] and committed as one batch.

use std::mem::discriminant;

use crate::model::{Labels, SeriesRef, TimestampMs};
use crate::storage::{
    Exemplar, ExemplarFault, Fault, PendingExemplar, Refused, RefusedExemplar, StorageError,
};

/// One sample that waits for its commit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pending {
    pub series: SeriesRef,
    pub t: TimestampMs,
    pub v: f64,
}

/// A batch that is being filled. Dropping or clearing it takes everything back; it may be reused.
#[derive(Debug, Default)]
pub struct Appender {
    pub samples: Vec<Pending>,
    pub exemplars: Vec<PendingExemplar>,
    /// Nobody was promised these samples: their commit does not wait for the log, which has them
    /// within a tenth of a second.
    pub is_deferred: bool,
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

/// The outcome of a commit. Samples that are not counted as a fault were stored.
///
/// The order of the checks and the meaning of the faults are Prometheus's (reference section 5.4).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Committed {
    /// Stored, including samples equal to the stored one at the same time.
    pub appended: u64,
    /// Older than the newest sample of their series.
    pub out_of_order: u64,
    /// At the time of the newest sample of their series, with another value.
    pub duplicate: u64,
    /// Before the appendable window.
    pub too_old: u64,
    /// Exemplars older than the newest of their series.
    pub exemplars_out_of_order: u64,
    /// Exemplars that were not stored, including those.
    pub exemplars_refused: u64,
    /// The first of each kind of them.
    pub first_exemplars: Vec<RefusedExemplar>,
    /// Positions of samples whose series is gone. Resolve their labels anew and commit those
    /// samples.
    pub gone: Vec<u32>,
    /// The first sample of each kind of fault counted above.
    pub firsts: Vec<Refused>,
}

impl Committed {
    pub fn refuse(&mut self, fault: Fault, sample: Pending) {
        match fault {
            Fault::OutOfOrder => self.out_of_order += 1,
            Fault::Duplicate { .. } => self.duplicate += 1,
            Fault::OutOfBounds | Fault::TooOld => self.too_old += 1,
        }
        self.name(Refused { fault, sample });
    }

    pub fn refuse_exemplar(&mut self, refused: RefusedExemplar) {
        self.exemplars_out_of_order += u64::from(refused.fault == ExemplarFault::OutOfOrder);
        self.exemplars_refused += 1;
        self.name_exemplar(refused);
    }

    /// Returns how many samples were refused for this fault.
    pub fn count_of(&self, fault: &Fault) -> u64 {
        match fault {
            Fault::OutOfOrder => self.out_of_order,
            Fault::Duplicate { .. } => self.duplicate,
            Fault::OutOfBounds | Fault::TooOld => self.too_old,
        }
    }

    fn name(&mut self, refused: Refused) {
        let kind = discriminant(&refused.fault);
        if { self.firsts.iter() }.all(|first| discriminant(&first.fault) != kind) {
            self.firsts.push(refused);
        }
    }

    fn name_exemplar(&mut self, refused: RefusedExemplar) {
        if { self.first_exemplars.iter() }.all(|first| first.fault != refused.fault) {
            self.first_exemplars.push(refused);
        }
    }

    /// Adds the counts of another part of the batch. `gone` is left out, since it holds positions.
    pub fn add(&mut self, other: &Committed) {
        self.appended += other.appended;
        self.out_of_order += other.out_of_order;
        self.duplicate += other.duplicate;
        self.too_old += other.too_old;
        self.exemplars_out_of_order += other.exemplars_out_of_order;
        self.exemplars_refused += other.exemplars_refused;
        for refused in &other.first_exemplars {
            self.name_exemplar(*refused);
        }
        for refused in &other.firsts {
            self.name(*refused);
        }
    }
}

/// Storage that takes samples.
pub trait Appendable: Send + Sync {
    /// Returns the reference of the series with these labels, and makes the series if there is
    /// none.
    ///
    /// # Errors
    /// The budget for series is used up, or the storage is closed.
    fn resolve(&self, labels: &Labels) -> Result<SeriesRef, StorageError>;

    /// Returns the reference of the series with these labels, if there is one.
    ///
    /// # Errors
    /// The storage is closed.
    fn find(&self, _labels: &Labels) -> Result<Option<SeriesRef>, StorageError> {
        Ok(None)
    }

    /// Returns the labels of a series, to name it in a log line or an answer; `None` if it is gone.
    fn labels_of(&self, _series: SeriesRef) -> Option<Labels> {
        None
    }

    /// Counts samples that the caller left out of a batch as out of order: they came after a newer
    /// one of the same batch.
    fn left_out_of_order(&self, _samples: u64) {}

    /// Whether exemplars are kept at all. If not, a decoder of foreign bytes can skip them.
    fn takes_exemplars(&self) -> bool {
        false
    }

    /// Whether samples older than the newest of their series are taken.
    fn takes_late(&self) -> bool {
        false
    }

    /// Stores a batch. Queries see all its samples at once, or none; its exemplars follow soon.
    /// Samples of series that are gone are left out.
    ///
    /// # Errors
    /// The storage is closed, or its disk fails: nothing is stored for sure.
    fn commit(&self, batch: &Appender) -> Result<Committed, StorageError>;
}
