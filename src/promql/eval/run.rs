//! A running query: its limits, what it holds, and its annotations.

use std::sync::Arc;
use std::time::Duration;

use super::counted::Counted;
use super::grid::Grid;
use super::parallel::{Helpers, Limits};
use super::row::{Row, without_name};
use crate::promql::annotations::Annotations;
use crate::promql::error::QueryError;
use crate::promql::statistics::Statistics;
use crate::stdx::clock::Clock;
use crate::stdx::stop::Stop;

const EVALUATION: &str = "expression evaluation";

/// Rows between two looks at the clock. A look takes microseconds.
const ROWS_PER_LOOK: u32 = 64;

pub struct Run<'e> {
    clock: &'e dyn Clock,
    deadline: Duration,
    cancel: &'e Stop,
    samples_max: usize,
    bytes_max: usize,
    samples_held: usize,
    bytes_held: usize,
    rows_until_look: u32,
    delays_names: bool,
    helpers: Option<Arc<Helpers>>,
    /// Which steps of subqueries count.
    counted: Vec<Counted>,
    pub annotations: Annotations,
    pub statistics: Statistics,
}

impl<'e> Run<'e> {
    pub fn new(
        clock: &'e dyn Clock,
        deadline: Duration,
        cancel: &'e Stop,
        samples_max: usize,
        delays_names: bool,
    ) -> Run<'e> {
        Run {
            clock,
            deadline,
            cancel,
            samples_max,
            bytes_max: usize::MAX,
            samples_held: 0,
            bytes_held: 0,
            rows_until_look: 0,
            delays_names,
            helpers: None,
            counted: Vec::new(),
            annotations: Annotations::default(),
            statistics: Statistics::default(),
        }
    }

    /// Lets the query use a helper, if one is free.
    #[must_use]
    pub fn with_helpers(mut self, helpers: &Arc<Helpers>) -> Run<'e> {
        self.helpers = Some(helpers.clone());
        self
    }

    pub fn helpers(&self) -> Option<&Arc<Helpers>> {
        self.helpers.as_ref()
    }

    pub fn limits(&self) -> Limits {
        Limits {
            deadline: self.deadline,
            cancel: self.cancel.clone(),
            delays_names: self.delays_names,
        }
    }

    /// The time on the monotonic clock.
    pub fn now(&self) -> Duration {
        self.clock.mono()
    }

    /// Limits the bytes that [`Run::hold`] may count. Without it there is no limit.
    #[must_use]
    pub fn with_bytes_max(mut self, bytes_max: usize) -> Run<'e> {
        self.bytes_max = bytes_max;
        self
    }

    /// Whether names are dropped at the end of the query rather than at once.
    pub fn delays_names(&self) -> bool {
        self.delays_names
    }

    /// Drops a row's name, for functions whose result is another metric.
    pub fn drop_name(&self, row: &mut Row) {
        if self.delays_names {
            row.drops_name = true;
        } else {
            row.labels = without_name(&row.labels);
        }
    }

    /// Checks the limits now and then. Call it in every loop that may be long, once per row.
    ///
    /// # Errors
    /// The time is over, or nobody waits for the answer any more.
    pub fn check(&mut self) -> Result<(), QueryError> {
        if let Some(left) = self.rows_until_look.checked_sub(1) {
            self.rows_until_look = left;
            return Ok(());
        }
        self.rows_until_look = ROWS_PER_LOOK;
        self.look()
    }

    /// Checks at once what [`Run::check`] checks. Call it before long work.
    ///
    /// # Errors
    /// The time is over, or nobody waits for the answer any more.
    pub fn look(&self) -> Result<(), QueryError> {
        if self.cancel.is_stopped() {
            return Err(QueryError::Canceled(EVALUATION));
        }
        if self.clock.mono() >= self.deadline {
            return Err(QueryError::Timeout(EVALUATION));
        }
        Ok(())
    }

    /// Counts stored samples, each used by one step. `read` are those of steps that count.
    pub fn looked_at(&mut self, samples: usize, read: usize) {
        self.statistics.queryable_samples += samples as u64;
        self.statistics.read_samples += read as u64;
    }

    /// Returns the steps of `grid` that count.
    pub fn counted(&self, grid: Grid) -> Counted {
        let known = grid.counted.checked_sub(1);
        let known = known.and_then(|at| self.counted.get(at));
        known.cloned().unwrap_or_default()
    }

    /// Notes which steps of `grid` count. Returns a grid that knows it.
    ///
    /// # Errors
    /// The query's limits.
    pub fn count_only(&mut self, grid: Grid, counted: Counted) -> Result<Grid, QueryError> {
        if counted.is_all() {
            return Ok(grid);
        }
        self.hold(0, counted.heap_bytes())?;
        self.counted.push(counted);
        Ok(Grid {
            counted: self.counted.len(),
            ..grid
        })
    }

    /// Counts samples and bytes that are held until [`Run::release`]. Whatever keeps more than one
    /// row, or makes a table, must call it.
    ///
    /// # Errors
    /// The query's limits.
    pub fn hold(&mut self, samples: usize, bytes: usize) -> Result<(), QueryError> {
        self.samples_held = self.samples_held.saturating_add(samples);
        self.bytes_held = self.bytes_held.saturating_add(bytes);
        let peak = &mut self.statistics.peak_samples;
        *peak = (*peak).max(self.samples_held as u64);
        if self.samples_held > self.samples_max {
            return Err(QueryError::TooManySamples);
        }
        if self.bytes_held > self.bytes_max {
            return Err(QueryError::TooManyBytes(self.bytes_max));
        }
        Ok(())
    }

    /// Releases what was held.
    pub fn release(&mut self, samples: usize, bytes: usize) {
        self.samples_held = self.samples_held.saturating_sub(samples);
        self.bytes_held = self.bytes_held.saturating_sub(bytes);
    }

    /// Returns the held samples and bytes.
    #[cfg(test)]
    pub fn held(&self) -> (usize, usize) {
        (self.samples_held, self.bytes_held)
    }

    /// Counts a row that is kept, as [`Run::hold`] does.
    ///
    /// # Errors
    /// The query's limits.
    pub fn keep(&mut self, row: &Row) -> Result<(), QueryError> {
        self.hold(row.present(), bytes_of(row))
    }

    /// Releases a kept row. It must be as it was when it was counted.
    pub fn let_go(&mut self, row: &Row) {
        self.release(row.present(), bytes_of(row));
    }
}

fn bytes_of(row: &Row) -> usize {
    size_of::<Row>() + row.values.capacity() * size_of::<f64>() + row.labels.heap_bytes()
}
