//! Writes a block series by series, into a file that becomes visible when it is complete.

use std::io;
use std::sync::Arc;

use super::column::{self, Scratch};
use super::footer::{self, Footer, HEADER_MAGIC, Name, SeriesPage, Trailer, ValuePage};
use super::page::{self, PageRef, put_page};
use super::pairs::Pairs;
use super::times::{self, Place, TimeColumn, TimeData, TimeTable};
use super::{BlockError, BlockId, BlockMeta};
use crate::model::{Labels, Sample, TimestampMs};
use crate::stdx::varint::{put_signed, put_text, put_varint};
use crate::tsdb::dir::{Dir, File};
use crate::tsdb::filenames::BLOCKS_DIR;
use crate::tsdb::wal::Position;

#[derive(Debug, Clone)]
pub struct Options {
    /// The samples of a column of integers. Longer columns are smaller and faster, but a query
    /// reads a whole one.
    pub int_column: usize,
    /// The samples of a column of other values. With many values `pco` makes worse choices.
    pub float_column: usize,
    /// The size at which a page of columns is closed.
    pub page_bytes: usize,
    /// The part of the index that is written twice: as much as makes the file this much longer, in
    /// percent, …
    pub copies_percent: u64,
    /// … or this many bytes. In small blocks the index is a larger part, and as precious.
    pub copies_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            int_column: 1_920,
            float_column: 960,
            page_bytes: 16 << 10,
            copies_percent: 2,
            copies_bytes: COPIES_BYTES,
        }
    }
}

/// LIMIT: a head of 50,000 series, flushed at 16 MiB, has 60 KB of index in 4.2 MB (0.024 bytes per
/// sample); one of 1,000 series has 4 KB in 1.5 MB. Beyond this limit only the first pages have
/// copies. Without a copy one damaged page of those would cost all series.
const COPIES_BYTES: u64 = 64 << 10;

/// LIMIT: the series or the bytes of a page of series. To find one, those before it are read.
const SERIES_PER_PAGE: u32 = 64;
const SERIES_PAGE_BYTES: usize = 16 << 10;
/// The size of an index page.
const INDEX_PAGE_BYTES: usize = 4 << 10;
/// LIMIT: the texts of all labels together, whose offsets have 32 bits.
const TEXT_BYTES_MAX: usize = 1 << 30;
/// LIMIT: series of a block, whose numbers have 32 bits.
const SERIES_MAX: u64 = 1 << 28;
/// The number of bytes collected for one write.
const WRITE_BYTES: usize = 128 << 10;

/// A block that is being written. Dropped before [`BlockWriter::finish`], it removes its file.
#[derive(Debug)]
pub struct BlockWriter {
    meta: BlockMeta,
    options: Options,
    out: Output,
    scratch: Box<ScratchOf>,
    pairs: Pairs,
    times: TimeTable,
    time_page: Vec<u8>,
    time_pages: Vec<PageRef>,
    /// The bytes of the first of these pages, and how many more may be kept.
    time_copies: Vec<Vec<u8>>,
    time_copies_room: u64,
    group: Group,
    series_pages: Vec<SeriesPage>,
    last: Option<Labels>,
}

struct ScratchOf {
    column: Scratch,
    values: Vec<f64>,
    times: Vec<TimestampMs>,
}

impl std::fmt::Debug for ScratchOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

/// The current page of series, and the current page of columns.
#[derive(Debug, Default)]
struct Group {
    count: u32,
    entries: Vec<u8>,
    /// The pairs of the series before.
    pairs: Vec<u32>,
    columns: Vec<u8>,
    column_pages: Vec<PageRef>,
    /// The page of columns that holds the last column.
    page: u64,
}

