//! How far the change within a window extends beyond its samples.

use crate::model::TimestampMs;
use crate::promql::eval::Span;

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
/// Go's `Duration.Seconds` does.
pub(super) fn range_seconds(start: TimestampMs, end: TimestampMs) -> f64 {
    let ms = end.saturating_sub(start);
    (ms / 1000) as f64 + (ms % 1000 * 1_000_000) as f64 / 1e9
}
