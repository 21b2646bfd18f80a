//! What the poller and the workers share, and how the poller is woken.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use rustix::pipe::{PipeFlags, pipe_with};

use super::access::Access;
use super::budget::Budget;
use super::metrics::HttpMetrics;
use super::options::{Handler, Options};
use super::reject::Reject;
use crate::stdx::pacer::SharedPacer;

pub(super) struct Shared {
    pub options: Options,
    pub handler: Arc<dyn Handler>,
    pub access: Access,
    pub metrics: HttpMetrics,
    /// The budget of bodies that are being read or handled.
    pub bodies: Budget,
    /// The budget of heads that are being read or handled, beyond each connection's own share.
    pub heads: Budget,
    pub waker: Waker,
    /// The pace of log lines about requests that no handler sees.
    pub refusals: SharedPacer,
    /// Set when the server is stopped. From then on answers close their connection.
    pub stopping: AtomicBool,
}

impl Shared {
    /// Counts a request that no handler sees.
    pub fn refuse(&self, reject: &Reject) {
        self.metrics.refuse(reject.status);
        if let Some(left_out) = self.refusals.pass(self.options.clock.mono(), 1) {
            log::warn!(status = reject.status, err = reject.why.as_ref(),
                not_told_since_last = left_out; "HTTP request refused");
        }
    }
}

/// Wakes the poller out of poll(2). Cheap when it is already on its way.
#[derive(Debug, Clone)]
pub(super) struct Waker(Arc<WakerCells>);

#[derive(Debug)]
struct WakerCells {
    pipe: OwnedFd,
    /// Whether a byte is in the pipe or about to be.
    pending: AtomicBool,
}

/// The poller's end.
#[derive(Debug)]
pub(super) struct WakeEnd {
    pipe: OwnedFd,
    cells: Arc<WakerCells>,
}

pub(super) fn waker() -> io::Result<(Waker, WakeEnd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let cells = Arc::new(WakerCells {
        pipe: write,
        pending: AtomicBool::new(false),
    });
    let end = WakeEnd {
        pipe: read,
        cells: cells.clone(),
    };
    Ok((Waker(cells), end))
}

impl Waker {
    /// ORDER: call it after what the poller shall find is in its place.
    pub fn wake(&self) {
        if !self.0.pending.swap(true, SeqCst) {
            let _ = rustix::io::write(&self.0.pipe, b"w");
        }
    }
}

impl WakeEnd {
    /// ORDER: call it before looking for work, so that later work wakes again.
    pub fn drain(&self) {
        let mut bytes = [0u8; 16];
        while rustix::io::read(&self.pipe, &mut bytes).is_ok_and(|n| n == bytes.len()) {}
        self.cells.pending.store(false, SeqCst);
    }
}

impl AsFd for WakeEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
