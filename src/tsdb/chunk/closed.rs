//! A closed chunk: bits in the pool that no longer change.

use super::gather::Gather;
use super::header::{HEADER_BYTES, Mode};
use super::open::{Open, after};
use super::pool::{Chain, Pool};
use crate::model::TimestampMs;

/// A closed chunk. Its bits are always in the same [`Pool`], and only [`Chunk::release`] gives them
/// back.
#[derive(Debug)]
pub struct Chunk {
    pub(super) words: Chain,
    /// The number of valid bits in the last word, which is stored in full.
    pub(super) bits: u16,
    pub(super) mode: Mode,
    pub(super) count: u8,
}

impl Chunk {
    /// Returns the time of the first sample.
    pub fn first_t(&self, pool: &Pool) -> TimestampMs {
        // NOTE: no chunk is without a sample.
        pool.first(&self.words)
            .map_or(TimestampMs::MAX, |t| t as i64)
    }

    /// Appends the chunk's bytes.
    pub fn copy_to(&self, pool: &Pool, out: &mut Vec<u8>) {
        let bytes = usize::from(self.bits).div_ceil(8);
        out.reserve(HEADER_BYTES + bytes);
        out.extend([self.mode as u8, self.count]);
        pool.copy_to(&self.words, bytes, out);
    }

    /// Adds the chunk to those that are copied together.
    pub fn add_to(&self, gather: &mut Gather) {
        let bytes = usize::from(self.bits).div_ceil(8);
        gather.add([self.mode as u8, self.count], (&self.words, bytes), &[]);
    }

    /// Drops the samples up to `through`. There must be newer ones.
    pub fn keep_after(&mut self, pool: &mut Pool, through: TimestampMs) {
        let mut bytes = Vec::new();
        self.copy_to(pool, &mut bytes);
        let mut kept = Open::default();
        for sample in after(&bytes, through) {
            kept.append(pool, sample.t, sample.v);
        }
        std::mem::replace(self, kept.close(pool)).release(pool);
    }

    pub fn release(mut self, pool: &mut Pool) {
        pool.release(&mut self.words, usize::from(self.bits).div_ceil(64));
    }
}
