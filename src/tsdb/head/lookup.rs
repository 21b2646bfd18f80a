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

    /// Returns a row that may have these pairs.
    fn guess(&self, wanted: &[u32]) -> u32 {
        if wanted.contains(&NOWHERE) {
            return NOWHERE;
        }
        let row = self.table.find(self.hasher.hash_one(wanted), |_| true);
        row.copied().unwrap_or(NOWHERE)
    }

    /// Returns the row that has these pairs.
    fn find(&self, state: &State, wanted: &[u32]) -> u32 {
        let same = |row: &u32| is_same(numbers_of(&self.of, state, *row), wanted);
        let row = self.table.find(self.hasher.hash_one(wanted), same);
        row.copied().unwrap_or(NOWHERE)
    }

    fn has_pair(&self, number: u32) -> bool {
        let word = self.pairs.get(number as usize / 64);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

fn numbers_of<'s>(of: &Selection, state: &'s State, row: u32) -> &'s [u32] {
    state.slab.pairs(of.rows.places[row as usize])
}

/// NOTE: faster for a few numbers than a call that compares bytes.
fn is_same(a: &[u32], b: &[u32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
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

    /// NOTE: in steps, each for all series. So the processor waits once for the memory of many
    /// rows, which lie anywhere. Most guesses are right, as a table keeps some bits of each hash.
    fn series(&self, labels: &[u32], ends: &[u32], found: &mut Vec<u32>) {
        let first = found.len();
        let wanted = |at: usize| {
            let start = at.checked_sub(1).map_or(0, |before| ends[before]);
            &labels[start as usize..ends[at] as usize]
        };
        found.extend((0..ends.len()).map(|at| self.guess(wanted(at))));
        let Ok(state) = self.of.pin.head.lock() else {
            return found[first..].fill(NOWHERE);
        };
        let rows = &self.of.rows.places;
        let of_row = |row: &u32| {
            rows.get(*row as usize)
                .map_or(&[][..], |at| state.slab.pairs(*at))
        };
        let known: Vec<&[u32]> = found[first..].iter().map(of_row).collect();
        for ((at, row), known) in found[first..].iter_mut().enumerate().zip(known) {
            if *row != NOWHERE && !is_same(known, wanted(at)) {
                *row = self.find(&state, wanted(at));
            }
        }
    }
}
