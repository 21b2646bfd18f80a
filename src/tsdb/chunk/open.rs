//! The open chunk, to which a series' samples are appended.

#![expect(
    clippy::inline_always,
    reason = "built for size, each of them would be a call for each value"
)]

use super::closed::Chunk;
use super::decimal::{SCALE_MAX, Step};
use super::decode::decode;
use super::gather::Gather;
use super::header::{HEADER_BYTES, Mode};
use super::pool::{Chain, Pool};
use crate::model::{Sample, TimestampMs};
use crate::stdx::bits::width;
use crate::stdx::varint::zigzag;

/// LIMIT: a chunk is closed at this many samples. More would make short ranges slow to read and
/// leave larger buffers half empty. Fewer would pay for the first sample and the allocation more
/// often.
pub const SAMPLES_MAX: u8 = 240;

/// A chunk lies within one window of this length. So a timestamp's difference always fits 24 bits,
/// and a chunk's samples become old together.
pub const WINDOW_MS: i64 = 2 * 3600 * 1000;

/// Returns the beginning of the window that `t` lies in.
pub fn window_start(t: TimestampMs) -> TimestampMs {
    t.saturating_sub(t.rem_euclid(WINDOW_MS))
}

/// The unused bits that a narrower difference may leave, before a new width is worth writing.
const INTEGER_SLACK: u32 = 6;
const XOR_SLACK: u32 = 11;

/// The bits of a step besides its difference.
const STEP_SLACK: u32 = 3;

/// The largest of the integers that `f64` holds exactly.
const INTEGER_MAX: u64 = 1 << 53;

/// Takes samples one by one. Its bits are always in the same [`Pool`]. It has 48 bytes, because
/// every series has one.
#[derive(Debug, Default)]
pub struct Open {
    last_t: TimestampMs,
    last_v: f64,
    /// The bits that do not fill a word yet, from the highest down.
    acc: u64,
    /// The value coder's state. For integers and decimals: the last difference, shifted by 6, and
    /// the width. For XOR: the leading zeros, shifted by 8, and the length of the window.
    memory: i64,
    /// The full words.
    words: Chain,
    delta: u32,
    bits: u16,
    count: u8,
    flags: u8,
}

const XOR: u8 = 1;
/// The last value was written raw in a chunk of integers.
const ESCAPED: u8 = 2;
/// There are no samples, but the newest former one is known.
const KEPT: u8 = 4;
/// A chunk of XOR whose values are no decimals.
const TRIED: u8 = 8;
/// The scale of a chunk of decimals is above the flags; 0 for another chunk.
const SCALE_SHIFT: u32 = 4;

impl Open {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether there is or was a sample.
    pub fn has_newest(&self) -> bool {
        self.count > 0 || self.flags & KEPT != 0
    }

    pub fn count(&self) -> usize {
        self.count.into()
    }

    /// The time of the newest sample there is or was. Without one it means nothing.
    pub fn last_t(&self) -> TimestampMs {
        self.last_t
    }

    /// The value of the newest sample there is or was. Without one it means nothing.
    pub fn last_v(&self) -> f64 {
        self.last_v
    }

    /// The time of the oldest sample. Without one it means nothing.
    pub fn first_t(&self, pool: &Pool) -> TimestampMs {
        // NOTE: the first 64 bits fill a word, which was written at once.
        pool.first(&self.words).map_or(self.last_t, |t| t as i64)
    }

    /// Appends a sample if it belongs here: newer than the last, in the same window, and the chunk
    /// not full. Otherwise nothing happens; close this chunk and append to the next.
    pub fn append(&mut self, pool: &mut Pool, t: TimestampMs, v: f64) -> bool {
        self.append_in(pool, window_start(t), t, v)
    }

    /// Does as [`Open::append`], where `t` is in the window that begins at `since`.
    #[inline]
    pub fn append_in(
        &mut self,
        pool: &mut Pool,
        since: TimestampMs,
        t: TimestampMs,
        v: f64,
    ) -> bool {
        if self.count == 0 {
            self.append_first(pool, t, v);
            return true;
        }
        if t <= self.last_t || self.count >= SAMPLES_MAX || self.last_t < since {
            return false;
        }
        let delta = (t - self.last_t) as u32;
        let code = delta_of_delta(i64::from(delta) - i64::from(self.delta));
        self.put_value(pool, code, v);
        self.delta = delta;
        self.last_t = t;
        self.last_v = v;
        self.count += 1;
        true
    }

