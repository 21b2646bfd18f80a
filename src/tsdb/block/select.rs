//! A selection: series one after another, whose samples are read on demand.
//!
//! A *series batch* is a run of neighbouring series. What is known about them without reading their
//! columns is in a few lists that they share. That serves callers who go through many series.

use std::borrow::Cow;
use std::sync::Arc;

use super::columns::{read_column, read_column_apart, read_column_spans, read_column_times};
use super::elsewhere::{Elsewhere, Finder, NOWHERE};
use super::tombstones::{Ranges, Tombstones};
use super::walk::{Column, Walk};
use super::{Block, BlockError};
use crate::model::labels::pairs_of;
use crate::model::{Labels, Matcher, Sample, TimestampMs};
use crate::storage::{Columns, Series, SeriesSet, Spans, StorageError, Times};

/// LIMIT: series of a batch, as many as a page of them has; and the batch's columns, 64 bytes each.
const SERIES: usize = 64;
const COLUMNS: usize = 256;

impl Block {
    /// Selects the series that match and may have samples in the range, sorted by labels. Nothing
    /// outside of the range is read.
    pub fn select(
        self: &Arc<Self>,
        matchers: &[Matcher],
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<BlockSeries, BlockError> {
        let matched = self.matching(matchers)?;
        let walk = Walk::new(matched.places);
        let doubtful = if matched.doubtful { matchers } else { &[] };
        Ok(BlockSeries {
            walk,
            compared: doubtful.to_vec(),
            // NOTE: later deletions do not affect the selection.
            series_batch: Arc::new(SeriesBatch::empty(
                self.clone(),
                self.tombstones(),
                (start, end),
            )),
            next: 0,
            failed: None,
            finder: None,
        })
    }

    /// Returns the labels of the series that match.
    pub(super) fn labels_of(&self, matchers: &[Matcher]) -> Result<LabelsOf<'_>, BlockError> {
        let matched = self.matching(matchers)?;
        let doubtful = if matched.doubtful { matchers } else { &[] };
        Ok(LabelsOf {
            block: self,
            walk: Walk::new(matched.places),
            compared: doubtful.to_vec(),
        })
    }
}

/// A selection that is read once.
#[derive(Debug)]
pub struct BlockSeries {
    walk: Walk,
    /// Matchers that are compared with the labels again, because part of the index is damaged.
    compared: Vec<Matcher>,
    series_batch: Arc<SeriesBatch>,
    /// The index of the next series in the batch.
    next: usize,
    /// The error that ended the batch.
    failed: Option<BlockError>,
    /// Finds series that another holder has too.
    finder: Option<Finder>,
}

/// A run of neighbouring series.
#[derive(Debug)]
struct SeriesBatch {
    block: Arc<Block>,
    deleted: Arc<Tombstones>,
    /// The selection's times, both inclusive. Nothing else is read.
    times: (TimestampMs, TimestampMs),
    series: Vec<Row>,
    columns: Vec<Column>,
    /// The label texts, in the form of `Labels`.
    text: String,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    /// The series' number in the block.
    number: u32,
    /// The ends of its columns and of its labels.
    columns: u32,
    text: u32,
    /// Its number elsewhere, where its labels are known.
    elsewhere: Option<u32>,
    /// Whether its labels cannot be read.
    lost: bool,
}

impl BlockSeries {
    /// Finds from now on which series are known there too ([`SeriesView::elsewhere`]). Those come
    /// without labels.
    pub fn find_in(&mut self, elsewhere: Arc<dyn Elsewhere>) {
        self.finder = Some(Finder::new(elsewhere));
    }

    /// Returns the next series. An error is the disk's; damaged series are left out.
    pub fn next_series(&mut self) -> Option<Result<SeriesView, BlockError>> {
        loop {
            while self.next >= self.series_batch.series.len() {
                if let Some(error) = self.failed.take() {
                    return Some(Err(error));
                }
                if self.walk.left() == 0 {
                    return None;
                }
                self.fill();
            }
            let at = self.next;
            self.next += 1;
            if !self.series_batch.row(at).lost {
                let series_batch = self.series_batch.clone();
                return Some(Ok(SeriesView { series_batch, at }));
            }
        }
    }

