//! Integers in few bits: frame by frame, their differences from a line.
//!
//! Where values spread evenly within their range, as noise and jitter do, nothing is much smaller,
//! and reading is a shift, a mask and a sum. Values that spread unevenly are left to `pco`.

#![expect(
    clippy::inline_always,
    reason = "built for size, each of them would be a call for each value"
)]

use crate::stdx::cursor::Cursor;
use crate::stdx::varint::{put_signed, put_varint};

/// The numbers that share a width. An outlier spoils no more than these.
const FRAME: usize = 128;

/// LIMIT: bits of one number, so that eight bytes hold it wherever it begins.
const WIDTH_MAX: u32 = 56;

/// The orders of difference that are tried: 0, 1 and 2.
const ORDERS: usize = 3;

/// A flag in the first byte, beside the order: all differences are multiples of a number, which
/// follows.
const MULTIPLES: u8 = 4;

/// The approximate bytes that `pco` writes for a column beside its numbers.
const PCO_BYTES: f64 = 24.0;

/// How much larger a packed column may be, since it is read so much faster.
const WORTH: f64 = 1.08;

/// Buffers for packing, which are reused.
#[derive(Debug, Default)]
pub struct Packer {
    /// The numbers minus the first; then the differences of the order before.
    residuals: [Vec<i64>; ORDERS],
}

/// How numbers would be written.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    first: i64,
    /// All differences from the first number are multiples of this.
    pub multiple: u64,
    order: usize,
    /// Set if `pco` would be much smaller, to the order of differences it should use.
    pub pco_order: Option<usize>,
}

impl Packer {
    /// Plans how to write `values`. Returns `None` if they are too wide.
    pub fn plan(&mut self, values: &[i64], pco_min: usize) -> Option<Plan> {
        let first = *values.first()?;
        let multiple = common_multiple(values, first);
        let [flat, ..] = &mut self.residuals;
        flat.clear();
        if multiple == 1 {
            flat.extend(values.iter().map(|v| v.wrapping_sub(first)));
        } else {
            // NOTE: it divides each number, so it fits.
            let by = multiple as i64;
            flat.extend(values.iter().map(|v| v.wrapping_sub(first) / by));
        }
        let (mut bits, mut order) = (bits_of(flat), 0);
        for next in 1..ORDERS {
            let (before, after) = self.residuals.split_at_mut(next);
            let (Some(before), Some(after)) = (before.last(), after.first_mut()) else {
                break;
            };
            differences(before, next, after);
            let fewer = bits_of(after.get(next..).unwrap_or_default());
            // NOTE: if one order gains nothing, the next does not either.
            if fewer.is_none() || bits.is_some_and(|bits| fewer >= Some(bits)) {
                break;
            }
            (bits, order) = (fewer, next);
        }
        let bits = bits?;
        let crooked = values.len() >= pco_min && self.is_crooked(order, bits as f64 / 8.0);
        Some(Plan {
            first,
            multiple,
            order,
            pco_order: crooked.then_some(order),
        })
    }

    /// Whether `pco` would make them much smaller.
    fn is_crooked(&self, order: usize, packed_bytes: f64) -> bool {
        let residuals = self.residuals.get(order).and_then(|of| of.get(order..));
        let bits = residuals.map_or(0.0, entropy);
        packed_bytes > (bits / 8.0 + PCO_BYTES) * WORTH
    }

    /// Appends what was planned last.
    pub fn write(&self, plan: &Plan, out: &mut Vec<u8>) -> Option<()> {
        let flag = if plan.multiple > 1 { MULTIPLES } else { 0 };
        out.push(plan.order as u8 | flag);
        if plan.multiple > 1 {
            put_varint(out, plan.multiple);
        }
        put_signed(out, plan.first);
        if plan.order == 2 {
            let slope = self.residuals.get(1)?.get(1).copied();
            put_signed(out, slope.unwrap_or(0));
        }
        for frame in self
            .residuals
            .get(plan.order)?
            .get(plan.order..)?
            .chunks(FRAME)
        {
            put_frame(frame, out)?;
        }
        Some(())
    }
}

