//! Reads `chunks_head/`: the chunks that Prometheus's head has already written out.

use std::path::{Path, PathBuf};

use super::error::{Damages, PromError};
use super::files::{self, Window};
use super::xor;
use crate::model::{Sample, TimestampMs};
use crate::stdx::cursor::Cursor;
use crate::stdx::sort::sort;
use crate::stdx::varint::varint_len;

const MAGIC: [u8; 4] = [0x01, 0x30, 0xbc, 0x91];
const FILE_HEAD_BYTES: u64 = 8;
/// The series, two times and the kind.
const CHUNK_HEAD_BYTES: usize = 25;
const CHUNK_BYTES_MAX: u64 = 4 << 20;
/// A flag of the kind: the chunk came out of order.
const OUT_OF_ORDER: u8 = 0x80;

/// The place of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeadChunk {
    pub reference: u64,
    pub is_out_of_order: bool,
    file: u32,
    at: u32,
    pub samples: u16,
    pub min_t: TimestampMs,
    pub max_t: TimestampMs,
}

/// All chunks, by series and in the order of writing.
#[derive(Debug)]
pub struct HeadChunks {
    files: Vec<PathBuf>,
    pub chunks: Vec<HeadChunk>,
    open: Option<(u32, Window)>,
}

impl HeadChunks {
    pub fn read(data: &Path, damages: &mut Damages) -> Result<HeadChunks, PromError> {
        let files = files::list_numbered(&data.join("chunks_head"), 6)?;
        let mut found = HeadChunks {
            files: files.into_iter().map(|(_, path)| path).collect(),
            chunks: Vec::new(),
            open: None,
        };
        for (i, path) in found.files.iter().enumerate() {
            let mut window = Window::open(path)?;
            list_chunks(&mut window, i as u32, &mut found.chunks, damages)?;
        }
        sort(&mut found.chunks);
        Ok(found)
    }

    pub fn of(&self, reference: u64) -> impl Iterator<Item = HeadChunk> {
        let from = self.chunks.partition_point(|c| c.reference < reference);
        let rest = self.chunks.iter().skip(from).copied();
        rest.take_while(move |c| c.reference == reference)
    }

    /// Appends the samples of a chunk, unless they cannot be decoded.
    pub fn decode(&mut self, chunk: HeadChunk, out: &mut Vec<Sample>) -> Result<(), PromError> {
        let Some(path) = self.files.get(chunk.file as usize) else {
            return Ok(());
        };
        if self
            .open
            .as_ref()
            .is_none_or(|(file, _)| *file != chunk.file)
        {
            self.open = Some((chunk.file, Window::open(path)?));
        }
        if let Some((_, window)) = &mut self.open
            && let Some((kind, data, _)) = chunk_at(window, u64::from(chunk.at))?
        {
            let from = out.len();
            if xor::decode(kind & !OUT_OF_ORDER, data, out).is_none() {
                out.truncate(from);
            }
        }
        Ok(())
    }
}

fn list_chunks(
    window: &mut Window,
    file: u32,
    found: &mut Vec<HeadChunk>,
    damages: &mut Damages,
) -> Result<(), PromError> {
    let path = window.path.clone();
    // NOTE: a file is made at its full size, and zeros follow what is written.
    let head = window.at(0, 4)?;
    if head != MAGIC {
        if head.iter().any(|b| *b != 0) {
            damages.add(&path, 0, "not a file of head chunks");
        }
        return Ok(());
    }
    let mut at = FILE_HEAD_BYTES;
    while at < window.len {
        let head = window.at(at, CHUNK_HEAD_BYTES)?;
        if head.iter().all(|b| *b == 0) {
            return Ok(());
        }
        let mut head = Cursor::new(head);
        let reference = head.u64_be().unwrap_or(0);
        let mut time = || head.u64_be().map_or(0, |t| t as TimestampMs);
        let (min_t, max_t) = (time(), time());
        let Some((kind, data, end)) = chunk_at(window, at)? else {
            // The log has this chunk and those after it.
            damages.add(&path, at, "a head chunk is damaged");
            return Ok(());
        };
        let is_float = [xor::XOR, xor::XOR2].contains(&(kind & !OUT_OF_ORDER));
        if is_float {
            found.push(HeadChunk {
                reference,
                is_out_of_order: kind & OUT_OF_ORDER != 0,
                file,
                at: at as u32,
                samples: xor::count(data),
                min_t,
                max_t,
            });
        } else {
            damages.histogram_chunks += 1;
        }
        at = end;
    }
    Ok(())
}

type Found<'w> = Option<(u8, &'w [u8], u64)>;

/// Returns kind, data and end of a chunk whose checksum is right.
fn chunk_at(window: &mut Window, at: u64) -> Result<Found<'_>, PromError> {
    let head = window.at(at, CHUNK_HEAD_BYTES + 10)?;
    let Some((_, rest)) = head.split_at_checked(CHUNK_HEAD_BYTES) else {
        return Ok(None);
    };
    let Some(len) = Cursor::new(rest)
        .varint()
        .filter(|len| *len <= CHUNK_BYTES_MAX)
    else {
        return Ok(None);
    };
    let size = CHUNK_HEAD_BYTES + varint_len(len) as usize + len as usize;
    let bytes = window.at(at, size + 4)?;
    let Some((chunk, crc)) = bytes.split_last_chunk::<4>() else {
        return Ok(None);
    };
    if chunk.len() != size || crc32c::crc32c(chunk) != u32::from_be_bytes(*crc) {
        return Ok(None);
    }
    let kind = chunk.get(CHUNK_HEAD_BYTES - 1).copied().unwrap_or(0);
    let data = chunk.get(size - len as usize..).unwrap_or_default();
    Ok(Some((kind, data, at + size as u64 + 4)))
}
