//! Tombstones: what was deleted from a block but is still in its file, as ranges of time by series.
//!
//! They are a file beside the block, which each deletion writes anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reader::read_full;
use super::{Block, BlockError, BlockId};
use crate::model::{Matcher, TimestampMs};
use crate::stdx::cursor::Cursor;
use crate::stdx::locked::locked;
use crate::stdx::sort::sort;
use crate::stdx::varint::{put_signed, put_varint};
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::BLOCKS_DIR;

const MAGIC: &[u8; 8] = b"FRLTOMBS";
const VERSION: u32 = 1;

/// LIMIT: the size of a file of tombstones. A compaction has to remove more.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// The deleted ranges of one series: sorted, disjoint, both ends inclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Arc<[(TimestampMs, TimestampMs)]>);

impl Ranges {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, t: TimestampMs) -> bool {
        let i = self.0.partition_point(|(_, end)| *end < t);
        self.0.get(i).is_some_and(|(start, _)| *start <= t)
    }

    fn with(&self, start: TimestampMs, end: TimestampMs) -> Ranges {
        let mut all = self.0.to_vec();
        all.push((start, end));
        sort(&mut all);
        let mut merged: Vec<(TimestampMs, TimestampMs)> = Vec::with_capacity(all.len());
        for (start, end) in all {
            match merged.last_mut() {
                Some(last) if start <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        Ranges(merged.into())
    }
}

/// Ranges by number of the series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tombstones(BTreeMap<u32, Ranges>);

impl Tombstones {
    pub fn get(&self, series: u32) -> Option<&Ranges> {
        self.0.get(&series)
    }

    /// The number of ranges.
    pub fn ranges(&self) -> u64 {
        self.0.values().map(|ranges| ranges.0.len() as u64).sum()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        put_varint(&mut out, self.0.len() as u64);
        let mut next = 0;
        for (series, ranges) in &self.0 {
            put_varint(&mut out, u64::from(series - next));
            next = *series;
            put_varint(&mut out, ranges.0.len() as u64);
            for (start, end) in ranges.0.iter() {
                put_signed(&mut out, *start);
                put_varint(&mut out, end.wrapping_sub(*start) as u64);
            }
        }
        let sum = crc32c::crc32c(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Tombstones> {
        let mut from = Cursor::new(bytes);
        let mut found = BTreeMap::new();
        let mut series = 0u32;
        for _ in 0..from.size()? {
            series = series.checked_add(from.small()?)?;
            let mut ranges = Vec::new();
            for _ in 0..from.size()? {
                let start = from.signed()?;
                ranges.push((start, start.checked_add_unsigned(from.varint()?)?));
            }
            found.insert(series, Ranges(ranges.into()));
        }
        Some(Tombstones(found))
    }
}

impl Block {
    /// Marks the samples of the range as deleted, durably. Returns the number of series concerned.
    pub fn delete(
        &self,
        matchers: &[Matcher],
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<u64, BlockError> {
        let meta = &self.footer.meta;
        let (start, end) = (start.max(meta.min_t), end.min(meta.max_t));
        if start > end {
            return Ok(0);
        }
        let matched = self.matching(matchers)?;
        if matched.doubtful {
            // Deleting what only might match is worse than deleting nothing.
            return Err(BlockError::Damaged {
                id: self.id(),
                part: "index: nothing was deleted, values",
                offset: 0,
            });
        }
        let places = matched.places.in_turn();
        let count = places.left();
        if count == 0 {
            return Ok(0);
        }
        // ORDER: held while the file is written, so that no deletion is lost to another. Queries
        // don't wait for it.
        let _deleting = locked(&self.deleting);
        let mut new = Tombstones::clone(&self.tombstones());
        for place in places {
            let ranges = new.0.entry(place).or_default();
            *ranges = ranges.with(start, end);
        }
        write(&*self.dir, self.id(), &new)?;
        *locked(&self.tombstones) = Arc::new(new);
        Ok(count as u64)
    }
}

pub fn write(dir: &dyn Dir, id: BlockId, tombstones: &Tombstones) -> Result<(), BlockError> {
    let bytes = tombstones.encode();
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(BlockError::Limit {
            id,
            what: "size of the tombstones",
            value: bytes.len() as u64,
            limit: FILE_BYTES_MAX,
        });
    }
    let path = id.tombstones_path();
    let tmp = format!("{path}.tmp");
    let written = (|| {
        let mut file = dir.create(&tmp)?;
        file.append(&bytes)?;
        file.sync()?;
        dir.rename(&tmp, &path)?;
        dir.sync_dir(BLOCKS_DIR)
    })();
    written.map_err(|source| BlockError::Io { id, source })
}

/// Reads the tombstones; none if there is no file. A damaged file is logged and counts as none:
/// what it deleted is back, and the block is not lost.
pub fn read(dir: &Arc<dyn Dir>, id: BlockId) -> Result<Tombstones, BlockError> {
    let fail = |source| BlockError::Io { id, source };
    let path = id.tombstones_path();
    let file = match dir.open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Tombstones::default()),
        Err(e) => return Err(fail(e)),
    };
    let len = file.len().map_err(fail)?.min(FILE_BYTES_MAX);
    let mut bytes = vec![0; len as usize];
    read_full(&*file, 0, &mut bytes).map_err(fail)?;
    let body = bytes
        .split_last_chunk::<4>()
        .and_then(|(body, sum)| (crc32c::crc32c(body).to_le_bytes() == *sum).then_some(body));
    let body = body.and_then(|body| body.strip_prefix(MAGIC));
    let Some((version, body)) = body.and_then(<[u8]>::split_first_chunk::<4>) else {
        log::error!("{path} is damaged: what it deleted is back");
        return Ok(Tombstones::default());
    };
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(BlockError::Version { id, version });
    }
    Ok(Tombstones::decode(body).unwrap_or_else(|| {
        log::error!("{path} makes no sense: what it deleted is back");
        Tombstones::default()
    }))
}
