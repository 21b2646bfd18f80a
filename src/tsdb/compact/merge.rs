//! Merges blocks.

use std::sync::Arc;

use crate::stdx::sort::sort_by_key;
use crate::storage::{SeriesSet, StorageError, merge_sets};
use crate::tsdb::block::{Block, BlockError, BlockId, BlockMeta, BlockWriter, Options};
use crate::tsdb::dir::Dir;
use crate::tsdb::filenames::BLOCKS_DIR;

/// Writes the samples of all blocks, without deleted ones, into one new block. The sources stay:
/// when this returns the output is durable, and the caller removes them ([`remove`]). There is no
/// output if nothing is left of the sources, or if `stop`, which is asked at each series, says so.
///
/// Holds one series' samples in memory, and the index of the output.
pub fn merge(
    dir: &Arc<dyn Dir>,
    blocks: &[Arc<Block>],
    id: BlockId,
    options: &Options,
    stop: &dyn Fn() -> bool,
) -> Result<Outcome, BlockError> {
    let mut newest_first: Vec<&Arc<Block>> = blocks.iter().collect();
    sort_by_key(&mut newest_first, |block| {
        std::cmp::Reverse(block.meta().rank())
    });
    let mut sets: Vec<Box<dyn SeriesSet>> = Vec::new();
    for block in newest_first {
        sets.push(Box::new(block.select(&[], i64::MIN, i64::MAX)?));
    }
    let mut merged = merge_sets(sets);
    let mut writer = BlockWriter::create(dir.clone(), id, options)?;
    let fail = |error: StorageError| BlockError::Io {
        id,
        source: std::io::Error::other(error.to_string()),
    };
    let mut samples = Vec::new();
    while let Some(series) = merged.next() {
        if stop() {
            return Ok(Outcome::Stopped);
        }
        let series = series.map_err(fail)?;
        samples.clear();
        series
            .read(i64::MIN, i64::MAX, &mut samples)
            .map_err(fail)?;
        writer.add(&series.labels(), &samples)?;
    }
    let metas: Vec<BlockMeta> = blocks.iter().map(|block| block.meta()).collect();
    let level = metas.iter().map(|m| m.level).max().unwrap_or(0);
    let wal = metas.iter().filter_map(|m| m.wal);
    let wal = wal.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    if let Some(newest) = metas.iter().map(BlockMeta::rank).max() {
        writer.set_newest(newest);
    }
    let sources = sources(&**dir, &metas).map_err(|source| BlockError::Io { id, source })?;
    let meta = writer.finish(level.saturating_add(1), &sources, wal)?;
    Ok(meta.map_or(Outcome::Empty, Outcome::Written))
}

/// Returns the blocks, and those of their own sources that could not be removed yet. Those must not
/// come back when the block that names them is gone.
fn sources(dir: &dyn Dir, metas: &[BlockMeta]) -> std::io::Result<Vec<BlockId>> {
    let entries = dir.list(BLOCKS_DIR)?;
    let ids = entries
        .iter()
        .filter_map(|e| BlockId::from_file_name(&e.name));
    let there: Vec<BlockId> = ids.collect();
    let mut sources: Vec<BlockId> = metas.iter().map(|m| m.id).collect();
    let older = metas.iter().flat_map(|m| m.sources.iter().copied());
    sources.extend(older.filter(|id| there.contains(id)));
    Ok(sources)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Written(BlockMeta),
    /// Everything in the sources was deleted. They can be removed.
    Empty,
    /// It was asked to stop, and did nothing.
    Stopped,
}

/// Returns the blocks that another block contains, after a crash between writing it and removing
/// its sources. Remove them, do not open them.
pub fn obsolete(blocks: &[BlockMeta]) -> Vec<BlockId> {
    let is_source = |id: BlockId| blocks.iter().any(|m| m.id != id && m.sources.contains(&id));
    blocks
        .iter()
        .map(|m| m.id)
        .filter(|id| is_source(*id))
        .collect()
}

/// Removes a block and its tombstones. Readers of the open file go on.
pub fn remove(dir: &dyn Dir, id: BlockId) -> std::io::Result<()> {
    // ORDER: the block first. Tombstones without a block are harmless; a block without its
    // tombstones would answer with deleted samples.
    dir.remove(&id.path())?;
    dir.sync_dir(BLOCKS_DIR)?;
    match dir.remove(&id.tombstones_path()) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
