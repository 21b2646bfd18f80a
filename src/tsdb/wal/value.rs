//! Codes a series' value as its difference from the forecast of the last ones.
//!
//! Two bits give the kind: equal to the last; an integer difference; a decimal difference with as
//! many digits as before in this series; anything else. The writer and the reader keep the same
//! [`Last`] of each series and compute the same forecast, bit for bit.

#![expect(
    clippy::inline_always,
    reason = "built for size, each of them would be a call for each value"
)]

use super::varint::Bytes;
use crate::model::STALE_NAN_BITS;
use crate::stdx::varint::{put_varint, unzigzag, zigzag};

pub(super) const EQUAL: u8 = 0;
const INTEGRAL: u8 = 1;
const DECIMAL: u8 = 2;
const OTHER: u8 = 3;

/// The first byte of [`OTHER`]: the stale marker; else a decimal difference with this flag and the
/// new number of digits; else the XOR with the last value, as 8 times its low zero bytes plus the
/// number of its other bytes - 1.
const STALE: u8 = 0xff;
const NEW_DIGITS: u8 = 0x80;

/// The units of decimal differences, in the order in which a new series tries them.
const UNITS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const TRIED: [u8; 6] = [3, 2, 1, 6, 4, 9];

/// LIMIT: after this many failures to fit a number of digits a series is not tried any more, since
/// trying is what costs time.
const MISSES_MAX: u8 = 3;

/// LIMIT: a larger difference is shorter as an XOR.
const STEPS_MAX: f64 = (1u64 << 38) as f64;

/// Adding and subtracting this leaves a whole number, since floats of its size have no digits after
/// the point. A call that rounds would cost more than all the rest.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// The last places by which a value may differ from its decimal, in three bits.
const BESIDE_BITS: u32 = 3;
const BESIDE: i64 = 1 << (BESIDE_BITS - 1);

/// The state of a series.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Last {
    bits: u64,
    /// The last difference.
    slope: f64,
    /// The record that last changed this, numbered within its segment.
    pub seq: u32,
    digits: u8,
    misses: u8,
    /// Above zero if a line through the last two values was nearer than the last value.
    line: i8,
    /// The number of values since the state is known, up to 255.
    pub age: u8,
}

/// The [`Last::seq`] of an unknown series. A segment has fewer records.
const UNKNOWN: u32 = u32::MAX;

impl Last {
    pub const UNKNOWN: Last = Last {
        bits: 0,
        slope: 0.0,
        seq: UNKNOWN,
        digits: 0,
        misses: 0,
        line: 0,
        age: 0,
    };

    #[inline(always)]
    pub fn is_known(&self) -> bool {
        self.seq != UNKNOWN
    }

    #[inline(always)]
    fn forecast(&self) -> f64 {
        let line = f64::from_bits(self.bits) + self.slope;
        // NOTE: on bits, so that there is no branch, which nobody could predict.
        f64::from_bits(if self.line > 0 {
            line.to_bits()
        } else {
            self.bits
        })
    }

    #[inline(always)]
    fn learn(&mut self, v: f64) {
        let slope = v - f64::from_bits(self.bits);
        self.bits = v.to_bits();
        let first = self.age == 0;
        self.age = self.age.saturating_add(1);
        if first || !slope.is_finite() {
            self.slope = 0.0;
            return;
        }
        let nearer = (slope - self.slope).abs() < slope.abs();
        self.line = (self.line + if nearer { 1 } else { -1 }).clamp(-2, 2);
        self.slope = slope;
    }

    /// Does as [`Last::learn`] for the same value again.
    #[inline(always)]
    fn learn_same(&mut self) {
        if self.age == 0 || !f64::from_bits(self.bits).is_finite() {
            return self.learn(f64::from_bits(self.bits));
        }
        self.age = self.age.saturating_add(1);
        self.line = (self.line - 1).max(-2);
        self.slope = 0.0;
    }

    /// Learns the last value `n` more times, up to 64, and returns it. Returns `None`, having done
    /// nothing, if each must be learnt by itself.
    #[inline(always)]
    pub fn repeat(&mut self, n: usize) -> Option<f64> {
        let v = f64::from_bits(self.bits);
        if self.age == 0 || !v.is_finite() {
            return None;
        }
        self.age = self.age.saturating_add(n as u8);
        self.line = (self.line - n as i8).max(-2);
        self.slope = 0.0;
        Some(v)
    }

    /// Appends the value's bytes. Returns its tag.
    #[inline]
    pub fn encode(&mut self, v: f64, out: &mut Vec<u8>) -> u8 {
        if v.to_bits() == self.bits {
            self.learn_same();
            return EQUAL;
        }
        let forecast = self.forecast();
        let tag = match (integral(v), integral(forecast)) {
            (Some(v), Some(forecast)) => {
                put_varint(out, zigzag(v - forecast));
                INTEGRAL
            }
            _ => self.encode_broken(v, forecast, out),
        };
        self.learn(v);
        tag
    }