    /// Appends `n` samples with the last value, two bits each. Each is `delta` after the one
    /// before, all in the window that begins at `since`. Returns false, having done nothing, if
    /// [`Open::append_in`] would write more than that, or if a word has no room for it.
    #[inline]
    pub fn append_same(&mut self, since: TimestampMs, delta: u32, n: u8) -> bool {
        let bits = 2 * u16::from(n);
        let repeats = match self.flags {
            0 => self.memory >> WIDTH_BITS == 0,
            flags => flags & XOR != 0,
        };
        let has_room = (self.bits & 63) + bits < 64 && self.count <= SAMPLES_MAX.saturating_sub(n);
        if self.count == 0 || self.delta != delta || !repeats || !has_room || self.last_t < since {
            return false;
        }
        self.bits += bits;
        self.count += n;
        self.last_t += i64::from(delta) * i64::from(n);
        true
    }

    /// Appends values, each `delta` after the one before, all in the window that begins at `since`.
    /// Returns false, having done nothing, if the last difference was not `delta`, or if they do
    /// not belong here.
    #[inline]
    pub fn append_steadily(
        &mut self,
        pool: &mut Pool,
        since: TimestampMs,
        delta: u32,
        values: &[f64],
    ) -> bool {
        let places = usize::from(SAMPLES_MAX.saturating_sub(self.count));
        if self.count == 0 || self.delta != delta || self.last_t < since || values.len() > places {
            return false;
        }
        for v in values {
            self.put_value(pool, delta_of_delta(0), *v);
            self.last_t += i64::from(delta);
            self.last_v = *v;
            self.count += 1;
        }
        true
    }

    /// Writes a value, preceded by `code`.
    #[inline(always)]
    fn put_value(&mut self, pool: &mut Pool, code: Code, v: f64) {
        // NOTE: one place writes all that is frequent, since it is inlined.
        match self.code_value(code, v) {
            Some((code, rest)) => self.put_both(pool, code, rest),
            None => self.put_rare(pool, code, v),
        }
    }

    /// Returns the codes of a value, if it suits the chunk.
    #[inline(always)]
    fn code_value(&mut self, code: Code, v: f64) -> Option<(Code, Code)> {
        if self.flags == 0 {
            integer(v).map(|value| self.code_integer(code, value))
        } else if self.flags & XOR != 0 && self.memory != 0 {
            Some(self.code_xor(code, v.to_bits()))
        } else if self.scale() > 0 {
            let step = Step::between(self.last_v, v, self.scale());
            step.map(|step| self.code_step(code, step))
        } else {
            None
        }
    }

    /// Writes a value that does not suit the chunk, or may change its kind.
    #[cold]
    fn put_rare(&mut self, pool: &mut Pool, code: Code, v: f64) {
        if self.flags & XOR != 0 {
            // NOTE: all values were the same until now, so no window is known.
            if self.flags & TRIED == 0
                && v.to_bits() != self.last_v.to_bits()
                && let Some(scale) = self.fitting(v, 1)
            {
                self.recode(pool, scale << SCALE_SHIFT);
                return self.put_again(pool, code, v);
            }
            let (code, rest) = self.code_xor(code, v.to_bits());
            return self.put_both(pool, code, rest);
        }
        if self.scale() > 0 {
            let scale = self.fitting(v, self.scale() + 1);
            let flags = scale.map_or(XOR | TRIED, |scale| scale << SCALE_SHIFT);
            self.recode(pool, flags);
            return self.put_again(pool, code, v);
        }
        if suits_integers(v) {
            self.put(pool, code.bits, code.len);
            self.put_beside_escaped(pool, v);
        } else {
            self.recode(pool, XOR);
            self.put_again(pool, code, v);
        }
    }

    /// Writes a value after the chunk's kind changed.
    fn put_again(&mut self, pool: &mut Pool, code: Code, v: f64) {
        self.put_value(pool, code, v);
    }