impl BlockWriter {
    /// Starts a block. Makes `blocks/` if it is missing.
    pub fn create(
        dir: Arc<dyn Dir>,
        id: BlockId,
        options: &Options,
    ) -> Result<BlockWriter, BlockError> {
        let fail = |source| BlockError::Io { id, source };
        dir.create_dir(BLOCKS_DIR).map_err(fail)?;
        dir.sync_dir("").map_err(fail)?;
        let file = dir.create(&id.tmp_path()).map_err(fail)?;
        let mut out = Output {
            dir,
            id,
            file: Some(file),
            buffer: Vec::with_capacity(WRITE_BYTES),
            offset: 0,
        };
        let mut header = HEADER_MAGIC.to_vec();
        header.extend_from_slice(&footer::VERSION.to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        out.put(&header)?;
        let column_max = column::VALUES_MAX * 4 / 5;
        Ok(BlockWriter {
            meta: BlockMeta {
                id,
                min_t: TimestampMs::MAX,
                max_t: TimestampMs::MIN,
                series: 0,
                samples: 0,
                bytes: 0,
                level: 0,
                sources: Vec::new(),
                newest: id,
                wal: None,
                tombstones: 0,
            },
            options: Options {
                int_column: options.int_column.clamp(1, column_max),
                float_column: options.float_column.clamp(1, column_max),
                page_bytes: options.page_bytes.min(page::PAGE_BYTES_MAX / 2),
                copies_percent: options.copies_percent,
                copies_bytes: options.copies_bytes,
            },
            out,
            scratch: Box::new(ScratchOf {
                column: Scratch::default(),
                values: Vec::new(),
                times: Vec::new(),
            }),
            pairs: Pairs::default(),
            times: TimeTable::default(),
            time_page: Vec::new(),
            time_pages: Vec::new(),
            time_copies: Vec::new(),
            time_copies_room: options.copies_bytes,
            group: Group::default(),
            series_pages: Vec::new(),
            last: None,
        })
    }

    /// Adds a series, after those before it in order of labels, with its samples in order of time
    /// (no time twice). A series without samples is left out.
    pub fn add(&mut self, labels: &Labels, samples: &[Sample]) -> Result<(), BlockError> {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return Ok(());
        };
        self.check(labels, samples)?;
        self.add_labels(labels);
        self.add_columns(samples)?;
        self.meta.min_t = self.meta.min_t.min(first.t);
        self.meta.max_t = self.meta.max_t.max(last.t);
        self.meta.series += 1;
        self.meta.samples += samples.len() as u64;
        self.last = Some(labels.clone());
        self.group.count += 1;
        let full = self.group.count == SERIES_PER_PAGE;
        if full || self.group.entries.len() >= SERIES_PAGE_BYTES {
            self.close_group()?;
        }
        Ok(())
    }

    /// Sets the newest block from the head among the sources, for a compaction.
    pub fn set_newest(&mut self, newest: BlockId) {
        self.meta.newest = newest;
    }

    /// Makes the block durable and visible. Returns `None` if it has no sample; then there is no
    /// file either.
    pub fn finish(
        mut self,
        level: u8,
        sources: &[BlockId],
        wal: Option<(Position, Position)>,
    ) -> Result<Option<BlockMeta>, BlockError> {
        if self.meta.series == 0 {
            return Ok(None);
        }
        self.close_group()?;
        self.close_time_page()?;
        self.meta.level = level;
        self.meta.sources = sources.to_vec();
        self.meta.wal = wal;
        let (mut footer, copies) = self.write_index()?;
        // The footer is written twice, far apart where there are copies, since losing it would cost
        // the whole block.
        self.write_footer(&footer)?;
        let share = self.out.offset / 100 * self.options.copies_percent;
        let room = share.max(self.options.copies_bytes);
        for page in copies.first_of(room) {
            footer.copies.push(self.out.put_page(page)?);
        }
        self.write_footer(&footer)?;
        self.meta.bytes = self.out.offset;
        self.out.publish()?;
        Ok(Some(self.meta))
    }

    fn check(&self, labels: &Labels, samples: &[Sample]) -> Result<(), BlockError> {
        let id = self.meta.id;
        let reason = if self.last.as_ref().is_some_and(|last| last >= labels) {
            "series out of order"
        } else if samples.windows(2).any(|pair| pair[0].t >= pair[1].t) {
            "samples out of order"
        } else {
            let limit = |what, value, limit| {
                let error = BlockError::Limit {
                    id,
                    what,
                    value,
                    limit,
                };
                if value < limit { Ok(()) } else { Err(error) }
            };
            limit("number of series", self.meta.series, SERIES_MAX)?;
            let bytes = self.pairs.text_bytes() + labels.heap_bytes();
            return limit("bytes of labels", bytes as u64, TEXT_BYTES_MAX as u64);
        };
        Err(BlockError::Order { id, reason })
    }

