//! The limit of the head's growth, if the disk takes no blocks, or takes them more slowly than
//! samples come.
//!
//! At `--storage.head-budget` the head is written as a block, while it goes on growing. That may
//! take too long: a slow or failing disk, or queries that need what the block has. Then batches are
//! refused from [`limit_bytes`] on: a scrape fails, a remote writer sends again.

use std::sync::atomic::Ordering::Relaxed;

use super::shared::{Shared, Store};
use crate::storage::{Pending, StorageError};

/// LIMIT: budgets that the head's samples may take. By default a budget is an eighth of the memory,
/// so that more than half is left for everything else. Two more budgets are the time that a disk
/// gets to finish a flush.
const BUDGETS_MAX: u64 = 3;

/// LIMIT: the head's size that is allowed whatever the budget: the samples of a second, after which
/// the thread checks again whether a flush is due.
const BYTES_MIN: u64 = 1 << 20;

/// Returns the bytes of samples from which on batches are refused.
pub fn limit_bytes(head_budget: u64) -> u64 {
    head_budget.saturating_mul(BUDGETS_MAX).max(BYTES_MIN)
}

impl Shared {
    /// Checks for room.
    ///
    /// # Errors
    /// The head has no room for the batch.
    pub fn has_room(&self, store: &Store, batch: &[Pending]) -> Result<(), StorageError> {
        let limit = limit_bytes(self.settings.head_budget);
        let (used, span_ms) = self.head.extent()?;
        let used = used as u64;
        self.bell.has_grown(used, span_ms);
        let is_full = used >= limit;
        if store.is_refusing.swap(is_full, Relaxed) != is_full {
            if is_full {
                log::error!(used_bytes = used, limit_bytes = limit;
                    "samples are refused: the head cannot become a block, or not fast enough");
            } else {
                log::info!(used_bytes = used; "samples are taken again");
            }
        }
        if is_full {
            store.metrics.refused_samples.add(batch.len() as f64);
            return Err(StorageError::Other(format!(
                "samples in the head take {used} bytes, {limit} at most (from \
                 --storage.head-budget): it cannot become a block, or not fast enough"
            )));
        }
        Ok(())
    }
}