    /// Returns the first scale, from `least` on, at which `v` is whole steps from the last value,
    /// if that is shorter than an XOR.
    fn fitting(&self, v: f64, least: u8) -> Option<u8> {
        let xor = v.to_bits() ^ self.last_v.to_bits();
        let length = 64u32.saturating_sub(xor.leading_zeros() + xor.trailing_zeros());
        (least..=SCALE_MAX).find(|scale| {
            let step = Step::between(self.last_v, v, *scale);
            step.is_some_and(|step| width(zigzag(step.steps)) + STEP_SLACK < length)
        })
    }

    fn scale(&self) -> u8 {
        self.flags >> SCALE_SHIFT
    }

    fn append_first(&mut self, pool: &mut Pool, t: TimestampMs, v: f64) {
        let flags = if integer(v).is_some() { 0 } else { XOR };
        self.start(pool, flags, t, v);
    }

    fn start(&mut self, pool: &mut Pool, flags: u8, t: TimestampMs, v: f64) {
        self.clear(pool);
        self.put(pool, t as u64, 64);
        self.flags = flags;
        if flags == 0 {
            self.put_integer(pool, Code::default(), integer(v).unwrap_or(0));
            self.memory &= WIDTH_MASK;
        } else {
            self.put(pool, v.to_bits(), 64);
            if self.scale() > 0 {
                self.put(pool, self.scale().into(), 4);
            }
        }
        self.last_t = t;
        self.last_v = v;
        self.count = 1;
    }

    fn put_integer(&mut self, pool: &mut Pool, code: Code, value: i64) {
        let (code, rest) = self.code_integer(code, value);
        self.put_both(pool, code, rest);
    }

    #[inline]
    fn code_step(&mut self, code: Code, step: Step) -> (Code, Code) {
        let coded = zigzag(step.steps - (self.memory >> WIDTH_BITS));
        if coded == 0 && step.beside == 0 {
            return (code.then(0, 1), Code::default());
        }
        let mut needed = width(coded).max(1);
        let last_width = (self.memory & WIDTH_MASK) as u32;
        let code = if needed <= last_width && last_width - needed <= INTEGER_SLACK {
            needed = last_width;
            code.then(0b10, 2)
        } else {
            code.then(0b11 << 6 | u64::from(needed), 8)
        };
        let (beside, len) = step.beside_code();
        self.memory = step.steps << WIDTH_BITS | i64::from(needed);
        (code, Code::new(coded << len | beside, needed + len))
    }

    /// Codes an integer, preceded by `code`, where nothing is escaped.
    #[inline(always)]
    fn code_integer(&mut self, code: Code, value: i64) -> (Code, Code) {
        let delta = value - self.last_v as i64;
        let coded = zigzag(delta - (self.memory >> WIDTH_BITS));
        let mut needed = width(coded);
        if needed == 0 {
            return (code.then(0, 1), Code::default());
        }
        let last_width = (self.memory & WIDTH_MASK) as u32;
        let code = if needed <= last_width && last_width - needed <= INTEGER_SLACK {
            needed = last_width;
            code.then(0b10, 2)
        } else {
            code.then(0b11 << 6 | u64::from(needed), 8)
        };
        self.memory = delta << WIDTH_BITS | i64::from(needed);
        (code, Code::new(coded, needed))
    }

    /// Writes an integer where the value before may be escaped, or this one must be.
    #[inline(never)]
    fn put_beside_escaped(&mut self, pool: &mut Pool, v: f64) {
        let Some(value) = integer(v) else {
            return self.put_escaped(pool, v);
        };
        if self.flags & ESCAPED == 0 {
            return self.put_integer(pool, Code::default(), value);
        }
        // NOTE: after an escaped value differences start from zero, and `0` is taken.
        let coded = zigzag(value);
        let needed = width(coded).max(1);
        let code = Code::new(0b11 << 6 | u64::from(needed), 8);
        self.put_both(pool, code, Code::new(coded, needed));
        self.flags &= !ESCAPED;
        self.memory = i64::from(needed);
    }

