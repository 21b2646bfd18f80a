//! Querying: views, selections, and reading one series.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::late;
use super::lock::{Blocks, Head, State};
use super::snapshot::{Dictionary, Row, Scope, select};
use crate::model::{Labels, Matcher, Sample, SeriesRef, TimestampMs};
use crate::storage::{Querier, SelectHints, Series, SeriesSet, StorageError};
use crate::tsdb::chunk::{Corrupt, decode};

impl Head {
    /// A view of everything that is committed.
    pub fn querier(
        self: &Arc<Self>,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<HeadQuerier, StorageError> {
        let mut state = self.lock()?;
        let commit = state.commit;
        let pin = Pin {
            id: state.views.add(commit, start),
            head: self.clone(),
        };
        let blocks = state.blocks.clone();
        drop(state);
        Ok(HeadQuerier {
            pin: Arc::new(pin),
            scope: Scope { commit, start, end },
            blocks,
        })
    }
}

/// Keeps what a view may ask for; gone with the last of the querier and what it handed out.
#[derive(Debug)]
struct Pin {
    head: Arc<Head>,
    id: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        if let Ok(mut state) = self.head.lock() {
            state.views.remove(self.id);
        }
    }
}

#[derive(Debug)]
pub struct HeadQuerier {
    pin: Arc<Pin>,
    scope: Scope,
    /// As they were when the view began.
    pub blocks: Blocks,
}

impl HeadQuerier {
    pub(super) fn head(&self) -> &Arc<Head> {
        &self.pin.head
    }

    /// Of the last commit that it sees.
    pub(super) fn commit(&self) -> u64 {
        self.scope.commit
    }

    pub(super) fn select_all(&self) -> Result<HeadSet, StorageError> {
        self.select_rows(0, &[])
    }

    fn select_rows(&self, limit: usize, matchers: &[Matcher]) -> Result<HeadSet, StorageError> {
        let (mut rows, dictionary) = select(&self.pin.head, matchers, self.scope)?;
        limited(&mut rows, limit);
        Ok(HeadSet {
            pin: self.pin.clone(),
            scope: self.scope,
            dictionary: Arc::new(dictionary),
            rows: rows.into_iter(),
        })
    }
}

impl Querier for HeadQuerier {
    fn select(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        Ok(Box::new(self.select_rows(hints.limit, matchers)?))
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, StorageError> {
        let mut state = self.pin.head.lock()?;
        let names: Vec<String> = if matchers.is_empty() {
            state.all_names(self.scope)
        } else {
            let visible = state.visible(matchers, self.scope);
            let pairs = visible.iter().flat_map(|(at, _)| state.slab.pairs(*at));
            let names: BTreeSet<_> = pairs.map(|pair| state.index.name_of(*pair)).collect();
            { names.iter() }
                .map(|name| state.index.name_text(*name).to_owned())
                .collect()
        };
        drop(state);
        Ok(sorted(names, limit))
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let mut state = self.pin.head.lock()?;
        let Some(name) = state.index.name(name) else {
            return Ok(Vec::new());
        };
        let pairs: Vec<_> = if matchers.is_empty() {
            let pairs = state.index.pairs_of(name).iter().copied();
            pairs
                .filter(|pair| state.in_use(*pair, self.scope))
                .collect()
        } else {
            let visible = state.visible(matchers, self.scope);
            let pairs = visible.iter().flat_map(|(at, _)| state.slab.pairs(*at));
            let pairs: BTreeSet<_> = pairs
                .filter(|pair| state.index.name_of(**pair) == name)
                .collect();
            pairs.into_iter().copied().collect()
        };
        let values = pairs.iter().map(|pair| state.index.value(*pair).to_owned());
        let values = values.collect();
        drop(state);
        Ok(sorted(values, limit))
    }
}

impl State {
    fn all_names(&self, scope: Scope) -> Vec<String> {
        let used = |pairs: &[u32]| pairs.iter().any(|pair| self.in_use(*pair, scope));
        let names = self.index.names().filter(|name| used(&name.pairs));
        names.map(|name| name.text.to_string()).collect()
    }

