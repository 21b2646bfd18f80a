//! Exemplars: single observations that stand for a sample, with labels such as a trace id.

use super::StorageError;
use crate::model::{Labels, Matcher, SeriesRef, TimestampMs};

#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub v: f64,
    pub t: TimestampMs,
    /// Whether the source gave the time. If not, the same exemplar seen at another time is still
    /// the same one.
    pub timed: bool,
}

/// One exemplar that waits for its commit.
#[derive(Debug, Clone)]
pub struct PendingExemplar {
    pub series: SeriesRef,
    pub exemplar: Exemplar,
}

/// Series with their exemplars.
pub type SeriesExemplars = Vec<(Labels, Vec<Exemplar>)>;

/// Storage that answers queries for exemplars.
pub trait ExemplarQueryable: Send + Sync {
    /// Returns the series that match all matchers of one of `sets` and have exemplars between
    /// `start` and `end` (inclusive), sorted by labels. The exemplars of each are in order of time.
    ///
    /// # Errors
    /// The storage is closed.
    fn exemplars(
        &self,
        sets: &[Vec<Matcher>],
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<SeriesExemplars, StorageError>;
}
