//! Functions over ranges: windows that slide over one series' samples.

use std::collections::HashSet;
use std::ops::Range;

use super::distinct::same_labels;
use super::edge::Edge;
use super::grid::Grid;
use super::operand::Scalars;
use super::parallel::{Made, Make, Parallel};
use super::reach::{Reach, left_open};
use super::row::{Row, Rows, absent, is_absent};
use super::run::Run;
use super::wanted::{Glance, Wanted};
use super::window::{Span, Window, WindowFn};
use crate::model::{Labels, Sample, TimestampMs};
use crate::promql::error::QueryError;
use crate::promql::functions::{Scratch, check_arguments, quantile_ranked, remark_name};
use crate::promql::parser::Call;
use crate::storage::{Columns, Series, Times};

/// LIMIT: samples that windows of one series go over between two looks at the clock: milliseconds.
const SAMPLES_PER_LOOK: usize = 1 << 20;

/// One row a series.
pub struct Rollup<'q> {
    call: &'q Call,
    source: Source<'q>,
    windows: Windows,
    /// The series so far, where two may be alike without their names.
    seen: HashSet<u64>,
    /// That all arguments are fit is asked once the first window comes.
    checked: bool,
}

impl<'q> Rollup<'q> {
    pub fn new(call: &'q Call, source: Source<'q>, windows: Windows) -> Rollup<'q> {
        Rollup {
            call,
            source,
            windows,
            seen: HashSet::new(),
            checked: false,
        }
    }

    fn made(&mut self, run: &mut Run<'_>) -> Result<Option<Made>, QueryError> {
        match &mut self.source {
            Source::Stored(parallel) => parallel.next(run),
            Source::Rows(rows) => loop {
                let samples = &mut self.windows.samples;
                let Some((labels, drops_name)) = rows.next(samples, run)? else {
                    return Ok(None);
                };
                let Some((values, found)) = self.windows.values(run)? else {
                    continue;
                };
                if !found {
                    return Ok(Some(Made::nothing()));
                }
                let told = Glance::of(labels, self.windows.tells_names());
                return Ok(Some(self.windows.made(told, drops_name, values, run)));
            },
            Source::Nothing => Ok(None),
        }
    }
}

impl Rows for Rollup<'_> {
    fn next(&mut self, run: &mut Run<'_>) -> Result<Option<Row>, QueryError> {
        while let Some(made) = self.made(run)? {
            if !self.checked {
                check_arguments(
                    self.call,
                    &self.windows.slide.args,
                    self.windows.slide.grid,
                    run,
                )?;
                self.checked = true;
            }
            if let Some(name) = &made.remark {
                remark_name(self.call, name, run);
            }
            if let Some(identity) = made.identity {
                run.hold(0, 2 * size_of::<u64>())?;
                if !self.seen.insert(identity) {
                    return Err(same_labels());
                }
            }
            if made.row.is_some() {
                return Ok(made.row);
            }
        }
        Ok(None)
    }
}

/// Makes a row of the windows over a series' samples.
pub struct Windows {
    pub slide: Slide,
    /// As `last_over_time` does.
    keeps_name: bool,
    /// The last name that was worth a remark.
    remarked: String,
    wanted: Wanted,
    /// Whether values do not matter.
    takes_times: bool,
    /// Of the series at hand.
    samples: Columns,
    times: Times,
    scratch: Scratch,
}

impl Windows {
    pub fn new(call: &Call, slide: Slide, keeps_name: bool, wanted: Wanted) -> Windows {
        let is_plain = slide.before_ms == 0 && slide.ahead_ms == 0;
        Windows {
            slide,
            keeps_name,
            remarked: String::new(),
            wanted,
            takes_times: is_plain && takes_times(call.function.name),
            samples: Columns::default(),
            times: Times::default(),
            scratch: Scratch::default(),
        }
    }

    /// The values of the windows over the samples at hand; none where there are no samples.
    fn values(&mut self, run: &mut Run<'_>) -> Result<Option<(Vec<f64>, bool)>, QueryError> {
        self.samples.drop_stale();
        if self.samples.is_empty() {
            return Ok(None);
        }
        let (slide, scratch) = (&self.slide, &mut self.scratch);
        let mut values = vec![absent(); slide.grid.steps];
        let done = slide.fill(&self.samples, &mut values, scratch, run)?;
        run.statistics.queryable_samples += done.looked_at;
        Ok(Some((values, done.found)))
    }

    /// `told` are the labels as far as they are wanted, and whether the name is to be dropped at
    /// the end.
    fn made(&mut self, told: Glance, drops_name: bool, values: Vec<f64>, run: &Run<'_>) -> Made {
        let remark = self.remark(&told.name);
        let mut row = Row {
            labels: told.labels,
            drops_name,
            values,
        };
        // NOTE: few labels come without the name.
        if !self.keeps_name && self.wanted.is_all() {
            row.drop_name(run);
        }
        Made {
            row: Some(row),
            remark,
            identity: told.identity,
        }
    }

    fn tells_names(&self) -> bool {
        self.wanted.tells_name
    }

