//! The footer: the part of a block that a reader keeps in memory.

use super::column::PcoVersion;
use super::page::{self, PageRef, get_page, get_pages, put_page, put_pages};
use super::{BlockError, BlockId, BlockMeta};
use crate::stdx::cursor::Cursor;
use crate::stdx::varint::{put_signed, put_text, put_varint};
use crate::tsdb::wal::Position;

pub const VERSION: u32 = 2;

/// The file's first bytes. The version and four zeroes follow.
pub const HEADER_MAGIC: &[u8; 8] = b"FRLBLOCK";
pub const HEADER_BYTES: u64 = 16;

/// The last bytes of a trailer.
pub const TRAILER_MAGIC: &[u8; 8] = b"FRLBLEND";
pub const TRAILER_BYTES: usize = 32;

/// LIMIT: the size of a footer. One of 100 GB of samples has 4 MiB.
pub const FOOTER_BYTES_MAX: u64 = 64 << 20;

/// The place of a page of series, and the series that it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesPage {
    pub page: PageRef,
    pub first: u32,
}

/// The place of a page of label values, in order of names and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePage {
    pub page: PageRef,
    /// The number of its first pair in this order.
    pub rank: u32,
    /// The value of its first pair.
    pub value: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub name: Box<str>,
    /// The number of its first pair.
    pub rank: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// `bytes` and `tombstones` are not in the file.
    pub meta: BlockMeta,
    pub pco: PcoVersion,
    /// The number of pairs of names and values.
    pub pairs: u32,
    pub series: Vec<SeriesPage>,
    pub time_table: Vec<PageRef>,
    pub times: Vec<PageRef>,
    pub ranks: Vec<PageRef>,
    pub values: Vec<ValuePage>,
    pub postings: Vec<PageRef>,
    pub names: Vec<Name>,
    /// Second copies of the first pages of `time_table`, `ranks`, `values`, `postings` and `times`,
    /// in this order. Many series need each of these pages, so a damaged one without a copy could
    /// cost the whole block.
    pub copies: Vec<PageRef>,
}

impl Footer {
    /// Returns the place of a page's second copy.
    pub fn copy_of(&self, page: PageRef) -> Option<PageRef> {
        let values = self.values.iter().map(|v| &v.page);
        let copied = { self.time_table.iter().chain(&self.ranks) }
            .chain(values)
            .chain(&self.postings)
            .chain(&self.times);
        let found = copied.zip(&self.copies).find(|(of, _)| **of == page);
        found.map(|(_, copy)| *copy)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_meta(&mut out, &self.meta);
        out.extend_from_slice(&self.pco);
        put_varint(&mut out, u64::from(self.pairs));
        let (mut end, mut first) = (0, 0);
        put_varint(&mut out, self.series.len() as u64);
        for series in &self.series {
            put_page(&mut out, &mut end, series.page);
            put_varint(&mut out, u64::from(series.first - first));
            first = series.first;
        }
        for pages in [&self.time_table, &self.times, &self.ranks, &self.postings] {
            put_pages(&mut out, pages);
        }
        let (mut end, mut rank) = (0, 0);
        put_varint(&mut out, self.values.len() as u64);
        for values in &self.values {
            put_page(&mut out, &mut end, values.page);
            put_varint(&mut out, u64::from(values.rank - rank));
            put_text(&mut out, &values.value);
            rank = values.rank;
        }
        put_varint(&mut out, self.names.len() as u64);
        let mut rank = 0;
        for name in &self.names {
            put_text(&mut out, &name.name);
            put_varint(&mut out, u64::from(name.rank - rank));
            rank = name.rank;
        }
        put_pages(&mut out, &self.copies);
        out
    }

    pub fn decode(id: BlockId, bytes: &[u8]) -> Option<Footer> {
        let mut from = Cursor::new(bytes);
        let meta = get_meta(&mut from, id)?;
        let pco = from.take(2)?.try_into().ok()?;
        let pairs = from.small()?;
        let (mut end, mut first) = (0, 0u32);
        let mut series = Vec::new();
        for _ in 0..from.size()? {
            let page = get_page(&mut from, &mut end)?;
            first = first.checked_add(from.small()?)?;
            series.push(SeriesPage { page, first });
        }
        let time_table = get_pages(&mut from)?;
        let times = get_pages(&mut from)?;
        let ranks = get_pages(&mut from)?;
        let postings = get_pages(&mut from)?;
        let (mut end, mut rank) = (0, 0u32);
        let mut values = Vec::new();
        for _ in 0..from.size()? {
            let page = get_page(&mut from, &mut end)?;
            rank = rank.checked_add(from.small()?)?;
            let value = from.text()?.into();
            values.push(ValuePage { page, rank, value });
        }
        let mut names = Vec::new();
        let mut rank = 0u32;
        for _ in 0..from.size()? {
            let name = from.text()?.into();
            rank = rank.checked_add(from.small()?)?;
            names.push(Name { name, rank });
        }
        let copies = get_pages(&mut from)?;
        Some(Footer {
            meta,
            pco,
            pairs,
            series,
            time_table,
            times,
            ranks,
            values,
            postings,
            names,
            copies,
        })
    }