/// Reads `count` numbers, and passes some of them at a time to `each`. Leaves what follows.
#[inline]
pub fn read(from: &mut Cursor<'_>, count: usize, mut each: impl FnMut(&[i64])) -> Option<()> {
    let head = from.byte()?;
    let order = usize::from(head & 3);
    if order >= ORDERS || head & !(3 | MULTIPLES) != 0 {
        return None;
    }
    let multiple = if head & MULTIPLES != 0 {
        from.varint()? as i64
    } else {
        1
    };
    let first = from.signed()?;
    let slope = if order == 2 { from.signed()? } else { 0 };
    // NOTE: without a multiple the first number is part of the sums, and nothing is left to do.
    let plain = multiple == 1;
    let base = if plain { first } else { 0 };
    let (mut value, mut delta) = (base, slope);
    let mut numbers = [0i64; FRAME];
    let mut left = count;
    if order > 0 {
        let second = first.wrapping_add(slope.wrapping_mul(multiple));
        let known = [first, second];
        let known = known.get(..order.min(count))?;
        each(known);
        left -= known.len();
        value = value.wrapping_add(slope);
    }
    while left > 0 {
        let frame = numbers.get_mut(..left.min(FRAME))?;
        match order {
            0 => get_frame(from, frame, |v| v.wrapping_add(base))?,
            1 => get_frame(from, frame, |v| {
                value = value.wrapping_add(v);
                value
            })?,
            _ => get_frame(from, frame, |v| {
                delta = delta.wrapping_add(v);
                value = value.wrapping_add(delta);
                value
            })?,
        }
        if !plain {
            let scaled = |v: i64| v.wrapping_mul(multiple).wrapping_add(first);
            for v in &mut *frame {
                *v = scaled(*v);
            }
        }
        each(frame);
        left -= frame.len();
    }
    Some(())
}

/// Returns the greatest common divisor of all differences from the first; 1 if all are equal.
fn common_multiple(values: &[i64], first: i64) -> u64 {
    let mut common = 0u64;
    for v in values {
        let mut rest = v.wrapping_sub(first).unsigned_abs();
        if common > 0 && rest.is_multiple_of(common) {
            continue;
        }
        while rest != 0 {
            (common, rest) = (rest, common % rest);
        }
        if common == 1 {
            break;
        }
    }
    if common > i64::MAX as u64 {
        1
    } else {
        common.max(1)
    }
}

/// Computes differences. The first `order` entries of the result mean nothing.
fn differences(of: &[i64], order: usize, out: &mut Vec<i64>) {
    out.clear();
    out.resize(order.min(of.len()), 0);
    let pairs = of.get(order - 1..).unwrap_or_default().windows(2);
    out.extend(pairs.map(|pair| pair[1].wrapping_sub(pair[0])));
}

fn width_of(span: u64) -> u32 {
    64 - span.leading_zeros()
}

fn range_of(frame: &[i64]) -> (i64, u32) {
    let (mut min, mut max) = (i64::MAX, i64::MIN);
    for v in frame {
        min = min.min(*v);
        max = max.max(*v);
    }
    (min, width_of(max.wrapping_sub(min) as u64))
}

/// Returns the bits that the frames take, or `None` if one is too wide.
fn bits_of(numbers: &[i64]) -> Option<usize> {
    let mut bits = 0;
    for frame in numbers.chunks(FRAME) {
        let (min, width) = range_of(frame);
        if width > WIDTH_MAX {
            return None;
        }
        let head = 16 + width_of(min.unsigned_abs()) as usize * 8 / 7;
        bits += head + frame.len() * width as usize;
    }
    Some(bits)
}

/// Estimates the bits that the numbers take if frequent lengths get short codes.
fn entropy(numbers: &[i64]) -> f64 {
    let Some(middle) = numbers.get(numbers.len() / 2) else {
        return 0.0;
    };
    let mut lengths = [0u32; 65];
    for v in numbers {
        let off = v.wrapping_sub(*middle);
        let width = width_of(((off << 1) ^ (off >> 63)) as u64);
        if let Some(count) = lengths.get_mut(width as usize) {
            *count += 1;
        }
    }
    let all = numbers.len() as f64;
    let bits = (0u32..).zip(lengths).filter(|(_, count)| *count > 0);
    bits.map(|(width, count)| {
        let count = f64::from(count);
        count * ((all / count).log2() + f64::from(width.saturating_sub(1)))
    })
    .sum()
}

