//! Errors of a block.

use std::io;

use thiserror::Error;

use super::BlockId;

#[derive(Debug, Error)]
pub enum BlockError {
    #[error("block {id}: {source}")]
    Io { id: BlockId, source: io::Error },
    /// Costs what the part held. The rest of the block is good.
    #[error("block {id}: damaged {part} at byte {offset}")]
    Damaged {
        id: BlockId,
        part: &'static str,
        offset: u64,
    },
    /// A newer program wrote the file. Leave it alone, and report it.
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
    /// Whether the file itself is bad, so that it belongs into quarantine. That excludes errors of
    /// the disk and files of a newer program.
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
