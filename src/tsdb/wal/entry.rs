//! Positions in the log, and the entries of its records.

use std::ops::Range;

use crate::model::{LabelsRef, TimestampMs};
use crate::storage::Exemplar;

/// A place between two records. A segment's beginning has offset 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub segment: u32,
    pub offset: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logged {
    /// The id of a series that an [`Entry::Series`] named before.
    pub id: u32,
    pub t: TimestampMs,
    pub v: f64,
}

#[derive(Debug)]
#[non_exhaustive]
pub enum Entry<'a> {
    /// From here on `id` means this series, whatever it meant in another segment. Ids are small
    /// numbers from 0, suitable as indices.
    Series { id: u32, labels: LabelsRef<'a> },
    /// Batches of the same series, mostly scrapes, in the order in which they were logged. If there
    /// are several batches, no series occurs twice in `ids`. The values of a series are adjacent,
    /// one per time.
    Scrapes {
        ids: &'a [Range<u32>],
        times: &'a [TimestampMs],
        values: &'a [f64],
    },
    /// A batch whose samples have times of their own, in logged order.
    Samples(&'a [Logged]),
    /// A batch of samples that were older than the newest of their series.
    OutOfOrder(&'a [Logged]),
    /// Exemplars of series that were named before, in order of arrival.
    Exemplars(&'a [(u32, Exemplar)]),
}

/// The order of the entries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    AsLogged,
    /// Only the entries of one series are in order. Scrapes of the same series come together.
    BySeries,
}
