//! Targets that went away. Their series are marked stale after two intervals and a tenth, unless
//! somebody has written them meanwhile (reference section 5.7). No thread waits for that.

use std::sync::Arc;
use std::time::Duration;

use super::memory::Memory;
use super::scrape_loop::LoopEnv;
use crate::model::{TimestampMs, stale_nan};
use crate::stdx::sort::sort_by_key;
use crate::storage::Appender;

/// LIMIT: each keeps a target's cache. Beyond this the oldest are marked early.
const ENDS_OF_RUN_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct EndsOfRun(Vec<EndOfRun>);

#[derive(Debug)]
pub(super) struct EndOfRun {
    memory: Arc<Memory>,
    /// The first tick that was missed.
    t: TimestampMs,
    /// On the monotonic clock.
    due: Duration,
}

impl EndOfRun {
    /// `tick` is the first that the loop missed, on both clocks.
    pub fn new(
        memory: Arc<Memory>,
        tick: Duration,
        t: TimestampMs,
        interval: Duration,
    ) -> EndOfRun {
        EndOfRun {
            memory,
            t,
            due: tick + interval + interval / 10,
        }
    }

    /// Marks all series of the target's last good page, and its report, stale.
    pub fn mark_stale(&self, env: &LoopEnv) {
        let mut batch = Appender {
            is_deferred: true,
            ..Appender::default()
        };
        // NOTE: the loop stopped long ago, or is about to release the lock.
        for series in self.memory.lock().tracked() {
            batch.append(series, self.t, stale_nan());
        }
        // Series that somebody still writes have newer samples, so the storage refuses the markers.
        if !batch.samples.is_empty()
            && let Err(e) = env.storage.commit(&batch)
            && let Some(left_out) = env.lose(&batch)
        {
            log::warn!(num_dropped = batch.samples.len(), not_told_since_last = left_out;
                "Stale commit failed: {e}");
        }
    }
}

impl EndsOfRun {
    /// Adds them. Returns those that must be marked early.
    #[must_use]
    pub fn add(&mut self, ends_of_run: Vec<EndOfRun>) -> Vec<EndOfRun> {
        self.0.extend(ends_of_run);
        sort_by_key(&mut self.0, |g| g.due);
        let early = self.0.len().saturating_sub(ENDS_OF_RUN_MAX);
        self.0.drain(..early).collect()
    }

    pub fn take_due(&mut self, mono: Duration) -> Vec<EndOfRun> {
        let due = self.0.partition_point(|g| g.due <= mono);
        self.0.drain(..due).collect()
    }

    pub fn next_due(&self) -> Option<Duration> {
        self.0.first().map(|g| g.due)
    }
}
