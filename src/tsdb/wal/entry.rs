//! What the log is asked and what it tells: places in it, and what its records say.

use std::ops::Range;

use crate::model::{LabelsRef, Matcher, TimestampMs};
use crate::storage::Exemplar;

/// A place between two records. A segment's beginning has offset 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub segment: u32,
    pub offset: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logged {
    /// Of a series that an [`Entry::Series`] named before.
    pub id: u32,
    pub t: TimestampMs,
    pub v: f64,
}

#[derive(Debug)]
#[non_exhaustive]
pub enum Entry<'a> {
    /// From here on `id` means this series, whatever it meant in another segment. Ids are small
    /// numbers from 0, good as an index of a list.
    Series { id: u32, labels: LabelsRef<'a> },
    /// Batches of the same series, in the order in which they were logged; most are scrapes. Only
    /// where there are several, no series comes twice in `ids`. The values of a series stand
    /// together, one for each time.
    Scrapes {
        ids: &'a [Range<u32>],
        times: &'a [TimestampMs],
        values: &'a [f64],
    },
    /// A batch whose samples have times of their own, in the order in which it was logged.
    Samples(&'a [Logged]),
    /// The same of samples that were older than the newest of their series.
    OutOfOrder(&'a [Logged]),
    /// Samples of the matching series in `start..=end` were deleted.
    Delete {
        matchers: &'a [Matcher],
        start: TimestampMs,
        end: TimestampMs,
    },
    /// Exemplars of series that were named before, in the order in which they came.
    Exemplars(&'a [(u32, Exemplar)]),
}
