//! One series' values as a column: every bit of them comes back.
//!
//! A column begins with a byte: its kind, and whether exceptions follow (values that are not
//! finite, stale markers above all: they would spoil what `pco` finds in the others).

use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch};

use super::bytes::{Cursor, put_signed, put_varint};

/// All are one value: its eight bytes.
const SAME: u8 = 0;
/// All are one integral value: a varint.
const SAME_INT: u8 = 1;
/// `pco` of `i64`: integral values, as counters have.
const INTS: u8 = 2;
/// `pco` of `f64`.
const FLOATS: u8 = 3;
/// `pco` of the bits as `u64`: what is hardly a number.
const BITS: u8 = 4;
/// Exceptions follow.
const EXCEPTIONS: u8 = 0x80;

/// Levels above buy nothing (measured), and cost twice the time.
const LEVEL: usize = 4;

/// Values of a column, at most. LIMIT: what a reader allocates for one, 64 KiB a million values.
pub const VALUES_MAX: usize = 8_192;

/// The version of `pco`'s format that the columns of a block have; written to the footer.
pub type PcoVersion = [u8; 2];

pub fn pco_version() -> PcoVersion {
    let mut header = PcoVersion::default();
    // NOTE: two bytes is what it takes; were it more, the test of the round trip would fail.
    let _ = FileCompressor::default().write_header(&mut header[..]);
    header
}

pub fn is_integral(v: f64) -> bool {
    // LIMIT: 2^53, up to which each integer is a float.
    v.abs() <= 9_007_199_254_740_992.0 && (v as i64 as f64).to_bits() == v.to_bits()
}

/// Buffers that are used again from column to column.
#[derive(Default)]
pub struct Scratch {
    pub floats: Vec<f64>,
    pub ints: Vec<i64>,
    bits: Vec<u64>,
    pco: DecompressorScratch,
}

impl Scratch {
    /// Appends a column of `values`, which are not none, to `out`.
    pub fn encode(&mut self, values: &[f64], out: &mut Vec<u8>) -> Option<()> {
        let odd = values.iter().filter(|v| !v.is_finite()).count();
        let first = values.first()?.to_bits();
        if odd > 0 && values.iter().all(|v| v.to_bits() == first) {
            out.push(SAME);
            out.extend_from_slice(&first.to_le_bytes());
            return Some(());
        }
        if odd > values.len() / 4 {
            out.push(BITS);
            self.bits.clear();
            self.bits.extend(values.iter().map(|v| v.to_bits()));
            return compress(&self.bits, out);
        }
        self.floats.clear();
        self.floats.extend_from_slice(values);
        let kind_at = out.len();
        out.push(0);
        if odd > 0 {
            self.take_exceptions(out);
        }
        let kind = self.encode_finite(out)?;
        let flag = if odd > 0 { EXCEPTIONS } else { 0 };
        *out.get_mut(kind_at)? = kind | flag;
        Some(())
    }

    /// Each value that is not finite is written apart, and its neighbour's put in its place.
    fn take_exceptions(&mut self, out: &mut Vec<u8>) {
        let odd = self.floats.iter().filter(|v| !v.is_finite()).count();
        put_varint(out, odd as u64);
        let mut before = self.floats.iter().copied().find(|v| v.is_finite());
        let mut next = 0;
        for (i, v) in self.floats.iter_mut().enumerate() {
            if v.is_finite() {
                before = Some(*v);
                continue;
            }
            put_varint(out, (i - next) as u64);
            out.extend_from_slice(&v.to_bits().to_le_bytes());
            *v = before.unwrap_or_default();
            next = i + 1;
        }
    }

    fn encode_finite(&mut self, out: &mut Vec<u8>) -> Option<u8> {
        let first = *self.floats.first()?;
        if self.floats.iter().all(|v| v.to_bits() == first.to_bits()) {
            if is_integral(first) {
                put_signed(out, first as i64);
                return Some(SAME_INT);
            }
            out.extend_from_slice(&first.to_bits().to_le_bytes());
            return Some(SAME);
        }
        if self.floats.iter().all(|v| is_integral(*v)) {
            self.ints.clear();
            self.ints.extend(self.floats.iter().map(|v| *v as i64));
            compress(&self.ints, out)?;
            return Some(INTS);
        }
        compress(&self.floats, out)?;
        Some(FLOATS)
    }

    /// Reads a column of `count` values into `self.floats`.
    pub fn decode(&mut self, column: &[u8], count: usize, version: PcoVersion) -> Option<()> {
        if count == 0 || count > VALUES_MAX {
            return None;
        }
        let mut from = Cursor::new(column);
        let kind = from.byte()?;
        let mut exceptions = None;
        if kind & EXCEPTIONS != 0 {
            exceptions = Some(from);
            for _ in 0..from.size()? {
                from.varint()?;
                from.u64()?;
            }
        }
        self.floats.clear();
        match kind & !EXCEPTIONS {
            SAME => self.floats.resize(count, f64::from_bits(from.u64()?)),
            SAME_INT => self.floats.resize(count, from.signed()? as f64),
            INTS => {
                self.ints.resize(count, 0);
                decompress(from.rest(), &mut self.ints, version, &mut self.pco)?;
                self.floats.extend(self.ints.iter().map(|v| *v as f64));
            }
            FLOATS => {
                self.floats.resize(count, 0.0);
                decompress(from.rest(), &mut self.floats, version, &mut self.pco)?;
            }
            BITS => {
                self.bits.resize(count, 0);
                decompress(from.rest(), &mut self.bits, version, &mut self.pco)?;
                let floats = self.bits.iter().map(|bits| f64::from_bits(*bits));
                self.floats.extend(floats);
            }
            _ => return None,
        }
        exceptions.map_or(Some(()), |from| self.put_exceptions(from))
    }

    fn put_exceptions(&mut self, mut from: Cursor<'_>) -> Option<()> {
        let mut at = 0usize;
        for _ in 0..from.size()? {
            at = at.checked_add(from.size()?)?;
            *self.floats.get_mut(at)? = f64::from_bits(from.u64()?);
            at += 1;
        }
        Some(())
    }

    /// As [`compress`] wrote them, into `self.ints`.
    pub fn decode_ints(&mut self, bytes: &[u8], count: usize, version: PcoVersion) -> Option<()> {
        if count == 0 || count > VALUES_MAX {
            return None;
        }
        self.ints.resize(count, 0);
        decompress(bytes, &mut self.ints, version, &mut self.pco)
    }
}

/// Without the header, which stands once in the footer.
pub fn compress<T: pco::data_types::Number>(values: &[T], out: &mut Vec<u8>) -> Option<()> {
    let config = ChunkConfig::default().with_compression_level(LEVEL);
    let mut chunk = { FileCompressor::default() }
        .chunk_compressor(values, &config)
        .ok()?;
    chunk.write_meta(&mut *out).ok()?;
    chunk.write_page(0, &mut *out).ok()?;
    Some(())
}

fn decompress<T: pco::data_types::Number>(
    bytes: &[u8],
    values: &mut [T],
    version: PcoVersion,
    scratch: &mut DecompressorScratch,
) -> Option<()> {
    let (file, _) = FileDecompressor::new(&version[..]).ok()?;
    let (chunk, rest) = file.chunk_decompressor::<T, _>(bytes).ok()?;
    let mut page = chunk
        .page_decompressor_with_scratch(rest, values.len(), scratch)
        .ok()?;
    let progress = page.read(values).ok()?;
    (progress.n_processed == values.len()).then_some(())
}
