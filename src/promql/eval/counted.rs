//! Which steps of a subquery count as reading samples.
//!
//! A subquery is evaluated at all its steps, from the first window over it to the last. If windows
//! lie apart, no window uses the steps between them. What such a step looked at is not told.

use std::ops::Range;
use std::sync::Arc;

use super::grid::Grid;
use super::reach::Reach;
use super::row::is_absent;

/// The steps of a grid that count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted(
    /// A bit for each step; `None` where all count.
    Option<Arc<[u64]>>,
);

impl Counted {
    /// Returns the steps of `inner` that count: those in a window of a step that counts. `reach`
    /// and `range_ms` are the windows' at `steps` steps.
    pub fn within(
        inner: Grid,
        (reach, range_ms, steps): (Reach, i64, usize),
        outer: &Counted,
    ) -> Counted {
        let has_gaps = steps > 1 && reach.stride > range_ms;
        if !has_gaps && outer.is_all() {
            return Counted::default();
        }
        let mut bits = vec![0; inner.steps.div_ceil(64)];
        for step in 0..inner.steps {
            let t = inner.time(step);
            // The first window that does not end before.
            let after = t.saturating_sub(reach.first).max(0) as u64;
            let number = after.div_ceil(reach.stride.max(1) as u64);
            let number = usize::try_from(number).map_or(steps, |number| number.min(steps - 1));
            let end = (number as i64).saturating_mul(reach.stride);
            let end = reach.first.saturating_add(end);
            if t > end.saturating_sub(range_ms) && outer.has(number) {
                bits[step / 64] |= 1 << (step % 64);
            }
        }
        Counted(Some(bits.into()))
    }

    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    pub fn has(&self, step: usize) -> bool {
        self.0.as_ref().is_none_or(|bits| {
            let word = bits.get(step / 64);
            word.is_some_and(|word| word >> (step % 64) & 1 == 1)
        })
    }

    /// The number of `steps` that count.
    pub fn among(&self, steps: Range<usize>) -> usize {
        if self.is_all() {
            return steps.len();
        }
        steps.filter(|step| self.has(*step)).count()
    }

    /// The number of steps with a value that count, of `present` steps with a value.
    pub fn among_present(&self, values: &[f64], present: usize) -> usize {
        if self.is_all() {
            return present;
        }
        let steps = values.iter().enumerate();
        { steps.filter(|(step, v)| !is_absent(**v) && self.has(*step)) }.count()
    }

    pub fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |bits| size_of_val(&**bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Subquery steps every 10 up to the last window's end, of which these count.
    fn check(first: i64, windows: (i64, i64, usize), outer: &Counted, expect: &[i64]) -> Counted {
        let (stride, range_ms, steps) = windows;
        let last = first + stride * (steps as i64 - 1);
        let inner = Grid::between(0, last, 10);
        let reach = Reach {
            first,
            stride,
            last,
        };
        let counted = Counted::within(inner, (reach, range_ms, steps), outer);
        let times = (0..inner.steps).filter(|step| counted.has(*step));
        let times: Vec<i64> = times.map(|step| inner.time(step)).collect();
        assert_eq!(times, expect);
        assert_eq!(counted.among(0..inner.steps), expect.len());
        counted
    }

    #[test]
    fn table() {
        let all = Counted::default();
        check(0, (30, 30, 3), &all, &[0, 10, 20, 30, 40, 50, 60]);
        check(5, (0, 10, 1), &all, &[0]);
        check(20, (0, 30, 4), &all, &[0, 10, 20]);
        check(0, (100, 10, 2), &all, &[0, 100]);
        check(5, (30, 5, 3), &all, &[]);
        check(5, (30, 6, 3), &all, &[0, 30, 60]);
        let outer = check(0, (30, 20, 3), &all, &[0, 20, 30, 50, 60]);
        check(0, (10, 10, 7), &outer, &[0, 20, 30, 50, 60]);
        check(5, (10, 6, 7), &outer, &[0, 20, 30, 50, 60]);
    }
}
