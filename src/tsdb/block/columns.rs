//! Reads columns from pages: samples, or only their times.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;

use super::column::{Scratch, Staleness};
use super::page::PageRef;
use super::reader::Page;
use super::times::{self, TimeColumn, TimeData};
use super::walk::Column;
use super::{Block, BlockError};
use crate::model::{Sample, TimestampMs, is_stale_nan};
use crate::storage::{Columns, Spans, Times};

/// LIMIT: decoded columns of timestamps that a thread keeps, and their timestamps together (256
/// KiB). The series of a target share a column, and alternate with those of other targets.
const TIMES_KEPT: usize = 128;
const STAMPS_KEPT: usize = 32 << 10;

/// File, page and offset.
type TimesKey = (u64, u32, u32);

/// LIMIT: pages that a thread keeps at hand, whatever the cache holds. Readers of a series go from
/// block to block.
const PAGES_KEPT: usize = 4;

/// What a reading thread reuses.
#[derive(Default)]
struct Buffers {
    values: Scratch,
    /// A column's times and values, for callers who want pairs.
    apart: Columns,
    /// The times of shared columns, with the file and place of each.
    times: VecDeque<(TimesKey, Vec<TimestampMs>)>,
    /// The number of timestamps in `times` together.
    stamps: usize,
    /// The index of the one that was used last.
    hand: usize,
    /// The times of a column that shares none.
    beside: Vec<TimestampMs>,
}

/// The pages that a thread read last, with the file and offset of each.
#[derive(Default)]
struct Pages {
    pages: Vec<(u64, u64, Page)>,
    /// The page that is replaced next.
    oldest: usize,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
    // NOTE: apart, so that a page is read while buffers are filled.
    static PAGES: RefCell<Pages> = RefCell::default();
}

/// Calls `read` with the buffers of this thread and a column's page.
fn with_page<T>(
    block: &Block,
    column: &Column,
    read: impl FnOnce(&mut Buffers, &[u8]) -> Result<T, BlockError>,
) -> Result<T, BlockError> {
    PAGES.with_borrow_mut(|pages| {
        let page = pages.get(block, column.page)?;
        BUFFERS.with_borrow_mut(|buffers| read(buffers, page.bytes()))
    })
}

impl Pages {
    fn get(&mut self, block: &Block, at: PageRef) -> Result<&Page, BlockError> {
        let key = (block.file_no, at.offset);
        let known = self.pages.iter().position(|page| (page.0, page.1) == key);
        let place = match known {
            Some(place) => place,
            None => self.put((key.0, key.1, block.page(at, "columns")?)),
        };
        Ok(&self.pages[place].2)
    }

    /// Returns its index.
    fn put(&mut self, page: (u64, u64, Page)) -> usize {
        if self.pages.len() < PAGES_KEPT {
            self.pages.push(page);
            return self.pages.len() - 1;
        }
        let place = self.oldest;
        self.oldest = (place + 1) % PAGES_KEPT;
        self.pages[place] = page;
        place
    }
}

/// Where a column's times are.
#[derive(Clone, Copy)]
enum When {
    Regular { first: TimestampMs, step: i64 },
    Kept(usize),
    Beside,
}

/// Appends the samples in `start..=end`.
pub fn read_column(
    block: &Block,
    column: &Column,
    start: TimestampMs,
    end: TimestampMs,
    out: &mut Vec<Sample>,
) -> Result<(), BlockError> {
    with_page(block, column, |buffers, page| {
        let mut apart = std::mem::take(&mut buffers.apart);
        apart.clear();
        let read = buffers.read((block, page), column, start, end, &mut apart);
        out.extend(apart.samples());
        buffers.apart = apart;
        read
    })
}

/// Does as [`read_column`], with times and values apart.
pub fn read_column_apart(
    block: &Block,
    column: &Column,
    start: TimestampMs,
    end: TimestampMs,
    out: &mut Columns,
) -> Result<(), BlockError> {
    with_page(block, column, |buffers, page| {
        buffers.read((block, page), column, start, end, out)
    })
}

