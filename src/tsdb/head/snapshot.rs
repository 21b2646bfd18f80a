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
use crate::model::{Labels, Matcher, SeriesRef, TimestampMs};
use crate::storage::StorageError;

/// LIMIT: texts copied in one hold of the lock, some 100 µs of it.
const TEXTS_AT_ONCE: usize = 4096;

/// The range and the last commit that a selection sees.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
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

/// The labels of a selection: its distinct pairs in order, and each series' as numbers of these.
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
            let series = self.slab.at(at);
            let has_late = self.has_late(at, scope);
            if !series.overlaps(&self.pool, scope.start, scope.end) && !has_late {
                continue;
            }
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
                *seen_t != NEVER && *seen_t >= scope.start || self.has_late(*at, scope)
            });
        }
        visible
    }
}

/// The series that match, sorted by labels.
pub fn select(
    head: &Head,
    matchers: &[Matcher],
    scope: Scope,
) -> Result<(Vec<Row>, Dictionary), StorageError> {
    let mut rows = Vec::new();
    let mut labels: Vec<PairId> = Vec::new();
    {
        let mut state = head.lock()?;
        let visible = state.visible(matchers, scope);
        rows.reserve_exact(visible.len());
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
    let dictionary = Dictionary::copy(head, labels)?;
    rows.sort_unstable_by(|a, b| dictionary.numbers(a).cmp(dictionary.numbers(b)));
    Ok((rows, dictionary))
}

impl Dictionary {
    /// `labels` are numbers of pairs in the head, and become numbers of pairs here.
    fn copy(head: &Head, mut labels: Vec<PairId>) -> Result<Dictionary, StorageError> {
        let mut numbers: HashMap<PairId, u32, foldhash::fast::RandomState> = HashMap::default();
        let mut distinct = Vec::new();
        for label in &mut labels {
            let id = *label;
            *label = *numbers.entry(id).or_insert_with(|| {
                distinct.push(id);
                distinct.len() as u32 - 1
            });
        }
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
        let mut order: Vec<u32> = (0..pairs.len() as u32).collect();
        order.sort_unstable_by_key(|number| pairs[*number as usize].of(&text));
        let mut ranks = vec![0; order.len()];
        for (rank, number) in order.iter().enumerate() {
            ranks[*number as usize] = rank as u32;
        }
        for label in &mut labels {
            *label = ranks[*label as usize];
        }
        let pairs = order.iter().map(|number| pairs[*number as usize]).collect();
        Ok(Dictionary {
            text,
            pairs,
            labels,
        })
    }

    /// In order of labels, as the labels themselves are.
    fn numbers(&self, row: &Row) -> &[u32] {
        let start = row.labels_at as usize;
        &self.labels[start..start + usize::from(row.labels_len)]
    }

    pub fn labels(&self, row: &Row) -> Labels {
        let numbers = self.numbers(row).iter();
        Labels::from_sorted(numbers.map(|number| self.pairs[*number as usize].of(&self.text)))
    }
}

impl TextPair {
    fn of(self, text: &str) -> (&str, &str) {
        let bytes = self.name_bytes as usize + self.value_bytes as usize;
        text[self.at..self.at + bytes].split_at(self.name_bytes as usize)
    }
}
