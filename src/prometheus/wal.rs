//! Reads Prometheus's log: `wal/` with its checkpoint, and `wbl/`, record by record.
//!
//! Layout and records are those of reference section 8.6. A damaged page costs its content and the
//! record that it belonged to.

use std::path::{Path, PathBuf};

use super::error::{Damages, PromError};
use super::files::{self, Window};
use crate::model::{Labels, LabelsBuilder, Sample, TimestampMs};
use crate::stdx::cursor::Cursor;

const PAGE_BYTES: usize = 32 * 1024;
const FRAGMENT_HEAD_BYTES: usize = 7;
const SNAPPY: u8 = 0x08;
const ZSTD: u8 = 0x10;
/// LIMIT: a record is what one scrape brought, some bytes per sample.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// The content of a record.
#[derive(Debug)]
pub enum Record<'a> {
    Series {
        reference: u64,
        labels: &'a Labels,
    },
    Sample {
        reference: u64,
        sample: Sample,
    },
    Deleted {
        reference: u64,
        from: TimestampMs,
        to: TimestampMs,
    },
    /// Samples that are native histograms.
    Histograms,
}

/// Returns the files in the order of writing: the last checkpoint's, and the segments after it.
pub fn segments(data: &Path) -> Result<Vec<PathBuf>, PromError> {
    let wal = data.join("wal");
    let checkpoints = files::list(&wal)?.into_iter().filter_map(|(name, path)| {
        let number = name.strip_prefix("checkpoint.")?.parse::<u64>().ok()?;
        Some((number, path))
    });
    let mut found = Vec::new();
    let mut after = None;
    if let Some((number, path)) = checkpoints.max() {
        found.extend(files::list_numbered(&path, 8)?);
        after = Some(number);
    }
    let later = files::list_numbered(&wal, 8)?;
    found.extend(
        later
            .into_iter()
            .filter(|(n, _)| after.is_none_or(|a| *n > a)),
    );
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Returns the log of out-of-order samples.
pub fn out_of_order_segments(data: &Path) -> Result<Vec<PathBuf>, PromError> {
    let found = files::list_numbered(&data.join("wbl"), 8)?;
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Gives every record of a segment to `take`.
pub fn read(
    path: &Path,
    damages: &mut Damages,
    take: &mut dyn FnMut(Record<'_>),
) -> Result<(), PromError> {
    let mut reader = Reader {
        window: Window::open(path)?,
        record: Vec::new(),
        compression: 0,
        begun_at: None,
        plain: Vec::new(),
        builder: LabelsBuilder::default(),
    };
    let mut at = 0;
    while at < reader.window.len {
        reader.page(at, damages, take)?;
        at += PAGE_BYTES as u64;
    }
    if let Some(begun) = reader.begun_at {
        damages.add(path, begun, "a record is cut off by the end of the file");
    }
    Ok(())
}

struct Reader {
    window: Window,
    /// The part of a record that was read so far, as it is stored.
    record: Vec<u8>,
    compression: u8,
    begun_at: Option<u64>,
    plain: Vec<u8>,
    builder: LabelsBuilder,
}

impl Reader {
    fn page(
        &mut self,
        at: u64,
        damages: &mut Damages,
        take: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), PromError> {
        let page = self.window.at(at, PAGE_BYTES)?.to_vec();
        let mut bytes = Cursor::new(&page);
        while !bytes.is_empty() {
            let offset = at + (page.len() - bytes.rest().len()) as u64;
            match fragment(&mut bytes) {
                Ok(None) => return Ok(()),
                Ok(Some((kind, data))) => {
                    if let Err(what) = self.fragment(kind, data, offset, take)? {
                        damages.add(&self.window.path, offset, what);
                        self.begun_at = None;
                    }
                }
                Err(what) => {
                    damages.add(&self.window.path, offset, what);
                    self.begun_at = None;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads a fragment. The inner error is damage.
    fn fragment(
        &mut self,
        kind: u8,
        data: &[u8],
        offset: u64,
        take: &mut dyn FnMut(Record<'_>),
    ) -> Result<Result<(), &'static str>, PromError> {
        let (is_first, is_last) = match kind & 7 {
            1 => (true, true),
            2 => (true, false),
            3 => (false, false),
            4 => (false, true),
            _ => return Ok(Err("a fragment of no known kind")),
        };
        if kind & ZSTD != 0 {
            return Err(PromError::refused(
                &self.window.path,
                "it is compressed with zstd, which is not read: have Prometheus make a snapshot \
                 (POST /api/v1/admin/tsdb/snapshot) and import that",
            ));
        }
        if is_first {
            self.record.clear();
            self.compression = kind & SNAPPY;
            self.begun_at = Some(offset);
        } else if self.begun_at.is_none() {
            // Its beginning was damaged, which is recorded.
            return Ok(Ok(()));
        }
        if self.record.len() + data.len() > RECORD_BYTES_MAX {
            return Ok(Err("a record exceeds 64 MiB"));
        }
        self.record.extend_from_slice(data);
        if !is_last {
            return Ok(Ok(()));
        }
        self.begun_at = None;
        Ok(self.finish(take))
    }

    fn finish(&mut self, take: &mut dyn FnMut(Record<'_>)) -> Result<(), &'static str> {
        const DAMAGED: &str = "a record cannot be decompressed";
        let record = if self.compression == 0 {
            &self.record
        } else {
            let len = snap::raw::decompress_len(&self.record).map_err(|_| DAMAGED)?;
            if len > RECORD_BYTES_MAX {
                return Err("a record exceeds 64 MiB");
            }
            self.plain.resize(len, 0);
            let mut decoder = snap::raw::Decoder::new();
            let written = decoder.decompress(&self.record, &mut self.plain);
            self.plain.truncate(written.map_err(|_| DAMAGED)?);
            &self.plain
        };
        decode(record, &mut self.builder, take).ok_or("a record is cut off")
    }
}

/// Returns kind and data of the next fragment, or `None` if the rest of the page is unused.
fn fragment<'a>(bytes: &mut Cursor<'a>) -> Result<Option<(u8, &'a [u8])>, &'static str> {
    if bytes
        .rest()
        .first()
        .is_some_and(|kind| kind.trailing_zeros() >= 3)
    {
        let is_unused = bytes.rest().iter().all(|b| *b == 0);
        return if is_unused {
            Ok(None)
        } else {
            Err("a page is damaged")
        };
    }
    const CUT: &str = "a page is cut off";
    let head = bytes.take(FRAGMENT_HEAD_BYTES).ok_or(CUT)?;
    let mut head = Cursor::new(head);
    let kind = head.byte().ok_or(CUT)?;
    let len = head.u16_be().ok_or(CUT)?;
    let crc = head.u32_be().ok_or(CUT)?;
    let data = bytes.take(usize::from(len)).ok_or(CUT)?;
    if crc32c::crc32c(data) != crc {
        return Err("a page's checksum is wrong");
    }
    Ok(Some((kind, data)))
}

fn decode(
    record: &[u8],
    builder: &mut LabelsBuilder,
    take: &mut dyn FnMut(Record<'_>),
) -> Option<()> {
    let mut bytes = Cursor::new(record);
    match bytes.byte() {
        Some(1) => decode_series(bytes, builder, take),
        Some(2) => decode_samples(bytes, take),
        Some(3) => decode_deleted(bytes, take),
        Some(11) => decode_started_samples(bytes, take),
        Some(7..=10 | 12 | 13) => {
            take(Record::Histograms);
            Some(())
        }
        // Exemplars, metadata, marks of the mapped chunks, and future kinds.
        _ => Some(()),
    }
}

fn decode_series(
    mut bytes: Cursor<'_>,
    builder: &mut LabelsBuilder,
    take: &mut dyn FnMut(Record<'_>),
) -> Option<()> {
    while !bytes.is_empty() {
        let reference = bytes.u64_be()?;
        builder.clear();
        for _ in 0..bytes.varint()? {
            builder.set(bytes.text()?, bytes.text()?);
        }
        let labels = &builder.labels();
        take(Record::Series { reference, labels });
    }
    Some(())
}

fn decode_samples(mut bytes: Cursor<'_>, take: &mut dyn FnMut(Record<'_>)) -> Option<()> {
    if bytes.is_empty() {
        return Some(());
    }
    let (base, base_t) = (bytes.u64_be()?, bytes.u64_be()? as i64);
    while !bytes.is_empty() {
        let reference = base.wrapping_add(bytes.signed()? as u64);
        let t = base_t.wrapping_add(bytes.signed()?);
        let v = f64::from_bits(bytes.u64_be()?);
        let sample = Sample { t, v };
        take(Record::Sample { reference, sample });
    }
    Some(())
}

/// Decodes samples with the start time of their counter, which is skipped.
fn decode_started_samples(mut bytes: Cursor<'_>, take: &mut dyn FnMut(Record<'_>)) -> Option<()> {
    let (mut reference, mut first_t) = (0u64, None);
    while !bytes.is_empty() {
        reference = reference.wrapping_add(bytes.signed()? as u64);
        let t = bytes.signed()?;
        let t = match first_t {
            None => {
                first_t = Some(t);
                bytes.signed()?;
                t
            }
            Some(first) => {
                // 0: none, 1: the same as before, 2: it follows.
                if bytes.byte()? > 1 {
                    bytes.signed()?;
                }
                t.wrapping_add(first)
            }
        };
        let v = f64::from_bits(bytes.u64_be()?);
        let sample = Sample { t, v };
        take(Record::Sample { reference, sample });
    }
    Some(())
}

fn decode_deleted(mut bytes: Cursor<'_>, take: &mut dyn FnMut(Record<'_>)) -> Option<()> {
    while !bytes.is_empty() {
        take(Record::Deleted {
            reference: bytes.u64_be()?,
            from: bytes.signed()?,
            to: bytes.signed()?,
        });
    }
    Some(())
}
