//! Work that may fail and is tried again. A panic in it is a failure too, and pauses grow.
//!
//! Only for work that leaves shared state whole at any moment: it is behind a lock that reports a
//! panic, or it is changed in one step.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::error::WorkError;
use crate::stdx::thread::panic_message;
use crate::tsdb::block::{BlockId, BlockMeta};

/// Runs a piece of work.
pub fn attempt<T>(work: impl FnOnce() -> Result<T, WorkError>) -> Result<T, WorkError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| Err(WorkError::Panicked(panic_message(&*payload))))
}

/// Successive failures. Each pause is twice the one before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pauses {
    last: Duration,
    until: Duration,
}

impl Pauses {
    /// Notes a failure at `now` on the monotonic clock. Returns the pause.
    pub fn failed(&mut self, now: Duration, first: Duration, longest: Duration) -> Duration {
        self.last = (self.last * 2).clamp(first, longest);
        self.until = now + self.last;
        self.last
    }

    pub fn is_over(&self, now: Duration) -> bool {
        now >= self.until
    }
}

/// LIMIT: the compactor's bell rings every minute.
const FIRST: Duration = Duration::from_secs(60);
/// LIMIT: a merge of large blocks that fails late reads and writes gigabytes.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// Blocks whose last merge failed. One of them may make every merge fail, by its damage or by a bug
/// of ours. It is not known which, and other blocks must not wait for it. This is not on disk: the
/// next start tries them again.
#[derive(Debug, Default)]
pub struct Setbacks(BTreeMap<BlockId, Pauses>);

impl Setbacks {
    /// Notes a failed merge of these blocks. Returns how long they are left out.
    pub fn note(&mut self, blocks: &[BlockId], now: Duration) -> Duration {
        let pauses = blocks.iter().map(|id| {
            let pauses = self.0.entry(*id).or_default();
            pauses.failed(now, FIRST, LONGEST)
        });
        pauses.max().unwrap_or_default()
    }

    /// Returns the blocks that are not merged with others for now.
    pub fn left_out(&mut self, blocks: &[BlockMeta], now: Duration) -> Vec<BlockId> {
        self.0
            .retain(|id, _| blocks.iter().any(|meta| meta.id == *id));
        let left_out = self.0.iter().filter(|(_, pauses)| !pauses.is_over(now));
        left_out.map(|(id, _)| *id).collect()
    }
}
