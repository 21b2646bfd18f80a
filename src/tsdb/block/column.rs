//! One series' values as a column, which returns every bit of them.
//!
//! A column's first byte gives its kind, and says whether exceptions follow. Exceptions are values
//! that are not finite, above all stale markers. They would spoil what `pco` finds in the others.

use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch, DeltaSpec, ModeSpec};

use super::decimal::{self, Scale};
use super::packed::{self, Packer, Plan};
use crate::model::STALE_NAN_BITS;
use crate::stdx::cursor::Cursor;
use crate::stdx::varint::{put_signed, put_varint};

/// All values are the same: its eight bytes.
const SAME: u8 = 0;
/// All values are the same integer: a varint.
const SAME_INT: u8 = 1;
/// `pco` of `i64`: integers, as counters have.
const INTS: u8 = 2;
/// `pco` of `f64`.
const FLOATS: u8 = 3;
/// `pco` of the bits as `u64`: values that are hardly numbers.
const BITS: u8 = 4;
/// Integers, packed.
const PACKED: u8 = 5;
/// Decimal numbers: digits, base, last places beside it, then as [`PACKED`] or [`INTS`].
const DECIMALS: u8 = 6;
/// The bits as `i64`, packed.
const PACKED_BITS: u8 = 7;
/// Exceptions follow.
const EXCEPTIONS: u8 = 0x80;

/// Higher levels gain nothing (measured), and cost twice the time.
const LEVEL: usize = 4;

/// Shorter columns are not worth what `pco` takes to learn them. They are soon merged into longer
/// ones.
const PCO_MIN: usize = 256;

/// A flag in the byte of digits: last places follow.
const BESIDE: u8 = 0x80;

/// The most values of a column. LIMIT: a reader allocates this much for one, 64 KiB per million
/// values.
pub const VALUES_MAX: usize = 8_192;

/// The version of `pco`'s format that a block's columns have. It is in the footer.
pub type PcoVersion = [u8; 2];

pub fn pco_version() -> PcoVersion {
    let mut header = PcoVersion::default();
    // NOTE: the header takes two bytes. If it took more, the round-trip test would fail.
    let _ = FileCompressor::default().write_header(&mut header[..]);
    header
}

pub fn is_integral(v: f64) -> bool {
    // LIMIT: 2^53, up to which every integer is a float.
    v.abs() <= 9_007_199_254_740_992.0 && (v as i64 as f64).to_bits() == v.to_bits()
}

/// Buffers that are reused from column to column.
#[derive(Default)]
pub struct Scratch {
    floats: Vec<f64>,
    ints: Vec<i64>,
    bits: Vec<u64>,
    beside: Vec<i64>,
    packer: Packer,
    pco: DecompressorScratch,
}

/// A column's stale markers, as far as they are known without reading its values.
pub enum Staleness {
    /// No value is stale.
    None,
    /// All values are stale.
    All,
    /// The values at the positions in `bits` are stale.
    At,
    Unknown,
}

impl Scratch {
    /// Appends a column of `values`, at least one, to `out`.
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
            return compress(&self.bits, &config(None), out);
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