    fn fill(&mut self) {
        let SeriesBatch {
            block,
            deleted,
            times,
            ..
        } = &*self.series_batch;
        let mut series_batch = SeriesBatch::empty(block.clone(), deleted.clone(), *times);
        series_batch
            .series
            .reserve_exact(self.walk.left().min(SERIES));
        // NOTE: mostly each has one.
        { &mut series_batch.columns }.reserve_exact(self.walk.left().min(SERIES));
        if let Some(finder) = &mut self.finder {
            finder.begin();
        }
        while series_batch.series.len() < SERIES && series_batch.columns.len() < COLUMNS {
            let Some(found) = self.walk.next(&series_batch.block) else {
                break;
            };
            match found.and_then(|number| self.add(&mut series_batch, number)) {
                Ok(()) | Err(BlockError::Damaged { .. }) => {}
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        if let Some(mut finder) = self.finder.take() {
            self.find(&mut finder, &mut series_batch);
            self.finder = Some(finder);
        }
        self.series_batch = Arc::new(series_batch);
        self.next = 0;
    }

    /// Looks the batch up elsewhere. Series that are not there get their labels.
    fn find(&mut self, finder: &mut Finder, series_batch: &mut SeriesBatch) {
        let mut found = Vec::with_capacity(series_batch.series.len());
        finder.find(&mut found);
        for (at, number) in found.into_iter().enumerate() {
            let Some(row) = series_batch.series.get_mut(at) else {
                break;
            };
            row.elsewhere = (number != NOWHERE).then_some(number);
            if row.elsewhere.is_none() {
                match self.walk.labels_of(&series_batch.block, finder.pairs(at)) {
                    Ok(labels) => series_batch.text.push_str(labels),
                    Err(BlockError::Damaged { .. }) => row.lost = true,
                    Err(error) => {
                        series_batch.series.truncate(at);
                        self.failed = Some(error);
                        return;
                    }
                }
            }
            row.text = series_batch.text.len() as u32;
        }
    }

    /// Adds the current series, if it has columns.
    fn add(&mut self, series_batch: &mut SeriesBatch, number: u32) -> Result<(), BlockError> {
        let SeriesBatch { block, times, .. } = series_batch;
        let before = series_batch.columns.len();
        let (start, end) = *times;
        let found = { &mut self.walk }.columns(block, start, end, &mut series_batch.columns);
        if series_batch.columns.len() == before {
            return found;
        }
        let taken = found.and_then(|()| {
            let is_compared = !self.compared.is_empty();
            let text = &mut series_batch.text;
            match &mut self.finder {
                Some(_)
                    if is_compared && !matches_all(&self.compared, self.walk.labels(block)?) =>
                {
                    return Ok(false);
                }
                Some(finder) => self.walk.add_to(block, finder)?,
                None => {
                    let labels = self.walk.labels(block)?;
                    if !matches_all(&self.compared, labels) {
                        return Ok(false);
                    }
                    text.push_str(labels);
                }
            }
            Ok(true)
        });
        if !matches!(taken, Ok(true)) {
            series_batch.columns.truncate(before);
            return taken.map(|_| ());
        }
        series_batch.series.push(Row {
            number,
            columns: series_batch.columns.len() as u32,
            text: series_batch.text.len() as u32,
            elsewhere: None,
            lost: false,
        });
        Ok(())
    }
}

impl SeriesSet for BlockSeries {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        Some(match self.next_series()? {
            Ok(view) => Ok(Box::new(view)),
            Err(error) => Err(error.into()),
        })
    }

    fn left(&self) -> Option<usize> {
        Some(self.walk.left() + self.series_batch.series.len() - self.next)
    }
}

impl SeriesBatch {
    fn empty(
        block: Arc<Block>,
        deleted: Arc<Tombstones>,
        times: (TimestampMs, TimestampMs),
    ) -> SeriesBatch {
        SeriesBatch {
            block,
            deleted,
            times,
            series: Vec::new(),
            columns: Vec::new(),
            text: String::new(),
        }
    }

    fn row(&self, at: usize) -> Row {
        self.series.get(at).copied().unwrap_or_default()
    }

    /// Returns the row before, and this one.
    fn rows(&self, at: usize) -> (Row, Row) {
        let before = at.checked_sub(1).map(|before| self.row(before));
        (before.unwrap_or_default(), self.row(at))
    }

    fn text(&self, at: usize) -> &str {
        let (before, row) = self.rows(at);
        let text = self.text.get(before.text as usize..row.text as usize);
        text.unwrap_or_default()
    }

    fn columns(&self, at: usize) -> &[Column] {
        let (before, row) = self.rows(at);
        let columns = { &self.columns }.get(before.columns as usize..row.columns as usize);
        columns.unwrap_or_default()
    }
}

pub struct LabelsOf<'a> {
    block: &'a Block,
    walk: Walk,
    compared: Vec<Matcher>,
}