    /// Writes the pairs that differ from those of the series before, with their positions.
    fn add_labels(&mut self, labels: &Labels) {
        let (group, series) = (&mut self.group, self.meta.series as u32);
        let before = group.pairs.len();
        let mut count = 0;
        let mut changed = Vec::with_capacity(64);
        for (i, pair) in labels.iter().enumerate() {
            let same = { group.pairs.get(i).copied() }.filter(|id| self.pairs.of(*id) == pair);
            let id = same.unwrap_or_else(|| self.pairs.id(pair.0, pair.1));
            self.pairs.add(id, series);
            if i < before {
                group.pairs[i] = id;
            } else {
                group.pairs.push(id);
            }
            // NOTE: a page's first series has no series before it.
            if same.is_none() || group.count == 0 {
                changed.push(i);
            }
            count = i + 1;
        }
        group.pairs.truncate(count);
        put_varint(&mut group.entries, count as u64);
        let mut mask = vec![0u8; count.div_ceil(8)];
        for i in &changed {
            mask[i / 8] |= 1 << (i % 8);
        }
        group.entries.extend_from_slice(&mask);
        for i in changed {
            put_varint(&mut group.entries, u64::from(group.pairs[i]));
        }
    }

    fn add_columns(&mut self, samples: &[Sample]) -> Result<(), BlockError> {
        let is_int = |s: &Sample| !s.v.is_finite() || column::is_integral(s.v);
        let target = if samples.iter().all(is_int) {
            self.options.int_column
        } else {
            self.options.float_column
        };
        let pieces = pieces(samples.len(), target);
        put_varint(&mut self.group.entries, pieces.len() as u64);
        let mut rest = samples;
        for len in pieces {
            let (piece, after) = rest.split_at(len);
            self.add_column(piece)?;
            rest = after;
        }
        Ok(())
    }

    fn add_column(&mut self, samples: &[Sample]) -> Result<(), BlockError> {
        let bad = BlockError::Order {
            id: self.meta.id,
            reason: "a column could not be encoded",
        };
        let scratch = &mut *self.scratch;
        scratch.values.clear();
        scratch.values.extend(samples.iter().map(|s| s.v));
        scratch.times.clear();
        scratch.times.extend(samples.iter().map(|s| s.t));
        let at = self.group.columns.len();
        let Some(time) = self.add_times() else {
            return Err(bad);
        };
        let scratch = &mut *self.scratch;
        let columns = &mut self.group.columns;
        let Some(()) = scratch.column.encode(&scratch.values, columns) else {
            return Err(bad);
        };
        let len = columns.len() - at;
        let group = &mut self.group;
        let page = group.column_pages.len() as u64;
        put_varint(&mut group.entries, page - group.page);
        group.page = page;
        put_varint(&mut group.entries, len as u64);
        match time {
            Ok(id) => put_varint(&mut group.entries, u64::from(id) + 1),
            Err(column) => {
                put_varint(&mut group.entries, 0);
                put_signed(&mut group.entries, column.first);
                let span = column.last.wrapping_sub(column.first) as u64;
                put_varint(&mut group.entries, span);
                put_varint(&mut group.entries, u64::from(column.count));
                let len = match column.data {
                    TimeData::Beside { len } => len,
                    _ => 0,
                };
                put_varint(&mut group.entries, u64::from(len));
            }
        }
        if self.group.columns.len() >= self.options.page_bytes {
            self.close_column_page()?;
        }
        if self.time_page.len() >= self.options.page_bytes {
            self.close_time_page()?;
        }
        Ok(())
    }

    /// Returns the number of a shared column, or the column that is stored beside the values.
    fn add_times(&mut self) -> Option<Result<u32, TimeColumn>> {
        let ScratchOf {
            column: scratch,
            times,
            ..
        } = &mut *self.scratch;
        let mut column = TimeColumn {
            first: *times.first()?,
            last: *times.last()?,
            count: times.len() as u32,
            data: TimeData::Regular,
        };
        match self.times.find(times) {
            Place::Known(id) => Some(Ok(id)),
            Place::New(key) => {
                let offset = self.time_page.len();
                times::encode(times, scratch, &mut self.time_page)?;
                let len = self.time_page.len() - offset;
                if len > 0 {
                    column.data = TimeData::Shared {
                        page: self.time_pages.len() as u32,
                        offset: offset as u32,
                        len: len as u32,
                    };
                }
                Some(Ok(self.times.add(key, column)))
            }
            Place::Full => {
                let offset = self.group.columns.len();
                times::encode(times, scratch, &mut self.group.columns)?;
                let len = (self.group.columns.len() - offset) as u32;
                column.data = TimeData::Beside { len };
                Some(Err(column))
            }
        }
    }

