//! The one view of the storage that all selectors of a query share. All of them see each batch
//! committed during the query whole, or not at all.

use crate::model::{Matcher, TimestampMs};
use crate::storage::{Querier, Queryable, SelectHints, SeriesSet, StorageError};

/// Kept as long as the query.
pub struct View {
    querier: Box<dyn Querier>,
    span: Span,
}

/// A range of times, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: TimestampMs,
    pub end: TimestampMs,
}

impl Span {
    pub fn of((start, end): (TimestampMs, TimestampMs)) -> Span {
        Span { start, end }
    }

    pub fn and(self, other: Span) -> Span {
        Span {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

impl View {
    pub fn open(storage: &dyn Queryable, span: Span) -> Result<View, StorageError> {
        Ok(View {
            querier: storage.querier(span.start, span.end)?,
            span,
        })
    }

    pub fn has(&self, (start, end): (TimestampMs, TimestampMs)) -> bool {
        self.span.start <= start && end <= self.span.end
    }

    pub fn select(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        self.querier.select(hints, matchers)
    }
}
