//! Bodies without end that are fed from elsewhere, such as notifications: parked in the poller.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::shared::Waker;

/// LIMIT: what a reader may be behind; one further behind is not reading.
const LIVE_BYTES_MAX: usize = 64 << 10;

/// Feeds the body. Dropping it ends the answer.
#[derive(Debug)]
pub struct Live(Arc<LiveShared>);

/// The end that the server reads.
#[derive(Debug)]
pub struct LiveBody(Arc<LiveShared>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    #[error("the client has gone")]
    Gone,
    #[error("the client is more than {LIVE_BYTES_MAX} bytes behind")]
    Behind,
}

#[derive(Debug, Default)]
struct LiveShared {
    state: Mutex<LiveState>,
    waker: OnceLock<Waker>,
}

#[derive(Debug, Default)]
struct LiveState {
    pending: Vec<u8>,
    ended: bool,
    gone: bool,
}

impl Live {
    pub(super) fn new() -> (Live, LiveBody) {
        let shared = Arc::new(LiveShared::default());
        (Live(shared.clone()), LiveBody(shared))
    }

    /// Adds to the body; never waits.
    pub fn send(&self, bytes: &[u8]) -> Result<(), LiveError> {
        let mut state = self.0.lock();
        if state.gone {
            return Err(LiveError::Gone);
        }
        if state.pending.len() + bytes.len() > LIVE_BYTES_MAX {
            return Err(LiveError::Behind);
        }
        state.pending.extend_from_slice(bytes);
        drop(state);
        self.0.wake();
        Ok(())
    }

    pub fn is_gone(&self) -> bool {
        self.0.lock().gone
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.wake();
    }
}

impl LiveBody {
    /// From now on feeding wakes the poller.
    pub(super) fn attach(&self, waker: Waker) {
        let _ = self.0.waker.set(waker);
    }

    /// What was fed since the last call, and whether that was all.
    pub(super) fn take(&self) -> (Vec<u8>, bool) {
        let mut state = self.0.lock();
        (std::mem::take(&mut state.pending), state.ended)
    }

    pub(super) fn has_news(&self) -> bool {
        let state = self.0.lock();
        state.ended || !state.pending.is_empty()
    }
}

impl Drop for LiveBody {
    fn drop(&mut self) {
        self.0.lock().gone = true;
    }
}

impl LiveShared {
    fn lock(&self) -> MutexGuard<'_, LiveState> {
        // NOTE: nothing under this lock can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }
}
