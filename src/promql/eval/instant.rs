//! Instant selectors: the newest sample within the lookback, at each step.

use std::ops::Range;

use super::counted::Counted;
use super::evaluator::Evaluation;
use super::grid::Grid;
use super::parallel::{Job, Made, Make, Parallel};
use super::reach::{Reach, left_open};
use super::row::{Row, absent, is_absent};
use super::rows::Rows;
use super::run::Run;
use super::tally::Tally;
use super::wanted::Wanted;
use crate::model::{Sample, TimestampMs, is_stale_nan};
use crate::promql::error::QueryError;
use crate::promql::parser::{Extent, VectorSelector};
use crate::storage::{Series, Spans, Times};

/// What a row's values are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Values,
    /// The samples' times, in seconds.
    Times,
    /// 1 where there is a value.
    Presence,
    /// The number of series with a value. Several series of the same labels share a row.
    Number,
}

pub struct Instant(Parallel<Newest>);

impl Instant {
    pub fn open(
        evaluation: &Evaluation,
        selector: &VectorSelector,
        newest: Newest,
        run: &mut Run<'_>,
    ) -> Result<Instant, QueryError> {
        let any_order = !newest.wanted.is_all();
        let set = evaluation.select(&selector.matchers, newest.look.times(), any_order, run)?;
        Ok(Instant(Parallel::new(set, newest, run)))
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

/// Makes rows of the newest samples.
pub struct Newest {
    look: Look,
    wanted: Wanted,
    /// The steps whose samples are told as read.
    counted: Counted,
    tally: Tally,
    /// The samples of the current series.
    samples: Vec<Sample>,
    times: Times,
    spans: Spans,
}

impl Newest {
    pub fn new(look: Look, wanted: Wanted, counted: Counted) -> Newest {
        Newest {
            look,
            wanted,
            counted,
            tally: Tally::new(look.steps),
            samples: Vec::new(),
            times: Times::default(),
            spans: Spans::new(look.lookback_ms),
        }
    }
}

impl Newest {
    /// Reads a series. Returns its number of samples.
    fn read(&mut self, series: &dyn Series, run: &mut Run<'_>) -> Result<usize, QueryError> {
        let (start, end) = self.look.times();
        let read = match self.look.takes {
            Takes::Values => {
                self.samples.clear();
                series.read(start, end, &mut self.samples)?;
                self.samples.len()
            }
            Takes::Times => {
                self.times.clear();
                series.read_times(start, end, &mut self.times)?;
                self.times.times.len()
            }
            Takes::Presence | Takes::Number => {
                self.spans.read(series, start, end)?;
                self.spans.samples()
            }
        };
        run.statistics.decoded_samples += read as u64;
        Ok(read)
    }

    fn count(&mut self, series: &dyn Series, run: &mut Run<'_>) -> Result<(), QueryError> {
        if self.read(series, run)? == 0 {
            return Ok(());
        }
        let look = self.look;
        let mut spans = look.steps_of(&self.spans).peekable();
        if spans.peek().is_some() {
            let counts = self.tally.of(self.wanted.glance(series).labels);
            for steps in spans {
                run.looked_at(steps.len(), self.counted.among(steps.clone()));
                counts.add(steps);
            }
        }
        Ok(())
    }
}

impl Make for Newest {
    fn make(&mut self, series: &dyn Series, run: &mut Run<'_>) -> Result<Option<Made>, QueryError> {
        if self.look.takes == Takes::Number {
            self.count(series, run)?;
            return Ok(self.tally.rows().next().map(Made::of));
        }
        if self.read(series, run)? == 0 {
            return Ok(None);
        }
        let mut values = vec![absent(); self.look.steps];
        let present = match self.look.takes {
            Takes::Values => self.look.fill(&mut self.samples, &mut values),
            Takes::Times => self.look.fill_times(&self.times, &mut values),
            _ => self.look.fill_spans(&self.spans, &mut values),
        };
        run.looked_at(present, self.counted.among_present(&values, present));
        if present == 0 {
            return Ok(None);
        }
        Ok(Some(Made::of(Row {
            labels: self.wanted.glance(series).labels,
            drops_name: false,
            values,
        })))
    }

    fn make_all(&mut self, job: Job, run: &mut Run<'_>) -> Result<Vec<Made>, QueryError> {
        let mut rows = Vec::new();
        if self.look.takes != Takes::Number {
            rows.reserve_exact(job.len());
        }
        for series in job {
            run.check()?;
            match self.look.takes {
                Takes::Number => self.count(&*series, run)?,
                _ => rows.extend(self.make(&*series, run)?),
            }
        }
        rows.extend(self.tally.rows().map(Made::of));
        Ok(rows)
    }

    fn another(&self) -> Newest {
        Newest::new(self.look, self.wanted.another(), self.counted.clone())
    }

    fn steps(&self) -> usize {
        self.look.steps
    }

    fn bytes(&self) -> usize {
        self.samples.capacity() * size_of::<Sample>()
            + self.times.times.capacity() * size_of::<TimestampMs>()
            + self.spans.heap_bytes()
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

    /// Returns the range of times that the steps cover, both inclusive.
    pub fn times(&self) -> (TimestampMs, TimestampMs) {
        let ahead = if self.smoothed { self.lookback_ms } else { 0 };
        let oldest = left_open(self.reach.first, self.lookback_ms);
        let newest = self.reach.last.saturating_add(ahead);
        (oldest, newest.max(oldest))
    }

    /// Fills in the values. Returns the number of steps that got one.
    fn fill(&self, samples: &mut Vec<Sample>, values: &mut [f64]) -> usize {
        if self.smoothed {
            samples.retain(|s| !is_stale_nan(s.v));
            return self.smooth(samples, values);
        }
        // NOTE: stale markers need no special case, since their bits are those of `absent`.
        let at = |i: usize| samples[i].t;
        self.newest(samples.len(), at, values, |i| samples[i].v)
    }

    /// Does as [`Look::fill`], and takes the samples' times for their values.
    pub fn fill_times(&self, times: &Times, values: &mut [f64]) -> usize {
        let (stale, times) = (&times.stale, &times.times);
        let is_stale = |i: usize| !stale.is_empty() && stale.binary_search(&(i as u32)).is_ok();
        let at = |i: usize| times[i];
        self.newest(times.len(), at, values, |i| {
            if is_stale(i) {
                absent()
            } else {
                times[i] as f64 / 1000.0
            }
        })
    }

    /// Does as [`Look::fill`], where every value is 1.
    fn fill_spans(&self, spans: &Spans, values: &mut [f64]) -> usize {
        let mut present = 0;
        for steps in self.steps_of(spans) {
            present += steps.len();
            values[steps].fill(1.0);
        }
        present
    }

    /// Yields the steps with a value, without empty ranges.
    fn steps_of(&self, spans: &Spans) -> impl Iterator<Item = Range<usize>> {
        { spans.iter() }
            .map(|span| self.steps_in(span))
            .filter(|steps| !steps.is_empty())
    }

    /// Returns the steps whose times lie in `span`. NOTE: a pinned selector (`@`) has one step
    /// only.
    fn steps_in(&self, span: Range<TimestampMs>) -> Range<usize> {
        let stride = self.reach.stride.max(1);
        let first_from = |t: TimestampMs| match t.saturating_sub(self.reach.first) {
            ..=0 => 0,
            // ORDER: before the division, which is slow.
            _ if t > self.reach.last => self.steps,
            after => usize::try_from((after - 1) / stride + 1).unwrap_or(self.steps),
        };
        first_from(span.start)..first_from(span.end).min(self.steps)
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

    /// Interpolates between two samples. After the last one it takes that value.
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

/// Returns the value at `t` on the line through two samples. A counter that fell between them was
/// reset to 0.
pub fn between(before: &Sample, after: &Sample, t: i64, is_counter: bool) -> f64 {
    let from = if is_counter && after.v < before.v {
        0.0
    } else {
        before.v
    };
    from + (after.v - from) * (t - before.t) as f64 / (after.t - before.t) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::stale_nan;

    /// Whether each step has a value, computed by the newest sample, and counted by spans.
    fn both_ways(samples: &[(i64, bool)], look: Look) -> (Vec<f64>, Vec<f64>) {
        let sample = |(t, is_stale): &(i64, bool)| Sample {
            t: *t,
            v: if *is_stale { stale_nan() } else { 2.0 },
        };
        let samples: Vec<Sample> = samples.iter().map(sample).collect();
        let mut times = Times::default();
        times.extend(&samples);
        let mut values = vec![absent(); look.steps];
        let present = look.fill_times(&times, &mut values);
        { values.iter_mut().filter(|v| !is_absent(**v)) }.for_each(|v| *v = 1.0);
        let mut spans = Spans::new(look.lookback_ms);
        spans.add(&times);
        let mut filled = vec![absent(); look.steps];
        assert_eq!(look.fill_spans(&spans, &mut filled), present);
        assert_eq!(bits(&filled), bits(&values));
        let mut tally = Tally::new(look.steps);
        let counts = tally.of(crate::model::Labels::empty());
        look.steps_of(&spans).for_each(|steps| counts.add(steps));
        (tally.rows().next().unwrap().values, values)
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn spans_are_where_a_sample_is_near(
            samples in prop::collection::btree_map(0i64..400, prop::bool::weighted(0.2), 0..40),
            (first, stride, steps) in (-50i64..400, 1i64..60, 1usize..12),
            lookback_ms in 1i64..80,
        ) {
            let last = first + stride * (steps as i64 - 1);
            let look = Look {
                reach: Reach { first, stride, last },
                lookback_ms,
                steps,
                takes: Takes::Presence,
                smoothed: false,
            };
            let samples: Vec<_> = samples.into_iter().collect();
            let (counted, filled) = both_ways(&samples, look);
            prop_assert_eq!(bits(&counted), bits(&filled));
        }
    }
}
