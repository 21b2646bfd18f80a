//! Prometheus's chunks: XOR, written and read, and XOR2, read.
//!
//! The formats are those of `tsdb/docs/format/chunks.md`; what it leaves out is in reference
//! section 8.3.

use crate::model::{STALE_NAN_BITS, Sample};
use crate::stdx::bits::BitReader;
use crate::stdx::cursor::Cursor;
use crate::stdx::varint::{put_signed, put_varint};

pub const XOR: u8 = 1;
pub const XOR2: u8 = 4;

/// Appends a chunk's data: at most 65,535 samples, in order of time.
pub fn encode(samples: &[Sample], out: &mut Vec<u8>) {
    debug_assert!(u16::try_from(samples.len()).is_ok());
    out.extend_from_slice(&(samples.len() as u16).to_be_bytes());
    let Some((first, rest)) = samples.split_first() else {
        return;
    };
    put_signed(out, first.t);
    out.extend_from_slice(&first.v.to_bits().to_be_bytes());
    let Some(second) = rest.first() else { return };
    let mut delta = second.t.wrapping_sub(first.t);
    put_varint(out, delta as u64);
    let mut writer = Writer {
        out,
        acc: 0,
        used: 0,
        window: None,
    };
    writer.value(first.v, second.v);
    for pair in rest.windows(2) {
        let [before, sample] = pair else { continue };
        let new_delta = sample.t.wrapping_sub(before.t);
        writer.dod(new_delta.wrapping_sub(delta));
        writer.value(before.v, sample.v);
        delta = new_delta;
    }
    writer.finish();
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    acc: u64,
    /// The number of bits in `acc` that are not written yet, fewer than 8.
    used: u32,
    /// The leading and trailing zeros of the last value that was written with its own.
    window: Option<(u32, u32)>,
}

impl Writer<'_> {
    /// Writes the low `n` bits, at most 64.
    fn bits(&mut self, v: u64, n: u32) {
        if n > 32 {
            self.bits(v >> 32, n - 32);
            return self.bits(v & 0xffff_ffff, 32);
        }
        self.acc = self.acc << n | v & ((1 << n) - 1);
        self.used += n;
        while self.used >= 8 {
            self.used -= 8;
            self.out.push((self.acc >> self.used) as u8);
        }
    }

    fn dod(&mut self, dod: i64) {
        let bits = dod as u64;
        match dod {
            0 => self.bits(0, 1),
            -8_191..=8_192 => self.bits(0b10 << 14 | bits & 0x3fff, 16),
            -65_535..=65_536 => self.bits(0b110 << 17 | bits & 0x1_ffff, 20),
            -524_287..=524_288 => self.bits(0b1110 << 20 | bits & 0xf_ffff, 24),
            _ => {
                self.bits(0b1111, 4);
                self.bits(bits, 64);
            }
        }
    }

    fn value(&mut self, before: f64, v: f64) {
        let xor = before.to_bits() ^ v.to_bits();
        if xor == 0 {
            return self.bits(0, 1);
        }
        let leading = xor.leading_zeros().min(31);
        let trailing = xor.trailing_zeros();
        if let Some((l, t)) = self.window
            && leading >= l
            && trailing >= t
        {
            self.bits(0b10, 2);
            return self.bits(xor >> t, 64 - l - t);
        }
        self.window = Some((leading, trailing));
        let significant = 64 - leading - trailing;
        // 64 significant bits are written as 0: it has six bits.
        let header = 0b11 << 11 | leading << 6 | significant & 0x3f;
        self.bits(u64::from(header), 13);
        self.bits(xor >> trailing, significant);
    }

    fn finish(mut self) {
        if self.used > 0 {
            self.bits(0, 8 - self.used);
        }
    }
}

/// Appends the samples of a chunk. Returns `None` if its bits hold fewer than it promises; the
/// readable ones were then appended.
pub fn decode(encoding: u8, data: &[u8], out: &mut Vec<Sample>) -> Option<()> {
    let mut bytes = Cursor::new(data);
    let count = bytes.u16_be()?;
    match encoding {
        XOR => decode_xor(bytes, count, out),
        XOR2 => decode_xor2(bytes, count, out),
        _ => None,
    }
}

/// Returns the number of samples that a chunk of any kind claims.
pub fn count(data: &[u8]) -> u16 {
    Cursor::new(data).u16_be().unwrap_or(0)
}

