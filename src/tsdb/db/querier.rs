//! Queries over the head and the blocks, as one.

use std::sync::Arc;

use crate::model::{Matcher, TimestampMs};
use crate::storage::{Querier, SelectHints, Series, SeriesSet, StorageError, Times, merge_sets};
use crate::tsdb::block::{Block, BlockError};
use crate::tsdb::head::HeadQuerier;
use crate::tsdb::metrics::StoreMetrics;

pub struct DbQuerier {
    head: HeadQuerier,
    /// Those in the range, the newest first.
    blocks: Vec<Arc<Block>>,
    start: TimestampMs,
    end: TimestampMs,
    metrics: Option<Arc<StoreMetrics>>,
}

impl DbQuerier {
    pub fn new(
        head: HeadQuerier,
        (start, end): (TimestampMs, TimestampMs),
        metrics: Option<Arc<StoreMetrics>>,
    ) -> DbQuerier {
        let blocks = head.blocks.iter();
        let blocks = blocks.filter(|block| block.meta().overlaps(start, end));
        DbQuerier {
            blocks: blocks.cloned().collect(),
            head,
            start,
            end,
            metrics,
        }
    }

    /// A damaged block costs its own answer only.
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
            texts.sort_unstable();
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
        let head = self.head.select(hints, matchers)?;
        if self.blocks.is_empty() {
            return Ok(head);
        }
        let mut sets = vec![head];
        for block in &self.blocks {
            let set = block.select(matchers, self.start, self.end);
            if let Some(set) = self.answer(set)? {
                sets.push(Box::new(set));
            }
        }
        Ok(Box::new(Clipped {
            set: merge_sets(sets),
            left: if hints.limit == 0 {
                usize::MAX
            } else {
                hints.limit
            },
            start: self.start,
            end: self.end,
        }))
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

/// Of a merged set what the query's view and limit allow.
struct Clipped {
    set: Box<dyn SeriesSet>,
    left: usize,
    start: TimestampMs,
    end: TimestampMs,
}

impl SeriesSet for Clipped {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        self.left = self.left.checked_sub(1)?;
        let (start, end) = (self.start, self.end);
        let clip = |series| -> Box<dyn Series> { Box::new(ClippedSeries { series, start, end }) };
        Some(self.set.next()?.map(clip))
    }
}

struct ClippedSeries {
    series: Box<dyn Series>,
    start: TimestampMs,
    end: TimestampMs,
}

impl Series for ClippedSeries {
    fn labels(&self) -> crate::model::Labels {
        self.series.labels()
    }

    fn read(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<crate::model::Sample>,
    ) -> Result<(), StorageError> {
        let (start, end) = (start.max(self.start), end.min(self.end));
        if start > end {
            return Ok(());
        }
        self.series.read(start, end, out)
    }

    fn read_times(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Times,
    ) -> Result<(), StorageError> {
        let (start, end) = (start.max(self.start), end.min(self.end));
        if start > end {
            return Ok(());
        }
        self.series.read_times(start, end, out)
    }
}
