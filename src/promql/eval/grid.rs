//! The steps that an expression is evaluated at.

use crate::model::TimestampMs;

/// The times `start`, `start + step_ms`, …: `steps` of them, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    pub start: TimestampMs,
    /// At least 1.
    pub step_ms: i64,
    pub steps: usize,
    /// Whether this is a range query, even with a single step.
    pub is_range: bool,
    /// The number by which the run knows which steps count; 0 where all do.
    pub counted: usize,
}

impl Grid {
    /// Makes the grid of a single time.
    pub fn at(t: TimestampMs) -> Grid {
        Grid {
            start: t,
            step_ms: 1,
            steps: 1,
            is_range: false,
            counted: 0,
        }
    }

    /// Makes the steps up to `end`, which may lie between two steps.
    pub fn between(start: TimestampMs, end: TimestampMs, step_ms: i64) -> Grid {
        let step_ms = step_ms.max(1);
        let more = end.saturating_sub(start).max(0) / step_ms;
        Grid {
            start,
            step_ms,
            steps: usize::try_from(more)
                .unwrap_or(usize::MAX)
                .saturating_add(1),
            is_range: end > start,
            counted: 0,
        }
    }

    /// Makes the grid of the first step alone.
    pub fn first(self) -> Grid {
        Grid {
            counted: self.counted,
            ..Grid::at(self.start)
        }
    }

    pub fn time(&self, step: usize) -> TimestampMs {
        let after = (step as i64).saturating_mul(self.step_ms);
        self.start.saturating_add(after)
    }

    pub fn end(&self) -> TimestampMs {
        self.time(self.steps.saturating_sub(1))
    }
}
