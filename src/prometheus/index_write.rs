//! Writes an index of version 2 (`tsdb/docs/format/index.md`), series by series.
//!
//! The table of symbols comes first in the file and is known last. So series are spilled to a file
//! beside it as they come. The index is written at the end, when the spill is read twice. Three
//! things stay in memory: every distinct text once, every distinct label with a count, and at the
//! end four bytes for every label of every series.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::error::PromError;
use super::files::{Output, Window, remove_file};
use crate::model::{Labels, TimestampMs};
use crate::stdx::cursor::Cursor;
use crate::stdx::sort::sort;
use crate::stdx::varint::{put_signed, put_text, put_varint, varint_len};

pub const MAGIC: [u8; 4] = [0xba, 0xaa, 0xd7, 0x00];
const VERSION: u8 = 2;
pub const SERIES_ALIGN: u64 = 16;
const SPILL: &str = "series.spill";
/// The bytes of a section with one list of series besides the list: its length, count and checksum.
const LIST_OVERHEAD: u64 = 12;

/// The place of a chunk, and its time range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Inclusive.
    pub min_t: TimestampMs,
    /// Inclusive.
    pub max_t: TimestampMs,
    /// The index of its file, and the offset in it.
    pub at: u64,
}

/// A name and a value as symbols.
type Pair = (u32, u32);

#[derive(Debug)]
pub struct IndexWriter {
    spill: Output,
    symbols: HashMap<Arc<str>, u32>,
    /// The number of series with each label.
    pairs: HashMap<Pair, u32>,
    series: u32,
    buffer: Vec<u8>,
    entry: Vec<u8>,
}

impl IndexWriter {
    /// Creates the spill in the directory that will have the index.
    pub fn create(dir: &Path) -> Result<IndexWriter, PromError> {
        Ok(IndexWriter {
            spill: Output::create(dir.join(SPILL))?,
            symbols: HashMap::from([(Arc::from(""), 0)]),
            pairs: HashMap::new(),
            series: 0,
            buffer: Vec::new(),
            entry: Vec::new(),
        })
    }

