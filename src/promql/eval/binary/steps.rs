//! A set of steps.

use crate::promql::eval::is_absent;

/// One bit per step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Steps(Vec<u64>);

impl Steps {
    pub fn none(steps: usize) -> Steps {
        Steps(vec![0; steps.div_ceil(64)])
    }

    /// Returns the steps that have a value.
    pub fn of(values: &[f64]) -> Steps {
        let mut steps = Steps::none(values.len());
        steps.add(values);
        steps
    }

    /// The bytes of a set.
    pub fn bytes(steps: usize) -> usize {
        size_of::<Steps>() + steps.div_ceil(64) * size_of::<u64>()
    }

    pub fn has(&self, step: usize) -> bool {
        self.0
            .get(step / 64)
            .is_some_and(|word| word >> (step % 64) & 1 == 1)
    }

    pub fn insert(&mut self, step: usize) {
        if let Some(word) = self.0.get_mut(step / 64) {
            *word |= 1 << (step % 64);
        }
    }

    /// Adds the other's steps. Returns whether one of them was there before.
    pub fn unite(&mut self, other: &Steps) -> bool {
        let mut twice = false;
        for (word, bits) in self.0.iter_mut().zip(&other.0) {
            twice |= *word & bits != 0;
            *word |= bits;
        }
        twice
    }

    /// Adds the steps that have no value.
    pub fn add_absent(&mut self, values: &[f64]) {
        for (step, _) in values.iter().enumerate().filter(|(_, v)| is_absent(**v)) {
            self.insert(step);
        }
    }

    /// Adds the steps that have a value. Returns whether one of them was there before.
    pub fn add(&mut self, values: &[f64]) -> bool {
        let mut twice = false;
        for (word, values) in self.0.iter_mut().zip(values.chunks(64)) {
            let mut bits = 0;
            for (i, v) in values.iter().enumerate() {
                bits |= u64::from(!is_absent(*v)) << i;
            }
            twice |= *word & bits != 0;
            *word |= bits;
        }
        twice
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::eval::absent;

    #[test]
    fn steps_are_added_and_found() {
        let mut values = vec![absent(); 130];
        (values[0], values[63], values[129]) = (1.0, 0.0, f64::NAN);
        let mut steps = Steps::none(130);
        assert!(!steps.add(&values));
        let found: Vec<usize> = (0..200).filter(|i| steps.has(*i)).collect();
        assert_eq!(found, [0, 63, 129]);
        (values[0], values[63], values[129]) = (absent(), absent(), absent());
        values[64] = 1.0;
        assert!(!steps.add(&values));
        assert!(steps.add(&values));
    }
}
