//! What of a series a view sees: in the head and not in its blocks, in order or late.

use super::lock::State;
use super::views::Scope;
use crate::model::TimestampMs;

impl State {
    /// Whether a series may have samples in the scope.
    pub fn has_samples(&self, at: u32, scope: Scope) -> bool {
        let (series, mut start) = (self.slab.at(at), scope.start);
        if !self.floors.is_empty() {
            let floor = self.floors.of(self.slab.reference(at), scope.view);
            start = start.max(floor.after());
        }
        series.overlaps(&self.pool, start, scope.end) || self.has_late(at, scope)
    }

    /// Whether the newest sample that a view sees is in a block that it sees.
    pub fn is_in_block(&self, at: u32, seen_t: TimestampMs, scope: Scope) -> bool {
        let floor = || self.floors.of(self.slab.reference(at), scope.view);
        !self.floors.is_empty() && seen_t <= floor().through
    }

    /// Of the oldest sample that the series at a place has.
    pub fn first_t(&self, at: u32) -> Option<TimestampMs> {
        let ordered = self.slab.at(at).first_t(&self.pool);
        let both = ordered.into_iter().chain(self.late.first_t(at));
        both.min()
    }

    pub fn has_late(&self, at: u32, scope: Scope) -> bool {
        if !self.late.has_series(at) {
            return false;
        }
        let floor = self.floors.of(self.slab.reference(at), scope.view);
        self.late.seen(at, scope, floor.commit).next().is_some()
    }
}
