//! Rates of series that share their times. What does not depend on values is computed once.

use super::falls::Falls;
use super::stretch::{Stretch, range_seconds};
use crate::model::TimestampMs;
use crate::promql::eval::Span;

/// LIMIT: sequences of times whose windows are remembered, since series of several targets may
/// alternate.
const PLANS_MAX: usize = 4;

/// The plans of one function and its windows, which lie alike over the same times.
#[derive(Debug, Default)]
pub(in crate::promql) struct Plans {
    plans: Vec<Plan>,
    /// The index of the plan to replace next.
    hand: usize,
}

#[derive(Debug, Default)]
pub(in crate::promql) struct Plan {
    times: Vec<TimestampMs>,
    windows: Vec<Planned>,
    stretches: Vec<Stretch>,
    /// Samples in all windows.
    pub(in crate::promql) looked_at: u64,
}

/// A window from its first sample to its last.
#[derive(Debug, Clone, Copy, Default)]
struct Planned {
    first: u32,
    last: u32,
    /// The index in the plan's `stretches`.
    stretch: u32,
}

impl Plans {
    /// Returns the plan of the windows that `spans` yields over `times`.
    pub(in crate::promql) fn of(
        &mut self,
        times: &[TimestampMs],
        is_rate: bool,
        spans: impl Iterator<Item = Span>,
    ) -> &Plan {
        let known = self.plans.iter().position(|plan| plan.times == times);
        let at = known.unwrap_or_else(|| {
            let at = self.hand;
            self.hand = (at + 1) % PLANS_MAX;
            if self.plans.len() <= at {
                self.plans.push(Plan::default());
            }
            self.plans[at].make(times, is_rate, spans);
            at
        });
        &self.plans[at]
    }

    /// The number of bytes kept from series to series.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |plan: &Plan| {
            plan.times.capacity() * size_of::<TimestampMs>()
                + plan.windows.capacity() * size_of::<Planned>()
                + plan.stretches.capacity() * size_of::<Stretch>()
        };
        self.plans.iter().map(bytes).sum()
    }
}

impl Plan {
    fn make(&mut self, times: &[TimestampMs], is_rate: bool, spans: impl Iterator<Item = Span>) {
        self.times.clear();
        self.times.extend_from_slice(times);
        self.windows.clear();
        self.looked_at = 0;
        self.stretches.clear();
        let (mut known, mut range_ms, mut range) = (None, 0, 1.0);
        for span in spans {
            let within = times.get(span.range.clone()).unwrap_or_default();
            self.looked_at += within.len() as u64;
            let [first, .., last] = within else {
                self.windows.push(Planned::default());
                continue;
            };
            // NOTE: successive windows mostly lie alike between their samples, and the divisions
            // are the cost.
            let lie = (
                first.wrapping_sub(span.start),
                last.wrapping_sub(*first),
                span.end.wrapping_sub(*last),
                within.len(),
            );
            if known != Some(lie) {
                known = Some(lie);
                let length = span.end.saturating_sub(span.start);
                if is_rate && length != range_ms {
                    (range_ms, range) = (length, range_seconds(span.start, span.end));
                }
                self.stretches.push(Stretch::new(&span, within, range));
            }
            self.windows.push(Planned {
                first: span.range.start as u32,
                last: span.range.end as u32 - 1,
                stretch: self.stretches.len() as u32 - 1,
            });
        }
    }

    /// Computes all windows over a series' values. Returns whether any has a value.
    pub(in crate::promql) fn fill(
        &self,
        values: &[f64],
        falls: &Falls,
        is_counter: bool,
        out: &mut [f64],
    ) -> bool {
        let mut found = false;
        for (slot, window) in out.iter_mut().zip(&self.windows) {
            let (at, last_at) = (window.first as usize, window.last as usize);
            if let Some(first) = values.get(at)
                && let Some(last) = values.get(last_at)
                && at < last_at
                && let Some(stretch) = self.stretches.get(window.stretch as usize)
            {
                let lost = falls.within(at, last_at);
                let change = lost.iter().fold(last - first, |change, v| change + v);
                *slot = stretch.of(*first, change, is_counter);
                found = true;
            }
        }
        found
    }
}