    /// Whether a series with this pair has samples in the scope. The first one mostly has.
    fn in_use(&self, pair: u32, scope: Scope) -> bool {
        let mut series = self.index.postings_unsorted(pair).iter();
        series.any(|at| {
            let series = self.slab.at(*at);
            series.overlaps(&self.pool, scope.start, scope.end) || self.has_late(*at, scope)
        })
    }
}

fn sorted(mut texts: Vec<String>, limit: usize) -> Vec<String> {
    texts.sort_unstable();
    limited(&mut texts, limit);
    texts
}

fn limited<T>(list: &mut Vec<T>, limit: usize) {
    if limit > 0 {
        list.truncate(limit);
    }
}

pub(super) struct HeadSet {
    pin: Arc<Pin>,
    scope: Scope,
    dictionary: Arc<Dictionary>,
    rows: std::vec::IntoIter<Row>,
}

impl HeadSet {
    pub fn next_series(&mut self) -> Option<HeadSeries> {
        let row = self.rows.next()?;
        Some(HeadSeries {
            pin: self.pin.clone(),
            scope: self.scope,
            dictionary: self.dictionary.clone(),
            row,
        })
    }
}

impl SeriesSet for HeadSet {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        Some(Ok(Box::new(self.next_series()?)))
    }
}

pub(super) struct HeadSeries {
    pin: Arc<Pin>,
    scope: Scope,
    dictionary: Arc<Dictionary>,
    row: Row,
}

impl Series for HeadSeries {
    fn labels(&self) -> Labels {
        self.dictionary.labels(&self.row)
    }

    fn read(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<Sample>,
    ) -> Result<(), StorageError> {
        let scope = Scope {
            start: start.max(self.scope.start),
            end: end.min(self.scope.end),
            ..self.scope
        };
        if scope.start > scope.end {
            return Ok(());
        }
        let copied = self.copy(scope)?;
        let (mut from, before) = (0, out.len());
        let end = scope.end.min(self.row.seen_t);
        for to in copied.ends {
            decode(&copied.bytes[from..to], scope.start, end, out).map_err(damaged)?;
            from = to;
        }
        late::merge(out, before, copied.late);
        Ok(())
    }
}

impl HeadSeries {
    /// Which it is, and up to when it is seen.
    pub fn seen(&self) -> (SeriesRef, TimestampMs) {
        (self.row.series, self.row.seen_t)
    }

    /// The chunks that reach into the scope, and what came late.
    fn copy(&self, scope: Scope) -> Result<Copied, StorageError> {
        let (start, end) = (scope.start, scope.end.min(self.row.seen_t));
        let mut copied = Copied::default();
        let (bytes, ends) = (&mut copied.bytes, &mut copied.ends);
        let state = self.pin.head.lock()?;
        let Some(series) = state.slab.get(self.row.series) else {
            // NOTE: the view keeps every series that has samples in its range.
            crate::bug!("a series of a live view is gone");
            return Ok(copied);
        };
        copied.late = state.late.copy(self.row.series.0 as u32, scope);
        if start > end {
            return Ok(copied);
        }
        let pool = &state.pool;
        let first = series.closed().partition_point(|c| c.last_t < start);
        let reached = series.closed().iter().skip(first);
        for closed in reached.take_while(|c| c.chunk.first_t(pool) <= end) {
            closed.chunk.copy_to(pool, bytes);
            ends.push(bytes.len());
        }
        if !series.open.is_empty()
            && series.open.last_t() >= start
            && series.open.first_t(pool) <= end
        {
            series.open.copy_to(pool, bytes);
            ends.push(bytes.len());
        }
        Ok(copied)
    }
}

/// Of one series.
#[derive(Debug, Default)]
struct Copied {
    /// Of chunks, one after the other.
    bytes: Vec<u8>,
    /// Where each one's end.
    ends: Vec<usize>,
    late: Vec<Sample>,
}

fn damaged(corrupt: Corrupt) -> StorageError {
    StorageError::Other(corrupt.to_string())
}
