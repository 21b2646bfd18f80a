//! Rates of change: `rate`, `increase`, `delta`, and those of the last two samples.

use super::scratch::Scratch;
use super::stretch::{Stretch, range_seconds};
use crate::promql::eval::{Span, Window, absent};

pub(super) fn rate(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    extrapolated(window, true, true)
}

pub(super) fn increase(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    extrapolated(window, true, false)
}

pub(super) fn delta(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    extrapolated(window, false, false)
}

pub(super) fn irate(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    let ([.., earlier, later], [.., before, last]) = (window.times, window.values) else {
        return absent();
    };
    let interval = later.saturating_sub(*earlier);
    if interval == 0 {
        return absent();
    }
    // A counter that fell was reset to 0.
    let rise = if last < before { *last } else { last - before };
    rise / (interval as f64 / 1000.0)
}

pub(super) fn idelta(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    match (window.times, window.values) {
        ([.., earlier, later], [.., before, last]) if later != earlier => last - before,
        _ => absent(),
    }
}

pub(super) fn resets(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    count_pairs(window.values, |before, v| v < before)
}

pub(super) fn changes(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    count_pairs(window.values, differs)
}

/// Whether two values differ. Two NaNs do not.
pub(super) fn differs(before: f64, v: f64) -> bool {
    v != before && !(v.is_nan() && before.is_nan())
}

/// Counts neighbours for which `counts(before, v)` is true.
pub(super) fn count_pairs(values: &[f64], counts: impl Fn(f64, f64) -> bool) -> f64 {
    let pairs = values.iter().zip(values.iter().skip(1));
    pairs.filter(|(before, v)| counts(**before, **v)).count() as f64
}

fn extrapolated(window: &Window<'_>, is_counter: bool, is_rate: bool) -> f64 {
    let [first, .., last] = window.values else {
        return absent();
    };
    let mut change = last - first;
    for pair in window.values.windows(2) {
        if is_counter && pair[1] < pair[0] {
            change += pair[0];
        }
    }
    let span = Span {
        range: 0..window.times.len(),
        start: window.start,
        end: window.end,
        t: window.t,
    };
    let range = if is_rate {
        range_seconds(window.start, window.end)
    } else {
        1.0
    };
    Stretch::new(&span, window.times, range).of(*first, change, is_counter)
}
