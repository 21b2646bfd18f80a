//! Our blocks in the form that the tools show.

use std::sync::Arc;

use crate::model::TimestampMs;
use crate::prometheus::{BlockRow, SeriesSpan};
use crate::storage::Series as _;
use crate::tsdb::Offline;
use crate::tsdb::block::{Block, BlockError, BlockId, BlockMeta};

/// The encoding of a column's samples, as `analyze` counts chunks: plain samples.
const FLOATS: u8 = 1;

/// Returns the rows of `tsdb list`, in order of time.
///
/// # Errors
/// A block cannot be read.
pub fn rows(ours: &Offline) -> Result<Vec<BlockRow>, BlockError> {
    let rows = ours.blocks().iter().map(|block| {
        let meta = block.meta();
        let mut chunks = 0;
        spans_of(block, &mut |span| chunks += span.chunks.len() as u64)?;
        Ok(BlockRow {
            id: meta.id.to_string(),
            min_t: meta.min_t,
            max_t: meta.max_t.saturating_add(1),
            samples: meta.samples,
            chunks,
            series: meta.series,
            bytes: meta.bytes,
        })
    });
    rows.collect()
}

/// Returns the block of this name, or the newest if the name is empty.
pub fn block(ours: &Offline, id: &str) -> Option<BlockMeta> {
    let metas = ours.blocks().iter().map(|b| b.meta());
    match id {
        "" => metas.max_by_key(|meta| meta.id),
        id => { metas }.find(|meta| meta.id.to_string() == id),
    }
}

/// Gives every series of a block to `analyze`, with the sizes of its columns as chunks.
///
/// # Errors
/// The block cannot be read.
pub fn spans(
    ours: &Offline,
    id: BlockId,
    take: &mut dyn FnMut(SeriesSpan),
) -> Result<(), BlockError> {
    match ours.blocks().iter().find(|block| block.id() == id) {
        Some(block) => spans_of(block, take),
        None => Ok(()),
    }
}

fn spans_of(block: &Arc<Block>, take: &mut dyn FnMut(SeriesSpan)) -> Result<(), BlockError> {
    let mut series = block.select(&[], TimestampMs::MIN, TimestampMs::MAX)?;
    while let Some(view) = series.next_series() {
        let view = view?;
        let mut span = SeriesSpan {
            labels: view.labels(),
            min_t: TimestampMs::MAX,
            max_t: TimestampMs::MIN,
            chunks: Vec::new(),
        };
        for column in view.stored_columns() {
            span.min_t = span.min_t.min(column.first);
            span.max_t = span.max_t.max(column.last);
            let samples = u16::try_from(column.samples).unwrap_or(u16::MAX);
            span.chunks.push((FLOATS, samples, column.bytes as usize));
        }
        if !span.chunks.is_empty() {
            take(span);
        }
    }
    Ok(())
}