    /// Adds a series. They come in order of labels.
    pub fn add(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<(), PromError> {
        self.entry.clear();
        put_varint(&mut self.entry, labels.len() as u64);
        for (name, value) in labels {
            let pair = (self.symbol(name), self.symbol(value));
            *self.pairs.entry(pair).or_default() += 1;
            put_varint(&mut self.entry, u64::from(pair.0));
            put_varint(&mut self.entry, u64::from(pair.1));
        }
        put_chunks(&mut self.entry, chunks);
        self.buffer.clear();
        put_varint(&mut self.buffer, self.entry.len() as u64);
        self.spill.put(&self.buffer)?;
        self.spill.put(&self.entry)?;
        self.series += 1;
        Ok(())
    }

    fn symbol(&mut self, text: &str) -> u32 {
        if let Some(symbol) = self.symbols.get(text) {
            return *symbol;
        }
        let symbol = self.symbols.len() as u32;
        self.symbols.insert(Arc::from(text), symbol);
        symbol
    }

    /// Writes `index` and makes it durable. Returns its size.
    pub fn finish(mut self, dir: &Path) -> Result<u64, PromError> {
        self.spill.flush()?;
        let symbols = Symbols::sort(std::mem::take(&mut self.symbols));
        let mut lists = Lists::new(&self.pairs, &symbols, self.series);
        let mut out = Output::create(dir.join("index"))?;
        out.put(&MAGIC)?;
        out.put(&[VERSION])?;
        let symbols_at = out.at;
        put_symbols(&mut out, &symbols.sorted)?;
        let series_at = out.at;
        put_series(&mut out, dir, self.series, &symbols.ranks, &mut lists)?;
        let indices_at = out.at;
        out.pad(4)?;
        let postings_at = out.at;
        lists.put(&mut out)?;
        let table_at = out.at;
        lists.put_table(&mut out, &symbols.sorted, postings_at)?;
        out.begin_crc();
        for at in [
            symbols_at,
            series_at,
            indices_at,
            table_at,
            postings_at,
            table_at,
        ] {
            out.put(&at.to_be_bytes())?;
        }
        out.put_crc()?;
        remove_file(&dir.join(SPILL))?;
        out.finish()
    }
}

fn put_chunks(entry: &mut Vec<u8>, chunks: &[ChunkMeta]) {
    put_varint(entry, chunks.len() as u64);
    let mut before: Option<&ChunkMeta> = None;
    for chunk in chunks {
        match before {
            None => put_signed(entry, chunk.min_t),
            Some(before) => put_varint(entry, span(before.max_t, chunk.min_t)),
        }
        put_varint(entry, span(chunk.min_t, chunk.max_t));
        match before {
            None => put_varint(entry, chunk.at),
            Some(before) => put_signed(entry, chunk.at.wrapping_sub(before.at) as i64),
        }
        before = Some(chunk);
    }
}

struct Symbols {
    sorted: Vec<Arc<str>>,
    /// The position of each symbol in `sorted`, by its number.
    ranks: Vec<u32>,
}

impl Symbols {
    fn sort(symbols: HashMap<Arc<str>, u32>) -> Symbols {
        let mut sorted: Vec<(Arc<str>, u32)> = symbols.into_iter().collect();
        sort(&mut sorted);
        let mut ranks = vec![0; sorted.len()];
        for (rank, (_, symbol)) in sorted.iter().enumerate() {
            ranks[*symbol as usize] = rank as u32;
        }
        let sorted = sorted.into_iter().map(|(text, _)| text).collect();
        Symbols { sorted, ranks }
    }
}

fn text_len(text: &str) -> u64 {
    varint_len(text.len() as u64) + text.len() as u64
}

/// Writes a section's length, which has 32 bits in the format.
fn put_len(out: &mut Output, len: u64) -> Result<(), PromError> {
    let len = u32::try_from(len)
        .map_err(|_| PromError::Order("a section of the index exceeds 4 GiB".to_owned()))?;
    out.put(&len.to_be_bytes())?;
    out.begin_crc();
    Ok(())
}

fn put_symbols(out: &mut Output, sorted: &[Arc<str>]) -> Result<(), PromError> {
    put_len(out, 4 + sorted.iter().map(|s| text_len(s)).sum::<u64>())?;
    out.put(&(sorted.len() as u32).to_be_bytes())?;
    let mut buffer = Vec::new();
    for text in sorted {
        buffer.clear();
        put_text(&mut buffer, text);
        out.put(&buffer)?;
    }
    out.put_crc()
}

/// Writes the spilled series in the index's form, and fills the lists.
fn put_series(
    out: &mut Output,
    dir: &Path,
    series: u32,
    ranks: &[u32],
    lists: &mut Lists,
) -> Result<(), PromError> {
    let mut spill = Window::open(&dir.join(SPILL))?;
    let (mut at, mut entry, mut head) = (0, Vec::new(), Vec::new());
    for _ in 0..series {
        let lost = || PromError::damaged(&dir.join(SPILL), at, "what was written is not there");
        let mut bytes = Cursor::new(spill.at(at, 10)?);
        let len = bytes.varint().ok_or_else(lost)?;
        let from = at + varint_len(len);
        let mut bytes = Cursor::new(spill.at(from, len as usize)?);
        out.pad(SERIES_ALIGN)?;
        let reference = u32::try_from(out.at / SERIES_ALIGN)
            .map_err(|_| PromError::Order("exceeding max size of 64GiB".to_owned()))?;
        entry.clear();
        let labels = bytes.varint().ok_or_else(lost)?;
        put_varint(&mut entry, labels);
        lists.add(None, reference);
        for _ in 0..labels {
            let name = bytes.varint().ok_or_else(lost)?;
            let value = bytes.varint().ok_or_else(lost)?;
            let pair = (ranks[name as usize], ranks[value as usize]);
            put_varint(&mut entry, u64::from(pair.0));
            put_varint(&mut entry, u64::from(pair.1));
            lists.add(Some(pair), reference);
        }
        entry.extend_from_slice(bytes.rest());
        head.clear();
        put_varint(&mut head, entry.len() as u64);
        out.put(&head)?;
        out.begin_crc();
        out.put(&entry)?;
        out.put_crc()?;
        at = from + len;
    }
    Ok(())
}

/// The series of every label, one list after another in one allocation. The first list has all
/// series.
struct Lists {
    /// Sorted pairs, with the beginning of each list.
    pairs: Vec<(Pair, u32)>,
    /// How far each list is filled. The list of all series is at the end.
    filled: Vec<u32>,
    all: Vec<u32>,
    references: Vec<u32>,
}

impl Lists {
    fn new(counts: &HashMap<Pair, u32>, symbols: &Symbols, series: u32) -> Lists {
        let rank = |symbol: u32| symbols.ranks[symbol as usize];
        let ranked = counts.iter().map(|((n, v), c)| ((rank(*n), rank(*v)), *c));
        let mut pairs: Vec<(Pair, u32)> = ranked.collect();
        sort(&mut pairs);
        let mut total = 0;
        for (_, count) in &mut pairs {
            total += *count;
            *count = total - *count;
        }
        Lists {
            filled: vec![0; pairs.len()],
            pairs,
            all: Vec::with_capacity(series as usize),
            references: vec![0; total as usize],
        }
    }

