//! Aggregations that keep a few numbers per group and step.

use super::groups::projection;
use crate::promql::QueryError;
use crate::promql::eval::buffered::Buffered;
use crate::promql::eval::projection::Groups;
use crate::promql::eval::{Row, Rows, Run, absent, is_absent};
use crate::promql::parser::Aggregate;

/// A group's numbers at every step.
pub(super) trait Column: Sized {
    /// The bytes that a group takes per step.
    const BYTES_PER_STEP: usize;

    fn new(steps: usize) -> Self;

    /// Adds one value per step. [`absent`] adds nothing.
    fn add(&mut self, values: &[f64]);

    fn finish(self) -> Vec<f64>;
}

/// Adds up counts that were made of parts of the series.
///
/// # Errors
/// A limit; those of `input`.
pub(in crate::promql::eval) fn totals<'q>(
    node: &Aggregate,
    input: Box<dyn Rows + 'q>,
    steps: usize,
    run: &mut Run<'_>,
) -> Result<Buffered, QueryError> {
    fold::<Total>(node, input, steps, run)
}

/// Runs all series through the columns of their groups.
pub(super) fn fold<'q, C: Column>(
    node: &Aggregate,
    mut input: Box<dyn Rows + 'q>,
    steps: usize,
    run: &mut Run<'_>,
) -> Result<Buffered, QueryError> {
    let mut groups = Groups::new(projection(node));
    let mut columns: Vec<(C, bool)> = Vec::new();
    let bytes = size_of::<(C, bool)>() + C::BYTES_PER_STEP * steps;
    while let Some(row) = input.next(run)? {
        run.check()?;
        let group = groups.number(&row.labels);
        if group == columns.len() {
            run.hold(0, bytes)?;
            columns.push((C::new(steps), false));
        }
        if let Some((column, drops_name)) = columns.get_mut(group) {
            column.add(&row.values);
            *drops_name |= row.drops_name;
        }
    }
    run.release(0, bytes * columns.len());
    let mut rows = Vec::with_capacity(columns.len());
    for (group, (column, drops_name)) in columns.into_iter().enumerate() {
        let values = column.finish();
        if values.iter().any(|v| !is_absent(*v)) {
            rows.push(Row {
                labels: groups.labels(group),
                drops_name,
                values,
            });
        }
    }
    Buffered::new(rows, run)
}

/// The number of steps that are summed without a look at each.
const STRETCH: usize = 64;

/// A sum with Neumaier's compensation.
pub(super) struct Sum {
    sum: Vec<f64>,
    lost: Vec<f64>,
}

impl Column for Sum {
    const BYTES_PER_STEP: usize = 16;

    fn new(steps: usize) -> Sum {
        Sum {
            sum: vec![absent(); steps],
            lost: vec![0.0; steps],
        }
    }

    fn add(&mut self, values: &[f64]) {
        let columns = { self.sum.chunks_mut(STRETCH) }.zip(self.lost.chunks_mut(STRETCH));
        for ((sums, lost), values) in columns.zip(values.chunks(STRETCH)) {
            // NOTE: a finite sum has no absent part. Mostly all are finite, and then no value needs
            // a look.
            let pairs = sums.iter().zip(values);
            if pairs.fold(true, |all, (sum, v)| all & (sum + v).is_finite()) {
                add_finite(sums, lost, values);
            } else {
                add_any(sums, lost, values);
            }
        }
    }

    fn finish(mut self) -> Vec<f64> {
        for (sum, lost) in self.sum.iter_mut().zip(&self.lost) {
            *sum = if is_absent(*sum) { *sum } else { *sum + lost };
        }
        self.sum
    }
}

/// Adds values whose sums are finite.
fn add_finite(sums: &mut [f64], lost: &mut [f64], values: &[f64]) {
    for ((sum, lost), &v) in sums.iter_mut().zip(lost).zip(values) {
        let after = *sum + v;
        *lost += rounded(*sum, v, after);
        *sum = after;
    }
}

fn add_any(sums: &mut [f64], lost: &mut [f64], values: &[f64]) {
    for ((sum, lost), &v) in sums.iter_mut().zip(lost).zip(values) {
        // NOTE: -0 leaves every first value unchanged, including 0 and -0.
        let before = if is_absent(*sum) { -0.0 } else { *sum };
        let (after, with) = compensated(before, *lost, v);
        let present = !is_absent(v);
        *sum = if present { after } else { *sum };
        *lost = if present { with } else { *lost };
    }
}

