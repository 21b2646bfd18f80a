//! Rates of change: `rate`, `increase`, `delta`, and those of the last two samples.

use super::scratch::Scratch;
use crate::model::TimestampMs;
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

/// The factor that extends the change between a window's first and last sample to the borders of
/// its range. It extends only as far as the samples' distance suggests that the series existed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stretch {
    /// Seconds from the first sample to the last. `to_start` and `to_end` reach to where the series
    /// is assumed to be.
    sampled: f64,
    to_start: f64,
    to_end: f64,
    /// The divisor of the extended change.
    range: f64,
    /// The product of all of these.
    factor: f64,
}

impl Stretch {
    /// Computes the stretch of a window with `times`. `range` is its length in seconds for a rate,
    /// else 1.
    #[inline]
    pub(super) fn new(span: &Span, times: &[TimestampMs], range: f64) -> Stretch {
        let [first, .., last] = times else {
            return Stretch::default();
        };
        let seconds = |from: i64, to: i64| to.saturating_sub(from) as f64 / 1000.0;
        let sampled = seconds(*first, *last);
        let distance = sampled / (times.len() - 1) as f64;
        let threshold = distance * 1.1;
        let reached = |far: f64| {
            if far >= threshold {
                distance / 2.0
            } else {
                far
            }
        };
        let to_start = reached(seconds(span.start, *first));
        let mut stretch = Stretch {
            sampled,
            to_start,
            to_end: reached(seconds(*last, span.end)),
            range,
            factor: 0.0,
        };
        stretch.factor = stretch.factor_from(to_start);
        stretch
    }

    /// Extends the change of a series that begins with the value `first`.
    #[inline]
    pub(super) fn of(&self, first: f64, change: f64, is_counter: bool) -> f64 {
        // A counter is never below 0, so it began where its line meets 0.
        if is_counter && change > 0.0 && first >= 0.0 {
            // NOTE: a product shows that this point lies far before the range, which saves the
            // division.
            let is_far = self.sampled * first > self.to_start * change * 1.001;
            if !is_far {
                let to_zero = self.sampled * (first / change);
                if to_zero < self.to_start {
                    return change * self.factor_from(to_zero);
                }
            }
        }
        change * self.factor
    }

    fn factor_from(&self, to_start: f64) -> f64 {
        let mut factor = 1.0;
        if self.sampled != 0.0 {
            factor = (self.sampled + to_start + self.to_end) / self.sampled;
        }
        factor / self.range
    }
}

/// Returns the length of the range. Whole seconds and the rest are converted apart, which rounds as
/// Go's
/// `Duration.Seconds` does.
pub(super) fn range_seconds(start: TimestampMs, end: TimestampMs) -> f64 {
    let ms = end.saturating_sub(start);
    (ms / 1000) as f64 + (ms % 1000 * 1_000_000) as f64 / 1e9
}
