//! Reads one block, series by series.

use std::path::{Path, PathBuf};

use super::error::{Damages, PromError};
use super::files::{self, Window};
use super::index_write::{ChunkMeta, MAGIC, SERIES_ALIGN};
use super::meta::Meta;
use super::tombstones::Tombstones;
use super::writer::CHUNKS_MAGIC;
use super::xor;
use crate::model::{Labels, Sample};
use crate::stdx::cursor::Cursor;
use crate::stdx::sort::sort_by_key;
use crate::stdx::varint::varint_len;

/// LIMIT: the size of `meta.json`, which has some hundred bytes per block that it was made of.
const META_BYTES_MAX: u64 = 4 << 20;
/// LIMIT: an index's symbols, which are held in memory while it is read.
const SYMBOLS_BYTES_MAX: u64 = 256 << 20;
/// LIMIT: one series in the index: 100,000 chunks and more.
const ENTRY_BYTES_MAX: u64 = 1 << 20;
/// LIMIT: one chunk, which has at most 65,535 samples.
const CHUNK_BYTES_MAX: u64 = 4 << 20;
/// Six offsets and a checksum.
const TOC_BYTES: u64 = 52;
const TOC_ENTRIES: usize = 6;

/// An open block.
#[derive(Debug)]
pub struct PromBlock {
    path: PathBuf,
    pub meta: Meta,
    symbols: Symbols,
    /// Where the series are in the index.
    series: (u64, u64),
    tombstones: Tombstones,
    chunk_files: Vec<PathBuf>,
    pub bytes: u64,
}

/// A series as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesEntry {
    pub reference: u64,
    pub labels: Labels,
    pub chunks: Vec<ChunkMeta>,
}

/// Reads only `meta.json` of a block's directory.
pub fn read_meta(path: &Path) -> Result<Meta, PromError> {
    let path = path.join("meta.json");
    let bytes = files::read_small(&path, META_BYTES_MAX)?;
    let meta: Meta = serde_json::from_slice(&bytes)
        .map_err(|e| PromError::refused(&path, format!("not a block's description: {e}")))?;
    if meta.version != 1 {
        let what = format!("version {} is not known, only 1", meta.version);
        return Err(PromError::refused(&path, what));
    }
    Ok(meta)
}

/// The bytes of all its files.
pub fn block_bytes(path: &Path) -> u64 {
    let chunks = files::list(&path.join("chunks")).unwrap_or_default();
    let chunks = chunks.iter().map(|(_, file)| files::file_bytes(file));
    let beside = ["meta.json", "index", "tombstones"].map(|f| files::file_bytes(&path.join(f)));
    chunks.chain(beside).sum()
}

impl PromBlock {
    pub fn open(path: &Path) -> Result<PromBlock, PromError> {
        let mut index = Window::open(&path.join("index"))?;
        let toc = read_toc(&mut index)?;
        Ok(PromBlock {
            meta: read_meta(path)?,
            symbols: Symbols::read(&mut index, toc[0])?,
            series: (toc[1], series_end(&toc, index.len)),
            tombstones: Tombstones::read(&path.join("tombstones"))?,
            chunk_files: files::list_numbered(&path.join("chunks"), 6)?
                .into_iter()
                .map(|(_, file)| file)
                .collect(),
            bytes: block_bytes(path),
            path: path.to_owned(),
        })
    }

    /// Returns all series, in order of labels.
    pub fn series(&self) -> Result<SeriesReader<'_>, PromError> {
        Ok(SeriesReader {
            index: Window::open(&self.path.join("index"))?,
            at: self.series.0,
            block: self,
            chunks: None,
            samples: Vec::new(),
            damages: Damages::default(),
        })
    }
}