    fn add(&mut self, pair: Option<Pair>, reference: u32) {
        let Some(pair) = pair else {
            return self.all.push(reference);
        };
        if let Ok(i) = self.pairs.binary_search_by_key(&pair, |(p, _)| *p) {
            self.references[(self.pairs[i].1 + self.filled[i]) as usize] = reference;
            self.filled[i] += 1;
        }
    }

    fn each(&self) -> impl Iterator<Item = &[u32]> {
        let of_labels = self.pairs.iter().zip(&self.filled).map(|((_, from), n)| {
            let from = *from as usize;
            &self.references[from..from + *n as usize]
        });
        std::iter::once(self.all.as_slice()).chain(of_labels)
    }

    fn put(&self, out: &mut Output) -> Result<(), PromError> {
        for list in self.each() {
            put_len(out, 4 + 4 * list.len() as u64)?;
            out.put(&(list.len() as u32).to_be_bytes())?;
            for reference in list {
                out.put(&reference.to_be_bytes())?;
            }
            out.put_crc()?;
        }
        Ok(())
    }

    fn put_table(&self, out: &mut Output, texts: &[Arc<str>], at: u64) -> Result<(), PromError> {
        let keys = || {
            let of_labels = self.pairs.iter().map(|((name, value), _)| {
                let (name, value) = (&texts[*name as usize], &texts[*value as usize]);
                (&**name, &**value)
            });
            std::iter::once(("", "")).chain(of_labels)
        };
        let (mut len, mut list_at) = (4, at);
        for ((name, value), list) in keys().zip(self.each()) {
            len += 1 + text_len(name) + text_len(value) + varint_len(list_at);
            list_at += LIST_OVERHEAD + 4 * list.len() as u64;
        }
        put_len(out, len)?;
        out.put(&(1 + self.pairs.len() as u32).to_be_bytes())?;
        let (mut buffer, mut list_at) = (Vec::new(), at);
        for ((name, value), list) in keys().zip(self.each()) {
            buffer.clear();
            put_varint(&mut buffer, 2);
            put_text(&mut buffer, name);
            put_text(&mut buffer, value);
            put_varint(&mut buffer, list_at);
            out.put(&buffer)?;
            list_at += LIST_OVERHEAD + 4 * list.len() as u64;
        }
        out.put_crc()
    }
}

/// Returns `to - from` of two times in order, however far apart.
fn span(from: TimestampMs, to: TimestampMs) -> u64 {
    to.wrapping_sub(from) as u64
}