fn put_frame(frame: &[i64], out: &mut Vec<u8>) -> Option<()> {
    let (min, width) = range_of(frame);
    if width > WIDTH_MAX {
        return None;
    }
    out.push(width as u8);
    put_signed(out, min);
    let mut bytes = [0; FRAME_BYTES];
    let (mut bit, width) = (0, width as usize);
    for v in frame {
        let place = bytes.get_mut(bit / 8..)?.first_chunk_mut::<8>()?;
        let above = v.wrapping_sub(min) as u64;
        *place = (u64::from_le_bytes(*place) | above << (bit % 8)).to_le_bytes();
        bit += width;
    }
    out.extend_from_slice(bytes.get(..bit.div_ceil(8))?);
    Some(())
}

/// Four numbers of at most this width fit one word, wherever in a byte they begin.
const FOUR_WIDTH_MAX: usize = 14;

/// Eight bytes more than the widest frame has.
const FRAME_BYTES: usize = FRAME * WIDTH_MAX as usize / 8 + 8;

#[inline(always)]
fn get_frame(
    from: &mut Cursor<'_>,
    frame: &mut [i64],
    mut of: impl FnMut(i64) -> i64,
) -> Option<()> {
    let width = from.byte()?;
    if u32::from(width) > WIDTH_MAX {
        return None;
    }
    let (min, width) = (from.signed()?, usize::from(width));
    let ahead = from.rest();
    let bytes = from.take((frame.len() * width).div_ceil(8))?;
    // The last frame has nothing behind it.
    let mut last = [0; FRAME_BYTES];
    let source = if ahead.len() >= bytes.len() + 8 {
        ahead
    } else {
        last.get_mut(..bytes.len())?.copy_from_slice(bytes);
        &last
    };
    let mask = (1u64 << width) - 1;
    let word = |bit: usize| {
        let word = u64::from_le_bytes(*source.get(bit / 8..)?.first_chunk()?);
        Some(word >> (bit % 8))
    };
    let mut number = |word: u64| of(min.wrapping_add((word & mask) as i64));
    let fours = if width <= FOUR_WIDTH_MAX {
        frame.len() / 4
    } else {
        0
    };
    let (fours, others) = frame.split_at_mut(fours * 4);
    let mut bit = 0;
    for [a, b, c, d] in fours.as_chunks_mut::<4>().0 {
        let word = word(bit)?;
        *a = number(word);
        *b = number(word >> width);
        *c = number(word >> (2 * width));
        *d = number(word >> (3 * width));
        bit += 4 * width;
    }
    for v in others {
        *v = number(word(bit)?);
        bit += width;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[i64], bytes_max: usize) {
        let mut packer = Packer::default();
        let plan = packer.plan(values, usize::MAX).unwrap();
        let mut out = Vec::new();
        packer.write(&plan, &mut out).unwrap();
        assert!(out.len() <= bytes_max, "{} bytes: {values:?}", out.len());
        out.push(0xa5);
        let mut from = Cursor::new(&out);
        let mut found = Vec::new();
        read(&mut from, values.len(), |some| {
            found.extend_from_slice(some);
        })
        .unwrap();
        assert_eq!(found, values);
        assert_eq!(from.rest(), [0xa5]);
        for len in 0..out.len() - 1 {
            let mut from = Cursor::new(&out[..len]);
            assert!(read(&mut from, values.len(), |_| {}).is_none());
        }
    }

    fn wide(values: &[i64]) {
        assert!(Packer::default().plan(values, usize::MAX).is_none());
    }

    #[test]
    fn table() {
        let of = |n: i64, f: &dyn Fn(i64) -> i64| (0..n).map(f).collect::<Vec<_>>();
        check(&[7], 4);
        check(&[1, 2], 5);
        check(&[1, 2, 3], 6);
        check(&[i64::MIN + 1, i64::MIN + 1], 15);
        check(&of(128, &|i| i * 15_000), 12);
        check(&of(1_000, &|i| i * 15_000 + 9), 40);
        check(&of(129, &|i| i * i * 3), 12);
        check(&of(1_000, &|i| i * 31 % 64), 800);
        check(&of(1_000, &|i| i * 31 % 64 * 4096), 800);
        check(&of(500, &|i| (i * 7919) % 1000 * (1 << 46)), 700);
        check(&of(500, &|i| (i * 7919) % 1009 * (1 << 45) + i % 2), 3_600);
        check(
            &of(300, &|i| if i == 200 { -1 << 52 } else { i * 9 + i % 5 }),
            1_200,
        );
        wide(&[i64::MIN, i64::MAX, 0, 1, 5]);
    }
}
