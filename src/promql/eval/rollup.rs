//! Functions over ranges: windows slide over one series' samples.

use std::collections::HashSet;
use std::ops::Range;

use super::counted::Counted;
use super::distinct::same_labels;
use super::edge::Edge;
use super::grid::Grid;
use super::operand::Scalars;
use super::parallel::{Made, Make, Parallel};
use super::reach::{Reach, left_open};
use super::row::{Row, absent, is_absent};
use super::rows::Rows;
use super::run::Run;
use super::wanted::{Glance, Wanted};
use super::window::{Span, Window};
use crate::model::{Labels, Sample, TimestampMs};
use crate::promql::error::QueryError;
use crate::promql::functions::{Scratch, WindowFn, check_arguments, quantile_ranked, remark_name};
use crate::promql::parser::Call;
use crate::storage::{Columns, Series, Times};

/// LIMIT: samples that one series' windows visit between two looks at the clock. They take
/// milliseconds.
const SAMPLES_PER_LOOK: usize = 1 << 20;

/// Gives one row per series.
pub struct Rollup<'q> {
    call: &'q Call,
    source: Source<'q>,
    windows: Windows,
    /// Identities of the series so far, where two may be equal without their names.
    seen: HashSet<u64>,
    /// Whether the arguments were checked, which happens when the first window comes.
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

/// Makes a row from the windows over a series' samples.
pub struct Windows {
    pub slide: Slide,
    /// The row keeps its name, as with `last_over_time`.
    keeps_name: bool,
    /// The last name that was worth a remark.
    remarked: String,
    wanted: Wanted,
    /// Whether values do not matter.
    takes_times: bool,
    /// The samples of the current series.
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

    /// Computes the windows over the current samples; `None` where there are no samples.
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

    /// Makes the result of a series. `told` has the labels that are wanted. `drops_name` says that
    /// the name is dropped at the end.
    fn made(&mut self, told: Glance, drops_name: bool, values: Vec<f64>, run: &Run<'_>) -> Made {
        let remark = self.remark(&told.name);
        let mut row = Row {
            labels: told.labels,
            drops_name,
            values,
        };
        // NOTE: projected labels are already without the name.
        if !self.keeps_name && self.wanted.is_all() {
            run.drop_name(&mut row);
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

/// Whether a function uses no value of its windows.
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
        run.statistics.decoded_samples += self.samples.len() as u64;
        let before = run.statistics.queryable_samples;
        let Some((values, found)) = self.values(run)? else {
            return Ok(None);
        };
        run.statistics.read_samples += match &self.slide.counted {
            counted if !counted.is_all() => self.slide.read(&self.samples.times),
            _ if self.slide.is_seamless() => self.samples.len() as u64,
            _ => run.statistics.queryable_samples - before,
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

    /// Replaces `samples` by the next row's. Returns its labels, and whether the name is dropped at
    /// the end.
    fn next(
        &mut self,
        samples: &mut Columns,
        run: &mut Run<'_>,
    ) -> Result<Option<(Labels, bool)>, QueryError> {
        if self.through {
            return Ok(None);
        }
        // NOTE: samples of the subquery's own selectors are not counted, those of the windows over
        // it are.
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

/// Yields a row's values as samples.
pub fn present(values: &[f64], grid: Grid) -> impl Iterator<Item = Sample> {
    let sample = move |(step, v): (usize, &f64)| Sample {
        t: grid.time(step),
        v: *v,
    };
    let is_present = |(_, v): &(usize, &f64)| !is_absent(**v);
    values.iter().enumerate().filter(is_present).map(sample)
}

/// How windows slide over samples, and what is computed from each.
#[derive(Clone)]
pub struct Slide {
    pub f: WindowFn,
    pub kind: Kind,
    pub args: Vec<Scalars>,
    pub reach: Reach,
    pub range_ms: i64,
    /// What a window holds beyond its range, with `anchored` and `smoothed`.
    pub before_ms: i64,
    pub ahead_ms: i64,
    pub grid: Grid,
    /// The steps whose samples are told as read.
    pub counted: Counted,
}

/// A faster way to compute a function than window by window, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Any,
    Resets,
    Extrapolated { is_counter: bool, is_rate: bool },
    Quantile,
}

/// Ranking does not pay where successive windows begin this many samples apart.
const QUANTILE_STRIDE: usize = 64;

impl Kind {
    /// Returns the kind of a function without modifiers.
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
    /// Whether every sample between the first window and the last is in a window. If not, no sample
    /// is in two.
    fn is_seamless(&self) -> bool {
        let length = self.range_ms.saturating_add(self.before_ms);
        self.reach.stride < length.saturating_add(self.ahead_ms)
    }

    /// The number of samples that are in the window of a step that counts, and in none before.
    fn read(&self, times: &[TimestampMs]) -> u64 {
        let mut before = 0;
        let new = self.spans(times).map(|span| {
            let new = span.range.end.saturating_sub(span.range.start.max(before));
            before = span.range.end;
            new as u64
        });
        let steps = new.enumerate();
        { steps.filter(|(step, _)| self.counted.has(*step)) }
            .map(|(_, new)| new)
            .sum()
    }

    /// Returns the range of times that any window covers, both inclusive.
    pub fn times(&self) -> (TimestampMs, TimestampMs) {
        let length = self.range_ms.saturating_add(self.before_ms);
        let last = self.reach.last.saturating_add(self.ahead_ms);
        (left_open(self.reach.first, length), last)
    }

    /// Computes the windows step by step.
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
            // NOTE: ranking all samples pays where windows share them.
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

    /// Yields the windows over `times`, step by step.
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
