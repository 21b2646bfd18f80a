//! A selection: series one after another, their samples read when asked for.

use std::collections::HashMap;
use std::sync::Arc;

use super::bytes::Cursor;
use super::columns::{read_column, read_column_apart, read_column_times};
use super::page::{PageRef, get_page};
use super::reader::Page;
use super::texts::PairTexts;
use super::times::{ENTRY_BYTES, TimeColumn, TimeData};
use super::tombstones::Ranges;
use super::writer::TIMES_PER_PAGE;
use super::{Block, BlockError};
use crate::model::{Labels, Matcher, Sample, TimestampMs};
use crate::storage::{Columns, Series, SeriesSet, StorageError, Times};

/// LIMIT: shared columns of timestamps that a selection remembers.
const MEMO_MAX: usize = 4_096;

impl Block {
    /// The series that match and may have samples in the range, sorted by labels; nothing outside
    /// the range is read of them.
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
            block: self.clone(),
            walk,
            compared: doubtful.to_vec(),
            start,
            end,
        })
    }

    /// The labels of the series that match.
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
    block: Arc<Block>,
    walk: Walk,
    /// What the labels are compared with once more because part of the index is damaged.
    compared: Vec<Matcher>,
    start: TimestampMs,
    end: TimestampMs,
}

impl BlockSeries {
    /// An error is the disk's; what is damaged is left out.
    pub fn next_series(&mut self) -> Option<Result<SeriesView, BlockError>> {
        loop {
            let found = self.walk.next(&self.block)?;
            match found.and_then(|number| self.view(number)) {
                Ok(None) | Err(BlockError::Damaged { .. }) => {}
                Ok(Some(view)) => return Some(Ok(view)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn view(&mut self, number: u32) -> Result<Option<SeriesView>, BlockError> {
        let (start, end) = (self.start, self.end);
        let columns = self.walk.columns(&self.block, start, end)?;
        if columns.is_empty() {
            return Ok(None);
        }
        let labels = self.walk.labels(&self.block)?;
        if !matches_all(&self.compared, &labels) {
            return Ok(None);
        }
        Ok(Some(SeriesView {
            block: self.block.clone(),
            number,
            labels,
            columns,
            deleted: self.block.tombstones().of(number),
            start,
            end,
        }))
    }
}

impl SeriesSet for BlockSeries {
    fn next(&mut self) -> Option<Result<Box<dyn Series>, StorageError>> {
        Some(match self.next_series()? {
            Ok(view) => Ok(Box::new(view)),
            Err(error) => Err(error.into()),
        })
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
                Ok(labels) if matches_all(&self.compared, &labels) => return Some(Ok(labels)),
                Ok(_) | Err(BlockError::Damaged { .. }) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn matches_all(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers
        .iter()
        .all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
}

/// Goes through pages of series, to the series of a sorted list.
#[derive(Debug)]
struct Walk {
    places: std::vec::IntoIter<u32>,
    open: Option<OpenPage>,
    /// Numbers of the current series' pairs.
    pairs: Vec<u32>,
    texts: PairTexts,
    /// Of the series at hand.
    labels: String,
    known_times: HashMap<u32, TimeColumn, foldhash::fast::RandomState>,
}

/// A page of series that is being read, entry by entry.
#[derive(Debug)]
struct OpenPage {
    at: PageRef,
    page: Page,
    /// The number of the next entry, and where it begins.
    number: u32,
    next: usize,
    /// One after the number of the last.
    end: u32,
    column_pages: Arc<[PageRef]>,
    /// Where the columns of the current series are named, and where the first of them stands.
    columns_at: usize,
    columns_place: Place,
    /// Where the columns of the next series stand.
    place: Place,
}

/// Columns follow one another in their pages.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    page: u32,
    offset: u32,
}

/// Where a column stands, its page by number.
struct RawColumn {
    page: u32,
    offset: u32,
    len: u32,
}

impl Walk {
    fn new(places: Vec<u32>) -> Walk {
        Walk {
            places: places.into_iter(),
            open: None,
            pairs: Vec::new(),
            texts: PairTexts::default(),
            labels: String::new(),
            known_times: HashMap::default(),
        }
    }

    /// Goes to the next series of the list.
    fn next(&mut self, block: &Block) -> Option<Result<u32, BlockError>> {
        let place = self.places.next()?;
        Some(self.go_to(block, place).map(|()| place))
    }

    fn go_to(&mut self, block: &Block, place: u32) -> Result<(), BlockError> {
        if self.open.as_ref().is_none_or(|open| place >= open.end) {
            self.open = None;
            self.pairs.clear();
            self.open = Some(OpenPage::open(block, place)?);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let found = open.go_to(place, &mut self.pairs);
        found.ok_or_else(|| block.nonsense("series", open.at))
    }

    /// The current series' columns that have samples in the range.
    fn columns(
        &mut self,
        block: &Block,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Vec<Column>, BlockError> {
        let Some(open) = &mut self.open else {
            return Ok(Vec::new());
        };
        let bad = |open: &OpenPage| block.nonsense("series", open.at);
        let mut from = Cursor::new(open.page.bytes().get(open.columns_at..).unwrap_or_default());
        let Some(count) = from.size() else {
            return Err(bad(open));
        };
        let mut columns = Vec::new();
        let mut place = open.columns_place;
        for _ in 0..count {
            let Some((raw, time)) = place.column(&mut from) else {
                return Err(bad(open));
            };
            let time = match time {
                Err(column) => column,
                Ok(id) => match known_time(&mut self.known_times, block, id) {
                    Ok(column) => column,
                    Err(BlockError::Damaged { .. }) => continue,
                    Err(error) => return Err(error),
                },
            };
            if time.first > end || time.last < start {
                continue;
            }
            let Some(page) = open.column_pages.get(raw.page as usize) else {
                return Err(bad(open));
            };
            columns.push(Column {
                page: *page,
                offset: raw.offset,
                len: raw.len,
                time,
            });
        }
        Ok(columns)
    }

    fn labels(&mut self, block: &Block) -> Result<Labels, BlockError> {
        self.labels.clear();
        for id in &self.pairs {
            self.texts.push(block, *id, &mut self.labels)?;
        }
        Ok(Labels::of_pushed(&self.labels))
    }
}

fn known_time(
    known: &mut HashMap<u32, TimeColumn, foldhash::fast::RandomState>,
    block: &Block,
    id: u32,
) -> Result<TimeColumn, BlockError> {
    if let Some(column) = known.get(&id) {
        return Ok(*column);
    }
    let (page, at) = (id as usize / TIMES_PER_PAGE, id as usize % TIMES_PER_PAGE);
    let missing = BlockError::Damaged {
        id: block.id(),
        part: "number of timestamps",
        offset: u64::from(id),
    };
    let page = *block.footer.time_table.get(page).ok_or(missing)?;
    let bytes = block.page(page, "table of timestamps")?;
    let entry = bytes.bytes().get(at * ENTRY_BYTES..);
    let column = entry.and_then(|bytes| TimeColumn::get(&mut Cursor::new(bytes)));
    let column = column.ok_or_else(|| block.nonsense("table of timestamps", page))?;
    if known.len() > MEMO_MAX {
        known.clear();
    }
    known.insert(id, column);
    Ok(column)
}

impl OpenPage {
    fn open(block: &Block, place: u32) -> Result<OpenPage, BlockError> {
        let pages = &block.footer.series;
        let i = pages
            .partition_point(|p| p.first <= place)
            .saturating_sub(1);
        let end = pages.get(i + 1).map(|p| p.first);
        let end = end.unwrap_or(block.footer.meta.series as u32);
        let missing = BlockError::Damaged {
            id: block.id(),
            part: "number of a series",
            offset: u64::from(place),
        };
        let series = pages.get(i).ok_or(missing)?;
        let page = block.page(series.page, "series")?;
        let mut from = Cursor::new(page.bytes());
        let mut header = || {
            let _count = from.varint()?;
            let count = from.size()?;
            let mut end = 0;
            let pages = (0..count).map(|_| get_page(&mut from, &mut end));
            pages.collect::<Option<Arc<[PageRef]>>>()
        };
        let column_pages = header().ok_or_else(|| block.nonsense("series", series.page))?;
        let offset = page.bytes().len() - from.rest().len();
        Ok(OpenPage {
            at: series.page,
            page,
            number: series.first,
            next: offset,
            end,
            column_pages,
            columns_at: offset,
            columns_place: Place::default(),
            place: Place::default(),
        })
    }

    fn go_to(&mut self, place: u32, pairs: &mut Vec<u32>) -> Option<()> {
        let bytes = self.page.bytes();
        while self.number <= place {
            let mut from = Cursor::new(bytes.get(self.next..)?);
            read_pairs(&mut from, pairs)?;
            self.columns_at = bytes.len() - from.rest().len();
            self.columns_place = self.place;
            for _ in 0..from.size()? {
                let _skipped = self.place.column(&mut from)?;
            }
            self.next = bytes.len() - from.rest().len();
            self.number += 1;
        }
        (self.number == place + 1).then_some(())
    }
}

/// LIMIT: labels of a series, as a guard of memory.
const PAIRS_MAX: usize = 1 << 16;

/// Changes the pairs of the series before into those of this one.
fn read_pairs(from: &mut Cursor<'_>, pairs: &mut Vec<u32>) -> Option<()> {
    let count = from.size()?;
    if count > PAIRS_MAX {
        return None;
    }
    let mask = from.take(count.div_ceil(8))?;
    pairs.resize(count, 0);
    for (i, pair) in pairs.iter_mut().enumerate() {
        if mask.get(i / 8)? >> (i % 8) & 1 == 1 {
            *pair = from.small()?;
        }
    }
    Some(())
}

impl Place {
    /// Reads where the next column stands, and its timestamps: the number of a shared column, or
    /// what stands beside the values.
    fn column(&mut self, from: &mut Cursor<'_>) -> Option<(RawColumn, Result<u32, TimeColumn>)> {
        let ahead = from.small()?;
        if ahead > 0 {
            self.page = self.page.checked_add(ahead)?;
            self.offset = 0;
        }
        let raw = RawColumn {
            page: self.page,
            offset: self.offset,
            len: from.small()?,
        };
        self.offset = self.offset.checked_add(raw.len)?;
        let shared = from.small()?;
        if let Some(id) = shared.checked_sub(1) {
            return Some((raw, Ok(id)));
        }
        let first = from.signed()?;
        let last = first.checked_add_unsigned(from.varint()?)?;
        let count = from.small()?;
        let len = from.small()?;
        let time = TimeColumn {
            first,
            last,
            count,
            data: TimeData::Beside { len },
        };
        Some((raw, Err(time.checked()?)))
    }
}

/// A column of a selected series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub page: PageRef,
    pub offset: u32,
    pub len: u32,
    pub time: TimeColumn,
}

/// One series of a block, whose samples are read when asked for.
#[derive(Debug)]
pub struct SeriesView {
    block: Arc<Block>,
    number: u32,
    labels: Labels,
    columns: Vec<Column>,
    deleted: Ranges,
    /// Of the selection: nothing else is read.
    start: TimestampMs,
    end: TimestampMs,
}

/// A column as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub struct StoredColumn {
    /// Of its samples, both inclusive.
    pub first: TimestampMs,
    pub last: TimestampMs,
    pub samples: u32,
    pub bytes: u32,
}

impl SeriesView {
    /// Of the block.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Bytes of the columns, as they are stored.
    pub fn stored_bytes(&self) -> u64 {
        self.columns.iter().map(|c| u64::from(c.len)).sum()
    }

    /// Samples, deleted ones and those at the edges of the selection included.
    pub fn stored_samples(&self) -> u64 {
        self.columns.iter().map(|c| u64::from(c.time.count)).sum()
    }

    /// In order of time, deleted samples included.
    pub fn stored_columns(&self) -> impl Iterator<Item = StoredColumn> + '_ {
        self.columns.iter().map(|column| StoredColumn {
            first: column.time.first,
            last: column.time.last,
            samples: column.time.count,
            bytes: column.len,
        })
    }

    /// As [`Series::read`]; columns that are damaged are left out.
    pub fn read_samples(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<Sample>,
    ) -> Result<(), BlockError> {
        let before = out.len();
        self.each_column(start, end, |column, start, end| {
            read_column(&self.block, column, start, end, out)
        })?;
        if !self.deleted.is_empty() {
            let new = out.split_off(before);
            out.extend(new.into_iter().filter(|s| !self.deleted.has(s.t)));
        }
        Ok(())
    }

    fn read_sample_columns(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Columns,
    ) -> Result<(), BlockError> {
        if !self.deleted.is_empty() {
            let mut samples = Vec::new();
            self.read_samples(start, end, &mut samples)?;
            out.extend(samples);
            return Ok(());
        }
        self.each_column(start, end, |column, start, end| {
            read_column_apart(&self.block, column, start, end, out)
        })
    }

    fn read_sample_times(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Times,
    ) -> Result<(), BlockError> {
        if !self.deleted.is_empty() {
            let mut samples = Vec::new();
            self.read_samples(start, end, &mut samples)?;
            out.extend(&samples);
            return Ok(());
        }
        self.each_column(start, end, |column, start, end| {
            read_column_times(&self.block, column, start, end, out)
        })
    }

    /// Calls `read` with the columns that have samples in the range, and the part of it that is
    /// selected. What is damaged is left out.
    fn each_column(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        mut read: impl FnMut(&Column, TimestampMs, TimestampMs) -> Result<(), BlockError>,
    ) -> Result<(), BlockError> {
        let (start, end) = (start.max(self.start), end.min(self.end));
        for column in &self.columns {
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
        self.labels.clone()
    }

    fn each_label(&self, each: &mut dyn FnMut(&str, &str)) {
        for (name, value) in &self.labels {
            each(name, value);
        }
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
}
