//! The times at which a series has a value.

use std::ops::Range;

use super::{Series, StorageError, Times};
use crate::model::TimestampMs;

/// The spans of time in which a series has a value: its newest sample is no stale marker and less
/// than `reach_ms` old.
///
/// Samples are added in order of time. Reading the next series reuses the memory.
#[derive(Debug, Clone)]
pub struct Spans {
    reach_ms: i64,
    closed: Vec<Range<TimestampMs>>,
    /// The first and the last sample of the span that may go on.
    open: Option<(TimestampMs, TimestampMs)>,
    /// The newest sample, which may be a stale marker.
    newest: Option<TimestampMs>,
    samples: usize,
    /// Some sample was added after a newer one: the spans are wrong.
    is_disordered: bool,
    /// For storages that have to read all times.
    buffer: Times,
}

impl Spans {
    pub fn new(reach_ms: i64) -> Spans {
        Spans {
            reach_ms,
            closed: Vec::new(),
            open: None,
            newest: None,
            samples: 0,
            is_disordered: false,
            buffer: Times::default(),
        }
    }

    fn clear(&mut self) {
        self.closed.clear();
        self.open = None;
        self.newest = None;
        self.samples = 0;
        self.is_disordered = false;
    }

    /// The number of samples, including stale markers.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Replaces them by those of a series' samples with `start <= t <= end`. A storage need not
    /// look at each sample for it.
    pub fn read(
        &mut self,
        series: &dyn Series,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<(), StorageError> {
        self.clear();
        series.read_spans(start, end, self)?;
        if self.is_disordered {
            // NOTE: parts of the series overlap in time, which is rare.
            self.clear();
            self.add_read(|times| series.read_times(start, end, times))?;
        }
        Ok(())
    }

    /// Yields the spans in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<TimestampMs>> {
        let open = { self.open }.map(|(first, last)| first..self.reached(last));
        self.closed.iter().cloned().chain(open)
    }

    /// Adds what `read` puts into a cleared buffer.
    pub fn add_read<E>(&mut self, read: impl FnOnce(&mut Times) -> Result<(), E>) -> Result<(), E> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let done = read(&mut buffer);
        self.add(&buffer);
        self.buffer = buffer;
        done
    }

    pub fn add(&mut self, times: &Times) {
        let mut at = 0;
        for marker in times.stale.iter().map(|marker| *marker as usize) {
            self.add_alive(times.times.get(at..marker).unwrap_or_default());
            if let Some(t) = times.times.get(marker) {
                self.add_stale(*t);
            }
            at = marker + 1;
        }
        self.add_alive(times.times.get(at..).unwrap_or_default());
    }

    /// Adds samples that are no stale markers.
    pub fn add_alive(&mut self, mut times: &[TimestampMs]) {
        while let Some(first) = times.first() {
            let run = unbroken(times, self.reach_ms);
            self.add_run(*first, times[run - 1], run);
            times = &times[run..];
        }
    }

    /// Adds samples that are no stale markers, `step` apart.
    pub fn add_even(&mut self, first: TimestampMs, step: i64, count: usize) {
        let time = |i: usize| first.wrapping_add((i as i64).wrapping_mul(step));
        if self.is_near(step) {
            if let Some(last) = count.checked_sub(1) {
                self.add_run(first, time(last), count);
            }
        } else {
            for i in 0..count {
                self.add_run(time(i), time(i), 1);
            }
        }
    }

    /// Adds samples that are no stale markers, each near the one before ([`Spans::is_near`]).
    pub fn add_run(&mut self, first: TimestampMs, last: TimestampMs, count: usize) {
        self.note(first, last, count);
        self.open = match self.open {
            Some((start, end)) if self.is_near(first.wrapping_sub(end)) => Some((start, last)),
            open => {
                self.close(open, TimestampMs::MAX);
                Some((first, last))
            }
        };
    }

    /// Whether a series has a value all the time between two samples that are so far apart.
    pub fn is_near(&self, distance_ms: i64) -> bool {
        // NOTE: times ascend, so that their distance fits an unsigned number, however large.
        distance_ms as u64 <= self.reach_ms as u64
    }

    fn add_stale(&mut self, t: TimestampMs) {
        self.note(t, t, 1);
        let open = self.open.take();
        self.close(open, t);
    }

    fn note(&mut self, first: TimestampMs, last: TimestampMs, count: usize) {
        self.is_disordered |= self.newest.is_some_and(|newest| newest >= first);
        self.newest = Some(last);
        self.samples += count;
    }

    fn close(&mut self, open: Option<(TimestampMs, TimestampMs)>, before: TimestampMs) {
        if let Some((first, last)) = open {
            let end = self.reached(last).min(before);
            self.closed.push(first..end);
        }
    }

    fn reached(&self, last: TimestampMs) -> TimestampMs {
        last.saturating_add(self.reach_ms)
    }

    pub fn heap_bytes(&self) -> usize {
        self.closed.capacity() * size_of::<Range<TimestampMs>>()
            + self.buffer.times.capacity() * size_of::<TimestampMs>()
            + self.buffer.stale.capacity() * size_of::<u32>()
    }
}

