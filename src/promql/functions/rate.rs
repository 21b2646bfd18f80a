//! How fast a series changes: `rate`, `increase`, `delta`, and those of the last two samples.

use super::scratch::Scratch;
use crate::model::Sample;
use crate::promql::eval::{Window, absent};

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
    let [.., before, last] = window.samples else {
        return absent();
    };
    let interval = last.t.saturating_sub(before.t);
    if interval == 0 {
        return absent();
    }
    // A counter that fell began anew at 0.
    let rise = if last.v < before.v {
        last.v
    } else {
        last.v - before.v
    };
    rise / (interval as f64 / 1000.0)
}

pub(super) fn idelta(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    match window.samples {
        [.., before, last] if last.t != before.t => last.v - before.v,
        _ => absent(),
    }
}

pub(super) fn resets(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    if window.never_falls {
        return 0.0;
    }
    count_pairs(window.samples, |before, v| v < before)
}

pub(super) fn changes(window: &Window<'_>, _: &[f64], _: &mut Scratch) -> f64 {
    count_pairs(window.samples, differs)
}

/// Two that are no numbers are the same.
pub(super) fn differs(before: f64, v: f64) -> bool {
    v != before && !(v.is_nan() && before.is_nan())
}

/// Neighbours of which `counts(before, v)` holds.
pub(super) fn count_pairs(samples: &[Sample], counts: impl Fn(f64, f64) -> bool) -> f64 {
    let pairs = samples.iter().zip(samples.iter().skip(1));
    pairs.filter(|(before, s)| counts(before.v, s.v)).count() as f64
}

fn extrapolated(window: &Window<'_>, is_counter: bool, is_rate: bool) -> f64 {
    Extrapolation::new(is_counter, is_rate).of(window)
}

/// The change between the first and the last sample, extended to the borders of the range as far as
/// the distance of the samples allows the assumption that the series was there.
///
/// NOTE: divisions are what it costs. Windows that follow each other are alike in most of what is
/// divided, which is remembered.
pub(in crate::promql) struct Extrapolation {
    is_counter: bool,
    is_rate: bool,
    /// Milliseconds between the first sample and the last, and how many there are.
    sampled_ms: i64,
    count: usize,
    sampled: f64,
    distance: f64,
    to_start: Seconds,
    to_end: Seconds,
    range_ms: i64,
    range: f64,
}

impl Extrapolation {
    pub(in crate::promql) fn new(is_counter: bool, is_rate: bool) -> Extrapolation {
        Extrapolation {
            is_counter,
            is_rate,
            sampled_ms: 0,
            count: 0,
            sampled: 0.0,
            distance: 0.0,
            to_start: Seconds::default(),
            to_end: Seconds::default(),
            range_ms: 0,
            range: 0.0,
        }
    }

    #[inline]
    pub(in crate::promql) fn of(&mut self, window: &Window<'_>) -> f64 {
        let [first, .., last] = window.samples else {
            return absent();
        };
        let mut change = last.v - first.v;
        if self.is_counter && !window.never_falls {
            change = with_resets(window.samples, change);
        }
        let sampled_ms = last.t.saturating_sub(first.t);
        if sampled_ms != self.sampled_ms || window.samples.len() != self.count {
            (self.sampled_ms, self.count) = (sampled_ms, window.samples.len());
            self.sampled = sampled_ms as f64 / 1000.0;
            self.distance = self.sampled / (self.count - 1) as f64;
        }
        let (sampled, distance) = (self.sampled, self.distance);
        let threshold = distance * 1.1;
        let mut to_start = self.to_start.of(first.t.saturating_sub(window.start));
        let mut to_end = self.to_end.of(window.end.saturating_sub(last.t));
        if to_start >= threshold {
            to_start = distance / 2.0;
        }
        // A counter is never below 0: where it would have been at 0, it began.
        if self.is_counter && change > 0.0 && first.v >= 0.0 {
            // NOTE: far before the range where the products are clearly apart, which spares the
            // division.
            let is_far = sampled * first.v > to_start * change * 1.001;
            let to_zero = if is_far {
                f64::INFINITY
            } else {
                sampled * (first.v / change)
            };
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= threshold {
            to_end = distance / 2.0;
        }
        let mut factor = 1.0;
        if sampled != 0.0 {
            factor = (sampled + to_start + to_end) / sampled;
        }
        if self.is_rate {
            let range_ms = window.end.saturating_sub(window.start);
            if range_ms != self.range_ms {
                (self.range_ms, self.range) = (range_ms, range_seconds(window));
            }
            factor /= self.range;
        }
        change * factor
    }
}

/// The last milliseconds that were asked for, in seconds.
#[derive(Default)]
struct Seconds {
    ms: i64,
    seconds: f64,
}

impl Seconds {
    #[inline]
    fn of(&mut self, ms: i64) -> f64 {
        if ms != self.ms {
            (self.ms, self.seconds) = (ms, ms as f64 / 1000.0);
        }
        self.seconds
    }
}

/// `change`, and what the counter was worth wherever it began anew.
fn with_resets(samples: &[Sample], mut change: f64) -> f64 {
    let mut before = f64::NAN;
    for sample in samples {
        if sample.v < before {
            change += before;
        }
        before = sample.v;
    }
    change
}

/// The length of the range. Whole seconds and the rest apart, which rounds as Go's
/// `Duration.Seconds` does.
pub(super) fn range_seconds(window: &Window<'_>) -> f64 {
    let ms = window.end.saturating_sub(window.start);
    (ms / 1000) as f64 + (ms % 1000 * 1_000_000) as f64 / 1e9
}
