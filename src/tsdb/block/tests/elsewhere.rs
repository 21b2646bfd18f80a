//! Tests that series which another holder has come with their number and without labels, and others
//! with labels.

use std::sync::Mutex;

use super::*;
use crate::model::labels::pairs_of;
use crate::tsdb::block::{Elsewhere, NOWHERE};

/// Has the series of [`labels`] with even numbers, under those numbers. Counts the pairs that it is
/// asked for.
struct Even {
    pairs: Vec<(String, String)>,
    series: Vec<(u32, Vec<u32>)>,
    asked: Mutex<Vec<(String, String)>>,
}

impl Even {
    fn new(count: usize) -> Even {
        let mut even = Even {
            pairs: Vec::new(),
            series: Vec::new(),
            asked: Mutex::default(),
        };
        for i in (0..count).step_by(2) {
            let mut numbers = Vec::new();
            for (name, value) in &labels(i) {
                let pair = (name.to_owned(), value.to_owned());
                let known = even.pairs.iter().position(|of| *of == pair);
                numbers.push(known.unwrap_or(even.pairs.len()) as u32);
                if known.is_none() {
                    even.pairs.push(pair);
                }
            }
            even.series.push((i as u32, numbers));
        }
        even
    }
}

impl Elsewhere for Even {
    fn pairs(&self, pairs: &str, numbers: &mut Vec<u32>) {
        for (name, value) in pairs_of(pairs) {
            let pair = (name.to_owned(), value.to_owned());
            let known = self.pairs.iter().position(|of| *of == pair);
            numbers.push(known.map_or(NOWHERE, |at| at as u32));
            self.asked.lock().unwrap().push(pair);
        }
    }

    fn series(&self, labels: &[u32], ends: &[u32], found: &mut Vec<u32>) {
        let mut start = 0;
        for end in ends {
            let wanted = &labels[start..*end as usize];
            start = *end as usize;
            let known = self.series.iter().find(|(_, of)| of == wanted);
            found.push(known.map_or(NOWHERE, |(i, _)| *i));
        }
    }
}

#[test]
fn what_is_known_elsewhere_comes_as_a_number() {
    let (_root, dir) = disk();
    let count = 300;
    let mut data: Data = (0..count)
        .map(|i| (labels(i), vec![Sample { t: 5, v: i as f64 }]))
        .collect();
    data.sort_by(|a, b| a.0.cmp(&b.0));
    write(&dir, 1, &data).unwrap();
    let block = open(&dir, 1);
    let even = Arc::new(Even::new(count));
    let mut set = block.select(&[], 0, 10).unwrap();
    set.find_in(even.clone());
    for (expected, samples) in &data {
        let series = set.next_series().unwrap().unwrap();
        let i = samples[0].v as u32;
        if i.is_multiple_of(2) {
            assert_eq!(series.elsewhere(), Some(i));
        } else {
            assert_eq!(series.elsewhere(), None);
            assert_eq!(crate::storage::Series::labels(&series), *expected);
        }
        let mut found = Vec::new();
        series.read_samples(0, 10, &mut found).unwrap();
        assert_eq!(found, *samples);
    }
    assert!(set.next_series().is_none());
    let mut asked = even.asked.lock().unwrap().clone();
    let all = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), all, "each pair is looked up once");
}