/// The number of leading `times` that are each at most `reach_ms` after the one before.
fn unbroken(times: &[TimestampMs], reach_ms: i64) -> usize {
    /// The number of times that are compared without a branch for each.
    const STRIDE: usize = 64;
    // NOTE: as in `Spans::is_near`.
    let is_far = |pair: &[TimestampMs]| pair[1].wrapping_sub(pair[0]) as u64 > reach_ms as u64;
    let any_far = |stride: &[TimestampMs]| stride.windows(2).fold(false, |any, p| any | is_far(p));
    let mut at = 0;
    while times.get(at..=at + STRIDE).is_some_and(|s| !any_far(s)) {
        at += STRIDE;
    }
    let near = times[at..].windows(2).take_while(|pair| !is_far(pair));
    at + 1 + near.count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns all times with a value. A sample is a time, and whether it is a stale marker.
    fn naive(samples: &[(i64, bool)], reach_ms: i64) -> Vec<i64> {
        let has_value = |t: &i64| {
            let newest = samples.iter().rev().find(|(at, _)| at <= t);
            newest.is_some_and(|(at, is_stale)| !is_stale && t - at < reach_ms)
        };
        (-10..700).filter(has_value).collect()
    }

    proptest! {
        #[test]
        fn they_are_where_a_sample_is_near(
            samples in prop::collection::btree_map(0i64..400, prop::bool::weighted(0.1), 0..60),
            cuts in prop::collection::vec(0usize..60, 0..4),
            reach_ms in 0i64..80,
        ) {
            let samples: Vec<(i64, bool)> = samples.into_iter().collect();
            let mut spans = Spans::new(reach_ms);
            // Whatever was there before is gone.
            spans.add_run(5, 7, 2);
            spans.clear();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.min(&samples.len())).collect();
            cuts.extend([0, samples.len()]);
            cuts.sort_unstable();
            for part in cuts.windows(2).map(|pair| &samples[pair[0]..pair[1]]) {
                spans.add_read(|times| {
                    times.times.extend(part.iter().map(|(t, _)| *t));
                    let stale = (0..).zip(part).filter(|(_, (_, is_stale))| *is_stale);
                    times.stale.extend(stale.map(|(at, _)| at));
                    Ok::<_, ()>(())
                }).unwrap();
            }
            prop_assert_eq!(spans.samples(), samples.len());
            prop_assert!(!spans.is_disordered);
            let found: Vec<i64> = spans.iter().flatten().collect();
            prop_assert_eq!(found, naive(&samples, reach_ms));
        }

        #[test]
        fn even_samples_are_as_any(
            (before, first, step, count) in (-50i64..0, 0i64..50, 1i64..40, 0usize..9),
            reach_ms in 0i64..60,
        ) {
            let mut even = Spans::new(reach_ms);
            even.add_run(before, before, 1);
            let mut each = even.clone();
            even.add_even(first, step, count);
            let times: Vec<i64> = (0..count).map(|i| first + step * i as i64).collect();
            each.add_alive(&times);
            prop_assert!(even.iter().eq(each.iter()));
            prop_assert_eq!(even.samples(), each.samples());
        }
    }

    #[test]
    fn another_order_is_told() {
        let mut spans = Spans::new(10);
        for (first, last, expect) in [(5, 9, false), (10, 10, false), (10, 12, true)] {
            spans.add_run(first, last, 2);
            assert_eq!(spans.is_disordered, expect);
        }
    }
}
