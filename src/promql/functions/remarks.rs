//! Annotations that functions add to an answer.

use std::collections::BTreeMap;

use crate::model::{Labels, TimestampMs, timestamp};
use crate::promql::error::QueryError;
use crate::promql::eval::{Grid, Run, Scalars};
use crate::promql::parser::{Call, Expr, Span};

use super::buckets::Forced;
use crate::stdx::gofmt;

/// Checks the scalar arguments of a call over ranges. It is called once, when the first window
/// comes.
///
/// # Errors
/// The function refuses an argument.
pub(in crate::promql) fn check_arguments(
    call: &Call,
    scalars: &[Scalars],
    grid: Grid,
    run: &mut Run<'_>,
) -> Result<(), QueryError> {
    match (call.function.name, scalars) {
        ("double_exponential_smoothing", [smoothing, trend]) => {
            check_factor("smoothing", smoothing, grid)?;
            check_factor("trend", trend, grid)
        }
        ("quantile_over_time", [phi]) => {
            remark_quantile(call, 0, phi, grid, run);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Returns the values of a scalar: one per step, or its only one.
fn each(scalars: &Scalars, grid: Grid) -> impl Iterator<Item = f64> + '_ {
    let steps = match scalars {
        Scalars::Constant(_) => 1,
        Scalars::Each(_) => grid.steps,
    };
    (0..steps).map(|step| scalars.at(step))
}

fn check_factor(what: &str, factor: &Scalars, grid: Grid) -> Result<(), QueryError> {
    match each(factor, grid).find(|f| *f <= 0.0 || *f >= 1.0) {
        None => Ok(()),
        Some(f) => Err(QueryError::Execution(format!(
            "invalid {what} factor. Expected: 0 < {}f < 1, got: {}",
            what.get(..1).unwrap_or_default(),
            six_decimals(f)
        ))),
    }
}

/// Writes Go's `%f`.
fn six_decimals(v: f64) -> String {
    if v.is_finite() {
        format!("{v:.6}")
    } else {
        gofmt::api_float(v)
    }
}

/// Warns of an invalid quantile. `arg` is the argument's position.
pub(super) fn remark_quantile(
    call: &Call,
    arg: usize,
    phi: &Scalars,
    grid: Grid,
    run: &mut Run<'_>,
) {
    let span = argument_span(call, arg);
    for phi in each(phi, grid).filter(|phi| !(0.0..=1.0).contains(phi)) {
        let got = shortest(phi);
        let text = format!("quantile value should be between 0 and 1, got {got}");
        run.annotations.warn(&span, text);
    }
}

/// Whether the names of series that gave a value need checking.
pub(in crate::promql) fn remarks_names(call: &Call) -> bool {
    matches!(call.function.name, "rate" | "increase")
}

/// Whether a name is a counter's, or there is no name.
pub(in crate::promql) fn is_counters_name(name: &str) -> bool {
    let ends = ["_total", "_sum", "_count", "_bucket"];
    name.is_empty() || ends.iter().any(|end| name.ends_with(end))
}

/// Adds the info that a metric might not be a counter.
pub(in crate::promql) fn remark_name(call: &Call, name: &str, run: &mut Run<'_>) {
    let name = gofmt::quote(name);
    let text = format!(
        "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name}"
    );
    run.annotations.inform(&argument_span(call, 0), text);
}

/// Returns the place that a remark on an argument points at: the argument without parentheses. For
/// a subquery it is the query's beginning, since Prometheus loses its place.
pub(super) fn argument_span(call: &Call, arg: usize) -> Span {
    match call.args.get(arg).map(Expr::inner) {
        Some(Expr::Subquery(_)) | None => 0..0,
        Some(expr) => expr.span(),
    }
}

/// Warns of a series that is no bucket, because its `le` is not a number.
pub(super) fn remark_bucket(labels: &Labels, le: &str, span: &Span, run: &mut Run<'_>) {
    let le = gofmt::quote(le);
    let of = for_metric(&labels_name(labels, run));
    let text = format!("bucket label \"le\" is missing or has a malformed value of {le}{of}");
    run.annotations.warn(span, text);
}

/// Returns the metric's name, where it is still known when the function is computed.
fn labels_name(labels: &Labels, run: &Run<'_>) -> String {
    if run.delays_names() {
        labels.metric_name().to_owned()
    } else {
        String::new()
    }
}

fn for_metric(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!(" for metric name {}", gofmt::quote(name))
    }
}

/// Collects where bucket counts had to be raised, over all steps and histograms of a metric.
pub(super) struct Falls {
    span: Span,
    by_name: BTreeMap<String, Fell>,
}

struct Fell {
    forced: Forced,
    samples: usize,
    start: TimestampMs,
    end: TimestampMs,
}

impl Falls {
    pub(super) fn new(span: Span) -> Falls {
        Falls {
            span,
            by_name: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, labels: &Labels, forced: Option<Forced>, t: TimestampMs) {
        let Some(forced) = forced else {
            return;
        };
        let fell = match self.by_name.get_mut(labels.metric_name()) {
            Some(fell) => fell,
            None => self
                .by_name
                .entry(labels.metric_name().to_owned())
                .or_insert(Fell {
                    forced,
                    samples: 0,
                    start: t,
                    end: t,
                }),
        };
        fell.add(forced, t);
    }

    /// Adds an annotation for each fall, and forgets the falls.
    pub(super) fn tell(&mut self, run: &mut Run<'_>) {
        let mut told = std::mem::take(&mut self.by_name);
        if !run.delays_names() {
            // Without their names, all metrics are one.
            let all = std::mem::take(&mut told).into_values();
            let all = all.reduce(Fell::with);
            told.extend(all.map(|fell| (String::new(), fell)));
        }
        for (name, fell) in told {
            let text = format!("{MONOTONICITY}{}, {}", for_metric(&name), fell.text());
            run.annotations.inform(&self.span, text);
        }
    }
}

const MONOTONICITY: &str = "input to histogram_quantile needed to be fixed for monotonicity (see \
    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

impl Fell {
    fn add(&mut self, forced: Forced, t: TimestampMs) {
        self.forced.add(forced);
        self.samples += 1;
        self.start = self.start.min(t);
        self.end = self.end.max(t);
    }

    fn with(mut self, other: Fell) -> Fell {
        self.forced.add(other.forced);
        self.samples += other.samples;
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self
    }

    fn text(&self) -> String {
        let seconds = |ms: TimestampMs| timestamp::rfc3339(ms / 1000 * 1000);
        format!(
            "from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            shortest(self.forced.first),
            shortest(self.forced.last),
            two_digits(self.forced.most),
            self.samples,
            seconds(self.start),
            seconds(self.end),
        )
    }
}

/// Writes Go's `%g`.
fn shortest(v: f64) -> String {
    let mut text = String::new();
    gofmt::push_text_float(&mut text, v);
    text
}

/// Writes Go's `%.2g`.
fn two_digits(v: f64) -> String {
    if !v.is_finite() {
        return shortest(v);
    }
    let text = format!("{v:.1e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let rounded: f64 = text.parse().unwrap_or(v);
    if (-4..2).contains(&exponent) {
        return gofmt::api_float(rounded);
    }
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}
