//! Finds rows of a selection by labels: which series of the head is a series of a block.
//!
//! Labels are compared as lists of numbers of the head's pairs. So each pair's text is looked up
//! once for many series, and a series is found by a few numbers. A lookup is made for one query and
//! ends with it, so it need not be kept in step with the head or the blocks.
//!
//! **Invariant:** only pairs of rows count. The view keeps these rows, hence their pairs. Any other
//! number may be another pair's at the next look.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::HashTable;

use super::lock::State;
use super::series_batch::Selection;
use crate::model::labels::pairs_of;
use crate::storage::StorageError;
use crate::tsdb::block::{Elsewhere, NOWHERE};

/// LIMIT: rows visited per hold of the lock, some 100 µs.
const ROWS_AT_ONCE: usize = 4096;

pub struct Lookup {
    of: Arc<Selection>,
    /// Rows by a hash of their pairs' numbers, some seven bytes each.
    table: HashTable<u32>,
    /// A bit for each pair: whether a row has it.
    pairs: Vec<u64>,
    hasher: foldhash::fast::RandomState,
}

impl Lookup {
    pub fn new(of: &Arc<Selection>) -> Result<Lookup, StorageError> {
        let mut lookup = Lookup {
            of: of.clone(),
            table: HashTable::with_capacity(of.len()),
            pairs: Vec::new(),
            hasher: foldhash::fast::RandomState::default(),
        };
        for from in (0..of.len()).step_by(ROWS_AT_ONCE) {
            let state = of.pin.head.lock()?;
            for row in from..of.len().min(from + ROWS_AT_ONCE) {
                lookup.add(&state, row as u32);
            }
        }
        Ok(lookup)
    }

    fn add(&mut self, state: &State, row: u32) {
        let numbers = numbers_of(&self.of, state, row);
        for number in numbers {
            let word = *number as usize / 64;
            if word >= self.pairs.len() {
                self.pairs.resize(word + 1, 0);
            }
            self.pairs[word] |= 1 << (number % 64);
        }
        let (hasher, of) = (&self.hasher, &self.of);
        let hash_of = |row: &u32| hasher.hash_one(numbers_of(of, state, *row));
        { &mut self.table }.insert_unique(hasher.hash_one(numbers), row, hash_of);
    }

    fn has_pair(&self, number: u32) -> bool {
        let word = self.pairs.get(number as usize / 64);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

fn numbers_of<'s>(of: &Selection, state: &'s State, row: u32) -> &'s [u32] {
    state.slab.pairs(of.rows.places[row as usize])
}

impl Elsewhere for Lookup {
    fn pairs(&self, pairs: &str, numbers: &mut Vec<u32>) {
        // NOTE: a closed head ends the process, or the next read of a row reports it.
        let state = self.of.pin.head.lock().ok();
        for (name, value) in pairs_of(pairs) {
            let pair = { state.as_ref() }.and_then(|state| {
                let name = state.index.name(name)?;
                state.index.pair(name, value)
            });
            let used = pair.filter(|pair| self.has_pair(*pair));
            numbers.push(used.unwrap_or(NOWHERE));
        }
    }

    fn series(&self, labels: &[u32], ends: &[u32], found: &mut Vec<u32>) {
        let state = self.of.pin.head.lock().ok();
        let mut start = 0;
        for end in ends {
            let wanted = labels.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            let row = { state.as_ref() }.and_then(|state| {
                if wanted.contains(&NOWHERE) {
                    return None;
                }
                let same = |row: &u32| numbers_of(&self.of, state, *row) == wanted;
                self.table.find(self.hasher.hash_one(wanted), same)
            });
            found.push(row.copied().unwrap_or(NOWHERE));
        }
    }
}