fn read_toc(index: &mut Window) -> Result<[u64; TOC_ENTRIES], PromError> {
    let path = index.path.clone();
    let head = index.at(0, 5)?.to_vec();
    if head.get(..4) != Some(MAGIC.as_slice()) {
        return Err(PromError::damaged(&path, 0, "not an index"));
    }
    // Version 3 differs from 2 in nothing that is read here.
    let version = head.get(4).copied().unwrap_or(0);
    if !(2..=3).contains(&version) {
        let what = format!("version {version} of the index is not read, only 2 and 3");
        return Err(PromError::refused(&path, what));
    }
    let at = index.len.saturating_sub(TOC_BYTES);
    let bytes = index.at(at, TOC_BYTES as usize)?;
    let toc = || -> Option<[u64; TOC_ENTRIES]> {
        let (entries, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(entries) != u32::from_be_bytes(*crc) {
            return None;
        }
        let mut bytes = Cursor::new(entries);
        let mut toc = [0; TOC_ENTRIES];
        for entry in &mut toc {
            *entry = bytes.u64_be()?;
        }
        Some(toc)
    };
    toc().ok_or_else(|| PromError::damaged(&path, at, "the table of contents is damaged"))
}

/// Returns where the next section begins, which ends the series.
fn series_end(toc: &[u64; TOC_ENTRIES], len: u64) -> u64 {
    let later = toc.iter().skip(2).filter(|at| **at >= toc[1]);
    let end = later.min().copied().unwrap_or(len);
    end.min(len.saturating_sub(TOC_BYTES))
}

#[derive(Debug)]
struct Symbols {
    texts: String,
    /// The end of each symbol.
    ends: Vec<u32>,
}

impl Symbols {
    fn read(index: &mut Window, at: u64) -> Result<Symbols, PromError> {
        let path = index.path.clone();
        let damaged = || PromError::damaged(&path, at, "the table of symbols is damaged");
        let len = Cursor::new(index.at(at, 4)?).u32_be().ok_or_else(damaged)?;
        if u64::from(len) > SYMBOLS_BYTES_MAX {
            let what = format!("symbols of {len} bytes, at most {SYMBOLS_BYTES_MAX} are read");
            return Err(PromError::refused(&path, what));
        }
        let section = index.at(at + 4, len as usize + 4)?;
        Symbols::parse(section).ok_or_else(damaged)
    }

    fn parse(section: &[u8]) -> Option<Symbols> {
        let (entries, crc) = section.split_last_chunk::<4>()?;
        if crc32c::crc32c(entries) != u32::from_be_bytes(*crc) {
            return None;
        }
        let mut bytes = Cursor::new(entries);
        let count = bytes.u32_be()? as usize;
        let mut symbols = Symbols {
            texts: String::with_capacity(entries.len()),
            ends: Vec::with_capacity(count.min(entries.len())),
        };
        for _ in 0..count {
            symbols.texts.push_str(bytes.text()?);
            symbols.ends.push(symbols.texts.len() as u32);
        }
        Some(symbols)
    }

    fn get(&self, i: u64) -> Option<&str> {
        let i = usize::try_from(i).ok()?;
        let end = *self.ends.get(i)? as usize;
        let start = match i.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.texts.get(start..end)
    }
}

/// Reads a block's series. Damaged parts are left out and recorded in `damages`.
#[derive(Debug)]
pub struct SeriesReader<'b> {
    block: &'b PromBlock,
    index: Window,
    at: u64,
    /// The chunk file that was read last, with its index.
    chunks: Option<(usize, Window)>,
    samples: Vec<Sample>,
    pub damages: Damages,
}

impl SeriesReader<'_> {
    /// Returns the next series with its samples, in order of time, without deleted ones. A series
    /// without readable samples is left out.
    #[expect(
        clippy::should_implement_trait,
        reason = "what it gives is borrowed from it"
    )]
    pub fn next(&mut self) -> Result<Option<(Labels, &[Sample])>, PromError> {
        while let Some(entry) = self.next_entry()? {
            let mut samples = std::mem::take(&mut self.samples);
            let read = self.read(&entry, &mut samples);
            self.samples = samples;
            read?;
            if !self.samples.is_empty() {
                return Ok(Some((entry.labels, &self.samples)));
            }
        }
        Ok(None)
    }

    pub fn next_entry(&mut self) -> Result<Option<SeriesEntry>, PromError> {
        let mut is_lost = false;
        loop {
            self.at = self.at.next_multiple_of(SERIES_ALIGN);
            if self.at >= self.block.series.1 {
                return Ok(None);
            }
            let at = self.at;
            match self.entry_at(at)? {
                Found::Entry(entry, end) => {
                    self.at = end;
                    return Ok(Some(entry));
                }
                Found::Padding => self.at += SERIES_ALIGN,
                Found::Damage => {
                    // An entry at the next place with a right checksum is a series again.
                    if !is_lost {
                        self.damages
                            .add(&self.index.path, at, "a series is damaged");
                    }
                    is_lost = true;
                    self.at += SERIES_ALIGN;
                }
            }
        }
    }

    fn entry_at(&mut self, at: u64) -> Result<Found, PromError> {
        let Some(len) = Cursor::new(self.index.at(at, 10)?).varint() else {
            return Ok(Found::Damage);
        };
        let from = at + varint_len(len);
        if len == 0 {
            return Ok(Found::Padding);
        }
        if len > ENTRY_BYTES_MAX || from + len + 4 > self.block.series.1 {
            return Ok(Found::Damage);
        }
        let bytes = self.index.at(from, len as usize + 4)?;
        let Some((entry, crc)) = bytes.split_last_chunk::<4>() else {
            return Ok(Found::Damage);
        };
        if crc32c::crc32c(entry) != u32::from_be_bytes(*crc) {
            return Ok(Found::Damage);
        }
        let reference = at / SERIES_ALIGN;
        Ok(match parse_entry(entry, &self.block.symbols, reference) {
            Some(entry) => Found::Entry(entry, from + len + 4),
            None => Found::Damage,
        })
    }

    /// Reads the samples of a series, and replaces those in `out`.
    pub fn read(&mut self, entry: &SeriesEntry, out: &mut Vec<Sample>) -> Result<(), PromError> {
        out.clear();
        for chunk in &entry.chunks {
            self.with_chunk(chunk, |encoding, data| {
                let from = out.len();
                let decoded = xor::decode(encoding, data, out);
                if decoded.is_none() {
                    out.truncate(from);
                }
                decoded
            })?;
        }
        sort_by_time(out);
        self.block.tombstones.apply(entry.reference, out);
        Ok(())
    }

    /// Returns kind, number of samples and bytes of each readable chunk.
    pub fn measure(&mut self, entry: &SeriesEntry) -> Result<Vec<(u8, u16, usize)>, PromError> {
        let mut measured = Vec::new();
        for chunk in &entry.chunks {
            self.with_any_chunk(chunk, |encoding, data| {
                measured.push((encoding, xor::count(data), data.len()));
                Some(())
            })?;
        }
        Ok(measured)
    }

    fn with_chunk(
        &mut self,
        chunk: &ChunkMeta,
        mut take: impl FnMut(u8, &[u8]) -> Option<()>,
    ) -> Result<(), PromError> {
        let mut is_histogram = false;
        self.with_any_chunk(chunk, |encoding, data| {
            is_histogram = encoding != xor::XOR && encoding != xor::XOR2;
            if is_histogram {
                Some(())
            } else {
                take(encoding, data)
            }
        })?;
        self.damages.histogram_chunks += u64::from(is_histogram);
        Ok(())
    }

    fn with_any_chunk(
        &mut self,
        chunk: &ChunkMeta,
        take: impl FnOnce(u8, &[u8]) -> Option<()>,
    ) -> Result<(), PromError> {
        let (file, offset) = ((chunk.at >> 32) as usize, chunk.at & 0xffff_ffff);
        if self.chunks.as_ref().is_none_or(|(open, _)| *open != file) {
            let Some(path) = self.block.chunk_files.get(file) else {
                let dir = self.block.path.join("chunks");
                self.damages
                    .add(&dir, chunk.at, "a file of chunks is missing");
                return Ok(());
            };
            self.chunks = Some((file, Window::open(path)?));
        }
        let Some((_, window)) = &mut self.chunks else {
            return Ok(());
        };
        if window.at(0, 4)? != CHUNKS_MAGIC {
            // Recorded with each chunk, since only the file's head may be damaged.
            self.damages.add(&window.path, 0, "not a file of chunks");
            return Ok(());
        }
        match chunk_at(window, offset)?.and_then(|(encoding, data)| take(encoding, data)) {
            Some(()) => {}
            None => self.damages.add(&window.path, offset, "a chunk is damaged"),
        }
        Ok(())
    }
}