    fn remark(&mut self, name: &str) -> Option<String> {
        if name.is_empty() || name == self.remarked {
            return None;
        }
        name.clone_into(&mut self.remarked);
        Some(name.to_owned())
    }

    fn read(&mut self, series: &dyn Series) -> Result<(), QueryError> {
        let (start, end) = self.slide.times();
        self.samples.clear();
        if !self.takes_times {
            return Ok(series.read_columns(start, end, &mut self.samples)?);
        }
        self.times.clear();
        series.read_times(start, end, &mut self.times)?;
        let Columns { times, values } = &mut self.samples;
        std::mem::swap(times, &mut self.times.times);
        values.resize(times.len(), 1.0);
        for stale in &self.times.stale {
            if let Some(v) = values.get_mut(*stale as usize) {
                *v = absent();
            }
        }
        Ok(())
    }
}

/// Whether a function asks for no value of its windows.
fn takes_times(function: &str) -> bool {
    matches!(
        function,
        "absent_over_time"
            | "count_over_time"
            | "present_over_time"
            | "ts_of_first_over_time"
            | "ts_of_last_over_time"
    )
}

impl Make for Windows {
    fn make(&mut self, series: &dyn Series, run: &mut Run<'_>) -> Result<Option<Made>, QueryError> {
        self.read(series)?;
        run.statistics.read_samples += self.samples.len() as u64;
        let Some((values, found)) = self.values(run)? else {
            return Ok(None);
        };
        if !found {
            return Ok(Some(Made::nothing()));
        }
        let told = self.wanted.glance(series);
        Ok(Some(self.made(told, false, values, run)))
    }

    fn another(&self) -> Windows {
        Windows {
            slide: self.slide.clone(),
            keeps_name: self.keeps_name,
            remarked: String::new(),
            wanted: self.wanted.another(),
            takes_times: self.takes_times,
            samples: Columns::default(),
            times: Times::default(),
            scratch: Scratch::default(),
        }
    }

    fn steps(&self) -> usize {
        self.slide.grid.steps
    }

    fn bytes(&self) -> usize {
        self.samples.heap_bytes()
            + self.times.times.capacity() * size_of::<TimestampMs>()
            + self.scratch.bytes()
    }
}

/// Where the samples come from.
pub enum Source<'q> {
    Stored(Box<Parallel<Windows>>),
    Rows(SubRows<'q>),
    Nothing,
}

/// A subquery's rows, over the steps of its own grid.
pub struct SubRows<'q> {
    pub rows: Box<dyn Rows + 'q>,
    pub grid: Grid,
    through: bool,
}

impl<'q> SubRows<'q> {
    pub fn new(rows: Box<dyn Rows + 'q>, grid: Grid) -> SubRows<'q> {
        SubRows {
            rows,
            grid,
            through: false,
        }
    }

    /// The next row's samples, in place of those in `samples`; its labels, and whether the name is
    /// to be dropped at the end.
    fn next(
        &mut self,
        samples: &mut Columns,
        run: &mut Run<'_>,
    ) -> Result<Option<(Labels, bool)>, QueryError> {
        if self.through {
            return Ok(None);
        }
        // NOTE: what a subquery's own selectors look at is not counted, but what the windows over
        // it do.
        let counted = run.statistics.queryable_samples;
        let row = self.rows.next(run)?;
        run.statistics.queryable_samples = counted;
        let Some(row) = row else {
            let steps = self.grid.steps;
            run.release(steps, steps * size_of::<Sample>());
            self.through = true;
            return Ok(None);
        };
        samples.clear();
        samples.extend(present(&row.values, self.grid));
        Ok(Some((row.labels, row.drops_name)))
    }
}

/// A row's values as samples.
pub fn present(values: &[f64], grid: Grid) -> impl Iterator<Item = Sample> {
    let sample = move |(step, v): (usize, &f64)| Sample {
        t: grid.time(step),
        v: *v,
    };
    let is_present = |(_, v): &(usize, &f64)| !is_absent(**v);
    values.iter().enumerate().filter(is_present).map(sample)
}

/// How windows go over samples, and what is made of each.
#[derive(Clone)]
pub struct Slide {
    pub f: WindowFn,
    pub kind: Kind,
    pub args: Vec<Scalars>,
    pub reach: Reach,
    pub range_ms: i64,
    /// What a window holds besides its range, of `anchored` and `smoothed`.
    pub before_ms: i64,
    pub ahead_ms: i64,
    pub grid: Grid,
}

/// How a function is computed, where there is a better way than window by window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Any,
    Resets,
    Extrapolated { is_counter: bool, is_rate: bool },
    Quantile,
}

/// A window that begins so many samples after the one before it is not worth a rank for each.
const QUANTILE_STRIDE: usize = 64;

impl Kind {
    /// Of a function without modifiers.
    pub fn of(function: &str) -> Kind {
        let extrapolated = |is_counter, is_rate| Kind::Extrapolated {
            is_counter,
            is_rate,
        };
        match function {
            "delta" => extrapolated(false, false),
            "increase" => extrapolated(true, false),
            "rate" => extrapolated(true, true),
            "resets" => Kind::Resets,
            "quantile_over_time" => Kind::Quantile,
            _ => Kind::Any,
        }
    }
}

