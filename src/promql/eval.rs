//! Evaluation by series: each selector's samples are read once and serve all steps.

use std::time::Duration;

use super::engine::Settings;
use super::error::QueryError;
use super::parser::{At, Expr, MatrixSelector, VectorSelector};
use super::value::{Series, Value};
use crate::model::{Labels, Sample, TimestampMs, is_stale_nan};
use crate::stdx::clock::Clock;
use crate::stdx::stop::Stop;
use crate::storage::{Queryable, SelectHints, SeriesSet};

/// What bounds an evaluation.
pub(super) struct Context<'e> {
    clock: &'e dyn Clock,
    deadline: Duration,
    cancel: &'e Stop,
    samples_left: usize,
    pub samples_read: u64,
}

impl<'e> Context<'e> {
    pub fn new(
        clock: &'e dyn Clock,
        deadline: Duration,
        cancel: &'e Stop,
        samples_max: usize,
    ) -> Context<'e> {
        Context {
            clock,
            deadline,
            cancel,
            samples_left: samples_max,
            samples_read: 0,
        }
    }

    /// Asked once a series, whose samples a storage reads in one go.
    fn check(&self) -> Result<(), QueryError> {
        const EVALUATION: &str = "expression evaluation";
        if self.cancel.is_stopped() {
            return Err(QueryError::Canceled(EVALUATION));
        }
        if self.clock.mono() >= self.deadline {
            return Err(QueryError::Timeout(EVALUATION));
        }
        Ok(())
    }

    /// Counts samples that stay until the query is answered.
    fn hold(&mut self, samples: usize) -> Result<(), QueryError> {
        let left = self.samples_left.checked_sub(samples);
        self.samples_left = left.ok_or(QueryError::TooManySamples)?;
        Ok(())
    }
}

/// Over which steps, and on what.
pub(super) struct Evaluation<'e> {
    pub storage: &'e dyn Queryable,
    pub lookback_ms: i64,
    pub start: TimestampMs,
    pub end: TimestampMs,
    pub step_ms: i64,
}

impl<'e> Evaluation<'e> {
    /// At one time.
    pub fn at(storage: &'e dyn Queryable, settings: &Settings, t: TimestampMs) -> Evaluation<'e> {
        Evaluation {
            storage,
            lookback_ms: settings.lookback.as_millis() as i64,
            start: t,
            end: t,
            step_ms: 1,
        }
    }

    pub fn instant(&self, expr: &Expr, context: &mut Context<'_>) -> Result<Value, QueryError> {
        match expr {
            Expr::Paren(inner, _) => self.instant(inner, context),
            Expr::Matrix(matrix) => self.matrix(matrix, context).map(Value::Matrix),
            Expr::Vector(selector) => {
                let series = self.vector(selector, context)?;
                let last = |(labels, samples): Series| Some((labels, *samples.last()?));
                Ok(Value::Vector(series.into_iter().filter_map(last).collect()))
            }
        }
    }

    pub fn range(&self, expr: &Expr, context: &mut Context<'_>) -> Result<Value, QueryError> {
        match expr {
            Expr::Paren(inner, _) => self.range(inner, context),
            Expr::Matrix(_) => Err(QueryError::RangeQueryType(expr.type_name())),
            Expr::Vector(selector) => self.vector(selector, context).map(Value::Matrix),
        }
    }

    /// The time that a selector looks at when the step is `t`.
    fn reference(&self, selector: &VectorSelector, t: TimestampMs) -> TimestampMs {
        let at = match selector.at {
            None => t,
            Some(At::Time(at)) => at,
            Some(At::Start) => self.start,
            Some(At::End) => self.end,
        };
        at.saturating_sub(selector.offset_ms)
    }

    /// The newest sample within the lookback at each step, unless that is a stale marker.
    fn vector(
        &self,
        selector: &VectorSelector,
        context: &mut Context<'_>,
    ) -> Result<Vec<Series>, QueryError> {
        let first = self.reference(selector, self.start);
        let last = self.reference(selector, self.end);
        let oldest = left_open(first, self.lookback_ms);
        let mut steps = |samples: &[Sample], out: &mut Vec<Sample>| {
            let mut next = 0;
            let mut t = self.start;
            while t <= self.end {
                let reference = self.reference(selector, t);
                while samples.get(next).is_some_and(|s| s.t <= reference) {
                    next += 1;
                }
                let newest = next.checked_sub(1).and_then(|i| samples.get(i));
                let oldest = left_open(reference, self.lookback_ms);
                if let Some(sample) = newest.filter(|s| s.t >= oldest && !is_stale_nan(s.v)) {
                    out.push(Sample { t, v: sample.v });
                }
                let Some(following) = t.checked_add(self.step_ms) else {
                    break;
                };
                t = following;
            }
        };
        self.select(selector, (oldest, last), context, &mut steps)
    }

    /// All samples of the range but stale markers.
    fn matrix(
        &self,
        matrix: &MatrixSelector,
        context: &mut Context<'_>,
    ) -> Result<Vec<Series>, QueryError> {
        let last = self.reference(&matrix.selector, self.end);
        let oldest = left_open(last, matrix.range_ms);
        let mut all = |samples: &[Sample], out: &mut Vec<Sample>| {
            out.extend(samples.iter().filter(|s| !is_stale_nan(s.v)));
        };
        self.select(&matrix.selector, (oldest, last), context, &mut all)
    }

    /// What `make` makes of each series' samples between the times, both inclusive. Series of which
    /// it makes nothing are left out.
    fn select(
        &self,
        selector: &VectorSelector,
        (start, end): (TimestampMs, TimestampMs),
        context: &mut Context<'_>,
        make: &mut dyn FnMut(&[Sample], &mut Vec<Sample>),
    ) -> Result<Vec<Series>, QueryError> {
        context.check()?;
        let querier = self.storage.querier(start, end)?;
        let hints = SelectHints {
            start,
            end,
            ..SelectHints::default()
        };
        let mut set: Box<dyn SeriesSet> = querier.select(&hints, &selector.matchers)?;
        let mut found: Vec<Series> = Vec::new();
        let (mut samples, mut made) = (Vec::new(), Vec::new());
        while let Some(series) = set.next() {
            context.check()?;
            let series = series?;
            samples.clear();
            series.read(start, end, &mut samples)?;
            context.samples_read += samples.len() as u64;
            made.clear();
            make(&samples, &mut made);
            if !made.is_empty() {
                context.hold(made.len())?;
                found.push((series.labels(), made.clone()));
            }
        }
        sort(&mut found);
        Ok(found)
    }
}

/// The first millisecond of a window that excludes its left end.
fn left_open(end: TimestampMs, length_ms: i64) -> TimestampMs {
    end.saturating_sub(length_ms).saturating_add(1)
}

/// A storage gives series in order; of several storages only each is in order.
fn sort(series: &mut [(Labels, Vec<Sample>)]) {
    if !series.is_sorted_by(|a, b| a.0 <= b.0) {
        series.sort_by(|a, b| a.0.cmp(&b.0));
    }
}
