//! `anchored` and `smoothed` ranges: changes between the exact borders of the range.
//!
//! Their windows hold more than the range. `samples` begin one lookback before `start` (exclusive).
//! In a smoothed range they end one lookback after `end`. `start` and `end` are the range's own.

use std::ops::Range;

use super::implementation::WindowFn;
use super::rate::{count_pairs, differs};
use super::stretch::range_seconds;
use crate::model::{Sample, TimestampMs};
use crate::promql::error::QueryError;
use crate::promql::eval::{Window, absent};
use crate::promql::parser::Extent;

/// Returns the function for such a range.
///
/// # Errors
/// The function does not support these ranges; few do.
pub(in crate::promql) fn extended(name: &str, extent: Extent) -> Result<WindowFn, QueryError> {
    let f: WindowFn = match (extent, name) {
        (Extent::Anchored, "rate") => |w, _, _| change(w, false, true, true),
        (Extent::Anchored, "increase") => |w, _, _| change(w, false, true, false),
        (Extent::Anchored, "delta") => |w, _, _| change(w, false, false, false),
        (Extent::Anchored, "resets") => |w, _, _| count(w, |before, v| v < before),
        (Extent::Anchored, "changes") => |w, _, _| count(w, differs),
        (Extent::Smoothed, "rate") => |w, _, _| change(w, true, true, true),
        (Extent::Smoothed, "increase") => |w, _, _| change(w, true, true, false),
        (Extent::Smoothed, "delta") => |w, _, _| change(w, true, false, false),
        _ => return Err(QueryError::Execution(refusal(name, extent))),
    };
    Ok(f)
}

fn refusal(name: &str, extent: Extent) -> String {
    let (word, those) = match extent {
        Extent::Smoothed => ("smoothed", "delta, increase, rate"),
        _ => ("anchored", "changes, delta, increase, rate, resets"),
    };
    format!("{word} modifier can only be used with: {those} - not with {name}")
}

/// Gives the result of such a range selector itself: the samples within, and one on each border.
pub(in crate::promql) fn extend(window: &Window<'_>, extent: Extent, out: &mut Vec<Sample>) {
    let Some(borders) = Borders::of(window, extent == Extent::Smoothed, false) else {
        return;
    };
    out.push(Sample {
        t: window.start,
        v: borders.left,
    });
    let within = { window.times.get(borders.within.clone()) }.unwrap_or_default();
    let within = within.iter().zip(borders.values);
    out.extend(within.map(|(t, v)| Sample { t: *t, v: *v }));
    out.push(Sample {
        t: window.end,
        v: borders.right,
    });
}

/// The values at a range's borders, and the samples strictly within.
struct Borders<'w> {
    left: f64,
    right: f64,
    within: Range<usize>,
    values: &'w [f64],
}

impl<'w> Borders<'w> {
    /// Returns `None` where the series has no sample that counts.
    fn of(window: &Window<'w>, is_smoothed: bool, is_counter: bool) -> Option<Borders<'w>> {
        let Window { times, values, .. } = window;
        let sample = |i: usize| times.get(i).zip(values.get(i));
        let sample = |i: usize| sample(i).map(|(t, v)| Sample { t: *t, v: *v });
        let end = times.len().checked_sub(1)?;
        let searched = times.get(..end)?;
        let after_start = searched.partition_point(|t| *t <= window.start);
        let mut first = after_start.saturating_sub(1);
        let mut last = end;
        if is_smoothed {
            last = searched.partition_point(|t| *t < window.end);
        }
        let (one, other) = (sample(first)?, sample(last)?);
        if other.t <= window.start || is_smoothed && one.t > window.end {
            return None;
        }
        let between = |from: usize, to: usize, t: TimestampMs| {
            Some(interpolated(&sample(from)?, &sample(to)?, t, is_counter))
        };
        let left = if is_smoothed && one.t < window.start {
            between(first, first + 1, window.start)?
        } else {
            one.v
        };
        let right = if is_smoothed && last > 0 && other.t > window.end {
            between(last - 1, last, window.end)?
        } else {
            other.v
        };
        if one.t <= window.start {
            first += 1;
        }
        let upto = if other.t >= window.end {
            last
        } else {
            last + 1
        };
        Some(Borders {
            left,
            right,
            within: first..upto,
            values: values.get(first..upto).unwrap_or_default(),
        })
    }
}

/// Interpolates between two samples. A counter that fell is taken to have risen from 0.
fn interpolated(from: &Sample, to: &Sample, t: TimestampMs, is_counter: bool) -> f64 {
    let begin = if is_counter && to.v < from.v {
        0.0
    } else {
        from.v
    };
    let (passed, whole) = (t.saturating_sub(from.t), to.t.saturating_sub(from.t));
    begin + (to.v - begin) * passed as f64 / whole as f64
}

fn change(window: &Window<'_>, is_smoothed: bool, is_counter: bool, is_rate: bool) -> f64 {
    let Some(borders) = Borders::of(window, is_smoothed, is_counter) else {
        return absent();
    };
    let mut change = borders.right - borders.left;
    if is_counter {
        let (mut resets, mut before) = (0.0, borders.left);
        for v in borders.values.iter().copied().chain([borders.right]) {
            if v < before {
                resets += before;
            }
            before = v;
        }
        change += resets;
    }
    if is_rate {
        change /= range_seconds(window.start, window.end);
    }
    change
}

/// Counts neighbours for which `counts` is true, from the newest sample at or before the start on.
fn count(window: &Window<'_>, counts: impl Fn(f64, f64) -> bool) -> f64 {
    let after_start = window.times.partition_point(|t| *t <= window.start);
    if after_start == window.times.len() {
        return absent();
    }
    let from = after_start.saturating_sub(1);
    count_pairs(window.values.get(from..).unwrap_or_default(), counts)
}