    fn close_column_page(&mut self) -> Result<(), BlockError> {
        if !self.group.columns.is_empty() {
            let page = self.out.put_page(&self.group.columns)?;
            self.group.column_pages.push(page);
            self.group.columns.clear();
        }
        Ok(())
    }

    fn close_time_page(&mut self) -> Result<(), BlockError> {
        if !self.time_page.is_empty() {
            let page = self.out.put_page(&self.time_page)?;
            self.time_pages.push(page);
            let left = self.time_copies_room.checked_sub(page.len.into());
            self.time_copies_room = left.unwrap_or(0);
            let bytes = std::mem::take(&mut self.time_page);
            if left.is_some() {
                self.time_copies.push(bytes);
            }
        }
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), BlockError> {
        if self.group.count == 0 {
            return Ok(());
        }
        self.close_column_page()?;
        let group = &mut self.group;
        let mut bytes = Vec::with_capacity(group.entries.len() + 64);
        put_varint(&mut bytes, u64::from(group.count));
        put_varint(&mut bytes, group.column_pages.len() as u64);
        let mut end = 0;
        for page in &group.column_pages {
            put_page(&mut bytes, &mut end, *page);
        }
        bytes.extend_from_slice(&group.entries);
        let first = self.meta.series as u32 - group.count;
        let page = self.out.put_page(&bytes)?;
        self.series_pages.push(SeriesPage { page, first });
        group.count = 0;
        group.page = 0;
        group.entries.clear();
        group.column_pages.clear();
        Ok(())
    }

    fn write_index(&mut self) -> Result<(Footer, Copies), BlockError> {
        let mut footer = Footer {
            meta: self.meta.clone(),
            pco: column::pco_version(),
            pairs: self.pairs.len() as u32,
            series: std::mem::take(&mut self.series_pages),
            times: std::mem::take(&mut self.time_pages),
            time_table: Vec::new(),
            ranks: Vec::new(),
            values: Vec::new(),
            postings: Vec::new(),
            names: Vec::new(),
            copies: Vec::new(),
        };
        let mut copies = Copies {
            times: std::mem::take(&mut self.time_copies),
            ..Copies::default()
        };
        let mut page = Vec::new();
        for columns in self.times.columns.chunks(TIMES_PER_PAGE) {
            page.clear();
            for column in columns {
                column.put(&mut page);
            }
            footer.time_table.push(self.out.put_page(&page)?);
            copies.first.push(page.clone());
        }
        let sorted = self.pairs.sorted();
        let mut ranks = vec![0u32; sorted.len()];
        for (rank, id) in sorted.iter().enumerate() {
            ranks[*id as usize] = rank as u32;
        }
        for ranks in ranks.chunks(RANKS_PER_PAGE) {
            page.clear();
            for rank in ranks {
                page.extend_from_slice(&rank.to_le_bytes());
            }
            footer.ranks.push(self.out.put_page(&page)?);
            copies.first.push(page.clone());
        }
        self.write_values(&sorted, &mut footer, &mut copies)?;
        Ok((footer, copies))
    }

    fn write_footer(&mut self, footer: &Footer) -> Result<(), BlockError> {
        let bytes = footer.encode();
        let offset = self.out.offset;
        self.out.put(&bytes)?;
        let trailer = Trailer {
            offset,
            len: bytes.len() as u32,
            crc: footer::sum(offset, &bytes),
        };
        let mut end = Vec::new();
        footer::put_trailer(&mut end, trailer);
        self.out.put(&end)
    }

    /// Writes values and postings together: a page of each grows.
    fn write_values(
        &mut self,
        sorted: &[u32],
        footer: &mut Footer,
        copies: &mut Copies,
    ) -> Result<(), BlockError> {
        let (mut values, mut postings) = (Vec::new(), Vec::new());
        let mut open: Option<(u32, Box<str>)> = None;
        for (rank, id) in sorted.iter().enumerate() {
            let rank = rank as u32;
            let (name, value) = self.pairs.of(*id);
            if footer.names.last().is_none_or(|last| *last.name != *name) {
                let name = name.into();
                footer.names.push(Name { name, rank });
            }
            open.get_or_insert_with(|| (rank, value.into()));
            let offset = postings.len();
            self.pairs.put_postings(*id, &mut postings);
            put_text(&mut values, value);
            put_varint(&mut values, u64::from(self.pairs.count(*id)));
            put_varint(&mut values, footer.postings.len() as u64);
            put_varint(&mut values, offset as u64);
            put_varint(&mut values, (postings.len() - offset) as u64);
            let last = rank as usize + 1 == sorted.len();
            if last || postings.len() >= INDEX_PAGE_BYTES {
                footer.postings.push(self.out.put_page(&postings)?);
                copies.postings.push(std::mem::take(&mut postings));
            }
            if last || values.len() >= INDEX_PAGE_BYTES {
                let page = self.out.put_page(&values)?;
                if let Some((rank, value)) = open.take() {
                    footer.values.push(ValuePage { page, rank, value });
                }
                copies.values.push(std::mem::take(&mut values));
            }
        }
        Ok(())
    }
}