/// Appends the times of the samples in `start..=end`.
pub fn read_column_times(
    block: &Block,
    column: &Column,
    start: TimestampMs,
    end: TimestampMs,
    out: &mut Times,
) -> Result<(), BlockError> {
    with_page(block, column, |buffers, page| {
        let (when, values) = buffers.parts(block, column, page)?;
        let bad = || block.nonsense("columns", column.page);
        let count = column.time.count as usize;
        let stale = buffers.values.staleness(values).ok_or_else(bad)?;
        let mut floats = Vec::new();
        if matches!(stale, Staleness::Unknown) {
            let pco = block.footer.pco;
            let decoded = buffers.values.decode(values, count, pco, &mut floats);
            decoded.ok_or_else(bad)?;
        }
        let range = buffers.range(&column.time, when, start, end);
        let first = out.times.len();
        buffers.append_times(when, range.clone(), &mut out.times);
        let place = |at: usize| (first + at - range.start) as u32;
        match stale {
            Staleness::None => {}
            Staleness::All => out.stale.extend(range.clone().map(place)),
            Staleness::At => {
                let all = buffers.values.stale_places().iter().map(|at| *at as usize);
                out.stale
                    .extend(all.filter(|at| range.contains(at)).map(place));
            }
            Staleness::Unknown => {
                let all = floats.iter().enumerate();
                let stale = all.filter(|(at, v)| range.contains(at) && is_stale_nan(**v));
                out.stale.extend(stale.map(|(at, _)| place(at)));
            }
        }
        Ok(())
    })
}

/// Adds the samples in `start..=end` to `out`. Where no value is a stale marker and times are
/// regular, it looks at none of them.
pub fn read_column_spans(
    block: &Block,
    column: &Column,
    start: TimestampMs,
    end: TimestampMs,
    out: &mut Spans,
) -> Result<(), BlockError> {
    let done = with_page(block, column, |buffers, page| {
        let (when, values) = buffers.parts(block, column, page)?;
        let stale = buffers.values.staleness(values);
        let none_is_stale = matches!(stale, Some(Staleness::None));
        if none_is_stale {
            let range = buffers.range(&column.time, when, start, end);
            buffers.add_spans(when, range, out);
        }
        Ok(none_is_stale)
    })?;
    if done {
        return Ok(());
    }
    out.add_read(|times| read_column_times(block, column, start, end, times))
}

impl Buffers {
    fn read(
        &mut self,
        (block, page): (&Block, &[u8]),
        column: &Column,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Columns,
    ) -> Result<(), BlockError> {
        let (when, stored) = self.parts(block, column, page)?;
        let (before, count) = (out.len(), column.time.count as usize);
        let values = &mut out.values;
        if { self.values.decode(stored, count, block.footer.pco, values) }.is_none() {
            values.truncate(before);
            return Err(block.nonsense("columns", column.page));
        }
        let range = self.range(&column.time, when, start, end);
        values.truncate(before + range.end);
        values.drain(before..before + range.start);
        self.append_times(when, range, &mut out.times);
        Ok(())
    }

