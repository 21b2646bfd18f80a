//! Trends of a window's values: least squares, and smoothing.

use super::scratch::Scratch;
use super::sum::Sum;
use crate::model::TimestampMs;
use crate::promql::eval::{Window, absent};

pub(super) fn deriv(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    // Times count from the first sample, since small numbers round less.
    match window.times {
        [first, _, ..] => line(window, *first).0,
        _ => absent(),
    }
}

pub(super) fn predict(window: &Window<'_>, args: &[f64], _: &mut Scratch) -> f64 {
    if window.times.len() < 2 {
        return absent();
    }
    let after = args.first().copied().unwrap_or(f64::NAN);
    let (slope, intercept) = line(window, window.t);
    slope * after + intercept
}

/// Fits a line by least squares. Returns its rise per second, and its value at `origin`.
fn line(window: &Window<'_>, origin: TimestampMs) -> (f64, f64) {
    let values = window.values;
    let first = values.first().copied().unwrap_or(f64::NAN);
    if values.iter().skip(1).all(|v| *v == first) {
        return if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        };
    }
    let mut sums = [Sum::default(); 4];
    for (t, y) in window.times.iter().zip(values) {
        let x = t.saturating_sub(origin) as f64 / 1e3;
        for (sum, v) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
            sum.add(v);
        }
    }
    let n = values.len() as f64;
    let [x, y, xy, xx] = sums.map(|sum| sum.value());
    let covariance = xy - x * y / n;
    let variance = xx - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

/// Smooths by Holt's linear method. Factors outside of 0 to 1 have been refused before.
pub(super) fn double_exponential(window: &Window<'_>, args: &[f64], _: &mut Scratch) -> f64 {
    let ([first, second, ..], [smoothing, trending]) = (window.values, args) else {
        return absent();
    };
    let mut before = 0.0;
    let mut smooth = *first;
    let mut trend = second - first;
    for (i, v) in window.values.iter().enumerate().skip(1) {
        let raw = smoothing * v;
        if i > 1 {
            trend = trending * (smooth - before) + (1.0 - trending) * trend;
        }
        let expected = (1.0 - smoothing) * (smooth + trend);
        (before, smooth) = (smooth, raw + expected);
    }
    smooth
}
