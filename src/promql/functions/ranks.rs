//! Quantiles of overlapping windows. A series' samples are ranked once. A window is a set of ranks,
//! where a sample comes or goes by setting a bit.

use super::scratch::{Key, key, value};

/// The number of ranks in a word; `BLOCK` has that of a block of words that are counted together.
const WORD: usize = 64;
const BLOCK: usize = 16 * WORD;

/// The ranks within a window. Reusing it for the next series saves allocations.
#[derive(Debug, Default)]
pub(in crate::promql) struct Ranks {
    /// All values of the series in order, each with its sample's index.
    sorted: Vec<(Key, u32)>,
    /// Each sample's position in `sorted`.
    ranks: Vec<u32>,
    /// One bit per rank.
    words: Vec<u64>,
    /// The number of set bits in each block.
    blocks: Vec<u32>,
}

impl Ranks {
    /// Ranks a series' values. The window is empty then.
    pub(in crate::promql) fn reset(&mut self, values: &[f64]) {
        let keys = values.iter().enumerate();
        self.sorted.clear();
        self.sorted.extend(keys.map(|(i, v)| (key(*v), i as u32)));
        self.sorted.sort_unstable();
        self.ranks.clear();
        self.ranks.resize(values.len(), 0);
        for (rank, (_, i)) in self.sorted.iter().enumerate() {
            if let Some(slot) = self.ranks.get_mut(*i as usize) {
                *slot = rank as u32;
            }
        }
        self.words.clear();
        self.words
            .resize(values.len().div_ceil(BLOCK) * (BLOCK / WORD), 0);
        self.blocks.clear();
        self.blocks.resize(values.len().div_ceil(BLOCK), 0);
    }

    #[inline]
    pub(in crate::promql) fn enter(&mut self, sample: usize) {
        let rank = self.ranks[sample] as usize;
        self.words[rank / WORD] |= 1 << (rank % WORD);
        self.blocks[rank / BLOCK] += 1;
    }

    #[inline]
    pub(in crate::promql) fn leave(&mut self, sample: usize) {
        let rank = self.ranks[sample] as usize;
        self.words[rank / WORD] &= !(1 << (rank % WORD));
        self.blocks[rank / BLOCK] -= 1;
    }

    /// Returns the window's value at position `place`, in order of values.
    pub(super) fn at(&self, place: usize) -> f64 {
        let mut left = place as u32;
        let mut block = 0;
        while let Some(count) = self.blocks.get(block)
            && left >= *count
        {
            left -= count;
            block += 1;
        }
        let from = block * (BLOCK / WORD);
        let words = self.words.get(from..).unwrap_or_default();
        for (i, word) in words.iter().enumerate() {
            let count = word.count_ones();
            if left >= count {
                left -= count;
                continue;
            }
            let mut rest = *word;
            for _ in 0..left {
                rest &= rest - 1;
            }
            let rank = (from + i) * WORD + rest.trailing_zeros() as usize;
            return { self.sorted.get(rank) }.map_or(f64::NAN, |(key, _)| value(*key));
        }
        f64::NAN
    }

    /// The number of bytes kept for the next series.
    pub(super) fn bytes(&self) -> usize {
        self.sorted.capacity() * size_of::<(Key, u32)>()
            + self.ranks.capacity() * size_of::<u32>()
            + self.words.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides_over_ranks() {
        let value = |i: usize| match i * 7_919 % 1_003 {
            0..10 => f64::NAN,
            n => (n / 3) as f64 - 100.0,
        };
        let values: Vec<f64> = (0..5_000).map(value).collect();
        let mut ranks = Ranks::default();
        for len in [1, 2, 240, 2_500] {
            ranks.reset(&values);
            (0..len).for_each(|i| ranks.enter(i));
            for from in 0..50 {
                let window = &values[from..from + len];
                let mut sorted: Vec<Key> = window.iter().map(|v| key(*v)).collect();
                sorted.sort_unstable();
                for place in [0, len / 3, len - 1] {
                    let expect = super::value(sorted[place]);
                    assert_eq!(ranks.at(place).to_bits(), expect.to_bits(), "{len} {from}");
                }
                ranks.leave(from);
                ranks.enter(from + len);
            }
        }
        assert!(ranks.at(2_500).is_nan());
    }
}
