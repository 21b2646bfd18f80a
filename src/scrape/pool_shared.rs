//! What a pool tells its loops while they run.

use std::sync::{Arc, Mutex, MutexGuard};

use super::failure_log::FailureLog;
use super::metrics::PoolMetrics;
use crate::stdx::locked::locked;

/// One per pool, shared with all its loops.
#[derive(Debug)]
pub(super) struct PoolShared {
    pub metrics: PoolMetrics,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    forced_error: Option<Arc<str>>,
    failure_log: Option<Arc<FailureLog>>,
}

impl PoolShared {
    pub fn new(metrics: PoolMetrics) -> PoolShared {
        PoolShared {
            metrics,
            told: Mutex::default(),
        }
    }

    /// An error if no target of the pool may be scraped.
    pub fn forced_error(&self) -> Option<Arc<str>> {
        self.lock().forced_error.clone()
    }

    pub fn failure_log(&self) -> Option<Arc<FailureLog>> {
        self.lock().failure_log.clone()
    }

    pub fn set_forced_error(&self, error: Option<Arc<str>>) {
        self.lock().forced_error = error;
    }

    pub fn set_failure_log(&self, log: Option<Arc<FailureLog>>) {
        self.lock().failure_log = log;
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        // NOTE: fields are replaced whole.
        locked(&self.told)
    }
}
