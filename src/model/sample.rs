//! Samples, the stale marker, and the number of a series in the storage.

use super::TimestampMs;

/// The bits of the NaN that ends a series (Prometheus: `value.StaleNaN`). They differ from those of
/// a calculated NaN (0x7ff8000000000001), so no NaN is ever made canonical on its way.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The bits of the NaN that a parsed `NaN` becomes (Prometheus: `value.NormalNaN`).
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

/// The number of a series in the local storage. It is never reused while the process lives. An
/// append to a series that is gone says so, and its holder then looks the labels up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u64);
