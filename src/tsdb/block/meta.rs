//! The metadata of a block.

use std::fmt;

use crate::model::TimestampMs;
use crate::tsdb::filenames::BLOCKS_DIR;
use crate::tsdb::wal::Position;

/// A block's id. Ids sort by creation time, and none is used twice in one directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u64);

impl BlockId {
    /// Makes an id greater than all of `others` (the existing blocks and their sources), whatever
    /// the clock says.
    pub fn new(now: TimestampMs, others: impl IntoIterator<Item = BlockId>) -> BlockId {
        let clock = (now.max(0) as u64) << 16;
        let last = others.into_iter().map(|id| id.0).max().unwrap_or(0);
        BlockId(clock.max(last.saturating_add(1)))
    }

    /// Returns `blocks/ID.blk`.
    pub fn path(self) -> String {
        format!("{BLOCKS_DIR}/{self}.blk")
    }

    /// Returns the name of the file while it is written.
    pub fn tmp_path(self) -> String {
        format!("{BLOCKS_DIR}/{self}.tmp")
    }

    /// Returns the name of its tombstones.
    pub fn tombstones_path(self) -> String {
        format!("{BLOCKS_DIR}/{self}.tomb")
    }

    /// Reads an id from a name in [`BLOCKS_DIR`]. Returns `None` if it is not a block's.
    pub fn from_file_name(name: &str) -> Option<BlockId> {
        let hex = name.strip_suffix(".blk")?;
        let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() != 16 || !hex.bytes().all(plain) {
            return None;
        }
        u64::from_str_radix(hex, 16).ok().map(BlockId)
    }
}

/// Returns the names in the blocks' directory that an interrupted writer left. The start removes
/// them.
pub fn unfinished(names: &[String]) -> Vec<&str> {
    let is_unfinished = |name: &&str| {
        let orphan = |stem| !names.iter().any(|n| n.strip_suffix(".blk") == Some(stem));
        let tombstones = name.strip_suffix(".tomb");
        name.strip_suffix(".tmp").is_some() || tombstones.is_some_and(orphan)
    };
    names
        .iter()
        .map(String::as_str)
        .filter(is_unfinished)
        .collect()
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockMeta {
    pub id: BlockId,
    /// The time of the oldest sample.
    pub min_t: TimestampMs,
    /// The time of the newest sample (inclusive).
    pub max_t: TimestampMs,
    pub series: u64,
    pub samples: u64,
    /// The size of the file.
    pub bytes: u64,
    /// 0 for a block from the head. Each compaction adds one.
    pub level: u8,
    /// The blocks that were merged into this one. Where they still exist, they are obsolete.
    pub sources: Vec<BlockId>,
    /// The newest block from the head in it. At level 0 it is the block itself.
    pub newest: BlockId,
    /// The part of the WAL that it holds: after the first, up to the second position.
    pub wal: Option<(Position, Position)>,
    /// The number of time ranges that are deleted from series but still in the file.
    pub tombstones: u64,
}

impl BlockMeta {
    pub fn overlaps(&self, start: TimestampMs, end: TimestampMs) -> bool {
        self.min_t <= end && start <= self.max_t
    }

    /// The block's rank. Of samples at the same time, those of the block with the greatest rank
    /// count, which is the newest from the head. Compacting old blocks makes them no newer.
    pub fn rank(&self) -> BlockId {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let id = BlockId::new(1_700_000_000_000, [BlockId(5)]);
        assert_eq!(id.path(), "blocks/018bcfe568000000.blk");
        assert_eq!(BlockId::from_file_name("018bcfe568000000.blk"), Some(id));
        assert_eq!(BlockId::new(-5, [BlockId(5)]), BlockId(6));
        for name in [
            "018bcfe568000000",
            "18bcfe568000000.blk",
            "018BCFE568000000.blk",
            "x",
        ] {
            assert_eq!(BlockId::from_file_name(name), None, "{name}");
        }
        let names = ["a.blk", "a.tomb", "b.tomb", "c.tmp", "a.tomb.tmp"].map(str::to_owned);
        assert_eq!(unfinished(&names), ["b.tomb", "c.tmp", "a.tomb.tmp"]);
    }
}