    #[cold]
    fn put_escaped(&mut self, pool: &mut Pool, v: f64) {
        if self.flags & ESCAPED != 0 && v.to_bits() == self.last_v.to_bits() {
            return self.put(pool, 0, 1);
        }
        self.put(pool, 0b1100_0000, 8);
        self.put(pool, v.to_bits(), 64);
        self.flags |= ESCAPED;
        self.memory = 0;
    }

    /// Codes an XOR, preceded by `code`.
    #[inline(always)]
    fn code_xor(&mut self, code: Code, v: u64) -> (Code, Code) {
        let xor = v ^ self.last_v.to_bits();
        if xor == 0 {
            return (code.then(0, 1), Code::default());
        }
        let leading = xor.leading_zeros().min(31);
        let trailing = xor.trailing_zeros();
        let length = 64 - leading - trailing;
        let (last_leading, last_length) = (self.memory as u32 >> 8, self.memory as u32 & 0xff);
        let last_trailing = 64 - last_leading - last_length;
        if last_length > 0
            && leading >= last_leading
            && trailing >= last_trailing
            && last_length - length <= XOR_SLACK
        {
            let rest = Code::new(xor >> last_trailing, last_length);
            return (code.then(0b10, 2), rest);
        }
        self.memory = i64::from(leading << 8 | length);
        let window = u64::from(leading) << 6 | u64::from(length - 1);
        let rest = Code::new(xor >> trailing, length);
        (code.then(0b11 << 11 | window, 13), rest)
    }

    /// Writes both codes, at once where they fit.
    #[inline(always)]
    fn put_both(&mut self, pool: &mut Pool, code: Code, rest: Code) {
        // NOTE: a value of all 64 bits leaves no room for a code before it.
        if code.len + rest.len < 64 {
            let both = code.then(rest.bits, rest.len);
            self.put(pool, both.bits, both.len);
        } else {
            self.put_apart(pool, code, rest);
        }
    }

    #[inline(never)]
    fn put_apart(&mut self, pool: &mut Pool, code: Code, rest: Code) {
        self.put(pool, code.bits, code.len);
        self.put(pool, rest.bits, rest.len);
    }

    /// Writes the lowest `n` bits of `value`. There must be none above them.
    #[inline(always)]
    fn put(&mut self, pool: &mut Pool, value: u64, n: u32) {
        let free = 64 - (u32::from(self.bits) & 63);
        if n < free {
            self.acc |= value << (free - n);
            self.bits += n as u16;
        } else {
            self.put_over(pool, value, n);
        }
    }

    /// Does as [`Open::put`], where a word becomes full.
    #[inline(never)]
    fn put_over(&mut self, pool: &mut Pool, value: u64, n: u32) {
        let over = n - (64 - (u32::from(self.bits) & 63));
        let full = usize::from(self.bits) / 64;
        pool.push(&mut self.words, full, self.acc | value >> over);
        self.acc = value.checked_shl(64 - over).unwrap_or(0);
        self.bits += n as u16;
    }

    /// Writes all samples so far anew, starting with `flags`.
    #[cold]
    fn recode(&mut self, pool: &mut Pool, flags: u8) {
        if self.count == 1 {
            return self.start(pool, flags, self.last_t, self.last_v);
        }
        let mut bytes = Vec::new();
        self.copy_to(pool, &mut bytes);
        let mut samples: Vec<Sample> = Vec::with_capacity(self.count());
        if let Err(corrupt) = decode(&bytes, i64::MIN, i64::MAX, &mut samples) {
            crate::bug!("an open chunk: {corrupt}");
        }
        let mut samples = samples.into_iter();
        if let Some(first) = samples.next() {
            self.start(pool, flags, first.t, first.v);
        }
        for sample in samples {
            self.append(pool, sample.t, sample.v);
        }
    }

    /// Drops the samples up to `through`. There must be newer ones.
    pub fn keep_after(&mut self, pool: &mut Pool, through: TimestampMs) {
        let mut bytes = Vec::new();
        self.copy_to(pool, &mut bytes);
        let kept = after(&bytes, through);
        self.clear(pool);
        for sample in kept {
            self.append(pool, sample.t, sample.v);
        }
    }

