//! What a selection takes out of the head: which series, how far each is seen, and their labels.
//!
//! Series are taken under the lock as numbers of pairs. Their texts are copied after that, some
//! thousand at a time, so that appending waits for none of it; the view keeps the series, hence
//! their pairs, from being released meanwhile. Sorting happens without the lock.

use std::collections::HashMap;

use super::append::newest;
use super::index::PairId;
use super::lock::{Head, State};
use super::views::NEVER;
use crate::model::{Matcher, SeriesRef, TimestampMs};
use crate::storage::StorageError;

/// LIMIT: texts copied in one hold of the lock, some 100 µs of it.
const TEXTS_AT_ONCE: usize = 4096;

/// The range and the last commit that a selection sees.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Its number, which tells the blocks that it sees.
    pub view: u64,
    pub commit: u64,
    pub start: TimestampMs,
    pub end: TimestampMs,
}

/// One series of a selection.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub series: SeriesRef,
    /// Nothing newer is seen.
    pub seen_t: TimestampMs,
    labels_at: u32,
    labels_len: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Labels,
    /// As the series stand in the head, which costs nothing.
    Places,
}

/// The labels of a selection: its distinct pairs, and each series' as numbers of these. The pairs
/// are in order where the series are.
#[derive(Debug, Default)]
pub struct Dictionary {
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
    /// The places that match and have samples in the scope, each with the newest time that is seen.
    pub fn visible(&mut self, matchers: &[Matcher], scope: Scope) -> Vec<(u32, TimestampMs)> {
        let places = self.matching(matchers);
        let mut visible = Vec::with_capacity(places.len());
        let mut changed = Vec::new();
        for at in places {
            if !self.has_samples(at, scope) {
                continue;
            }
            let series = self.slab.at(at);
            if series.commit > scope.commit {
                changed.push((at, None));
            }
            visible.push((at, newest(series)));
        }
        if !changed.is_empty() {
            self.views.restore(scope.commit, &mut changed);
            let mut changed = changed.into_iter().peekable();
            for (at, seen_t) in &mut visible {
                if let Some((_, before)) = changed.next_if(|c| c.0 == *at) {
                    *seen_t = before.unwrap_or(NEVER);
                }
            }
            visible.retain(|(at, seen_t)| {
                let seen = *seen_t != NEVER && *seen_t >= scope.start;
                seen && !self.is_in_block(*at, *seen_t, scope) || self.has_late(*at, scope)
            });
        }
        visible
    }
}

/// The series that match.
pub fn select(
    head: &Head,
    matchers: &[Matcher],
    scope: Scope,
    order: Order,
) -> Result<(Vec<Row>, Dictionary), StorageError> {
    let mut rows = Vec::new();
    let mut labels: Vec<PairId> = Vec::new();
    {
        let mut state = head.lock()?;
        let visible = state.visible(matchers, scope);
        rows.reserve_exact(visible.len());
        let of = |(at, _): &(u32, TimestampMs)| state.slab.pairs(*at).len();
        labels.reserve_exact(visible.iter().map(of).sum());
        for (at, seen_t) in visible {
            let pairs = state.slab.pairs(at);
            rows.push(Row {
                series: state.slab.reference(at),
                seen_t,
                labels_at: labels.len() as u32,
                labels_len: pairs.len() as u16,
            });
            labels.extend_from_slice(pairs);
        }
    }
    let mut dictionary = Dictionary::copy(head, labels)?;
    if order == Order::Places {
        return Ok((rows, dictionary));
    }
    dictionary.sort();
    rows.sort_unstable_by(|a, b| dictionary.numbers(a).cmp(dictionary.numbers(b)));
    Ok((rows, dictionary))
}

impl Dictionary {
    /// `labels` are numbers of pairs in the head, and become numbers of pairs here.
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

    /// Numbers the pairs in their order.
    fn sort(&mut self) {
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
        self.pairs = order.iter().map(|number| pairs[*number as usize]).collect();
    }

    /// Once sorted, in order of labels, as the labels themselves are.
    fn numbers(&self, row: &Row) -> &[u32] {
        let start = row.labels_at as usize;
        &self.labels[start..start + usize::from(row.labels_len)]
    }

    /// Of a series, in order of names.
    pub fn pairs(&self, row: &Row) -> impl Iterator<Item = (&str, &str)> {
        let numbers = self.numbers(row).iter();
        numbers.map(|number| self.pairs[*number as usize].of(&self.text))
    }
}

/// Replaces each pair by the number of its first sight; tells the pairs by number.
fn number(labels: &mut [PairId]) -> Vec<PairId> {
    let places = labels.iter().max().map_or(0, |last| *last as usize + 1);
    let mut distinct = Vec::new();
    let mut new = |id| {
        distinct.push(id);
        distinct.len() as u32 - 1
    };
    // NOTE: a place for every pair is quicker than a table, and for many series not larger.
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
