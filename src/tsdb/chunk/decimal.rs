//! Values that are decimal numbers, or sums with one: stored as whole steps from the last value.
//!
//! Exporters print 0.25, 12345.67 or sums of such numbers. Their bits have nothing in common, since
//! a tenth has no end in base two. But their differences are whole numbers of a decimal unit, apart
//! from the last place or two, which are stored beside.

#![expect(
    clippy::inline_always,
    reason = "built for size, each of them would be a call for each value"
)]

use crate::stdx::varint::{unzigzag, zigzag};

/// How values are related, in 4 bits. Up to 9 they are decimals with so many digits after the
/// point. Above that only their differences are.
pub type Scale = u8;

/// Scales are tried in order up to this one.
pub const SCALE_MAX: Scale = 15;
const DECIMALS_MAX: Scale = 9;

/// The units per step, by scale.
const UNITS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e1, 1e2, 1e3, 1e4, 1e6, 1e9,
];

/// LIMIT: with more steps the unit is not much larger than the last place.
const STEPS_MAX: f64 = (1u64 << 48) as f64;

/// Adding and subtracting this leaves a whole number, since floats of its size have no digits after
/// the point. A call that rounds would cost more than all the rest.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// The last places by which a value may differ from its decimal, in three bits.
const BESIDE: i64 = 4;

/// The difference from one value to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub steps: i64,
    /// In last places.
    pub beside: i64,
}

impl Step {
    /// Returns `None` if the values are no such numbers.
    #[inline]
    pub fn between(last: f64, v: f64, scale: Scale) -> Option<Step> {
        let unit = unit(scale);
        let steps = if scale <= DECIMALS_MAX {
            whole(v * unit)? - whole(last * unit)?
        } else {
            whole((v - last) * unit)?
        };
        let near = near(last, scale, steps);
        let beside = (v.to_bits() as i64).wrapping_sub(near.to_bits() as i64);
        let found = (-BESIDE..BESIDE).contains(&beside);
        found.then_some(Step {
            steps: steps as i64,
            beside,
        })
    }

    /// Returns the code that follows the steps, and its number of bits: `0` for nothing, `10` and a
    /// sign for one place, `11` and three bits.
    #[inline]
    pub fn beside_code(self) -> (u64, u32) {
        match self.beside {
            0 => (0, 1),
            1 => (0b100, 3),
            -1 => (0b101, 3),
            more => (0b11 << 3 | zigzag(more), 5),
        }
    }
}

/// LIMIT: the bits of that code.
pub const BESIDE_BITS: u32 = 5;

/// Decodes it from the next bits. Returns how many bits it used.
#[inline(always)]
pub fn beside_of(window: u64) -> (u32, i64) {
    match window >> 61 {
        0..=3 => (1, 0),
        4 => (3, 1),
        5 => (3, -1),
        _ => (5, unzigzag(window >> 59 & 7)),
    }
}

/// Turns steps back into values.
#[derive(Debug)]
pub struct Walk {
    scale: Scale,
    pub last: f64,
    /// For decimals, the last value in units, so that no value has to wait for the one before it.
    whole: f64,
}

impl Walk {
    pub fn new(first: f64, scale: Scale) -> Walk {
        Walk {
            scale,
            last: first,
            whole: round(first * unit(scale)),
        }
    }

    #[inline(always)]
    pub fn step(&mut self, step: Step) {
        let near = if self.scale <= DECIMALS_MAX {
            self.whole += step.steps as f64;
            self.whole / unit(self.scale)
        } else {
            near(self.last, self.scale, step.steps as f64)
        };
        let bits = (near.to_bits() as i64).wrapping_add(step.beside);
        self.last = f64::from_bits(bits as u64);
    }
}

#[inline]
fn near(last: f64, scale: Scale, steps: f64) -> f64 {
    let unit = unit(scale);
    if scale <= DECIMALS_MAX {
        (round(last * unit) + steps) / unit
    } else {
        last + steps / unit
    }
}

#[inline]
fn whole(v: f64) -> Option<f64> {
    (v.abs() < STEPS_MAX).then(|| round(v))
}

#[inline]
fn round(v: f64) -> f64 {
    (v + ROUNDER) - ROUNDER
}

#[inline]
fn unit(scale: Scale) -> f64 {
    UNITS.get(usize::from(scale)).copied().unwrap_or(1.0)
}
