//! Floats that are decimals, as most measured values are. Each is a whole number of units from a
//! base. Where sums have rounded, it is also some last places beside that.

/// The units, by digits after the point.
const UNITS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// LIMIT: with more units than this the value is not a true decimal.
const STEPS_MAX: f64 = (1u64 << 50) as f64;

/// LIMIT: last places that a value may be off. A value much smaller than its base is off by more.
const BESIDE_MAX: u64 = 256;

/// The number of values tried before all are.
const TRIED: usize = 16;

/// Adding and subtracting this leaves a whole number, since floats of its size have no digits after
/// the point.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub digits: u8,
    pub base: f64,
}

impl Scale {
    pub fn unit(self) -> Option<f64> {
        UNITS.get(usize::from(self.digits)).copied()
    }
}

/// Returns the units and last places of one value.
#[inline]
fn steps(v: f64, base: f64, unit: f64) -> Option<(i64, i64)> {
    let exact = (v - base) * unit;
    if exact.is_nan() || exact.abs() >= STEPS_MAX {
        return None;
    }
    let steps = (exact + ROUNDER) - ROUNDER;
    let beside = (v.to_bits() as i64).wrapping_sub((base + steps / unit).to_bits() as i64);
    (beside.unsigned_abs() <= BESIDE_MAX).then_some((steps as i64, beside))
}

/// Finds a scale that fits all of `values`, which are finite, with their units and last places.
/// `beside` is left empty if no value is off.
pub fn find(values: &[f64], units: &mut Vec<i64>, beside: &mut Vec<i64>) -> Option<Scale> {
    let first = *values.first()?;
    [0.0, first]
        .into_iter()
        .find_map(|base| find_with(values, base, units, beside))
}

fn find_with(
    values: &[f64],
    base: f64,
    units: &mut Vec<i64>,
    beside: &mut Vec<i64>,
) -> Option<Scale> {
    let stride = (values.len() / TRIED).max(1);
    let fits = |unit: f64| {
        let mut tried = values.iter().rev().step_by(stride);
        tried.all(|v| steps(*v, base, unit).is_some())
    };
    for (digits, unit) in (0u8..).zip(UNITS).skip(1).filter(|(_, unit)| fits(*unit)) {
        if take(values, base, unit, units, beside).is_some() {
            return Some(Scale { digits, base });
        }
    }
    None
}

fn take(
    values: &[f64],
    base: f64,
    unit: f64,
    units: &mut Vec<i64>,
    beside: &mut Vec<i64>,
) -> Option<()> {
    units.clear();
    beside.clear();
    let mut any = 0;
    for v in values {
        let (step, off) = steps(*v, base, unit)?;
        units.push(step);
        beside.push(off);
        any |= off;
    }
    if any == 0 {
        beside.clear();
    }
    Some(())
}
