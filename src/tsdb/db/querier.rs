//! Queries over the head and the blocks together.

use std::sync::Arc;

use super::join::Join;
use crate::model::{Matcher, TimestampMs};
use crate::stdx::sort::sort;
use crate::storage::{Querier, SelectHints, Series, SeriesSet, StorageError, merge_sets};
use crate::tsdb::block::{Block, BlockError};
use crate::tsdb::head::{HeadQuerier, HeadSet};
use crate::tsdb::metrics::StoreMetrics;

pub struct DbQuerier {
    head: HeadQuerier,
    /// The blocks in the range, the newest first.
    blocks: Vec<Arc<Block>>,
    start: TimestampMs,
    end: TimestampMs,
    metrics: Option<Arc<StoreMetrics>>,
}

impl DbQuerier {
    pub fn new(
        mut head: HeadQuerier,
        (start, end): (TimestampMs, TimestampMs),
        metrics: Option<Arc<StoreMetrics>>,
    ) -> DbQuerier {
        // NOTE: the others are dropped, so that a compaction's sources are open no longer than
        // needed.
        let all = std::mem::take(&mut head.blocks);
        let blocks = all.iter();
        let blocks = blocks.filter(|block| block.meta().overlaps(start, end));
        DbQuerier {
            blocks: blocks.cloned().collect(),
            head,
            start,
            end,
            metrics,
        }
    }

    /// Turns a damaged block into a missing answer, so that it costs only its own.
    fn answer<T>(&self, result: Result<T, BlockError>) -> Result<Option<T>, StorageError> {
        match result {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_damage() => {
                log::error!("a query goes without: {error}");
                if let Some(metrics) = &self.metrics {
                    metrics.damaged_reads.inc();
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn texts(
        &self,
        head: Vec<String>,
        limit: usize,
        of: impl Fn(&Block) -> Result<Vec<String>, BlockError>,
    ) -> Result<Vec<String>, StorageError> {
        let mut texts = head;
        for block in &self.blocks {
            texts.extend(self.answer(of(block))?.unwrap_or_default());
        }
        if !self.blocks.is_empty() {
            sort(&mut texts);
            texts.dedup();
        }
        if limit > 0 {
            texts.truncate(limit);
        }
        Ok(texts)
    }
}

impl Querier for DbQuerier {
    fn select(
        &self,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        let (start, end) = (self.start.max(hints.start), self.end.min(hints.end));
        let blocks = self.blocks.iter();
        let mut blocks = { blocks.filter(|block| block.meta().overlaps(start, end)) }.peekable();
        if blocks.peek().is_none() {
            return self.head.select(hints, matchers);
        }
        // ORDER: the limit cuts only after series in several places were joined. A sorted head need
        // not give more than the limit.
        let of_head = SelectHints {
            limit: if hints.any_order { 0 } else { hints.limit },
            ..*hints
        };
        let head = Arc::new(self.head.select_rows(&of_head, matchers)?);
        let mut sets = Vec::new();
        for block in blocks {
            let set = block.select(matchers, start, end);
            let set = self.answer(set)?;
            sets.extend(set.filter(|set| set.left() != Some(0)));
        }
        let set: Box<dyn SeriesSet> = if sets.is_empty() {
            Box::new(HeadSet::new(head))
        } else if head.len() == 0 {
            let boxed = |set| -> Box<dyn SeriesSet> { Box::new(set) };
            merge_sets(sets.into_iter().map(boxed).collect())
        } else {
            Box::new(Join::new(head, sets)?)
        };
        Ok(match hints.limit {
            0 => set,
            left => Box::new(Limited { set, left }),
        })
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, StorageError> {
        let head = self.head.label_names(matchers, limit)?;
        self.texts(head, limit, |block| block.label_names(matchers))
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let head = self.head.label_values(name, matchers, limit)?;
        self.texts(head, limit, |block| block.label_values(name, matchers))
    }
}

/// A merged set, cut at the limit.
struct Limited {
    set: Box<dyn SeriesSet>,
    left: usize,
}

impl SeriesSet for Limited {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        self.left = self.left.checked_sub(1)?;
        self.set.next()
    }
}