fn decode_xor(mut bytes: Cursor<'_>, count: u16, out: &mut Vec<Sample>) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let mut t = bytes.signed()?;
    let mut value = Window::new(bytes.u64_be()?);
    out.push(value.sample(t));
    if count == 1 {
        return Some(());
    }
    let mut delta = bytes.varint()? as i64;
    let mut bits = BitReader::new(bytes.rest());
    for i in 1..count {
        if i > 1 {
            delta = delta.wrapping_add(read_dod(&mut bits)?);
        }
        t = t.wrapping_add(delta);
        if bits.bit()? {
            let is_new = bits.bit()?;
            value.read(&mut bits, is_new)?;
        }
        out.push(value.sample(t));
    }
    Some(())
}

fn read_dod(bits: &mut BitReader<'_>) -> Option<i64> {
    let mut width = 0;
    for next in [14, 17, 20, 64] {
        if !bits.bit()? {
            break;
        }
        width = next;
    }
    Some(match width {
        0 => 0,
        64 => bits.bits(64)? as i64,
        n => {
            let raw = bits.bits(n)? as i64;
            // The largest positive number has the sign's bit: the range is −(2^(n−1)−1) … 2^(n−1).
            if raw > 1 << (n - 1) {
                raw - (1 << n)
            } else {
                raw
            }
        }
    })
}

/// The last value, and which of its bits change.
struct Window {
    value: u64,
    leading: u32,
    trailing: u32,
}

impl Window {
    fn new(value: u64) -> Window {
        Window {
            value,
            leading: 0,
            trailing: 0,
        }
    }

    fn sample(&self, t: i64) -> Sample {
        let v = f64::from_bits(self.value);
        Sample { t, v }
    }

    fn read(&mut self, bits: &mut BitReader<'_>, is_new: bool) -> Option<()> {
        if is_new {
            self.leading = bits.bits(5)? as u32;
            let significant = match bits.bits(6)? as u32 {
                0 => 64,
                n => n,
            };
            self.trailing = 64u32.checked_sub(self.leading)?.checked_sub(significant)?;
        }
        let changed = bits.bits(64 - self.leading - self.trailing)?;
        self.value ^= changed << self.trailing;
        Some(())
    }
}

fn decode_xor2(mut bytes: Cursor<'_>, count: u16, out: &mut Vec<Sample>) -> Option<()> {
    let header = bytes.byte()?;
    if count == 0 {
        return Some(());
    }
    let started_from = u16::from(header & 0x7f);
    let mut t = bytes.signed()?;
    let first = bytes.u64_be()?;
    out.push(Sample {
        t,
        v: f64::from_bits(first),
    });
    // A stale marker leaves no trace in the values that follow it.
    let mut value = Window::new(if first == STALE_NAN_BITS { 0 } else { first });
    if header & 0x80 != 0 {
        bytes.signed()?;
    }
    if count == 1 {
        return Some(());
    }
    let mut delta = bytes.varint()? as i64;
    let mut bits = BitReader::new(bytes.rest());
    for i in 1..count {
        let (dod, stale) = match i {
            1 => (0, read_xor2_value(&mut bits, &mut value)?),
            _ => read_joint(&mut bits, &mut value)?,
        };
        delta = delta.wrapping_add(dod);
        t = t.wrapping_add(delta);
        out.push(if stale {
            Window::new(STALE_NAN_BITS).sample(t)
        } else {
            value.sample(t)
        });
        if started_from > 0 && i >= started_from {
            skip_varbit(&mut bits)?;
        }
    }
    Some(())
}

/// Reads the difference of two differences, and whether the value is a stale marker.
fn read_joint(bits: &mut BitReader<'_>, value: &mut Window) -> Option<(i64, bool)> {
    if !bits.bit()? {
        return Some((0, false));
    }
    if !bits.bit()? {
        let is_new = bits.bit()?;
        value.read(bits, is_new)?;
        return Some((0, false));
    }
    let mut width = None;
    for next in [13, 20, 64] {
        if !bits.bit()? {
            width = Some(next);
            break;
        }
    }
    let Some(width) = width else {
        return Some((0, true));
    };
    let unused = 64 - width;
    let dod = (bits.bits(width)? << unused) as i64 >> unused;
    Some((dod, read_xor2_value(bits, value)?))
}

/// Reads a value. Returns whether it is a stale marker.
fn read_xor2_value(bits: &mut BitReader<'_>, value: &mut Window) -> Option<bool> {
    if !bits.bit()? {
        return Some(false);
    }
    if !bits.bit()? {
        value.read(bits, false)?;
    } else if bits.bit()? {
        return Some(true);
    } else {
        value.read(bits, true)?;
    }
    Some(false)
}

/// Skips the time at which a counter started.
fn skip_varbit(bits: &mut BitReader<'_>) -> Option<()> {
    for width in [0, 3, 6, 9, 12, 18, 25, 56] {
        if !bits.bit()? {
            if width > 0 {
                bits.bits(width)?;
            }
            return Some(());
        }
    }
    bits.bits(64).map(drop)
}
