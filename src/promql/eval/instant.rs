//! Instant selectors: at each step the newest sample within the lookback.

use super::crew::{Crew, Made, Make};
use super::evaluator::Evaluation;
use super::grid::Grid;
use super::reach::{Reach, left_open};
use super::row::{Row, Rows, absent, is_absent};
use super::run::Run;
use super::wanted::Wanted;
use crate::model::{Sample, TimestampMs, is_stale_nan};
use crate::promql::error::QueryError;
use crate::promql::parser::{Extent, VectorSelector};
use crate::storage::{Series, Times};

/// What a row is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Values,
    /// The samples' own times, in seconds.
    Times,
    /// 1, whatever the value.
    Presence,
}

pub struct Instant(Crew<Newest>);

impl Instant {
    pub fn open(
        evaluation: &Evaluation,
        selector: &VectorSelector,
        look: Look,
        wanted: Wanted,
        run: &mut Run<'_>,
    ) -> Result<Instant, QueryError> {
        let any_order = !wanted.is_all();
        let set = evaluation.select(&selector.matchers, look.times(), any_order, run)?;
        Ok(Instant(Crew::new(set, Newest::new(look, wanted), run)))
    }
}

impl Rows for Instant {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        while let Some(made) = self.0.next(run)? {
            if made.row.is_some() {
                return Ok(made.row);
            }
        }
        Ok(None)
    }
}

struct Newest {
    look: Look,
    wanted: Wanted,
    /// Of the series at hand.
    samples: Vec<Sample>,
    times: Times,
}

impl Newest {
    fn new(look: Look, wanted: Wanted) -> Newest {
        Newest {
            look,
            wanted,
            samples: Vec::new(),
            times: Times::default(),
        }
    }
}

impl Make for Newest {
    fn make(&mut self, series: &dyn Series, run: &mut Run<'_>) -> Result<Option<Made>, QueryError> {
        let (start, end) = self.look.times();
        let read = if self.look.takes == Takes::Values {
            self.samples.clear();
            series.read(start, end, &mut self.samples)?;
            self.samples.len()
        } else {
            self.times.clear();
            series.read_times(start, end, &mut self.times)?;
            self.times.times.len()
        };
        run.statistics.read_samples += read as u64;
        if read == 0 {
            return Ok(None);
        }
        let mut values = vec![absent(); self.look.steps];
        let present = match self.look.takes {
            Takes::Values => self.look.fill(&mut self.samples, &mut values),
            _ => self.look.fill_times(&self.times, &mut values),
        };
        run.statistics.queryable_samples += present as u64;
        if present == 0 {
            return Ok(None);
        }
        Ok(Some(Made::of(Row {
            labels: self.wanted.glance(series).labels,
            drops_name: false,
            values,
        })))
    }

    fn another(&self) -> Newest {
        Newest::new(self.look, self.wanted.another())
    }

    fn steps(&self) -> usize {
        self.look.steps
    }

    fn bytes(&self) -> usize {
        self.samples.capacity() * size_of::<Sample>()
            + self.times.times.capacity() * size_of::<TimestampMs>()
    }
}

/// How samples become a row.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    reach: Reach,
    lookback_ms: i64,
    steps: usize,
    takes: Takes,
    smoothed: bool,
}

impl Look {
    pub fn new(
        selector: &VectorSelector,
        reach: Reach,
        grid: Grid,
        lookback_ms: i64,
        takes: Takes,
    ) -> Look {
        Look {
            reach,
            lookback_ms,
            steps: grid.steps,
            takes,
            smoothed: selector.extent == Extent::Smoothed && takes == Takes::Values,
        }
    }

    /// The times of all samples that any step looks at, both inclusive.
    pub fn times(&self) -> (TimestampMs, TimestampMs) {
        let ahead = if self.smoothed { self.lookback_ms } else { 0 };
        let oldest = left_open(self.reach.first, self.lookback_ms);
        let newest = self.reach.last.saturating_add(ahead);
        (oldest, newest.max(oldest))
    }

    /// How many steps got a value.
    fn fill(&self, samples: &mut Vec<Sample>, values: &mut [f64]) -> usize {
        if self.smoothed {
            samples.retain(|s| !is_stale_nan(s.v));
            return self.smooth(samples, values);
        }
        // NOTE: a stale marker needs no care: its bits are those of `absent`.
        let at = |i: usize| samples[i].t;
        self.newest(samples.len(), at, values, |i| samples[i].v)
    }

    /// As [`Look::fill`], of what needs no values.
    pub fn fill_times(&self, times: &Times, values: &mut [f64]) -> usize {
        let (stale, times) = (&times.stale, &times.times);
        let is_stale = |i: usize| !stale.is_empty() && stale.binary_search(&(i as u32)).is_ok();
        let at = |i: usize| times[i];
        let takes_times = self.takes == Takes::Times;
        self.newest(times.len(), at, values, |i| match () {
            () if is_stale(i) => absent(),
            () if takes_times => times[i] as f64 / 1000.0,
            () => 1.0,
        })
    }

    #[inline]
    fn newest(
        &self,
        len: usize,
        at: impl Fn(usize) -> TimestampMs,
        values: &mut [f64],
        of: impl Fn(usize) -> f64,
    ) -> usize {
        let (mut next, mut present) = (0, 0);
        let mut reference = self.reach.first;
        for slot in values {
            while next < len && at(next) <= reference {
                next += 1;
            }
            if next > 0 && at(next - 1) > reference.saturating_sub(self.lookback_ms) {
                *slot = of(next - 1);
                present += usize::from(!is_absent(*slot));
            }
            reference = reference.wrapping_add(self.reach.stride);
        }
        present
    }

    /// Between two samples on the line that joins them; after the last its value.
    fn smooth(&self, samples: &[Sample], values: &mut [f64]) -> usize {
        let (mut next, mut present) = (0, 0);
        let mut reference = self.reach.first;
        for slot in values {
            while next < samples.len() && samples[next].t < reference {
                next += 1;
            }
            let within = |s: &&Sample| s.t > reference.saturating_sub(self.lookback_ms);
            let before = next
                .checked_sub(1)
                .and_then(|i| samples.get(i))
                .filter(within);
            let latest = reference.saturating_add(self.lookback_ms);
            let after = samples.get(next).filter(|s| s.t <= latest);
            let value = match (before, after) {
                (_, Some(after)) if after.t == reference => Some(after.v),
                (Some(before), Some(after)) => Some(between(before, after, reference, false)),
                (Some(before), None) => Some(before.v),
                (None, _) => None,
            };
            if let Some(value) = value {
                *slot = value;
                present += 1;
            }
            reference = reference.wrapping_add(self.reach.stride);
        }
        present
    }
}

/// The value at `t` on the line through two samples; a counter that fell between them began anew
/// at 0.
pub fn between(before: &Sample, after: &Sample, t: i64, is_counter: bool) -> f64 {
    let from = if is_counter && after.v < before.v {
        0.0
    } else {
        before.v
    };
    from + (after.v - from) * (t - before.t) as f64 / (after.t - before.t) as f64
}
