//! `…_over_time`: one result from the values of a window.

use super::scratch::Scratch;
use super::sum::Sum;
use crate::model::TimestampMs;
use crate::promql::eval::{Window, absent};

pub(super) fn sum(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    let mut sum = Sum::default();
    for v in window.values {
        sum.add(*v);
    }
    // The compensation of an infinite sum is 0 or NaN, so it is left out.
    if sum.sum.is_infinite() {
        sum.sum
    } else {
        sum.value()
    }
}

/// Divides the sum by the count. From where the sum overflows on, it keeps a running mean.
pub(super) fn avg(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    let mut sum = Sum::default();
    for (i, v) in window.values.iter().enumerate() {
        let before = sum;
        sum.add(*v);
        if i == 0 {
            sum.lost = 0.0;
        } else if sum.sum.is_infinite() {
            return rest_of_avg(before, i, window.values);
        }
    }
    let count = window.values.len() as f64;
    sum.sum / count + sum.lost / count
}

/// `sum` is the sum of the first `counted` values.
fn rest_of_avg(sum: Sum, counted: usize, values: &[f64]) -> f64 {
    let mut count = counted as f64;
    let mut mean = Sum {
        sum: sum.sum / count,
        lost: sum.lost / count,
    };
    for v in values.iter().skip(counted) {
        count += 1.0;
        let share = (count - 1.0) / count;
        mean.sum *= share;
        mean.lost *= share;
        mean.add(v / count);
    }
    mean.value()
}

pub(super) fn count(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    window.values.len() as f64
}

pub(super) fn present(_: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    1.0
}

pub(super) fn first(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    window.values.first().copied().unwrap_or(absent())
}

pub(super) fn last(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    window.values.last().copied().unwrap_or(absent())
}

pub(super) fn max(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    extreme(window, f64::NEG_INFINITY, |v, most| v > most)
}

pub(super) fn min(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    extreme(window, f64::INFINITY, |v, least| v < least)
}

/// The number of values compared side by side, so that they do not wait for one another.
const LANES: usize = 8;

/// Returns the first value that no other is `beyond`, and NaN only if all are NaN. Every value but
/// `worst` is beyond `worst`.
#[inline]
fn extreme(window: &Window<'_>, worst: f64, beyond: impl Fn(f64, f64) -> bool) -> f64 {
    let mut lanes = [worst; LANES];
    let (chunks, rest) = window.values.as_chunks::<LANES>();
    let further = |found: f64, v: f64| if beyond(v, found) { v } else { found };
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane = further(*lane, *v);
        }
    }
    let found = lanes.iter().chain(rest).copied().fold(worst, further);
    // NOTE: 0 and -0 are equal but differ, and `worst` may not be among the values.
    let values = window.values;
    if found == 0.0 || found == worst {
        let first = values.iter().find(|v| **v == found);
        return first.or(values.last()).copied().unwrap_or(absent());
    }
    found
}

pub(super) fn ts_of_first(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    window.times.first().map_or(absent(), |t| seconds(*t))
}

pub(super) fn ts_of_last(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    window.times.last().map_or(absent(), |t| seconds(*t))
}

pub(super) fn ts_of_max(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    ts_of(window, |v, most| v >= most)
}

pub(super) fn ts_of_min(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    ts_of(window, |v, least| v <= least)
}

/// Returns the time of the last value that none is `beyond`.
fn ts_of(window: &Window<'_>, beyond: impl Fn(f64, f64) -> bool) -> f64 {
    let pairs = window.times.iter().zip(window.values);
    let found = pairs.reduce(|found, next| {
        if beyond(*next.1, *found.1) || found.1.is_nan() {
            next
        } else {
            found
        }
    });
    found.map_or(absent(), |(t, _)| seconds(*t))
}

fn seconds(t: TimestampMs) -> f64 {
    t as f64 / 1000.0
}

pub(super) fn stddev(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    variance(window).sqrt()
}

pub(super) fn stdvar(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    variance(window)
}

/// Computes the variance by Welford's method, with compensated sums.
fn variance(window: &Window<'_>) -> f64 {
    let mut count = 0.0;
    let mut mean = Sum::default();
    let mut squares = Sum::default();
    for v in window.values {
        count += 1.0;
        let delta = v - mean.value();
        mean.add(delta / count);
        squares.add(delta * (v - mean.value()));
    }
    squares.value() / count
}