    /// Finds the column in its page, and reads its times.
    fn parts<'a>(
        &mut self,
        block: &Block,
        column: &Column,
        page: &'a [u8],
    ) -> Result<(When, &'a [u8]), BlockError> {
        let bad = || block.nonsense("columns", column.page);
        let bytes =
            { page.get(column.offset as usize..) }.and_then(|b| b.get(..column.len as usize));
        let bytes = bytes.ok_or_else(bad)?;
        let time = &column.time;
        let (stored, values) = match time.data {
            TimeData::Beside { len } => bytes.split_at_checked(len as usize).ok_or_else(bad)?,
            _ => (&[][..], bytes),
        };
        let when = match time.data {
            TimeData::Shared { page, offset, len } => {
                When::Kept(self.shared_times(block, time, (page, offset, len))?)
            }
            _ if stored.is_empty() => {
                let step = if time.count > 1 { time.step() } else { Some(0) };
                When::Regular {
                    first: time.first,
                    step: step.ok_or_else(bad)?,
                }
            }
            _ => {
                let Buffers { values, beside, .. } = self;
                times::decode(time, stored, block.footer.pco, values, beside).ok_or_else(bad)?;
                When::Beside
            }
        };
        Ok((when, values))
    }

    fn times(&self, when: When) -> &[TimestampMs] {
        match when {
            When::Regular { .. } => &[],
            When::Kept(at) => self.times.get(at).map_or(&[], |(_, times)| times),
            When::Beside => &self.beside,
        }
    }

    /// Returns which samples of a column are in `start..=end`.
    fn range(
        &self,
        time: &TimeColumn,
        when: When,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Range<usize> {
        let count = time.count as usize;
        if start <= time.first && time.last <= end {
            return 0..count;
        }
        match when {
            When::Regular { first, step } if step > 0 => {
                let from = start.saturating_sub(first).max(0) as u64;
                let from = from.div_ceil(step as u64).min(count as u64);
                let to = end.saturating_sub(first).max(-1);
                let to = to.div_euclid(step).saturating_add(1).min(count as i64);
                from as usize..(to as usize).max(from as usize)
            }
            When::Regular { .. } => 0..count,
            _ => {
                let times = self.times(when);
                let from = times.partition_point(|t| *t < start);
                from..times.partition_point(|t| *t <= end).max(from)
            }
        }
    }

    /// Appends the times of the samples in `range`.
    fn append_times(&self, when: When, range: Range<usize>, out: &mut Vec<TimestampMs>) {
        if let When::Regular { first, step } = when {
            let mut next = first.wrapping_add((range.start as i64).wrapping_mul(step));
            out.extend(range.map(|_| {
                let t = next;
                next = t.wrapping_add(step);
                t
            }));
        } else {
            let times = self.times(when).get(range);
            out.extend_from_slice(times.unwrap_or_default());
        }
    }

    /// Adds the samples in `range`, none of which is a stale marker.
    fn add_spans(&self, when: When, range: Range<usize>, out: &mut Spans) {
        if let When::Regular { first, step } = when {
            let first = first.wrapping_add((range.start as i64).wrapping_mul(step));
            out.add_even(first, step, range.len());
        } else {
            out.add_alive(self.times(when).get(range).unwrap_or_default());
        }
    }

    /// Returns the index of the decoded column.
    fn shared_times(
        &mut self,
        block: &Block,
        time: &TimeColumn,
        (page, offset, len): (u32, u32, u32),
    ) -> Result<usize, BlockError> {
        let key = (block.file_no, page, offset);
        // NOTE: the search begins at the last one, since targets alternate.
        let hand = self.hand.min(self.times.len());
        let mut in_turn = { self.times.range(hand..) }.chain(self.times.range(..hand));
        if let Some(at) = in_turn.position(|(of, _)| *of == key) {
            self.hand = (hand + at) % self.times.len();
            return Ok(self.hand);
        }
        let missing = BlockError::Damaged {
            id: block.id(),
            part: "page of timestamps",
            offset: u64::from(page),
        };
        let at = *block.footer.times.get(page as usize).ok_or(missing)?;
        let page = block.page(at, "timestamps")?;
        let stored = { page.bytes().get(offset as usize..) }.and_then(|b| b.get(..len as usize));
        let bad = || block.nonsense("timestamps", at);
        let count = time.count as usize;
        self.make_room(count);
        let mut times = Vec::with_capacity(count);
        let pco = block.footer.pco;
        let decoded =
            stored.and_then(|b| times::decode(time, b, pco, &mut self.values, &mut times));
        decoded.ok_or_else(bad)?;
        self.stamps += times.len();
        self.hand = self.times.len();
        self.times.push_back((key, times));
        Ok(self.hand)
    }

    /// Drops columns, the oldest first, until there is room for one more.
    fn make_room(&mut self, count: usize) {
        while self.times.len() >= TIMES_KEPT || self.stamps + count > STAMPS_KEPT {
            let Some((_, times)) = self.times.pop_front() else {
                return;
            };
            self.stamps -= times.len();
        }
    }
}
