//! The decoder, of bytes that may be anything.

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
    let Some(mut decoder) = Decoder::new(bytes) else {
        return Err(Corrupt {
            bytes: bytes.len(),
            sample: 0,
        });
    };
    let count = decoder.count;
    for sample in 0..count {
        let Some(next) = decoder.next() else {
            return Err(Corrupt {
                bytes: bytes.len(),
                sample,
            });
        };
        if next.t > end {
            break;
        }
        if next.t >= start {
            out.push(next);
        }
    }
    Ok(())
}

struct Decoder<'a> {
    bits: BitReader<'a>,
    count: usize,
    first: bool,
    t: i64,
    delta: i64,
    value: Value,
}

/// What the value coder remembers, by mode.
enum Value {
    Integer {
        last: i64,
        delta: i64,
        width: u32,
        /// The raw bits of the last value, if it was escaped.
        escaped: Option<u64>,
    },
    Xor {
        last: u64,
        leading: u32,
        length: u32,
    },
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (&[mode, count], rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let value = match Mode::from_byte(mode)? {
            Mode::Integer => Value::Integer {
                last: 0,
                delta: 0,
                width: 0,
                escaped: None,
            },
            Mode::Xor => Value::Xor {
                last: 0,
                leading: 0,
                length: 0,
            },
        };
        Some(Decoder {
            bits: BitReader::new(rest),
            count: count.into(),
            first: true,
            t: 0,
            delta: 0,
            value,
        })
    }

    #[inline]
    fn next(&mut self) -> Option<Sample> {
        let first = std::mem::replace(&mut self.first, false);
        if first {
            self.t = self.bits.bits(64)? as i64;
        } else {
            self.delta += self.delta_of_delta()?;
            if self.delta <= 0 {
                return None;
            }
            self.t = self.t.checked_add(self.delta)?;
        }
        let v = match &mut self.value {
            Value::Integer {
                last,
                delta,
                width,
                escaped,
            } => next_integer(&mut self.bits, first, last, delta, width, escaped)?,
            Value::Xor {
                last,
                leading,
                length,
            } => next_xor(&mut self.bits, first, last, leading, length)?,
        };
        Some(Sample { t: self.t, v })
    }

    #[inline]
    fn delta_of_delta(&mut self) -> Option<i64> {
        for width in [0, 7, 14] {
            if !self.bits.bit()? {
                return match width {
                    0 => Some(0),
                    width => self.bits.bits(width).map(unzigzag),
                };
            }
        }
        self.bits.bits(24).map(unzigzag)
    }
}

#[inline]
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

#[inline]
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