    /// Appends the chunk's bytes as they are now.
    pub fn copy_to(&self, pool: &Pool, out: &mut Vec<u8>) {
        let bits = usize::from(self.bits);
        let (words, rest) = (bits / 64, (bits % 64).div_ceil(8));
        out.reserve(HEADER_BYTES + words * 8 + rest);
        out.extend([self.mode() as u8, self.count]);
        pool.copy_to(&self.words, words * 8, out);
        out.extend_from_slice(self.acc.to_be_bytes().get(..rest).unwrap_or_default());
    }

    /// Adds the chunk, as it is now, to those that are copied together.
    pub fn add_to(&self, gather: &mut Gather) {
        let bits = usize::from(self.bits);
        let acc = self.acc.to_be_bytes();
        let rest = acc.get(..(bits % 64).div_ceil(8)).unwrap_or_default();
        let header = [self.mode() as u8, self.count];
        gather.add(header, (&self.words, bits / 64 * 8), rest);
    }

    /// Returns the samples as a closed chunk. This one is then empty.
    pub fn close(&mut self, pool: &mut Pool) -> Chunk {
        let bits = self.bits;
        if !bits.is_multiple_of(64) {
            pool.push(&mut self.words, usize::from(bits) / 64, self.acc);
        }
        let closed = std::mem::take(self);
        Chunk {
            mode: closed.mode(),
            words: closed.words,
            bits,
            count: closed.count,
        }
    }

    fn mode(&self) -> Mode {
        if self.scale() > 0 {
            Mode::Decimal
        } else if self.flags & XOR != 0 {
            Mode::Xor
        } else {
            Mode::Integer
        }
    }

    /// Gives back what it holds of the pool.
    pub fn clear(&mut self, pool: &mut Pool) {
        pool.release(&mut self.words, usize::from(self.bits) / 64);
        *self = Open::default();
    }

    /// Drops the samples, and remembers the newest one.
    pub fn forget(&mut self, pool: &mut Pool) {
        let (last_t, last_v) = (self.last_t, self.last_v);
        let known = self.has_newest();
        self.clear(pool);
        if known {
            (self.last_t, self.last_v, self.flags) = (last_t, last_v, KEPT);
        }
    }
}

/// Bits that say what follows.
#[derive(Debug, Clone, Copy, Default)]
struct Code {
    bits: u64,
    len: u32,
}

impl Code {
    #[inline]
    fn new(bits: u64, len: u32) -> Code {
        Code { bits, len }
    }

    #[inline]
    fn then(self, bits: u64, len: u32) -> Code {
        Code {
            bits: self.bits << len | bits,
            len: self.len + len,
        }
    }
}

#[inline(always)]
fn delta_of_delta(difference: i64) -> Code {
    let coded = zigzag(difference);
    let (bits, len) = match width(coded) {
        0 => (0, 1),
        1..=7 => (0b10 << 7 | coded, 9),
        8..=14 => (0b110 << 14 | coded, 17),
        _ => (0b111 << 24 | coded, 27),
    };
    Code { bits, len }
}

/// Returns the samples of a chunk that are newer than `through`.
pub(super) fn after(bytes: &[u8], through: TimestampMs) -> Vec<Sample> {
    let mut kept = Vec::new();
    if let Err(corrupt) = decode(bytes, through.saturating_add(1), i64::MAX, &mut kept) {
        crate::bug!("a chunk of the head: {corrupt}");
    }
    kept
}

const WIDTH_BITS: u32 = 6;
const WIDTH_MASK: i64 = (1 << WIDTH_BITS) - 1;

/// Returns the integer that `v` is exactly (`-0` would lose its sign).
#[inline(always)]
fn integer(v: f64) -> Option<i64> {
    let i = v as i64;
    let same = (i as f64).to_bits() == v.to_bits();
    (same && i.unsigned_abs() <= INTEGER_MAX).then_some(i)
}

/// Whether it suits a chunk of integers. Those are integers, and NaN or infinity, which come rarely
/// and then end a series or a condition. Other values are better off with XOR.
#[inline]
fn suits_integers(v: f64) -> bool {
    integer(v).is_some() || !v.is_finite()
}
