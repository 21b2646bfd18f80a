//! Queries: views, and what they select.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::lock::{Blocks, Head, State};
use super::series_batch::{HeadSet, Selection};
use super::snapshot::{Order, Scope, select};
use crate::model::{Matcher, TimestampMs};
use crate::stdx::sort::sort;
use crate::storage::{Querier, SelectHints, SeriesSet, StorageError};

impl Head {
    /// Opens a view of everything that is committed.
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

/// Keeps what a view may ask for, until the querier and all it handed out are dropped.
#[derive(Debug)]
pub(super) struct Pin {
    pub head: Arc<Head>,
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
    /// The blocks as they were when the view began.
    pub blocks: Blocks,
}

impl HeadQuerier {
    pub(super) fn head(&self) -> &Arc<Head> {
        &self.pin.head
    }

    /// The last commit that it sees.
    pub(super) fn commit(&self) -> u64 {
        self.scope.commit
    }

    pub(super) fn select_all(&self) -> Result<HeadSet, StorageError> {
        let selection = self.select_rows(&SelectHints::default(), &[])?;
        Ok(HeadSet::new(Arc::new(selection)))
    }

    /// Selects as [`Querier::select`] does, but returns rows, not series.
    pub fn select_rows(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Selection, StorageError> {
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
        let mut rows = select(&self.pin.head, matchers, scope, order)?;
        if hints.limit > 0 {
            rows.truncate(hints.limit);
        }
        Ok(Selection {
            pin: self.pin.clone(),
            scope,
            rows,
            is_sorted: !hints.any_order,
        })
    }
}

impl Querier for HeadQuerier {
    fn select(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        let selection = self.select_rows(hints, matchers)?;
        Ok(Box::new(HeadSet::new(Arc::new(selection))))
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, StorageError> {
        let mut state = self.pin.head.lock()?;
        let names: Vec<String> = if matchers.is_empty() {
            state.all_names(self.scope)
        } else {
            let visible = state.visible(matchers, self.scope);
            let pairs = { visible.places.iter() }.flat_map(|at| state.slab.pairs(*at));
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
            let pairs = { visible.places.iter() }.flat_map(|at| state.slab.pairs(*at));
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

    /// Whether a series with this pair has samples in the scope. Mostly the first one has.
    fn in_use(&self, pair: u32, scope: Scope) -> bool {
        let mut series = self.index.postings_unsorted(pair).iter();
        series.any(|at| self.has_samples(*at, scope))
    }
}

fn sorted(mut texts: Vec<String>, limit: usize) -> Vec<String> {
    sort(&mut texts);
    if limit > 0 {
        texts.truncate(limit);
    }
    texts
}
