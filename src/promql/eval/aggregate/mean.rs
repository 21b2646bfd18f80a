//! Means and variances.

use super::fold::{Column, compensated};
use crate::promql::eval::{absent, is_absent};

/// The compensated sum divided by the count. Where the sum would overflow, a running mean.
pub(super) struct Mean {
    count: Vec<f64>,
    /// The sum of the values, or their mean where `running` is true.
    sum: Vec<f64>,
    lost: Vec<f64>,
    /// Empty until a sum overflows.
    running: Vec<bool>,
}

impl Column for Mean {
    const BYTES_PER_STEP: usize = 25;

    fn new(steps: usize) -> Mean {
        Mean {
            count: vec![0.0; steps],
            sum: vec![-0.0; steps],
            lost: vec![0.0; steps],
            running: Vec::new(),
        }
    }

    fn add(&mut self, values: &[f64]) {
        let overflows = |(sum, &v): (&f64, &f64)| (sum + v).is_infinite();
        if !self.running.is_empty() || self.sum.iter().zip(values).any(overflows) {
            self.running.resize(self.sum.len(), false);
            for (step, &v) in values.iter().enumerate() {
                self.add_one(step, v);
            }
            return;
        }
        let columns = self.count.iter_mut().zip(&mut self.sum).zip(&mut self.lost);
        for (((count, sum), lost), &v) in columns.zip(values) {
            let (after, with) = compensated(*sum, *lost, v);
            let present = !is_absent(v);
            *count += if present { 1.0 } else { 0.0 };
            *sum = if present { after } else { *sum };
            *lost = if present { with } else { *lost };
        }
    }

    fn finish(mut self) -> Vec<f64> {
        for (step, sum) in self.sum.iter_mut().enumerate() {
            let (count, lost) = (self.count[step], self.lost[step]);
            *sum = if count == 0.0 {
                absent()
            } else if self.running.get(step) == Some(&true) {
                *sum + lost
            } else {
                *sum / count + lost / count
            };
        }
        self.sum
    }
}

impl Mean {
    fn add_one(&mut self, step: usize, v: f64) {
        if is_absent(v) {
            return;
        }
        let (count, sum, lost) = (
            &mut self.count[step],
            &mut self.sum[step],
            &mut self.lost[step],
        );
        *count += 1.0;
        if *count == 1.0 {
            (*sum, *lost) = (v, 0.0);
            return;
        }
        let running = &mut self.running[step];
        if !*running {
            let (after, with) = compensated(*sum, *lost, v);
            if !after.is_infinite() {
                (*sum, *lost) = (after, with);
                return;
            }
            *running = true;
            *sum /= *count - 1.0;
            *lost /= *count - 1.0;
        }
        let share = (*count - 1.0) / *count;
        (*sum, *lost) = compensated(share * *sum, share * *lost, v / *count);
    }
}

/// Welford's variance, or with `ROOT` its square root.
pub(super) struct Variance<const ROOT: bool> {
    count: Vec<f64>,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl<const ROOT: bool> Column for Variance<ROOT> {
    const BYTES_PER_STEP: usize = 24;

    fn new(steps: usize) -> Variance<ROOT> {
        Variance {
            count: vec![0.0; steps],
            mean: vec![0.0; steps],
            squares: vec![0.0; steps],
        }
    }

    fn add(&mut self, values: &[f64]) {
        let columns = self.count.iter_mut().zip(&mut self.mean);
        for (((count, mean), squares), &v) in columns.zip(&mut self.squares).zip(values) {
            if is_absent(v) {
                continue;
            }
            *count += 1.0;
            if *count == 1.0 {
                *mean = v;
                *squares = if v.is_finite() { 0.0 } else { f64::NAN };
                continue;
            }
            let delta = v - *mean;
            *mean += delta / *count;
            *squares += delta * (v - *mean);
        }
    }

    fn finish(mut self) -> Vec<f64> {
        for (squares, &count) in self.squares.iter_mut().zip(&self.count) {
            *squares = match *squares / count {
                _ if count == 0.0 => absent(),
                variance if ROOT => variance.sqrt(),
                variance => variance,
            };
        }
        self.squares
    }
}