    fn encode_broken(&mut self, v: f64, forecast: f64, out: &mut Vec<u8>) -> u8 {
        if self.digits > 0
            && let Some(steps) = steps(v, forecast, self.digits)
        {
            put_varint(out, steps);
            return DECIMAL;
        }
        if self.misses < MISSES_MAX && v.is_finite() {
            for digits in TRIED {
                if let Some(steps) = steps(v, forecast, digits) {
                    self.digits = digits;
                    out.push(NEW_DIGITS | digits);
                    put_varint(out, steps);
                    return OTHER;
                }
            }
            self.misses += 1;
        }
        if v.to_bits() == STALE_NAN_BITS {
            out.push(STALE);
            return OTHER;
        }
        let xor = v.to_bits() ^ self.base(forecast);
        let below = (xor.trailing_zeros() / 8).min(7);
        let bytes = (8 - xor.leading_zeros() / 8).saturating_sub(below).max(1);
        out.push((below << 3 | (bytes - 1)) as u8);
        out.extend_from_slice(&(xor >> (8 * below)).to_le_bytes()[..bytes as usize]);
        OTHER
    }

    /// Returns the bits that an XOR is taken with.
    fn base(&self, forecast: f64) -> u64 {
        if forecast.is_finite() {
            forecast.to_bits()
        } else {
            self.bits
        }
    }

    /// Decodes a value from its tag and the bytes after it.
    #[inline(always)]
    pub fn decode(&mut self, tag: u8, bytes: &mut Bytes<'_>) -> Option<f64> {
        let v = match tag {
            EQUAL => {
                self.learn_same();
                return Some(f64::from_bits(self.bits));
            }
            INTEGRAL => {
                let forecast = integral(self.forecast()).unwrap_or(0);
                forecast.wrapping_add(bytes.signed()?) as f64
            }
            DECIMAL => at_steps(self.forecast(), self.digits, bytes.number()?),
            _ => self.decode_other(bytes)?,
        };
        self.learn(v);
        Some(v)
    }

    #[inline(never)]
    fn decode_other(&mut self, bytes: &mut Bytes<'_>) -> Option<f64> {
        let control = bytes.byte()?;
        if control == STALE {
            return Some(f64::from_bits(STALE_NAN_BITS));
        }
        let forecast = self.forecast();
        if control & NEW_DIGITS != 0 {
            self.digits = control & !NEW_DIGITS;
            return Some(at_steps(forecast, self.digits, bytes.number()?));
        }
        let (below, len) = (u32::from(control >> 3), usize::from(control & 7) + 1);
        let mut word = [0; 8];
        word.get_mut(..len)?.copy_from_slice(bytes.take(len)?);
        let xor = u64::from_le_bytes(word).checked_shl(8 * below)?;
        Some(f64::from_bits(self.base(forecast) ^ xor))
    }
}

/// Returns the integer that `v` is, if `f64` holds it exactly; not -0.
#[inline(always)]
fn integral(v: f64) -> Option<i64> {
    let whole = v as i64;
    let same = (whole as f64).to_bits() == v.to_bits();
    (same && whole.unsigned_abs() <= 1 << 53).then_some(whole)
}

/// Returns how many units a value is from its forecast, and how many last places beside that.
/// Returns `None` if it is no such number.
#[inline]
fn steps(v: f64, forecast: f64, digits: u8) -> Option<u64> {
    let exact = (v - forecast) * UNITS[usize::from(digits)];
    if exact.is_nan() || exact.abs() >= STEPS_MAX {
        return None;
    }
    let steps = (exact + ROUNDER) - ROUNDER;
    let beside =
        (v.to_bits() as i64).wrapping_sub(decimal(forecast, digits, steps).to_bits() as i64);
    (-BESIDE..BESIDE)
        .contains(&beside)
        .then(|| zigzag(steps as i64) << BESIDE_BITS | zigzag(beside))
}

#[inline]
fn at_steps(forecast: f64, digits: u8, coded: u64) -> f64 {
    let beside = unzigzag(coded & ((1 << BESIDE_BITS) - 1));
    let near = decimal(forecast, digits, unzigzag(coded >> BESIDE_BITS) as f64);
    f64::from_bits((near.to_bits() as i64).wrapping_add(beside) as u64)
}

#[inline]
fn decimal(forecast: f64, digits: u8, steps: f64) -> f64 {
    forecast + steps / UNITS.get(usize::from(digits)).copied().unwrap_or(1.0)
}
