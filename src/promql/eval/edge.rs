//! Finds where windows begin and end among the times of a series.

use crate::model::TimestampMs;

/// A position among times that only moves forward. From one window to the next it mostly moves as
/// far as the last time, which is tried first.
#[derive(Debug, Default)]
pub struct Edge {
    at: usize,
    /// `None` before the first window.
    stride: Option<usize>,
}

impl Edge {
    /// Moves to the first time after `t`, which never decreases.
    #[inline]
    pub fn go_to(&mut self, times: &[TimestampMs], t: TimestampMs) -> usize {
        let from = self.at;
        let Some(stride) = self.stride else {
            self.at = times.partition_point(|time| *time <= t);
            self.stride = Some(0);
            return self.at;
        };
        let mut at = (from + stride).min(times.len());
        while times.get(at).is_some_and(|time| *time <= t) {
            at += 1;
        }
        while at > from && times.get(at - 1).is_some_and(|time| *time > t) {
            at -= 1;
        }
        (self.at, self.stride) = (at, Some(at - from));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(times: &[TimestampMs], first: TimestampMs, step: i64) {
        let mut edge = Edge::default();
        for t in (0..40).map(|i| first + i * step) {
            let expect = times.iter().filter(|time| **time <= t).count();
            assert_eq!(edge.go_to(times, t), expect, "{times:?} {t} {step}");
        }
    }

    #[test]
    fn goes_where_a_search_finds_it() {
        let regular: Vec<i64> = (0..50).map(|i| i * 15).collect();
        let gaps: Vec<i64> = (0..50).map(|i| i * 15 + i / 10 * 100).collect();
        let crowds: Vec<i64> = (0..50).map(|i| i / 10 * 200 + i % 10).collect();
        for times in [&regular[..], &gaps, &crowds, &[], &[7]] {
            for step in [0, 1, 7, 15, 40, 60, 1_000] {
                for first in [-100, 0, 3, 15, 400] {
                    check(times, first, step);
                }
            }
        }
    }
}
