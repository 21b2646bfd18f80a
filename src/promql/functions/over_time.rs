//! `…_over_time`: what the values of a window come to.

use super::scratch::Scratch;
use super::sum::Sum;
use crate::model::Sample;
use crate::promql::eval::{Window, absent};

pub(super) fn sum(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    let mut sum = Sum::default();
    for sample in window.samples {
        sum.add(sample.v);
    }
    // What was lost of an infinite sum is 0, or nothing that could be added to it.
    if sum.sum.is_infinite() {
        sum.sum
    } else {
        sum.value()
    }
}

/// The sum by the count; from where the sum overflows on, the mean by and by.
pub(super) fn avg(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    let mut sum = Sum::default();
    for (i, sample) in window.samples.iter().enumerate() {
        let before = sum;
        sum.add(sample.v);
        if i == 0 {
            sum.lost = 0.0;
        } else if sum.sum.is_infinite() {
            return rest_of_avg(before, i, window.samples);
        }
    }
    let count = window.samples.len() as f64;
    sum.sum / count + sum.lost / count
}

/// `sum` is that of the `counted` first.
fn rest_of_avg(sum: Sum, counted: usize, samples: &[Sample]) -> f64 {
    let mut count = counted as f64;
    let mut mean = Sum {
        sum: sum.sum / count,
        lost: sum.lost / count,
    };
    for sample in samples.iter().skip(counted) {
        count += 1.0;
        let share = (count - 1.0) / count;
        mean.sum *= share;
        mean.lost *= share;
        mean.add(sample.v / count);
    }
    mean.value()
}

pub(super) fn count(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    window.samples.len() as f64
}

pub(super) fn present(_: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    1.0
}

pub(super) fn first(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    window.samples.first().map_or(absent(), |s| s.v)
}

pub(super) fn last(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    window.samples.last().map_or(absent(), |s| s.v)
}

pub(super) fn max(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    extreme(window, |v, most| v > most)
}

pub(super) fn min(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    extreme(window, |v, least| v < least)
}

/// The first value that no other is `beyond`; one that is no number only where all are none.
#[inline]
fn extreme(window: &Window<'_>, beyond: impl Fn(f64, f64) -> bool) -> f64 {
    let mut values = window.samples.iter().map(|s| s.v);
    let Some(mut found) = values.find(|v| !v.is_nan()) else {
        return last(window, &[], &mut Scratch::default());
    };
    for v in values {
        found = if beyond(v, found) { v } else { found };
    }
    found
}

pub(super) fn ts_of_first(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    window.samples.first().map_or(absent(), seconds)
}

pub(super) fn ts_of_last(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    window.samples.last().map_or(absent(), seconds)
}

pub(super) fn ts_of_max(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    ts_of(window, |v, most| v >= most)
}

pub(super) fn ts_of_min(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    ts_of(window, |v, least| v <= least)
}

/// When the last value that none is `beyond` came.
fn ts_of(window: &Window<'_>, beyond: impl Fn(f64, f64) -> bool) -> f64 {
    let newer = |found: &Sample, s: &Sample| beyond(s.v, found.v) || found.v.is_nan();
    let found = window
        .samples
        .iter()
        .reduce(|found, s| if newer(found, s) { s } else { found });
    found.map_or(absent(), seconds)
}

fn seconds(sample: &Sample) -> f64 {
    sample.t as f64 / 1000.0
}

pub(super) fn stddev(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    variance(window).sqrt()
}

pub(super) fn stdvar(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    variance(window)
}

/// Welford's method, with compensated sums.
fn variance(window: &Window<'_>) -> f64 {
    let mut count = 0.0;
    let mut mean = Sum::default();
    let mut squares = Sum::default();
    for sample in window.samples {
        count += 1.0;
        let delta = sample.v - mean.value();
        mean.add(delta / count);
        squares.add(delta * (sample.v - mean.value()));
    }
    squares.value() / count
}
