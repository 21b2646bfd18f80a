//! Scalars at every step: literals, `time()`, `scalar()`.

use super::grid::Grid;
use super::operand::Scalars;
use super::row::is_absent;
use super::rows::Rows;
use super::run::Run;
use crate::promql::error::QueryError;

impl Scalars {
    /// Returns the steps' times, in seconds.
    pub fn times(grid: Grid) -> Scalars {
        let seconds = |step| grid.time(step) as f64 / 1000.0;
        match grid.steps {
            1 => Scalars::Constant(seconds(0)),
            steps => Scalars::Each((0..steps).map(seconds).collect()),
        }
    }

    pub fn map(self, f: impl Fn(f64) -> f64) -> Scalars {
        match self {
            Scalars::Constant(v) => Scalars::Constant(f(v)),
            Scalars::Each(mut values) => {
                for v in &mut values {
                    *v = f(*v);
                }
                Scalars::Each(values)
            }
        }
    }

    pub fn zip(&self, other: &Scalars, steps: usize, f: impl Fn(f64, f64) -> f64) -> Scalars {
        match (self, other) {
            (Scalars::Constant(a), Scalars::Constant(b)) => Scalars::Constant(f(*a, *b)),
            _ => Scalars::Each((0..steps).map(|i| f(self.at(i), other.at(i))).collect()),
        }
    }

    pub fn into_values(self, steps: usize) -> Vec<f64> {
        match self {
            Scalars::Constant(v) => vec![v; steps],
            Scalars::Each(values) => values,
        }
    }

    /// Returns the value of the only series at each step, or NaN if there is none or more than one.
    pub fn only(
        rows: &mut dyn Rows,
        steps: usize,
        run: &mut Run<'_>,
    ) -> Result<Scalars, QueryError> {
        let bytes = steps * (size_of::<f64>() + 1);
        run.hold(steps, bytes)?;
        let mut values = vec![f64::NAN; steps];
        let mut taken = vec![false; steps];
        while let Some(row) = rows.next(run)? {
            for ((slot, taken), value) in values.iter_mut().zip(&mut taken).zip(&row.values) {
                if !is_absent(*value) {
                    *slot = if *taken { f64::NAN } else { *value };
                    *taken = true;
                }
            }
        }
        run.release(steps, bytes);
        Ok(Scalars::Each(values))
    }
}

/// Returns Go's `math.Min`: NaN if either is NaN, and -0 is below 0.
pub fn min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == b {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}

/// Returns Go's `math.Max`.
pub fn max(a: f64, b: f64) -> f64 {
    -min(-a, -b)
}
