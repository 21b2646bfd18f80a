//! Counts the series with a value at each step, by their labels.
//!
//! A series has values in a few spans of steps. Counting it takes two additions per span, whatever
//! the number of steps.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::quality::RandomState;

use super::row::{Row, absent};
use crate::model::Labels;

/// The counts of some series, until its rows are taken.
pub struct Tally {
    steps: usize,
    groups: Vec<(Labels, Counts)>,
    /// Each label set's index in `groups`. Not used while there is only one.
    numbers: HashMap<Labels, usize, RandomState>,
}

/// How many more series there are than at the step before, for each step and for the end.
pub struct Counts(Vec<i32>);

impl Tally {
    pub fn new(steps: usize) -> Tally {
        Tally {
            steps,
            groups: Vec::new(),
            numbers: HashMap::default(),
        }
    }

    /// Returns the counts of the series with these labels.
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

    /// Takes the counts so far as rows, and starts afresh.
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
