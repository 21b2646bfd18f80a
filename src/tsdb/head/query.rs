//! Querying: views, selections, and reading one series.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::late;
use super::lock::{Blocks, Head, State};
use super::snapshot::{Dictionary, Order, Row, Scope, select};
use crate::model::{Labels, Matcher, Sample, SeriesRef, TimestampMs};
use crate::storage::{Columns, Querier, SelectHints, Series, SeriesSet, StorageError, Times};
use crate::tsdb::chunk::{Corrupt, decode, decode_columns, decode_times};

/// LIMIT: bytes of chunks that a thread keeps room for between two reads: some thousand samples.
const COPIED_KEPT: usize = 16 << 10;

thread_local! {
    static COPIED: RefCell<Copied> = RefCell::default();
}

impl Head {
    /// A view of everything that is committed.
    pub fn querier(
        self: &Arc<Self>,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<HeadQuerier, StorageError> {
        let mut state = self.lock()?;
        let commit = state.commit;
        let view = state.views.add(commit, start);
        let pin = Pin {
            id: view,
            head: self.clone(),
        };
        let blocks = state.blocks.clone();
        drop(state);
        Ok(HeadQuerier {
            pin: Arc::new(pin),
            scope: Scope {
                view,
                commit,
                start,
                end,
            },
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
        self.select_rows(&SelectHints::default(), &[])
    }

    fn select_rows(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<HeadSet, StorageError> {
        let order = if hints.any_order {
            Order::Places
        } else {
            Order::Labels
        };
        let scope = Scope {
            start: self.scope.start.max(hints.start),
            end: self.scope.end.min(hints.end),
            ..self.scope
        };
        let (mut rows, dictionary) = select(&self.pin.head, matchers, scope, order)?;
        limited(&mut rows, hints.limit);
        Ok(HeadSet {
            rows: rows.into_iter(),
            of: Arc::new(Selection {
                pin: self.pin.clone(),
                scope,
                dictionary,
            }),
        })
    }
}

impl Querier for HeadQuerier {
    fn select(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        Ok(Box::new(self.select_rows(hints, matchers)?))
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
        series.any(|at| self.has_samples(*at, scope))
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

/// What the series of a selection share.
struct Selection {
    pin: Arc<Pin>,
    scope: Scope,
    dictionary: Dictionary,
}

pub(super) struct HeadSet {
    of: Arc<Selection>,
    rows: std::vec::IntoIter<Row>,
}

impl HeadSet {
    /// How many series are left.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn next_series(&mut self) -> Option<HeadSeries> {
        let row = self.rows.next()?;
        Some(HeadSeries {
            of: self.of.clone(),
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
    of: Arc<Selection>,
    row: Row,
}

impl Series for HeadSeries {
    fn labels(&self) -> Labels {
        Labels::from_sorted(self.of.dictionary.pairs(&self.row))
    }

    fn each_label(&self, each: &mut dyn FnMut(&str, &str)) {
        for (name, value) in self.of.dictionary.pairs(&self.row) {
            each(name, value);
        }
    }

    fn read(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<Sample>,
    ) -> Result<(), StorageError> {
        self.copied(start, end, |copied, start, end| {
            let before = out.len();
            let decoded = { copied.chunks() }.try_for_each(|c| decode(c, start, end, out));
            decoded.map_err(damaged)?;
            late::merge(out, before, std::mem::take(&mut copied.late));
            Ok(())
        })
    }

    fn read_columns(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Columns,
    ) -> Result<(), StorageError> {
        self.copied(start, end, |copied, start, end| {
            if copied.late.is_empty() {
                let mut chunks = copied.chunks();
                let decoded = chunks.try_for_each(|c| decode_columns(c, start, end, out));
                return decoded.map_err(damaged);
            }
            let mut samples = Vec::new();
            let decoded = { copied.chunks() }.try_for_each(|c| decode(c, start, end, &mut samples));
            decoded.map_err(damaged)?;
            late::merge(&mut samples, 0, std::mem::take(&mut copied.late));
            out.extend(samples);
            Ok(())
        })
    }

    fn read_times(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Times,
    ) -> Result<(), StorageError> {
        self.copied(start, end, |copied, start, end| {
            if copied.late.is_empty() {
                let mut chunks = copied.chunks();
                let decoded = chunks.try_for_each(|c| decode_times(c, start, end, out));
                return decoded.map_err(damaged);
            }
            let mut samples = Vec::new();
            let decoded = { copied.chunks() }.try_for_each(|c| decode(c, start, end, &mut samples));
            decoded.map_err(damaged)?;
            late::merge(&mut samples, 0, std::mem::take(&mut copied.late));
            out.extend(&samples);
            Ok(())
        })
    }
}

impl HeadSeries {
    /// Which it is, and up to when it is seen.
    pub fn seen(&self) -> (SeriesRef, TimestampMs) {
        (self.row.series, self.row.seen_t)
    }

    /// Calls `read` with what is stored in the range, and the range that is seen of the chunks.
    fn copied(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        read: impl FnOnce(&mut Copied, TimestampMs, TimestampMs) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let scope = Scope {
            start: start.max(self.of.scope.start),
            end: end.min(self.of.scope.end),
            ..self.of.scope
        };
        if scope.start > scope.end {
            return Ok(());
        }
        COPIED.with_borrow_mut(|copied| {
            copied.clear();
            self.copy(scope, copied)?;
            // NOTE: from where the copy begins: what is before it a block of the view has.
            let start = copied.start;
            read(copied, start, scope.end.min(self.row.seen_t))
        })
    }

    /// The chunks that reach into the scope, and what came late.
    fn copy(&self, scope: Scope, copied: &mut Copied) -> Result<(), StorageError> {
        let (bytes, ends) = (&mut copied.bytes, &mut copied.ends);
        let state = self.of.pin.head.lock()?;
        let floor = state.floors.of(self.row.series, scope.view);
        let end = scope.end.min(self.row.seen_t);
        let start = scope.start.max(floor.after());
        copied.start = start;
        let Some(series) = state.slab.get(self.row.series) else {
            // NOTE: the view keeps every series that has samples in its range.
            crate::bug!("a series of a live view is gone");
            return Ok(());
        };
        copied.late = state
            .late
            .copy(self.row.series.0 as u32, scope, floor.commit);
        if start > end {
            return Ok(());
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
        Ok(())
    }
}

/// Of one series.
#[derive(Debug, Default)]
struct Copied {
    /// The first time that is seen.
    start: TimestampMs,
    /// Of chunks, one after the other.
    bytes: Vec<u8>,
    /// Where each one's end.
    ends: Vec<usize>,
    late: Vec<Sample>,
}

impl Copied {
    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(COPIED_KEPT);
        self.ends.clear();
        self.late.clear();
    }

    fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().map(move |to| {
            let chunk = &self.bytes[from..*to];
            from = *to;
            chunk
        })
    }
}

fn damaged(corrupt: Corrupt) -> StorageError {
    StorageError::Other(corrupt.to_string())
}
