//! What a selection takes from the head: its series, and how far each is seen.
//!
//! For sorting, series are taken under the lock as pair numbers. Their texts are copied later, some
//! thousand at a time, so that appending never waits long. Meanwhile the view keeps the series,
//! hence their pairs, from release. Sorting happens without the lock.

use std::collections::HashMap;

use super::append::newest;
use super::index::PairId;
use super::lock::{Head, State};
use super::views::NEVER;
pub use super::views::Scope;
use crate::model::{Matcher, TimestampMs};
use crate::storage::StorageError;

/// LIMIT: texts copied per hold of the lock, some 100 µs.
const TEXTS_AT_ONCE: usize = 4096;

/// The series of a selection. NOTE: two lists, and no references, as a view keeps its series in
/// their places: 12 bytes each, where many are selected by each of many threads.
#[derive(Debug)]
pub struct Rows {
    pub places: Vec<u32>,
    /// The newest time that is seen, for each.
    pub seen: Vec<TimestampMs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Labels,
    /// In the order of the head, which costs nothing.
    Places,
}

/// Labels to sort by: the distinct pairs, and each series' labels as indices of these.
#[derive(Debug, Default)]
struct Dictionary {
    text: String,
    pairs: Vec<TextPair>,
    labels: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct TextPair {
    at: usize,
    name_bytes: u32,
    value_bytes: u32,
}

impl State {
    /// Returns what matches and has samples in the scope.
    pub fn visible(&mut self, matchers: &[Matcher], scope: Scope) -> Rows {
        let mut places = self.matching(matchers);
        places.retain(|at| self.has_samples(*at, scope));
        let mut seen = Vec::with_capacity(places.len());
        let mut changed = Vec::new();
        for at in &places {
            let series = self.slab.at(*at);
            if series.commit > scope.commit {
                changed.push((*at, None));
            }
            seen.push(newest(series));
        }
        let mut rows = Rows { places, seen };
        if !changed.is_empty() {
            self.views.restore(scope.commit, &mut changed);
            let mut changed = changed.into_iter().peekable();
            for (at, seen_t) in rows.places.iter().zip(&mut rows.seen) {
                if let Some((_, before)) = changed.next_if(|c| c.0 == *at) {
                    *seen_t = before.unwrap_or(NEVER);
                }
            }
            rows.retain(|at, seen_t| {
                let seen = seen_t != NEVER && seen_t >= scope.start;
                seen && !self.is_in_block(at, seen_t, scope) || self.has_late(at, scope)
            });
        }
        rows
    }
}

impl Rows {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn truncate(&mut self, len: usize) {
        self.places.truncate(len);
        self.seen.truncate(len);
    }

    fn retain(&mut self, keep: impl Fn(u32, TimestampMs) -> bool) {
        let rows = self.places.iter().zip(&self.seen);
        let kept: Vec<bool> = rows.map(|(at, seen_t)| keep(*at, *seen_t)).collect();
        let (mut of_places, mut of_seen) = (kept.iter(), kept.iter());
        self.places.retain(|_| of_places.next() == Some(&true));
        self.seen.retain(|_| of_seen.next() == Some(&true));
    }

    /// Moves the row at the first index in `order` to the front, and so on.
    fn reorder(&mut self, order: &[u32]) {
        self.places = order.iter().map(|i| self.places[*i as usize]).collect();
        self.seen = order.iter().map(|i| self.seen[*i as usize]).collect();
    }
}

/// Selects the series that match.
pub fn select(
    head: &Head,
    matchers: &[Matcher],
    scope: Scope,
    order: Order,
) -> Result<Rows, StorageError> {
    let mut labels: Vec<PairId> = Vec::new();
    let mut ends = Vec::new();
    let mut rows = {
        let mut state = head.lock()?;
        let rows = state.visible(matchers, scope);
        if order == Order::Places {
            return Ok(rows);
        }
        let pairs = |at: &u32| state.slab.pairs(*at);
        labels.reserve_exact(rows.places.iter().map(|at| pairs(at).len()).sum());
        ends.reserve_exact(rows.len());
        for at in &rows.places {
            labels.extend_from_slice(pairs(at));
            ends.push(labels.len() as u32);
        }
        rows
    };
    let order = Dictionary::copy(head, labels)?.order(&ends);
    rows.reorder(&order);
    Ok(rows)
}

impl Dictionary {
    /// Copies the pairs' texts. `labels` has the head's pair numbers, which are replaced by
    /// indices.
    fn copy(head: &Head, mut labels: Vec<PairId>) -> Result<Dictionary, StorageError> {
        let distinct = number(&mut labels);
        let mut text = String::new();
        let mut pairs = Vec::with_capacity(distinct.len());
        for ids in distinct.chunks(TEXTS_AT_ONCE) {
            let state = head.lock()?;
            for id in ids {
                let (name, value) = state.index.text(*id);
                pairs.push(TextPair {
                    at: text.len(),
                    name_bytes: name.len() as u32,
                    value_bytes: value.len() as u32,
                });
                text.push_str(name);
                text.push_str(value);
            }
        }
        Ok(Dictionary {
            text,
            pairs,
            labels,
        })
    }

    /// Returns the order of the series whose labels end at `ends`.
    fn order(mut self, ends: &[u32]) -> Vec<u32> {
        self.rank();
        let labels_of = |i: u32| {
            let start = i.checked_sub(1).map_or(0, |before| ends[before as usize]);
            &self.labels[start as usize..ends[i as usize] as usize]
        };
        let mut order: Vec<u32> = (0..ends.len() as u32).collect();
        order.sort_unstable_by(|a, b| labels_of(*a).cmp(labels_of(*b)));
        order
    }

    /// Numbers the pairs in their order.
    fn rank(&mut self) {
        let (pairs, text) = (&self.pairs, &self.text);
        let mut order: Vec<u32> = (0..pairs.len() as u32).collect();
        order.sort_unstable_by_key(|number| pairs[*number as usize].of(text));
        let mut ranks = vec![0; order.len()];
        for (rank, number) in order.iter().enumerate() {
            ranks[*number as usize] = rank as u32;
        }
        for label in &mut self.labels {
            *label = ranks[*label as usize];
        }
    }
}

/// Replaces each pair by its index in the order of first occurrence. Returns the pairs.
fn number(labels: &mut [PairId]) -> Vec<PairId> {
    let places = labels.iter().max().map_or(0, |last| *last as usize + 1);
    let mut distinct = Vec::new();
    let mut new = |id| {
        distinct.push(id);
        distinct.len() as u32 - 1
    };
    // NOTE: an array with room for every pair is faster than a table, and for many series not
    // larger.
    if places <= labels.len() {
        let mut numbers = vec![u32::MAX; places];
        for label in labels {
            let known = &mut numbers[*label as usize];
            if *known == u32::MAX {
                *known = new(*label);
            }
            *label = *known;
        }
    } else {
        let mut numbers: HashMap<PairId, u32, foldhash::fast::RandomState> = HashMap::default();
        for label in labels {
            *label = *numbers.entry(*label).or_insert_with(|| new(*label));
        }
    }
    distinct
}

impl TextPair {
    fn of(self, text: &str) -> (&str, &str) {
        let bytes = self.name_bytes as usize + self.value_bytes as usize;
        text[self.at..self.at + bytes].split_at(self.name_bytes as usize)
    }
}
