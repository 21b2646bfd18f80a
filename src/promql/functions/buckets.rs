//! The buckets of a classic histogram at one time: their quantiles, and fractions of observations.

use std::cmp::Ordering;

/// The count of observations up to and including `le`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    pub le: f64,
    pub count: f64,
}

/// Records that counts fell from one bucket to the next and had to be raised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Forced {
    pub first: f64,
    pub last: f64,
    pub most: f64,
}

/// LIMIT: counts that differ by less, relative to their sum, differ by rounding. One real
/// observation is that small only in a bucket of a million millions.
const TOLERANCE: f64 = 1e-12;

/// Adds a bucket to those of lower or equal `le`. Counts of the same `le` add up.
pub(super) fn push(buckets: &mut Vec<Bucket>, bucket: Bucket) {
    match buckets.last_mut() {
        Some(last) if last.le == bucket.le => last.count += bucket.count,
        _ => buckets.push(bucket),
    }
}

/// Interpolates linearly within the bucket that the rank falls into. `buckets` are sorted, and not
/// empty.
pub(super) fn quantile(phi: f64, buckets: &mut [Bucket]) -> (f64, Option<Forced>) {
    if phi.is_nan() {
        return (f64::NAN, None);
    }
    if phi < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if phi > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|last| last.le != f64::INFINITY) {
        return (f64::NAN, None);
    }
    let forced = make_monotonic(buckets);
    (of_monotonic(phi, buckets), forced)
}

fn of_monotonic(phi: f64, buckets: &[Bucket]) -> f64 {
    let [finite @ .., all] = buckets else {
        return f64::NAN;
    };
    let (Some(first), Some(highest)) = (finite.first(), finite.last()) else {
        return f64::NAN;
    };
    if all.count == 0.0 {
        return f64::NAN;
    }
    let rank = phi * all.count;
    let is_below = |bucket: &Bucket| bucket.count.partial_cmp(&rank).is_none_or(Ordering::is_lt);
    let at = finite.partition_point(is_below);
    let Some(bucket) = finite.get(at) else {
        return highest.le;
    };
    match at.checked_sub(1).and_then(|before| finite.get(before)) {
        // Observations are assumed to be positive, unless the lowest bucket says otherwise.
        None if first.le <= 0.0 => first.le,
        None => bucket.le * (rank / bucket.count),
        Some(before) => {
            let share = (rank - before.count) / (bucket.count - before.count);
            before.le + (bucket.le - before.le) * share
        }
    }
}

/// Removes rounding differences, and raises counts that are below the one before.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Forced> {
    let mut forced: Option<Forced> = None;
    let mut before = buckets.first()?.count;
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count == before {
            continue;
        }
        if is_almost(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            let fall = before - bucket.count;
            bucket.count = before;
            let forced = forced.get_or_insert(Forced::at(bucket.le));
            forced.add(Forced {
                most: fall,
                ..Forced::at(bucket.le)
            });
        } else {
            before = bucket.count;
        }
    }
    forced
}

impl Forced {
    fn at(le: f64) -> Forced {
        Forced {
            first: le,
            last: le,
            most: 0.0,
        }
    }

    pub(super) fn add(&mut self, other: Forced) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.most = self.most.max(other.most);
    }
}

fn is_almost(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        difference < TOLERANCE * f64::MIN_POSITIVE
    } else {
        difference / sum.min(f64::MAX) < TOLERANCE
    }
}

/// Returns the fraction of observations between `lower` and `upper`. `buckets` are sorted, and not
/// empty.
pub(super) fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let all = match buckets.last() {
        Some(last) if last.le == f64::INFINITY => last.count,
        _ => return f64::NAN,
    };
    if all == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank(upper, buckets, all) - rank(lower, buckets, all)) / all
}

/// Returns the number of observations below `v`, interpolated linearly within its bucket.
fn rank(v: f64, buckets: &[Bucket], all: f64) -> f64 {
    let mut rank = 0.0;
    let mut le = match buckets.first() {
        Some(first) if first.le > 0.0 => 0.0,
        _ => f64::NEG_INFINITY,
    };
    for bucket in buckets {
        if le >= v {
            return at_most(rank, all);
        }
        if bucket.le > v {
            // An infinite bucket cannot be divided: the lowest counts whole, the highest not at
            // all.
            let inside = if le == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (v - le) / (bucket.le - le)
            };
            return at_most(inside, all);
        }
        rank = bucket.count;
        le = bucket.le;
    }
    all
}

fn at_most(rank: f64, all: f64) -> f64 {
    if rank > all { all } else { rank }
}
