//! The decoder, for untrusted bytes.

#![expect(
    clippy::inline_always,
    reason = "built for size, each of them would be a call for each value"
)]

use thiserror::Error;

use super::decimal::{BESIDE_BITS, Step, Walk, beside_of};
use super::header::{HEADER_BYTES, Mode};
use super::window::{Bits, WINDOW_BITS};
use crate::model::{STALE_NAN_BITS, Sample, TimestampMs};
use crate::stdx::varint::unzigzag;
use crate::storage::{Columns, Times};

/// The bytes are not an encoder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a chunk of {bytes} bytes is damaged at sample {sample}")]
pub struct Corrupt {
    pub bytes: usize,
    pub sample: usize,
}

/// Appends the samples of `bytes` with `start <= t <= end` to `out`.
///
/// # Errors
/// The bytes are damaged. Samples before the damage may have been appended.
pub fn decode(
    bytes: &[u8],
    start: TimestampMs,
    end: TimestampMs,
    out: &mut Vec<Sample>,
) -> Result<(), Corrupt> {
    let before = out.len();
    // NOTE: room is made first, so that no sample has to ask for it.
    out.resize(before + count_of(bytes), Sample { t: 0, v: 0.0 });
    let mut samples = Samples {
        places: out.get_mut(before..).unwrap_or_default(),
        read: 0,
    };
    let result = each(bytes, end, &mut samples);
    let read = samples.read;
    out.truncate(before + read);
    let early = { out.get(before..) }.map_or(0, |new| new.partition_point(|s| s.t < start));
    if early > 0 {
        out.drain(before..before + early);
    }
    result
}

/// Does as [`decode`], with times and values in separate columns.
///
/// # Errors
/// Those of [`decode`].
pub fn decode_columns(
    bytes: &[u8],
    start: TimestampMs,
    end: TimestampMs,
    out: &mut Columns,
) -> Result<(), Corrupt> {
    let (before, count) = (out.len(), count_of(bytes));
    let Columns { times, values } = out;
    times.resize(before + count, 0);
    values.resize(before + count, 0.0);
    let mut apart = Apart {
        times: times.get_mut(before..).unwrap_or_default(),
        values: values.get_mut(before..).unwrap_or_default(),
        read: 0,
    };
    let result = each(bytes, end, &mut apart);
    let read = apart.read;
    out.truncate(before + read);
    let early = { out.times.get(before..) }.map_or(0, |new| new.partition_point(|t| *t < start));
    if early > 0 {
        out.times.drain(before..before + early);
        out.values.drain(before..before + early);
    }
    result
}

/// Does as [`decode`] without the values: appends the times, and which samples are stale markers.
///
/// # Errors
/// Those of [`decode`].
pub fn decode_times(
    bytes: &[u8],
    start: TimestampMs,
    end: TimestampMs,
    out: &mut Times,
) -> Result<(), Corrupt> {
    let (before, stale_before) = (out.times.len(), out.stale.len());
    let Times { times, stale } = out;
    times.resize(before + count_of(bytes), 0);
    let mut only = OnlyTimes {
        places: times.get_mut(before..).unwrap_or_default(),
        stale,
        before,
        read: 0,
    };
    let result = each(bytes, end, &mut only);
    let read = only.read;
    times.truncate(before + read);
    let early = { times.get(before..) }.map_or(0, |new| new.partition_point(|t| *t < start));
    if early > 0 {
        times.drain(before..before + early);
        let mut new = stale.split_off(stale_before);
        new.retain(|at| *at as usize >= before + early);
        stale.extend(new.iter().map(|at| at - early as u32));
    }
    result
}

fn count_of(bytes: &[u8]) -> usize {
    bytes.get(1).map_or(0, |count| usize::from(*count))
}

/// Receives samples.
trait Sink {
    fn put(&mut self, t: TimestampMs, v: &impl Value);
}

/// A value that need not be computed.
trait Value {
    fn float(&self) -> f64;
    fn is_stale(&self) -> bool;
}

struct Samples<'a> {
    places: &'a mut [Sample],
    read: usize,
}

impl Sink for Samples<'_> {
    #[inline(always)]
    fn put(&mut self, t: TimestampMs, v: &impl Value) {
        if let Some(place) = self.places.get_mut(self.read) {
            *place = Sample { t, v: v.float() };
            self.read += 1;
        }
    }
}

struct Apart<'a> {
    times: &'a mut [TimestampMs],
    values: &'a mut [f64],
    read: usize,
}

impl Sink for Apart<'_> {
    #[inline(always)]
    fn put(&mut self, t: TimestampMs, v: &impl Value) {
        let time = self.times.get_mut(self.read);
        if let Some((time, value)) = time.zip(self.values.get_mut(self.read)) {
            (*time, *value) = (t, v.float());
            self.read += 1;
        }
    }
}

