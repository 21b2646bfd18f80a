//! Memory that window functions keep from one window to the next.

use std::mem;

use super::ranks::Ranks;
use crate::model::Sample;

/// Made once a call, and handed from window to window and from series to series: what it remembers
/// is checked against each window before it is used.
#[derive(Debug, Default)]
pub(in crate::promql) struct Scratch {
    /// The window before.
    window: Vec<Sample>,
    /// Its values, as [`Key`]s in order.
    sorted: Vec<Key>,
    /// Keys that come, and keys that go.
    comes: Vec<Key>,
    goes: Vec<Key>,
    spare: Vec<Key>,
    /// Of the series at hand.
    pub(in crate::promql) ranks: Ranks,
}

/// A value as an integer of the same order; what is no number is the least.
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
    /// The values of `samples` in order. Windows that follow each other share most of their
    /// samples; then those that differ are merged into what was sorted before.
    pub(super) fn sort(&mut self, samples: &[Sample]) -> &[Key] {
        let gone = samples.first().map_or(0, |first| {
            self.window.partition_point(|before| before.t < first.t)
        });
        let stays = self.window.get(gone..).unwrap_or(&[]);
        let differ = gone + samples.len().saturating_sub(stays.len());
        let begin = samples.get(..stays.len());
        if differ <= samples.len() / 2 && begin.is_some_and(|begin| is_same(begin, stays)) {
            let new = samples.get(stays.len()..).unwrap_or(&[]);
            self.slide(gone, new);
        } else {
            self.window.clear();
            self.window.extend_from_slice(samples);
            fill(&mut self.sorted, samples);
        }
        &self.sorted
    }

    fn slide(&mut self, gone: usize, new: &[Sample]) {
        fill(&mut self.comes, new);
        fill(&mut self.goes, self.window.get(..gone).unwrap_or(&[]));
        self.window.drain(..gone);
        self.window.extend_from_slice(new);
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

    /// For values that come from elsewhere; what is remembered of the last window stays.
    pub(super) fn sort_values(&mut self, values: impl Iterator<Item = f64>) -> &[Key] {
        self.spare.clear();
        self.spare.extend(values.map(key));
        self.spare.sort_unstable();
        &self.spare
    }
}

fn fill(keys: &mut Vec<Key>, samples: &[Sample]) {
    keys.clear();
    keys.extend(samples.iter().map(|s| key(s.v)));
    keys.sort_unstable();
}

/// To the bit.
fn is_same(a: &[Sample], b: &[Sample]) -> bool {
    a.iter()
        .zip(b)
        .all(|(a, b)| a.t == b.t && a.v.to_bits() == b.v.to_bits())
}