/// Returns kind and data of a chunk whose checksum is right.
fn chunk_at(window: &mut Window, offset: u64) -> Result<Option<(u8, &[u8])>, PromError> {
    let Some(len) = Cursor::new(window.at(offset, 10)?).varint() else {
        return Ok(None);
    };
    if len > CHUNK_BYTES_MAX {
        return Ok(None);
    }
    let bytes = window.at(offset + varint_len(len), 1 + len as usize + 4)?;
    let Some((chunk, crc)) = bytes.split_last_chunk::<4>() else {
        return Ok(None);
    };
    let is_right = chunk.len() as u64 == 1 + len;
    if !is_right || crc32c::crc32c(chunk) != u32::from_be_bytes(*crc) {
        return Ok(None);
    }
    Ok(chunk
        .split_first()
        .map(|(encoding, data)| (*encoding, data)))
}

enum Found {
    /// The entry, and where it ends.
    Entry(SeriesEntry, u64),
    Padding,
    Damage,
}

fn parse_entry(entry: &[u8], symbols: &Symbols, reference: u64) -> Option<SeriesEntry> {
    let mut bytes = Cursor::new(entry);
    let count = bytes.varint()?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let name = symbols.get(bytes.varint()?)?;
        pairs.push((name, symbols.get(bytes.varint()?)?));
    }
    let count = bytes.varint()?;
    let mut chunks: Vec<ChunkMeta> = Vec::new();
    for _ in 0..count {
        let chunk = match chunks.last() {
            None => {
                let min_t = bytes.signed()?;
                ChunkMeta {
                    min_t,
                    max_t: min_t.wrapping_add(bytes.varint()? as i64),
                    at: bytes.varint()?,
                }
            }
            Some(before) => {
                let min_t = before.max_t.wrapping_add(bytes.varint()? as i64);
                ChunkMeta {
                    min_t,
                    max_t: min_t.wrapping_add(bytes.varint()? as i64),
                    at: before.at.wrapping_add(bytes.signed()? as u64),
                }
            }
        };
        chunks.push(chunk);
    }
    Some(SeriesEntry {
        reference,
        labels: Labels::from_pairs(pairs),
        chunks,
    })
}

/// Sorts samples. At the same time the first wins. Mostly they are in order already.
pub fn sort_by_time(samples: &mut Vec<Sample>) {
    if samples.windows(2).any(|pair| pair[0].t >= pair[1].t) {
        sort_by_key(samples, |s| s.t);
        samples.dedup_by_key(|s| s.t);
    }
}