pub struct Done {
    /// Whether any step got a value.
    found: bool,
    /// Samples in all windows.
    looked_at: u64,
}

impl Slide {
    /// The times of all samples that any window holds, both inclusive.
    pub fn times(&self) -> (TimestampMs, TimestampMs) {
        let length = self.range_ms.saturating_add(self.before_ms);
        let last = self.reach.last.saturating_add(self.ahead_ms);
        (left_open(self.reach.first, length), last)
    }

    /// What the windows come to, step by step.
    pub fn fill(
        &self,
        samples: &Columns,
        values: &mut [f64],
        scratch: &mut Scratch,
        run: &Run<'_>,
    ) -> Result<Done, QueryError> {
        match self.kind {
            Kind::Extrapolated {
                is_counter,
                is_rate,
            } => {
                let Scratch { plans, falls, .. } = scratch;
                falls.find(if is_counter { &samples.values } else { &[] });
                let plan = plans.of(&samples.times, is_rate, self.spans(&samples.times));
                Ok(Done {
                    found: plan.fill(&samples.values, falls, is_counter, values),
                    looked_at: plan.looked_at,
                })
            }
            Kind::Resets => {
                let falls = &mut scratch.falls;
                falls.find(&samples.values);
                let f = |_: &Window<'_>, _: &[f64], range: Range<usize>| {
                    falls.within(range.start, range.end - 1).len() as f64
                };
                self.each(samples, values, f, run)
            }
            // NOTE: to rank all samples pays where windows share them.
            Kind::Quantile if samples.len() < values.len().saturating_mul(QUANTILE_STRIDE) => {
                let ranks = &mut scratch.ranks;
                ranks.reset(&samples.values);
                let mut held = 0..0;
                let f = |window: &Window<'_>, args: &[f64], range: Range<usize>| {
                    (held.end.max(range.start)..range.end).for_each(|i| ranks.enter(i));
                    (held.start..range.start.min(held.end)).for_each(|i| ranks.leave(i));
                    held = range;
                    let phi = args.first().copied().unwrap_or(f64::NAN);
                    quantile_ranked(phi, window.values.len(), ranks)
                };
                self.each(samples, values, f, run)
            }
            Kind::Any | Kind::Quantile => {
                let f = |window: &Window<'_>, args: &[f64], _| (self.f)(window, args, scratch);
                self.each(samples, values, f, run)
            }
        }
    }

    #[inline]
    fn each(
        &self,
        samples: &Columns,
        values: &mut [f64],
        mut f: impl FnMut(&Window<'_>, &[f64], Range<usize>) -> f64,
        run: &Run<'_>,
    ) -> Result<Done, QueryError> {
        let mut args: Vec<f64> = self.args.iter().map(|scalars| scalars.at(0)).collect();
        let vary = { self.args.iter() }.any(|scalars| matches!(scalars, Scalars::Each(_)));
        let (mut found, mut looked_at, mut until_look) = (false, 0, SAMPLES_PER_LOOK);
        let spans = self.spans(&samples.times);
        for (step, (slot, span)) in values.iter_mut().zip(spans).enumerate() {
            let times = samples.times.get(span.range.clone()).unwrap_or_default();
            let values = samples.values.get(span.range.clone()).unwrap_or_default();
            if times.is_empty() {
                continue;
            }
            if vary {
                for (arg, scalars) in args.iter_mut().zip(&self.args) {
                    *arg = scalars.at(step);
                }
            }
            let window = Window {
                times,
                values,
                start: span.start,
                end: span.end,
                t: span.t,
            };
            *slot = f(&window, &args, span.range);
            found |= !is_absent(*slot);
            looked_at += times.len() as u64;
            until_look = until_look.saturating_sub(times.len());
            if until_look == 0 {
                run.look()?;
                until_look = SAMPLES_PER_LOOK;
            }
        }
        Ok(Done { found, looked_at })
    }

    /// The windows over `times`, step by step.
    fn spans<'t>(&self, times: &'t [TimestampMs]) -> impl Iterator<Item = Span> + use<'t> {
        let (range_ms, before_ms, ahead_ms) = (self.range_ms, self.before_ms, self.ahead_ms);
        let (step_ms, stride) = (self.grid.step_ms, self.reach.stride);
        let (mut next_t, mut next_end) = (self.grid.start, self.reach.first);
        let (mut first, mut last) = (Edge::default(), Edge::default());
        (0..self.grid.steps).map(move |_| {
            let (t, end) = (next_t, next_end);
            (next_t, next_end) = (t.wrapping_add(step_ms), end.wrapping_add(stride));
            let start = end.saturating_sub(range_ms);
            let from = first.go_to(times, start.saturating_sub(before_ms));
            let upto = last.go_to(times, end.saturating_add(ahead_ms));
            Span {
                range: from..upto,
                start,
                end,
                t,
            }
        })
    }
}