    /// Writes each value that is not finite separately, and puts its neighbour's value in its
    /// place.
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
        self.ints.clear();
        if self.floats.iter().all(|v| is_integral(*v)) {
            self.ints.extend(self.floats.iter().map(|v| *v as i64));
            return self.encode_ints(out);
        }
        if let Some(scale) = decimal::find(&self.floats, &mut self.ints, &mut self.beside) {
            return self.encode_decimals(scale, out);
        }
        self.ints.clear();
        self.ints
            .extend(self.floats.iter().map(|v| v.to_bits() as i64));
        match self.packer.plan(&self.ints, PCO_MIN) {
            Some(plan) if plan.pco_order.is_none() => {
                self.packer.write(&plan, out)?;
                Some(PACKED_BITS)
            }
            plan => {
                compress(&self.floats, &config(plan), out)?;
                Some(FLOATS)
            }
        }
    }

    /// Writes `self.ints`. Returns the kind.
    fn encode_ints(&mut self, out: &mut Vec<u8>) -> Option<u8> {
        let plan = self.packer.plan(&self.ints, PCO_MIN);
        if let Some(plan) = plan.filter(|plan| plan.pco_order.is_none()) {
            self.packer.write(&plan, out)?;
            return Some(PACKED);
        }
        compress(&self.ints, &config(plan), out)?;
        Some(INTS)
    }

    fn encode_decimals(&mut self, scale: Scale, out: &mut Vec<u8>) -> Option<u8> {
        let has_beside = !self.beside.is_empty();
        out.push(scale.digits | if has_beside { BESIDE } else { 0 });
        out.extend_from_slice(&scale.base.to_bits().to_le_bytes());
        if has_beside {
            let plan = self.packer.plan(&self.beside, usize::MAX)?;
            self.packer.write(&plan, out)?;
        }
        let kind_at = out.len();
        out.push(0);
        *out.get_mut(kind_at)? = self.encode_ints(out)?;
        Some(DECIMALS)
    }

    /// Appends the `count` values of a column to `out`. An invalid column may append some of them.
    pub fn decode(
        &mut self,
        column: &[u8],
        count: usize,
        version: PcoVersion,
        out: &mut Vec<f64>,
    ) -> Option<()> {
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
                from.u64_le()?;
            }
        }
        let before = out.len();
        out.reserve(count);
        match kind & !EXCEPTIONS {
            SAME => out.resize(before + count, f64::from_bits(from.u64_le()?)),
            SAME_INT => out.resize(before + count, from.signed()? as f64),
            FLOATS => {
                out.resize(before + count, 0.0);
                let new = out.get_mut(before..)?;
                decompress(from.rest(), new, version, &mut self.pco)?;
            }
            BITS => {
                self.bits.resize(count, 0);
                decompress(from.rest(), &mut self.bits, version, &mut self.pco)?;
                out.extend(self.bits.iter().map(|bits| f64::from_bits(*bits)));
            }
            PACKED_BITS => {
                let of = |bits: &i64| f64::from_bits(*bits as u64);
                packed::read(&mut from, count, |some| out.extend(some.iter().map(of)))?;
            }
            DECIMALS => self.decode_decimals(from, count, version, out)?,
            kind => self.decode_ints_by(kind, from, count, version, out, |v| v as f64)?,
        }
        exceptions.map_or(Some(()), |from| {
            put_exceptions(from, out.get_mut(before..)?)
        })
    }

    #[inline]
    fn decode_ints_by(
        &mut self,
        kind: u8,
        mut from: Cursor<'_>,
        count: usize,
        version: PcoVersion,
        out: &mut Vec<f64>,
        of: impl Fn(i64) -> f64,
    ) -> Option<()> {
        match kind {
            PACKED => packed::read(&mut from, count, |some| {
                out.extend(some.iter().map(|v| of(*v)));
            }),
            INTS => {
                self.ints.resize(count, 0);
                decompress(from.rest(), &mut self.ints, version, &mut self.pco)?;
                out.extend(self.ints.iter().map(|v| of(*v)));
                Some(())
            }
            _ => None,
        }
    }

    fn decode_decimals(
        &mut self,
        mut from: Cursor<'_>,
        count: usize,
        version: PcoVersion,
        out: &mut Vec<f64>,
    ) -> Option<()> {
        let before = out.len();
        let digits = from.byte()?;
        let base = f64::from_bits(from.u64_le()?);
        let scale = Scale {
            digits: digits & !BESIDE,
            base,
        };
        let unit = scale.unit()?;
        let beside = &mut self.beside;
        beside.clear();
        if digits & BESIDE != 0 {
            packed::read(&mut from, count, |some| beside.extend_from_slice(some))?;
        }
        let kind = from.byte()?;
        self.decode_ints_by(kind, from, count, version, out, |v| base + v as f64 / unit)?;
        for (v, beside) in out.get_mut(before..)?.iter_mut().zip(&self.beside) {
            *v = f64::from_bits(v.to_bits().wrapping_add(*beside as u64));
        }
        Some(())
    }

    /// Returns which values of a column are stale markers, as far as that is seen without reading
    /// them.
    pub fn staleness(&mut self, column: &[u8]) -> Option<Staleness> {
        let mut from = Cursor::new(column);
        let kind = from.byte()?;
        if kind & EXCEPTIONS == 0 {
            return Some(match kind {
                SAME if from.u64_le()? == STALE_NAN_BITS => Staleness::All,
                BITS => Staleness::Unknown,
                _ => Staleness::None,
            });
        }
        self.bits.clear();
        let mut at = 0u64;
        for _ in 0..from.size()? {
            at = at.checked_add(from.varint()?)?;
            if from.u64_le()? == STALE_NAN_BITS {
                self.bits.push(at);
            }
            at += 1;
        }
        Some(Staleness::At)
    }

    /// The positions that the last [`Scratch::staleness`] found.
    pub fn stale_places(&self) -> &[u64] {
        &self.bits
    }

    /// Appends whole numbers, packed or not.
    pub fn encode_whole(&mut self, values: &[i64], out: &mut Vec<u8>) -> Option<()> {
        self.ints.clear();
        self.ints.extend_from_slice(values);
        let kind_at = out.len();
        out.push(0);
        *out.get_mut(kind_at)? = self.encode_ints(out)?;
        Some(())
    }

    /// Reads what [`Scratch::encode_whole`] wrote, and appends it to `out`.
    pub fn decode_whole(
        &mut self,
        bytes: &[u8],
        count: usize,
        version: PcoVersion,
        out: &mut Vec<i64>,
    ) -> Option<()> {
        if count == 0 || count > VALUES_MAX {
            return None;
        }
        let mut from = Cursor::new(bytes);
        match from.byte()? {
            PACKED => packed::read(&mut from, count, |some| out.extend_from_slice(some)),
            INTS => {
                self.ints.resize(count, 0);
                decompress(from.rest(), &mut self.ints, version, &mut self.pco)?;
                out.extend_from_slice(&self.ints);
                Some(())
            }
            _ => None,
        }
    }
}

