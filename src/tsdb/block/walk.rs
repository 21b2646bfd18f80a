//! Walks from series to series of a block: their columns and labels.

use std::collections::HashMap;
use std::sync::Arc;

use super::elsewhere::Finder;
use super::matching::{InTurn, Places};
use super::page::{PageRef, get_page};
use super::reader::Page;
use super::texts::Speller;
use super::times::{ENTRY_BYTES, TimeColumn, TimeData};
use super::writer::TIMES_PER_PAGE;
use super::{Block, BlockError};
use crate::model::TimestampMs;
use crate::stdx::cursor::Cursor;

/// LIMIT: shared columns of timestamps that a selection remembers, 50 bytes each.
const MEMO_MAX: usize = 1_024;

/// Walks pages of series to the series of a sorted list.
#[derive(Debug)]
pub struct Walk {
    places: InTurn,
    open: Option<OpenPage>,
    /// The numbers of the current series' pairs.
    pairs: Vec<u32>,
    speller: Speller,
    known_times: HashMap<u32, TimeColumn, foldhash::fast::RandomState>,
}

/// A page of series that is read entry by entry.
#[derive(Debug)]
struct OpenPage {
    at: PageRef,
    page: Page,
    /// The number of the next entry, and where it begins.
    number: u32,
    next: usize,
    /// One after the number of the last entry.
    end: u32,
    column_pages: Arc<[PageRef]>,
    /// Where the current series' columns are listed, and where the first of them is stored.
    columns_at: usize,
    columns_place: Place,
    /// Where the columns of the next series are stored.
    place: Place,
}

/// A place of columns, which follow one another in their pages.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    page: u32,
    offset: u32,
}

/// The place of a column; its page is a number.
struct RawColumn {
    page: u32,
    offset: u32,
    len: u32,
}

impl Walk {
    pub fn new(places: Places) -> Walk {
        Walk {
            places: places.in_turn(),
            open: None,
            pairs: Vec::new(),
            speller: Speller::default(),
            known_times: HashMap::default(),
        }
    }

    /// The number of series left in the list.
    pub fn left(&self) -> usize {
        self.places.left()
    }

    /// Moves to the next series of the list.
    pub fn next(&mut self, block: &Block) -> Option<Result<u32, BlockError>> {
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

    /// Appends the current series' columns that have samples in the range.
    pub fn columns(
        &mut self,
        block: &Block,
        start: TimestampMs,
        end: TimestampMs,
        columns: &mut Vec<Column>,
    ) -> Result<(), BlockError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let bad = |open: &OpenPage| block.nonsense("series", open.at);
        let mut from = Cursor::new(open.page.bytes().get(open.columns_at..).unwrap_or_default());
        let Some(count) = from.size() else {
            return Err(bad(open));
        };
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
        Ok(())
    }

    /// Returns the text of the current series' labels.
    pub fn labels(&mut self, block: &Block) -> Result<&str, BlockError> {
        self.speller.spell(block, &self.pairs)
    }

    /// Returns the text of labels with these pairs, which belong to an earlier series.
    pub fn labels_of(&mut self, block: &Block, pairs: &[u32]) -> Result<&str, BlockError> {
        self.speller.spell(block, pairs)
    }

    /// Adds the current series to those that are looked up elsewhere.
    pub fn add_to(&mut self, block: &Block, finder: &mut Finder) -> Result<(), BlockError> {
        finder.add(block, &self.pairs, &mut self.speller)
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

/// LIMIT: labels of a series, which bounds memory.
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
    /// Reads the place of the next column, and its timestamps: the number of a shared column, or
    /// what is stored beside the values.
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
pub struct Column {
    pub page: PageRef,
    pub offset: u32,
    pub len: u32,
    pub time: TimeColumn,
}
