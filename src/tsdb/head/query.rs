//! Querying: views, selections, and reading one series.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::lock::{Head, State};
use super::snapshot::{Dictionary, Row, Scope, select};
use crate::model::{Labels, Matcher, Sample, TimestampMs};
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
        drop(state);
        Ok(HeadQuerier {
            pin: Arc::new(pin),
            scope: Scope { commit, start, end },
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
}

impl Querier for HeadQuerier {
    fn select(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        let (mut rows, dictionary) = select(&self.pin.head, matchers, self.scope)?;
        limited(&mut rows, hints.limit);
        Ok(Box::new(HeadSet {
            pin: self.pin.clone(),
            scope: self.scope,
            dictionary: Arc::new(dictionary),
            rows: rows.into_iter(),
        }))
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
            self.slab
                .at(*at)
                .overlaps(&self.pool, scope.start, scope.end)
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

struct HeadSet {
    pin: Arc<Pin>,
    scope: Scope,
    dictionary: Arc<Dictionary>,
    rows: std::vec::IntoIter<Row>,
}

impl SeriesSet for HeadSet {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        let row = self.rows.next()?;
        Some(Ok(Box::new(HeadSeries {
            pin: self.pin.clone(),
            scope: self.scope,
            dictionary: self.dictionary.clone(),
            row,
        })))
    }
}

struct HeadSeries {
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
        let start = start.max(self.scope.start);
        let end = end.min(self.scope.end).min(self.row.seen_t);
        if start > end {
            return Ok(());
        }
        let (bytes, ends) = self.copy(start, end)?;
        let mut from = 0;
        for to in ends {
            decode(&bytes[from..to], start, end, out).map_err(damaged)?;
            from = to;
        }
        Ok(())
    }
}

impl HeadSeries {
    /// The bytes of the chunks that reach into the range, and where each one's end.
    fn copy(
        &self,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<(Vec<u8>, Vec<usize>), StorageError> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let state = self.pin.head.lock()?;
        let Some(series) = state.slab.get(self.row.series) else {
            // NOTE: the view keeps every series that has samples in its range.
            crate::bug!("a series of a live view is gone");
            return Ok((bytes, ends));
        };
        let pool = &state.pool;
        let first = series.closed().partition_point(|c| c.last_t < start);
        let reached = series.closed().iter().skip(first);
        for closed in reached.take_while(|c| c.chunk.first_t(pool) <= end) {
            closed.chunk.copy_to(pool, &mut bytes);
            ends.push(bytes.len());
        }
        if series.open.last_t() >= start && series.open.first_t(pool) <= end {
            series.open.copy_to(pool, &mut bytes);
            ends.push(bytes.len());
        }
        Ok((bytes, ends))
    }
}

fn damaged(corrupt: Corrupt) -> StorageError {
    StorageError::Other(corrupt.to_string())
}