struct OnlyTimes<'a> {
    places: &'a mut [TimestampMs],
    stale: &'a mut Vec<u32>,
    /// The number of times that were there before.
    before: usize,
    read: usize,
}

impl Sink for OnlyTimes<'_> {
    #[inline(always)]
    fn put(&mut self, t: TimestampMs, v: &impl Value) {
        if let Some(place) = self.places.get_mut(self.read) {
            *place = t;
            if v.is_stale() {
                self.stale.push((self.before + self.read) as u32);
            }
            self.read += 1;
        }
    }
}

/// Gives every sample up to `end` to `sink`.
#[inline(always)]
fn each(bytes: &[u8], end: TimestampMs, sink: &mut impl Sink) -> Result<(), Corrupt> {
    let corrupt = |sample| Corrupt {
        bytes: bytes.len(),
        sample,
    };
    let header = bytes.split_first_chunk::<HEADER_BYTES>();
    let Some((&[mode, count], rest)) = header else {
        return Err(corrupt(0));
    };
    let (bits, count) = (Bits::new(rest), usize::from(count));
    // NOTE: each mode has its own loop, so that its state stays in registers.
    let read = match Mode::from_byte(mode) {
        None => return Err(corrupt(0)),
        Some(Mode::Integer) => integers(bits, count, end, sink),
        Some(Mode::Xor) => xors(bits, count, end, sink),
        Some(Mode::Decimal) => decimals(bits, count, end, sink),
    };
    read.map_err(corrupt)
}

/// The last time, and the last difference of times.
struct Clock {
    t: TimestampMs,
    step: i64,
}

impl Clock {
    fn first(bits: &mut Bits<'_>) -> Clock {
        let t = bits.take(64) as i64;
        Clock { t, step: 0 }
    }

    /// Reads a time from the next bits. Returns how many bits it used.
    #[inline(always)]
    fn next(&mut self, window: u64) -> Option<u32> {
        let mut used = 1;
        if window >> 63 == 1 {
            let (prefix, width) = match window >> 61 & 3 {
                0 | 1 => (2, 7),
                2 => (3, 14),
                _ => (3, 24),
            };
            self.step += unzigzag((window << prefix) >> (64 - width));
            used = prefix + width;
        }
        if self.step <= 0 {
            return None;
        }
        self.t = self.t.checked_add(self.step)?;
        Some(used)
    }
}

/// Reads a chunk of integers. The error is the index of the damaged sample.
#[inline(always)]
fn integers(
    mut bits: Bits<'_>,
    count: usize,
    end: TimestampMs,
    sink: &mut impl Sink,
) -> Result<(), usize> {
    if count == 0 {
        return Ok(());
    }
    let mut clock = Clock::first(&mut bits);
    let mut value = Integer::default();
    let window = bits.window();
    value.next(&mut bits, window, 0).ok_or(0usize)?;
    // NOTE: the first value has none before it.
    value.delta = 0;
    let mut sample = 0;
    loop {
        if bits.is_over() {
            return Err(sample);
        }
        if clock.t > end {
            return Ok(());
        }
        sink.put(clock.t, &value);
        sample += 1;
        if sample == count {
            return Ok(());
        }
        let window = bits.window();
        // Two zero bits mean that time and value both go on as before.
        let same = (window.leading_zeros().min(WINDOW_BITS) / 2) as usize;
        if same > 1 && clock.step > 0 {
            let same = same.min(count - sample).min(bits.left() / 2);
            bits.skip(same as u32 * 2);
            for _ in 1..same {
                clock.t = clock.t.checked_add(clock.step).ok_or(sample)?;
                value.last = value.last.wrapping_add(value.delta);
                if clock.t > end {
                    return Ok(());
                }
                sink.put(clock.t, &value);
                sample += 1;
            }
            // The last of them is stored above.
            if same > 0 {
                clock.t = clock.t.checked_add(clock.step).ok_or(sample)?;
                value.last = value.last.wrapping_add(value.delta);
                continue;
            }
        }
        let used = clock.next(window).ok_or(sample)?;
        value.next(&mut bits, window, used).ok_or(sample)?;
    }
}

#[derive(Default)]
struct Integer {
    last: i64,
    delta: i64,
    width: u32,
    /// A value that is no integer, as its bits. The other fields are then 0.
    escaped: Option<u64>,
}

impl Value for Integer {
    #[inline(always)]
    fn float(&self) -> f64 {
        match self.escaped {
            None => self.last as f64,
            Some(raw) => f64::from_bits(raw),
        }
    }

    #[inline(always)]
    fn is_stale(&self) -> bool {
        self.escaped == Some(STALE_NAN_BITS)
    }
}

impl Value for u64 {
    #[inline(always)]
    fn float(&self) -> f64 {
        f64::from_bits(*self)
    }

    #[inline(always)]
    fn is_stale(&self) -> bool {
        *self == STALE_NAN_BITS
    }
}

