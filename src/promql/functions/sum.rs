//! Sums that compensate for rounding (Kahan's method, with Neumaier's change).

/// A running sum. [`Sum::value`] gives its result.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub sum: f64,
    /// The rounding error that `sum` lacks.
    pub lost: f64,
}

impl Sum {
    #[inline]
    pub(super) fn add(&mut self, v: f64) {
        let total = self.sum + v;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= v.abs() {
            self.lost += (self.sum - total) + v;
        } else {
            self.lost += (v - total) + self.sum;
        }
        self.sum = total;
    }

    pub(super) fn value(&self) -> f64 {
        self.sum + self.lost
    }
}