impl LabelsOf<'_> {
    pub fn next_labels(&mut self) -> Option<Result<Labels, BlockError>> {
        loop {
            let found = self.walk.next(self.block)?;
            match found.and_then(|_| self.walk.labels(self.block)) {
                Ok(labels) if matches_all(&self.compared, labels) => {
                    return Some(Ok(Labels::of_pushed(labels)));
                }
                Ok(_) | Err(BlockError::Damaged { .. }) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn matches_all(matchers: &[Matcher], labels: &str) -> bool {
    matchers.iter().all(|m| {
        let found = pairs_of(labels).find(|(name, _)| *name == m.name);
        m.matches(found.map_or("", |(_, value)| value))
    })
}

/// One series of a block, whose samples are read on demand.
#[derive(Debug)]
pub struct SeriesView {
    series_batch: Arc<SeriesBatch>,
    /// The index in the batch.
    at: usize,
}

/// A column as it is in the file.
#[derive(Debug, Clone, Copy)]
pub struct StoredColumn {
    /// The times of its first and last sample, both inclusive.
    pub first: TimestampMs,
    pub last: TimestampMs,
    pub samples: u32,
    pub bytes: u32,
}

impl SeriesView {
    /// The series' number in the block.
    pub fn number(&self) -> u32 {
        self.series_batch.row(self.at).number
    }

    /// Returns its number elsewhere ([`BlockSeries::find_in`]), where its labels are known.
    pub fn elsewhere(&self) -> Option<u32> {
        self.series_batch.row(self.at).elsewhere
    }

    fn columns(&self) -> &[Column] {
        self.series_batch.columns(self.at)
    }

    fn deleted(&self) -> Option<&Ranges> {
        self.series_batch.deleted.get(self.number())
    }

    /// The number of bytes of its columns in the file.
    pub fn stored_bytes(&self) -> u64 {
        self.columns().iter().map(|c| u64::from(c.len)).sum()
    }

    /// The number of samples, including deleted ones and those at the edges of the selection.
    pub fn stored_samples(&self) -> u64 {
        self.columns().iter().map(|c| u64::from(c.time.count)).sum()
    }

    /// Returns the columns in order of time, including deleted samples.
    pub fn stored_columns(&self) -> impl Iterator<Item = StoredColumn> + '_ {
        self.columns().iter().map(|column| StoredColumn {
            first: column.time.first,
            last: column.time.last,
            samples: column.time.count,
            bytes: column.len,
        })
    }

    /// Reads as [`Series::read`] does. Damaged columns are left out.
    pub fn read_samples(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<Sample>,
    ) -> Result<(), BlockError> {
        let before = out.len();
        self.each_column(start, end, |column, start, end| {
            read_column(&self.series_batch.block, column, start, end, out)
        })?;
        if let Some(deleted) = self.deleted() {
            let new = out.split_off(before);
            out.extend(new.into_iter().filter(|s| !deleted.has(s.t)));
        }
        Ok(())
    }

    fn read_sample_columns(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Columns,
    ) -> Result<(), BlockError> {
        if self.deleted().is_some() {
            let mut samples = Vec::new();
            self.read_samples(start, end, &mut samples)?;
            out.extend(samples);
            return Ok(());
        }
        self.each_column(start, end, |column, start, end| {
            read_column_apart(&self.series_batch.block, column, start, end, out)
        })
    }

    fn read_sample_times(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Times,
    ) -> Result<(), BlockError> {
        if self.deleted().is_some() {
            let mut samples = Vec::new();
            self.read_samples(start, end, &mut samples)?;
            out.extend(&samples);
            return Ok(());
        }
        self.each_column(start, end, |column, start, end| {
            read_column_times(&self.series_batch.block, column, start, end, out)
        })
    }

    fn read_sample_spans(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Spans,
    ) -> Result<(), BlockError> {
        if self.deleted().is_some() {
            return out.add_read(|times| self.read_sample_times(start, end, times));
        }
        self.each_column(start, end, |column, start, end| {
            read_column_spans(&self.series_batch.block, column, start, end, out)
        })
    }

    /// Calls `read` with each column that has samples in the range, and the selected part of it.
    /// Damaged columns are left out.
    fn each_column(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        mut read: impl FnMut(&Column, TimestampMs, TimestampMs) -> Result<(), BlockError>,
    ) -> Result<(), BlockError> {
        let (first, last) = self.series_batch.times;
        let (start, end) = (start.max(first), end.min(last));
        for column in self.columns() {
            if column.time.first > end || column.time.last < start {
                continue;
            }
            match read(column, start, end) {
                Ok(()) | Err(BlockError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Series for SeriesView {
    fn labels(&self) -> Labels {
        Labels::of_pushed(self.series_batch.text(self.at))
    }

    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.series_batch.text(self.at))
    }

    fn read(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<Sample>,
    ) -> Result<(), StorageError> {
        self.read_samples(start, end, out).map_err(Into::into)
    }

    fn read_columns(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Columns,
    ) -> Result<(), StorageError> {
        { self.read_sample_columns(start, end, out) }.map_err(Into::into)
    }

    fn read_times(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Times,
    ) -> Result<(), StorageError> {
        self.read_sample_times(start, end, out).map_err(Into::into)
    }

    fn read_spans(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Spans,
    ) -> Result<(), StorageError> {
        self.read_sample_spans(start, end, out).map_err(Into::into)
    }
}
