//! Finds which series of a block another holder of series has too, by numbers instead of texts.
//!
//! A block numbers its pairs of label names and values, and so does the other holder. Each pair's
//! text is looked up there once and its number remembered. A series is then looked up as a list of
//! such numbers, without making the texts of its labels.

use std::collections::HashMap;
use std::sync::Arc;

use super::texts::Speller;
use super::{Block, BlockError};

/// The number of a pair or a series that is not there.
pub const NOWHERE: u32 = u32::MAX;

/// Another holder's series, and the numbers of their pairs.
pub trait Elsewhere: Send + Sync {
    /// Appends the number of each of `pairs`, which have the form of `Labels`. The same text has
    /// the same number as long as this lives.
    fn pairs(&self, pairs: &str, numbers: &mut Vec<u32>);

    /// Appends the number of each series. `labels` are the numbers of their pairs, and `ends` the
    /// end of each series in it.
    fn series(&self, labels: &[u32], ends: &[u32], found: &mut Vec<u32>);
}

/// LIMIT: pairs that are remembered, 10 bytes each, besides those of a batch.
const PAIRS_MAX: usize = 16 << 10;

/// Looks series up elsewhere, a batch at a time.
pub struct Finder {
    elsewhere: Arc<dyn Elsewhere>,
    /// Numbers elsewhere, by a pair's number in the block.
    known: HashMap<u32, u32, foldhash::fast::RandomState>,
    /// The numbers of the batch's pairs in the block, and the end of each series.
    labels: Vec<u32>,
    ends: Vec<u32>,
    /// Pairs of the batch that are not known yet.
    new: Vec<u32>,
    new_texts: String,
    /// The numbers of `labels` elsewhere.
    numbers: Vec<u32>,
}

impl Finder {
    pub fn new(elsewhere: Arc<dyn Elsewhere>) -> Finder {
        Finder {
            elsewhere,
            known: HashMap::default(),
            labels: Vec::new(),
            ends: Vec::new(),
            new: Vec::new(),
            new_texts: String::new(),
            numbers: Vec::new(),
        }
    }

    /// Forgets the batch before.
    pub fn begin(&mut self) {
        if self.known.len() > PAIRS_MAX {
            self.known.clear();
        }
        self.labels.clear();
        self.ends.clear();
    }

    /// Adds a series with these pairs to the batch. It adds nothing if one of them cannot be read.
    pub fn add(
        &mut self,
        block: &Block,
        pairs: &[u32],
        speller: &mut Speller,
    ) -> Result<(), BlockError> {
        // NOTE: series come in order of labels, so most pairs stand where the last one has them.
        let start = self.ends.iter().nth_back(1).map_or(0, |end| *end as usize);
        for (place, pair) in pairs.iter().enumerate() {
            let is_as_before = self.labels.get(start + place) == Some(pair);
            if !is_as_before && !self.known.contains_key(pair) {
                speller.push_pair(block, *pair, &mut self.new_texts)?;
                self.new.push(*pair);
                self.known.insert(*pair, NOWHERE);
            }
        }
        self.labels.extend_from_slice(pairs);
        self.ends.push(self.labels.len() as u32);
        Ok(())
    }

    /// Appends the number of each series of the batch.
    pub fn find(&mut self, found: &mut Vec<u32>) {
        let numbers = &mut self.numbers;
        numbers.clear();
        if !self.new.is_empty() {
            self.elsewhere.pairs(&self.new_texts, numbers);
            self.known.extend(self.new.drain(..).zip(numbers.drain(..)));
            self.new_texts.clear();
        }
        let (mut before, mut start) = (0, 0);
        for end in &self.ends {
            let end = *end as usize;
            for at in start..end {
                let pair = self.labels[at];
                let same = before + (at - start);
                let number = if same < start && self.labels[same] == pair {
                    numbers[same]
                } else {
                    self.known.get(&pair).copied().unwrap_or(NOWHERE)
                };
                numbers.push(number);
            }
            (before, start) = (start, end);
        }
        self.elsewhere.series(numbers, &self.ends, found);
    }

    /// Returns the pairs of a series of the batch.
    pub fn pairs(&self, at: usize) -> &[u32] {
        let end_of = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        let start = at.checked_sub(1).map_or(0, end_of);
        self.labels.get(start..end_of(at)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs = self.known.len();
        f.debug_struct("Finder")
            .field("pairs", &pairs)
            .finish_non_exhaustive()
    }
}
