//! Finds where a series' values fall. There a counter was reset.

/// The falls of one series. Reusing it for the next series saves allocations.
#[derive(Debug, Default)]
pub(in crate::promql) struct Falls {
    /// The value before each fall.
    before: Vec<f64>,
    /// The number of falls up to each value. Empty if there are none at all.
    counts: Vec<u32>,
}

impl Falls {
    /// Finds the falls among a series' values.
    pub(in crate::promql) fn find(&mut self, values: &[f64]) {
        self.before.clear();
        self.counts.clear();
        let after = values.get(1..).unwrap_or_default();
        let falls = |(before, v): (&f64, &f64)| v < before;
        // NOTE: most series never fall. Seeing that without a branch per value is quick.
        if !{ values.iter().zip(after) }.fold(false, |any, pair| any | falls(pair)) {
            return;
        }
        // NOTE: no branch here either, since the processor would mispredict it for values that rise
        // and fall. An entry that is no fall is overwritten.
        self.before.resize(values.len(), 0.0);
        let mut count = 0;
        self.counts.push(0);
        self.counts.extend(values.iter().zip(after).map(|pair| {
            if let Some(place) = self.before.get_mut(count as usize) {
                *place = *pair.0;
            }
            count += u32::from(falls(pair));
            count
        }));
        self.before.truncate(count as usize);
    }

    /// Returns the values before the falls between the values at `first` and at `last`, in order.
    #[inline]
    pub(in crate::promql) fn within(&self, first: usize, last: usize) -> &[f64] {
        let counts = self.counts.get(first).zip(self.counts.get(last));
        counts.map_or(&[], |(from, to)| {
            let among = *from as usize..*to as usize;
            self.before.get(among).unwrap_or_default()
        })
    }

    /// The number of bytes kept for the next series.
    pub(super) fn bytes(&self) -> usize {
        self.before.capacity() * size_of::<f64>() + self.counts.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], first: usize, last: usize, expect: &[f64]) {
        let mut falls = Falls::default();
        falls.find(&[3.0, 2.0]);
        falls.find(values);
        assert_eq!(falls.within(first, last), expect, "{values:?} {first}");
    }

    #[test]
    fn table() {
        let nan = f64::NAN;
        check(&[], 0, 0, &[]);
        check(&[1.0, 1.0, 2.0], 0, 2, &[]);
        check(&[5.0, 7.0, 1.0, 0.5, 2.0], 0, 4, &[7.0, 1.0]);
        check(&[5.0, 7.0, 1.0, 0.5, 2.0], 2, 4, &[1.0]);
        check(&[5.0, 7.0, 1.0, 0.5, 2.0], 0, 2, &[7.0]);
        check(&[5.0, 7.0, 1.0, 0.5, 2.0], 3, 4, &[]);
        check(&[5.0, 7.0, 1.0, 0.5, 2.0], 2, 2, &[]);
        check(&[5.0, nan, 1.0, 0.5], 0, 3, &[1.0]);
    }
}
