//! Samples, the stale marker, and how a series is named once it is known.

use super::TimestampMs;

/// The bits of the NaN that ends a series (Prometheus: `value.StaleNaN`). It differs from the NaN
/// of a calculation (0x7ff8000000000001); no NaN is ever made canonical on its way.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The NaN that a parsed `NaN` becomes (Prometheus: `value.NormalNaN`).
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

#[inline]
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

#[inline]
pub fn is_stale_nan(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// One value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub t: TimestampMs,
    pub v: f64,
}

/// A series of the local storage. Never used again in a process's life: appending to one whose
/// series is gone is answered so, and the holder resolves its labels anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u64);
