//! The decoder, of bytes that may be anything.

#![expect(
    clippy::inline_always,
    reason = "built for size, each of them would be a call for each value"
)]

use std::ops::RangeInclusive;

use thiserror::Error;

use super::bits::{BitReader, unzigzag};
use super::closed::{HEADER_BYTES, Mode};
use crate::model::{Sample, TimestampMs};

/// Bytes that no encoder wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a chunk of {bytes} bytes is damaged at sample {sample}")]
pub struct Corrupt {
    pub bytes: usize,
    pub sample: usize,
}

/// Appends the samples of `bytes` with `start <= t <= end` to `out`.
///
/// # Errors
/// The bytes are damaged; what stands before the damage may have been appended.
pub fn decode(
    bytes: &[u8],
    start: TimestampMs,
    end: TimestampMs,
    out: &mut Vec<Sample>,
) -> Result<(), Corrupt> {
    let corrupt = |sample| Corrupt {
        bytes: bytes.len(),
        sample,
    };
    let header = bytes.split_first_chunk::<HEADER_BYTES>();
    let Some((&[mode, count], rest)) = header else {
        return Err(corrupt(0));
    };
    let mut bits = BitReader::new(rest);
    let range = start..=end;
    // NOTE: a loop for each mode, so that what it remembers is at hand.
    let read = match Mode::from_byte(mode) {
        None => return Err(corrupt(0)),
        Some(Mode::Integer) => {
            let (mut last, mut delta, mut width, mut escaped) = (0, 0, 0, None);
            each(&mut bits, count, &range, out, |bits, first| {
                next_integer(bits, first, &mut last, &mut delta, &mut width, &mut escaped)
            })
        }
        Some(Mode::Xor) => {
            let (mut last, mut leading, mut length) = (0, 0, 0);
            each(&mut bits, count, &range, out, |bits, first| {
                next_xor(bits, first, &mut last, &mut leading, &mut length)
            })
        }
    };
    read.map_err(corrupt)
}

/// The error is the number of the sample that is damaged.
#[inline(always)]
fn each(
    bits: &mut BitReader<'_>,
    count: u8,
    range: &RangeInclusive<TimestampMs>,
    out: &mut Vec<Sample>,
    mut value: impl FnMut(&mut BitReader<'_>, bool) -> Option<f64>,
) -> Result<(), usize> {
    let (mut t, mut delta) = (0i64, 0i64);
    out.reserve(count.into());
    for sample in 0..usize::from(count) {
        let first = sample == 0;
        let next = if first {
            bits.bits(64).map(|bits| bits as i64)
        } else {
            next_delta(bits, &mut delta).and_then(|delta| t.checked_add(delta))
        };
        t = next.ok_or(sample)?;
        let v = value(bits, first).ok_or(sample)?;
        if t > *range.end() {
            break;
        }
        if t >= *range.start() {
            out.push(Sample { t, v });
        }
    }
    Ok(())
}

#[inline(always)]
fn next_delta(bits: &mut BitReader<'_>, delta: &mut i64) -> Option<i64> {
    if bits.bit()? {
        *delta += delta_of_delta(bits)?;
    }
    (*delta > 0).then_some(*delta)
}

/// After its first bit, which is set.
#[inline(never)]
fn delta_of_delta(bits: &mut BitReader<'_>) -> Option<i64> {
    let mut width = 7;
    if bits.bit()? {
        width = if bits.bit()? { 24 } else { 14 };
    }
    bits.bits(width).map(unzigzag)
}

#[inline(always)]
fn next_integer(
    bits: &mut BitReader<'_>,
    first: bool,
    last: &mut i64,
    delta: &mut i64,
    width: &mut u32,
    escaped: &mut Option<u64>,
) -> Option<f64> {
    let mut difference = 0;
    if bits.bit()? {
        if bits.bit()? {
            *width = bits.bits(6)? as u32;
            if *width == 0 {
                let raw = bits.bits(64)?;
                (*last, *delta, *escaped) = (0, 0, Some(raw));
                return Some(f64::from_bits(raw));
            }
        } else if *width == 0 {
            return None;
        }
        difference = unzigzag(bits.bits(*width)?);
    } else if let Some(raw) = *escaped {
        return Some(f64::from_bits(raw));
    }
    // NOTE: wrapping, because damaged bytes may say anything.
    *delta = delta.wrapping_add(difference);
    *last = last.wrapping_add(*delta);
    if first || escaped.take().is_some() {
        *delta = 0;
    }
    Some(*last as f64)
}

#[inline(always)]
fn next_xor(
    bits: &mut BitReader<'_>,
    first: bool,
    last: &mut u64,
    leading: &mut u32,
    length: &mut u32,
) -> Option<f64> {
    if first {
        *last = bits.bits(64)?;
    } else if bits.bit()? {
        if bits.bit()? {
            *leading = bits.bits(5)? as u32;
            *length = bits.bits(6)? as u32 + 1;
        }
        let trailing = 64u32.checked_sub(*leading + *length)?;
        if *length == 0 {
            return None;
        }
        *last ^= bits.bits(*length)? << trailing;
    }
    Some(f64::from_bits(*last))
}
