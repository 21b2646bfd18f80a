//! Tombstones: the deleted ranges of a block's series, in a file of the block.

use std::collections::HashMap;
use std::path::Path;

use super::error::PromError;
use super::files;
use crate::model::{Sample, TimestampMs};
use crate::stdx::cursor::Cursor;

const MAGIC: [u8; 4] = [0x01, 0x30, 0xba, 0x30];
const VERSION: u8 = 1;
/// LIMIT: some two million deletions, far more than anyone makes by hand.
const BYTES_MAX: u64 = 32 << 20;

/// Deleted ranges of time, both ends inclusive, by series.
#[derive(Debug, Default)]
pub struct Tombstones(HashMap<u64, Vec<(TimestampMs, TimestampMs)>>);

impl Tombstones {
    /// Reads the tombstones in a block's directory. Without a file there are no deletions.
    pub fn read(path: &Path) -> Result<Tombstones, PromError> {
        if !files::exists(path) {
            return Ok(Tombstones::default());
        }
        let bytes = files::read_small(path, BYTES_MAX)?;
        let damaged = |what| PromError::damaged(path, 0, what);
        let (head, rest) = bytes
            .split_at_checked(5)
            .ok_or_else(|| damaged("cut off"))?;
        if head != [MAGIC.as_slice(), &[VERSION]].concat() {
            return Err(damaged("not a tombstones file of version 1"));
        }
        let (entries, crc) = rest
            .split_last_chunk::<4>()
            .ok_or_else(|| damaged("cut off"))?;
        if crc32c::crc32c(entries) != u32::from_be_bytes(*crc) {
            return Err(damaged("its checksum is wrong"));
        }
        let (mut bytes, mut tombstones) = (Cursor::new(entries), Tombstones::default());
        while !bytes.is_empty() {
            let entry = || -> Option<(u64, i64, i64)> {
                Some((bytes.varint()?, bytes.signed()?, bytes.signed()?))
            };
            let mut entry = entry;
            let (series, from, to) = entry().ok_or_else(|| damaged("an entry is cut off"))?;
            tombstones.add(series, from, to);
        }
        Ok(tombstones)
    }

    pub fn add(&mut self, series: u64, from: TimestampMs, to: TimestampMs) {
        self.0.entry(series).or_default().push((from, to));
    }

    pub fn apply(&self, series: u64, samples: &mut Vec<Sample>) {
        if let Some(ranges) = self.0.get(&series) {
            samples.retain(|s| !ranges.iter().any(|(from, to)| (*from..=*to).contains(&s.t)));
        }
    }
}

/// Returns the file of a block without deletions.
pub fn encode_none() -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    out.extend_from_slice(&crc32c::crc32c(&[]).to_be_bytes());
    out
}