/// Adds `v` to a sum, and to `lost` what rounding takes from it.
#[inline]
pub(super) fn compensated(sum: f64, lost: f64, v: f64) -> (f64, f64) {
    let after = sum + v;
    let lost = if after.is_infinite() {
        0.0
    } else {
        lost + rounded(sum, v, after)
    };
    (after, lost)
}

/// Returns what rounding took from `sum + v`, which gave `after`.
#[inline]
fn rounded(sum: f64, v: f64, after: f64) -> f64 {
    if sum.abs() >= v.abs() {
        (sum - after) + v
    } else {
        (v - after) + sum
    }
}

/// The least of all values. NaN gives way to any.
pub(super) struct Least(Vec<f64>);

impl Column for Least {
    const BYTES_PER_STEP: usize = 8;

    fn new(steps: usize) -> Least {
        Least(vec![absent(); steps])
    }

    fn add(&mut self, values: &[f64]) {
        for (least, &v) in self.0.iter_mut().zip(values) {
            let better = (*least > v) | least.is_nan();
            *least = if better & !is_absent(v) { v } else { *least };
        }
    }

    fn finish(self) -> Vec<f64> {
        self.0
    }
}

/// The greatest of all values. NaN gives way to any.
pub(super) struct Greatest(Vec<f64>);

impl Column for Greatest {
    const BYTES_PER_STEP: usize = 8;

    fn new(steps: usize) -> Greatest {
        Greatest(vec![absent(); steps])
    }

    fn add(&mut self, values: &[f64]) {
        for (greatest, &v) in self.0.iter_mut().zip(values) {
            let better = (*greatest < v) | greatest.is_nan();
            *greatest = if better & !is_absent(v) { v } else { *greatest };
        }
    }

    fn finish(self) -> Vec<f64> {
        self.0
    }
}

pub(super) struct Count(Vec<f64>);

impl Column for Count {
    const BYTES_PER_STEP: usize = 8;

    fn new(steps: usize) -> Count {
        Count(vec![0.0; steps])
    }

    fn add(&mut self, values: &[f64]) {
        for (count, &v) in self.0.iter_mut().zip(values) {
            *count += if is_absent(v) { 0.0 } else { 1.0 };
        }
    }

    fn finish(mut self) -> Vec<f64> {
        for count in &mut self.0 {
            *count = if *count > 0.0 { *count } else { absent() };
        }
        self.0
    }
}

/// A sum of whole numbers, which is exact in any order.
struct Total(Vec<f64>);

impl Column for Total {
    const BYTES_PER_STEP: usize = 8;

    fn new(steps: usize) -> Total {
        Total(vec![absent(); steps])
    }

    fn add(&mut self, values: &[f64]) {
        for (total, &v) in self.0.iter_mut().zip(values) {
            let sum = if is_absent(*total) { v } else { *total + v };
            *total = if is_absent(v) { *total } else { sum };
        }
    }

    fn finish(self) -> Vec<f64> {
        self.0
    }
}

/// 1 where any series has a value.
pub(super) struct Presence(Vec<f64>);

impl Column for Presence {
    const BYTES_PER_STEP: usize = 8;

    fn new(steps: usize) -> Presence {
        Presence(vec![absent(); steps])
    }

    fn add(&mut self, values: &[f64]) {
        for (present, &v) in self.0.iter_mut().zip(values) {
            *present = if is_absent(v) { *present } else { 1.0 };
        }
    }

    fn finish(self) -> Vec<f64> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = f64> {
        let odd = vec![absent(), f64::NAN, f64::INFINITY, -0.0, 1.7e308, -1.7e308];
        prop_oneof![
            300 => -1e3..1e3,
            50 => -1e17..1e17,
            1 => prop::sample::select(odd),
        ]
    }

    proptest! {
        #[test]
        fn sums_of_many_steps_are_those_of_each(
            rows in prop::collection::vec(prop::collection::vec(any_value(), 150), 1..6),
        ) {
            let mut sum = Sum::new(150);
            let mut each = Sum::new(150);
            for row in &rows {
                sum.add(row);
                add_any(&mut each.sum, &mut each.lost, row);
            }
            let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            prop_assert_eq!(bits(sum.finish()), bits(each.finish()));
        }
    }
}
