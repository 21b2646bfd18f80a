//! The daemon's state for the handlers: its phase, its configuration, the last reload.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::model::TimestampMs;
use crate::stdx::locked::locked;

/// The phase of the daemon's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Ready,
    Stopping,
}

/// The running configuration, and the result of the last attempt to change it.
#[derive(Debug, Clone, Default)]
pub struct ConfigStatus {
    /// The text, with defaults filled in and secrets hidden.
    pub yaml: Arc<str>,
    /// The time when it was applied.
    pub applied_at: TimestampMs,
    pub last_reload: ReloadReport,
}

/// One attempt to read the configuration.
#[derive(Debug, Clone, Default)]
pub struct ReloadReport {
    pub success: bool,
    pub at: TimestampMs,
    /// `start`, `SIGHUP`, `http` or `file`.
    pub cause: String,
    pub duration_ms: f64,
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
    /// What changed, section by section and job by job.
    pub changes: Vec<String>,
}

/// Shared by the main thread, which writes it, and the handlers. At first it says `Starting`.
#[derive(Debug, Default)]
pub struct State {
    phase: AtomicU8,
    config: Mutex<Arc<ConfigStatus>>,
}

impl State {
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Stopping,
        }
    }

    pub fn set_config(&self, status: ConfigStatus) {
        // NOTE: the status is replaced whole, so a panic elsewhere leaves nothing half done.
        *locked(&self.config) = Arc::new(status);
    }

    pub fn config(&self) -> Arc<ConfigStatus> {
        locked(&self.config).clone()
    }
}
