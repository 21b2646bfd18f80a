//! How many series have a value at each step, by their labels.
//!
//! A series has values in a few spans of steps, so that to count it are two additions a span,
//! whatever the number of steps.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::quality::RandomState;

use super::row::{Row, absent};
use crate::model::Labels;

/// Of some series, until its rows are taken.
pub struct Tally {
    steps: usize,
    groups: Vec<(Labels, Counts)>,
    /// Where each is in `groups`. Not asked while there is but one.
    numbers: HashMap<Labels, usize, RandomState>,
}

/// At each step and after the last, by how many series there are more than before.
pub struct Counts(Vec<i32>);

impl Tally {
    pub fn new(steps: usize) -> Tally {
        Tally {
            steps,
            groups: Vec::new(),
            numbers: HashMap::default(),
        }
    }

    /// Of the series with these labels.
    pub fn of(&mut self, labels: Labels) -> &mut Counts {
        let new = self.groups.len();
        let number = match self.groups.last() {
            // NOTE: series of one group mostly follow one another.
            Some((last, _)) if *last == labels => new - 1,
            _ => *self.numbers.entry(labels.clone()).or_insert(new),
        };
        if number == new {
            self.groups.push((labels, Counts(vec![0; self.steps + 1])));
        }
        &mut self.groups[number].1
    }

    /// The numbers so far; then it begins anew.
    pub fn rows(&mut self) -> impl Iterator<Item = Row> {
        self.numbers.clear();
        self.groups.drain(..).map(|(labels, counts)| Row {
            labels,
            drops_name: false,
            values: counts.values(),
        })
    }
}

impl Counts {
    pub fn add(&mut self, steps: Range<usize>) {
        self.0[steps.start] += 1;
        self.0[steps.end] -= 1;
    }

    fn values(self) -> Vec<f64> {
        let steps = self.0.len() - 1;
        let mut count = 0;
        let changes = self.0.into_iter().take(steps);
        changes
            .map(|change| {
                count += change;
                if count > 0 {
                    f64::from(count)
                } else {
                    absent()
                }
            })
            .collect()
    }
}