fn put_exceptions(mut from: Cursor<'_>, values: &mut [f64]) -> Option<()> {
    let mut at = 0usize;
    for _ in 0..from.size()? {
        at = at.checked_add(from.size()?)?;
        *values.get_mut(at)? = f64::from_bits(from.u64_le()?);
        at += 1;
    }
    Some(())
}

/// A known plan saves `pco` its search, which is most of the work.
fn config(plan: Option<Plan>) -> ChunkConfig {
    let mut config = ChunkConfig::default().with_compression_level(LEVEL);
    if plan.is_none_or(|plan| plan.multiple == 1) {
        config = config.with_mode_spec(ModeSpec::Classic);
    }
    match plan.and_then(|plan| plan.pco_order) {
        Some(order) => config.with_delta_spec(DeltaSpec::TryConsecutive(order)),
        None => config,
    }
}

/// Compresses without the header, which is in the footer once.
fn compress<T: pco::data_types::Number>(
    values: &[T],
    config: &ChunkConfig,
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut chunk = { FileCompressor::default() }
        .chunk_compressor(values, config)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the kind and the size of a column of `count` values from `of`.
    fn check(count: u64, of: impl Fn(u64) -> f64, kind: u8, bytes_max: usize) {
        let values: Vec<f64> = (0..count).map(of).collect();
        let (mut scratch, mut column) = (Scratch::default(), Vec::new());
        scratch.encode(&values, &mut column).unwrap();
        let len = column.len();
        assert_eq!((column[0], len <= bytes_max), (kind, true), "{len} bytes");
        let mut found = vec![7.0];
        { scratch.decode(&column, values.len(), pco_version(), &mut found) }.unwrap();
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found[1..]), bits(&values));
        let expect = (0..count).filter(|i| values[*i as usize].to_bits() == STALE_NAN_BITS);
        let found = match scratch.staleness(&column).unwrap() {
            Staleness::None => Vec::new(),
            Staleness::All => (0..count).collect(),
            Staleness::At => scratch.stale_places().to_vec(),
            Staleness::Unknown => return,
        };
        assert_eq!(found, expect.collect::<Vec<_>>());
    }

    fn noise(i: u64) -> u64 {
        let x = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
    }

    fn stale() -> f64 {
        f64::from_bits(STALE_NAN_BITS)
    }

    #[test]
    fn kinds() {
        let rare = |i: u64| {
            if noise(i).is_multiple_of(50) {
                noise(i)
            } else {
                0
            }
        };
        let root = |i: u64| (noise(i) as f64).sqrt() / 1e3;
        check(5, |_| 0.5, SAME, 9);
        check(5, |_| stale(), SAME, 9);
        check(5, |_| 77.0, SAME_INT, 3);
        check(900, |i| (noise(i) % 64) as f64, PACKED, 750);
        check(900, |i| (i * 90 + noise(i) % 64) as f64, PACKED, 900);
        check(900, |i| rare(i) as f64, INTS, 400);
        check(900, |i| (rare(i) % 4_000 * 65_536) as f64, INTS, 400);
        check(900, |i| (noise(i) % 1_000) as f64 / 100.0, DECIMALS, 1_250);
        check(
            900,
            |i| 1.0 / 7.0 + (noise(i) % 1_000) as f64 / 100.0,
            DECIMALS,
            2_500,
        );
        check(900, |i| (rare(i) % 1_000) as f64 / 100.0, DECIMALS, 400);
        check(900, root, PACKED_BITS, 7_000);
        check(900, |i| f64::from(root(i) as f32), PACKED_BITS, 4_200);
        check(900, |i| (rare(i) as f64).sqrt() / 1e3, FLOATS, 600);
        check(900, |i| if i % 3 == 0 { stale() } else { 1.5 }, BITS, 600);
        let gaps = |i: u64| {
            if i % 90 == 7 {
                stale()
            } else {
                (noise(i) % 64) as f64
            }
        };
        check(900, gaps, PACKED | EXCEPTIONS, 900);
        check(2, |i| i as f64 - 0.5, DECIMALS, 24);
        check(3, |i| [-0.0, 0.0, 1e300][i as usize], FLOATS, 64);
    }
}