/// Index pages that may be written a second time.
#[derive(Default)]
struct Copies {
    /// The table of timestamps, then the ranks.
    first: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
    postings: Vec<Vec<u8>>,
    /// The first pages of shared timestamps.
    times: Vec<Vec<u8>>,
}

impl Copies {
    /// Yields the first pages, as many as `room` bytes hold.
    fn first_of(&self, mut room: u64) -> impl Iterator<Item = &Vec<u8>> {
        self.pages().take_while(move |page| {
            let left = room.checked_sub((page.len() + page::CRC_BYTES) as u64);
            room = left.unwrap_or(0);
            left.is_some()
        })
    }

    /// Yields the pages in the order of the footer.
    fn pages(&self) -> impl Iterator<Item = &Vec<u8>> {
        { self.first.iter() }
            .chain(&self.values)
            .chain(&self.postings)
            .chain(&self.times)
    }
}

/// The number of fixed-size entries in a page, so that one is found by its number.
pub const TIMES_PER_PAGE: usize = 128;
pub const RANKS_PER_PAGE: usize = 1_024;

/// Returns the lengths of a series' columns. All have `target` samples. A small rest goes into the
/// last one, a larger one is its own column. Series with the same timestamps are cut at the same
/// places.
fn pieces(samples: usize, target: usize) -> Vec<usize> {
    let mut pieces = vec![target; samples / target];
    let rest = samples % target;
    match pieces.last_mut() {
        Some(last) if rest <= target / 5 => *last += rest,
        _ => pieces.push(rest),
    }
    pieces
}

/// The file that is written under its temporary name.
#[derive(Debug)]
struct Output {
    dir: Arc<dyn Dir>,
    id: BlockId,
    /// Taken when the file is published.
    file: Option<Box<dyn File>>,
    buffer: Vec<u8>,
    /// Includes the bytes that wait in the buffer.
    offset: u64,
}

impl Output {
    fn put(&mut self, bytes: &[u8]) -> Result<(), BlockError> {
        self.buffer.extend_from_slice(bytes);
        self.offset += bytes.len() as u64;
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn put_page(&mut self, bytes: &[u8]) -> Result<PageRef, BlockError> {
        let (offset, len) = (self.offset, bytes.len() + page::CRC_BYTES);
        if len > page::PAGE_BYTES_MAX {
            return Err(BlockError::Limit {
                id: self.id,
                what: "size of a page",
                value: len as u64,
                limit: page::PAGE_BYTES_MAX as u64,
            });
        }
        let sum = page::crc(offset, bytes);
        self.put(bytes)?;
        self.put(&sum.to_le_bytes())?;
        let len = len as u32;
        Ok(PageRef { offset, len })
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("closed"));
        let done = file.and_then(|file| file.append(&self.buffer));
        self.buffer.clear();
        self.io(done)
    }

    fn io<T>(&self, result: io::Result<T>) -> Result<T, BlockError> {
        result.map_err(|source| BlockError::Io {
            id: self.id,
            source,
        })
    }

    fn publish(&mut self) -> Result<(), BlockError> {
        self.flush()?;
        if let Some(file) = &mut self.file {
            let synced = file.sync();
            self.io(synced)?;
        }
        // ORDER: durable before it is visible, and visible before the caller hears of it.
        self.io(self.dir.rename(&self.id.tmp_path(), &self.id.path()))?;
        self.file = None;
        self.io(self.dir.sync_dir(BLOCKS_DIR))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // NOTE: what cannot be removed now is removed at the next start.
            let _ = self.dir.remove(&self.id.tmp_path());
        }
    }
}
