//! Values by their rank: `quantile_over_time`, `mad_over_time`.

use super::ranks::Ranks;
use super::scratch::{Scratch, value};
use crate::promql::eval::Window;

pub(super) fn quantile(window: &Window<'_>, args: &[f64], scratch: &mut Scratch) -> f64 {
    let phi = args.first().copied().unwrap_or(f64::NAN);
    at(phi, scratch.sort(window))
}

/// Returns the median of the distances from the median.
pub(super) fn mad(window: &Window<'_>, _: &[f64], scratch: &mut Scratch) -> f64 {
    if window.values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let median = at(0.5, scratch.sort(window));
    let distances = window.values.iter().map(|v| (v - median).abs());
    at(0.5, scratch.sort_values(distances))
}

fn at(phi: f64, sorted: &[i64]) -> f64 {
    let of = |i: usize| sorted.get(i).map_or(f64::NAN, |key| value(*key));
    between(phi, sorted.len(), of)
}

/// Returns the [`quantile`] of a window of `len` values that is in `ranks`.
pub(in crate::promql) fn quantile_ranked(phi: f64, len: usize, ranks: &Ranks) -> f64 {
    between(phi, len, |i| ranks.at(i))
}

/// Interpolates between the two neighbours of the rank among `len` values in order. `of` gives the
/// value at a position.
fn between(phi: f64, len: usize, of: impl Fn(usize) -> f64) -> f64 {
    if phi.is_nan() || len == 0 {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    let last = len - 1;
    let rank = phi * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    of(lower) * (1.0 - weight) + of(upper) * weight
}