    /// The approximate number of heap bytes.
    pub fn resident_bytes(&self) -> usize {
        let pages = [
            &self.time_table,
            &self.times,
            &self.ranks,
            &self.postings,
            &self.copies,
        ];
        let pages: usize = pages.iter().map(|list| list.len()).sum();
        let texts = self
            .values
            .iter()
            .map(|v| v.value.len() + 16)
            .sum::<usize>()
            + self.names.iter().map(|n| n.name.len() + 16).sum::<usize>();
        size_of::<Footer>()
            + pages * size_of::<PageRef>()
            + self.series.len() * size_of::<SeriesPage>()
            + self.values.len() * size_of::<ValuePage>()
            + self.names.len() * size_of::<Name>()
            + texts
    }

    pub fn shrink(&mut self) {
        self.series.shrink_to_fit();
        self.values.shrink_to_fit();
        self.names.shrink_to_fit();
    }
}

fn put_meta(out: &mut Vec<u8>, meta: &BlockMeta) {
    out.extend_from_slice(&meta.id.0.to_le_bytes());
    put_signed(out, meta.min_t);
    put_signed(out, meta.max_t);
    put_varint(out, meta.series);
    put_varint(out, meta.samples);
    out.push(meta.level);
    put_varint(out, meta.sources.len() as u64);
    for source in &meta.sources {
        out.extend_from_slice(&source.0.to_le_bytes());
    }
    out.extend_from_slice(&meta.newest.0.to_le_bytes());
    out.push(u8::from(meta.wal.is_some()));
    if let Some((from, to)) = meta.wal {
        for word in [from.segment, from.offset, to.segment, to.offset] {
            put_varint(out, u64::from(word));
        }
    }
}

fn get_meta(from: &mut Cursor<'_>, id: BlockId) -> Option<BlockMeta> {
    if from.u64_le()? != id.0 {
        return None;
    }
    let (min_t, max_t) = (from.signed()?, from.signed()?);
    let (series, samples, level) = (from.varint()?, from.varint()?, from.byte()?);
    let mut sources = Vec::new();
    for _ in 0..from.size()? {
        sources.push(BlockId(from.u64_le()?));
    }
    let newest = BlockId(from.u64_le()?);
    let mut wal = None;
    if from.byte()? == 1 {
        let mut position = || {
            let (segment, offset) = (from.small()?, from.small()?);
            Some(Position { segment, offset })
        };
        wal = Some((position()?, position()?));
    }
    Some(BlockMeta {
        id,
        min_t,
        max_t,
        series,
        samples,
        bytes: 0,
        level,
        sources,
        newest,
        wal,
        tombstones: 0,
    })
}

/// The place of the footer, and its checksum.
#[derive(Debug, Clone, Copy)]
pub struct Trailer {
    pub offset: u64,
    pub len: u32,
    pub crc: u32,
}

/// Writes a trailer. The version stands at the same place in every version.
pub fn put_trailer(out: &mut Vec<u8>, trailer: Trailer) {
    let at = out.len();
    out.extend_from_slice(&trailer.offset.to_le_bytes());
    out.extend_from_slice(&trailer.len.to_le_bytes());
    out.extend_from_slice(&trailer.crc.to_le_bytes());
    out.extend_from_slice(&VERSION.to_le_bytes());
    let sum = crc32c::crc32c(out.get(at..).unwrap_or_default());
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(TRAILER_MAGIC);
}

/// Reads a trailer. Returns `None` if the bytes are not one.
pub fn get_trailer(id: BlockId, bytes: &[u8]) -> Option<Result<Trailer, BlockError>> {
    let (fields, mut end) = bytes
        .split_at_checked(20)
        .map(|(a, b)| (a, Cursor::new(b)))?;
    let sum = end.u32_le()?;
    if end.take(8)? != TRAILER_MAGIC || crc32c::crc32c(fields) != sum {
        return None;
    }
    let mut from = Cursor::new(fields);
    let trailer = Trailer {
        offset: from.u64_le()?,
        len: from.u32_le()?,
        crc: from.u32_le()?,
    };
    let version = from.u32_le()?;
    if version != VERSION {
        return Some(Err(BlockError::Version { id, version }));
    }
    Some(Ok(trailer))
}

/// Returns the checksum of a footer's bytes.
pub fn sum(offset: u64, bytes: &[u8]) -> u32 {
    page::crc(offset, bytes)
}
