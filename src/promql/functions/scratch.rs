//! Memory that window functions keep from one window to the next.

use std::mem;

use super::falls::Falls;
use super::plans::Plans;
use super::ranks::Ranks;
use crate::model::TimestampMs;
use crate::promql::eval::Window;

/// Made once per call, and passed from window to window and from series to series. What it
/// remembers is checked against each window before it is used.
#[derive(Debug, Default)]
pub(in crate::promql) struct Scratch {
    /// The times of the window before.
    times: Vec<TimestampMs>,
    values: Vec<f64>,
    /// The values of that window, as [`Key`]s in order.
    sorted: Vec<Key>,
    /// The keys that come, and those that go.
    comes: Vec<Key>,
    goes: Vec<Key>,
    spare: Vec<Key>,
    pub(in crate::promql) plans: Plans,
    /// The ranks of the current series.
    pub(in crate::promql) ranks: Ranks,
    pub(in crate::promql) falls: Falls,
}

/// A value as an integer of the same order. NaN is the least.
pub(super) type Key = i64;

pub(super) fn key(v: f64) -> Key {
    if v.is_nan() {
        return Key::MIN;
    }
    let bits = v.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

pub(super) fn value(key: Key) -> f64 {
    if key == Key::MIN {
        return f64::NAN;
    }
    f64::from_bits((key ^ (((key >> 63) as u64) >> 1) as i64) as u64)
}

impl Scratch {
    /// Returns a window's values in order. Successive windows share most of their samples, so only
    /// those that differ are merged into the sorted ones.
    pub(super) fn sort(&mut self, window: &Window<'_>) -> &[Key] {
        let (times, values) = (window.times, window.values);
        let gone = times.first().map_or(0, |first| {
            self.times.partition_point(|before| before < first)
        });
        let stays = self.times.len() - gone;
        let differ = gone + times.len().saturating_sub(stays);
        if differ <= times.len() / 2 && self.begins(gone, window) {
            let new = values.get(stays..).unwrap_or_default();
            self.times.drain(..gone);
            self.times.extend(times.iter().skip(stays));
            self.slide(gone, new);
        } else {
            self.times.clear();
            self.times.extend_from_slice(times);
            self.values.clear();
            self.values.extend_from_slice(values);
            fill(&mut self.sorted, values);
        }
        &self.sorted
    }

    /// Whether the last window without its first `gone` samples begins this window, bit by bit.
    fn begins(&self, gone: usize, window: &Window<'_>) -> bool {
        let stays = self.times.get(gone..).unwrap_or_default();
        let values = self.values.get(gone..).unwrap_or_default();
        window.times.starts_with(stays) && { values.iter().zip(window.values) }
            .all(|(a, b)| a.to_bits() == b.to_bits())
    }

    fn slide(&mut self, gone: usize, new: &[f64]) {
        fill(&mut self.comes, new);
        fill(&mut self.goes, self.values.get(..gone).unwrap_or(&[]));
        self.values.drain(..gone);
        self.values.extend_from_slice(new);
        let (mut comes, mut goes) = (self.comes.as_slice(), self.goes.as_slice());
        self.spare.clear();
        for key in &self.sorted {
            if let [first, rest @ ..] = goes
                && first == key
            {
                goes = rest;
                continue;
            }
            while let [first, rest @ ..] = comes
                && first < key
            {
                self.spare.push(*first);
                comes = rest;
            }
            self.spare.push(*key);
        }
        self.spare.extend_from_slice(comes);
        mem::swap(&mut self.sorted, &mut self.spare);
    }

    /// The number of bytes held, as far as they grow with a series' samples.
    pub(in crate::promql) fn bytes(&self) -> usize {
        self.plans.bytes() + self.ranks.bytes() + self.falls.bytes()
    }

    /// Sorts values from elsewhere. What is remembered of the last window stays.
    pub(super) fn sort_values(&mut self, values: impl Iterator<Item = f64>) -> &[Key] {
        self.spare.clear();
        self.spare.extend(values.map(key));
        self.spare.sort_unstable();
        &self.spare
    }
}

fn fill(keys: &mut Vec<Key>, values: &[f64]) {
    keys.clear();
    keys.extend(values.iter().map(|v| key(*v)));
    keys.sort_unstable();
}
