//! What can be wrong with a block.

use std::io;

use thiserror::Error;

use super::BlockId;

#[derive(Debug, Error)]
pub enum BlockError {
    #[error("block {id}: {source}")]
    Io { id: BlockId, source: io::Error },
    /// Costs what the part held; the rest of the block is good.
    #[error("block {id}: damaged {part} at byte {offset}")]
    Damaged {
        id: BlockId,
        part: &'static str,
        offset: u64,
    },
    /// To be left alone and reported: a newer program wrote it.
    #[error("block {id}: version {version} is not known (1 is)")]
    Version { id: BlockId, version: u32 },
    #[error("block {id}: not a block: {reason}")]
    NotABlock { id: BlockId, reason: &'static str },
    /// The caller's mistake.
    #[error("block {id}: {reason}")]
    Order { id: BlockId, reason: &'static str },
    #[error("block {id}: {what} is {value}, the limit is {limit}")]
    Limit {
        id: BlockId,
        what: &'static str,
        value: u64,
        limit: u64,
    },
}

impl BlockError {
    /// The file itself is bad (as opposed to the disk, or a file of a newer program): it belongs
    /// into quarantine.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            BlockError::Damaged { .. } | BlockError::NotABlock { .. }
        )
    }
}

impl From<BlockError> for crate::storage::StorageError {
    fn from(error: BlockError) -> Self {
        crate::storage::StorageError::Other(error.to_string())
    }
}
