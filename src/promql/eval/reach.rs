//! The times that a selector covers.

use super::grid::Grid;
use crate::model::TimestampMs;
use crate::promql::parser::At;

/// The time that a selector or subquery refers to at each step: `first`, `first + stride`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    pub first: TimestampMs,
    /// 0 where `@` pins it.
    pub stride: i64,
    pub last: TimestampMs,
}

impl Reach {
    /// `query` is the whole query's start and end, whatever grid a subquery has.
    pub fn new(
        grid: Grid,
        at: Option<At>,
        offset_ms: i64,
        query: (TimestampMs, TimestampMs),
    ) -> Reach {
        let pinned = match at {
            None => None,
            Some(At::Time(t)) => Some(t),
            Some(At::Start) => Some(query.0),
            Some(At::End) => Some(query.1),
        };
        let (first, last) = pinned.map_or((grid.start, grid.end()), |t| (t, t));
        Reach {
            first: first.saturating_sub(offset_ms),
            stride: if pinned.is_some() { 0 } else { grid.step_ms },
            last: last.saturating_sub(offset_ms),
        }
    }
}

/// Returns the first millisecond of a window that excludes its left end.
pub fn left_open(end: TimestampMs, length_ms: i64) -> TimestampMs {
    end.saturating_sub(length_ms).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let grid = Grid::between(100, 155, 10);
        let check = |at, offset, expect: (i64, i64, i64)| {
            let reach = Reach::new(grid, at, offset, (1, 2));
            assert_eq!(
                (reach.first, reach.stride, reach.last),
                expect,
                "{at:?} {offset}"
            );
        };
        check(None, 0, (100, 10, 150));
        check(None, -7, (107, 10, 157));
        check(Some(At::Time(40)), 3, (37, 0, 37));
        check(Some(At::Start), 0, (1, 0, 1));
        check(Some(At::End), 0, (2, 0, 2));
        assert_eq!(left_open(10, 3), 8);
    }
}