impl Integer {
    /// Reads a value from the window, behind its first `used` bits.
    #[inline(always)]
    fn next(&mut self, bits: &mut Bits<'_>, window: u64, used: u32) -> Option<()> {
        let rest = window << used;
        if rest >> 63 == 0 {
            bits.skip(used + 1);
            // NOTE: both are 0 while a value is escaped.
            self.last = self.last.wrapping_add(self.delta);
            return Some(());
        }
        if rest >> 62 == 2 && self.escaped.is_none() && used + 2 + self.width <= WINDOW_BITS {
            if self.width == 0 {
                return None;
            }
            bits.skip(used + 2 + self.width);
            self.add(unzigzag((rest << 2) >> (64 - self.width)));
            return Some(());
        }
        bits.skip(used + 1);
        self.rare(bits)
    }

    /// Reads the rest of a rare code, whose first bit is set.
    #[inline(never)]
    fn rare(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        if bits.take(1) == 1 {
            self.width = bits.take(6) as u32;
            if self.width == 0 {
                *self = Integer {
                    escaped: Some(bits.take(64)),
                    ..Integer::default()
                };
                return Some(());
            }
        } else if self.width == 0 {
            return None;
        }
        let was_escaped = self.escaped.take().is_some();
        self.add(unzigzag(bits.take(self.width)));
        if was_escaped {
            self.delta = 0;
        }
        Some(())
    }

    /// NOTE: wrapping, because damaged bytes may say anything.
    #[inline(always)]
    fn add(&mut self, difference: i64) {
        self.delta = self.delta.wrapping_add(difference);
        self.last = self.last.wrapping_add(self.delta);
    }
}

/// Reads a chunk of XORs. The error is the index of the damaged sample.
#[inline(always)]
fn xors(
    mut bits: Bits<'_>,
    count: usize,
    end: TimestampMs,
    sink: &mut impl Sink,
) -> Result<(), usize> {
    if count == 0 {
        return Ok(());
    }
    let mut clock = Clock::first(&mut bits);
    let mut last = bits.take(64);
    let (mut trailing, mut length) = (0u32, 0u32);
    let mut sample = 0;
    loop {
        if bits.is_over() {
            return Err(sample);
        }
        if clock.t > end {
            return Ok(());
        }
        sink.put(clock.t, &last);
        sample += 1;
        if sample == count {
            return Ok(());
        }
        let window = bits.window();
        let used = clock.next(window).ok_or(sample)?;
        let rest = window << used;
        if rest >> 63 == 0 {
            bits.skip(used + 1);
            continue;
        }
        let mut used = used + 2;
        if rest >> 62 & 1 == 1 {
            let leading = (rest << 2 >> 59) as u32;
            length = (rest << 7 >> 58) as u32 + 1;
            trailing = 64u32.checked_sub(leading + length).ok_or(sample)?;
            used += 11;
        } else if length == 0 {
            return Err(sample);
        }
        last ^= if used + length <= WINDOW_BITS {
            bits.skip(used + length);
            (window << used) >> (64 - length)
        } else {
            bits.skip(used);
            bits.take(length)
        } << trailing;
    }
}

/// Reads a chunk of decimals. The error is the index of the damaged sample.
#[inline(never)]
fn decimals(
    mut bits: Bits<'_>,
    count: usize,
    end: TimestampMs,
    sink: &mut impl Sink,
) -> Result<(), usize> {
    if count == 0 {
        return Ok(());
    }
    let mut clock = Clock::first(&mut bits);
    let first = f64::from_bits(bits.take(64));
    let mut walk = Walk::new(first, bits.take(4) as u8);
    let (mut delta, mut width) = (0i64, 0u32);
    let mut sample = 0;
    loop {
        if bits.is_over() {
            return Err(sample);
        }
        if clock.t > end {
            return Ok(());
        }
        sink.put(clock.t, &walk.last.to_bits());
        sample += 1;
        if sample == count {
            return Ok(());
        }
        let window = bits.window();
        let used = clock.next(window).ok_or(sample)?;
        let rest = window << used;
        let mut beside = 0;
        if rest >> 63 == 0 {
            bits.skip(used + 1);
        } else if rest >> 62 == 2 && width > 0 && used + 2 + width + BESIDE_BITS <= WINDOW_BITS {
            let rest = rest << 2;
            delta = delta.wrapping_add(unzigzag(rest >> (64 - width)));
            let (len, found) = beside_of(rest << width);
            beside = found;
            bits.skip(used + 2 + width + len);
        } else {
            bits.skip(used + 2);
            if rest >> 62 & 1 == 1 {
                width = bits.take(6) as u32;
            }
            if width == 0 {
                return Err(sample);
            }
            delta = delta.wrapping_add(unzigzag(bits.take(width)));
            let (len, found) = beside_of(bits.window());
            beside = found;
            bits.skip(len);
        }
        let steps = delta;
        walk.step(Step { steps, beside });
    }
}
