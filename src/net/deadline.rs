//! A request's deadline, and the means to end it earlier.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};

use super::NetError;
use crate::stdx::clock::Clock;
use crate::stdx::locked::locked;
use crate::stdx::stop::{Stop, StopSender, stop};

/// Ends its requests under way, from any thread, and refuses new ones.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<State>);

#[derive(Debug)]
struct State {
    canceled: AtomicBool,
    /// Dropped to wake those who wait for a name.
    stopper: Mutex<Option<StopSender>>,
    stop: Stop,
    /// The sockets in use. Shutting them wakes those who wait.
    sockets: Mutex<Vec<Weak<OwnedFd>>>,
}

impl Canceller {
    pub(super) fn new() -> Canceller {
        let (stopper, stop) = stop();
        Canceller(Arc::new(State {
            canceled: AtomicBool::new(false),
            stopper: Mutex::new(Some(stopper)),
            stop,
            sockets: Mutex::new(Vec::new()),
        }))
    }

    /// Cancels at once, wherever the request is. It cannot be undone.
    pub fn cancel(&self) {
        // ORDER: the flag first, so that a socket registered from now on is refused.
        self.0.canceled.store(true, SeqCst);
        locked(&self.0.stopper).take();
        for socket in locked(&self.0.sockets).iter().filter_map(Weak::upgrade) {
            let _ = shutdown(&*socket, Shutdown::Both);
        }
    }

    pub fn is_canceled(&self) -> bool {
        self.0.canceled.load(SeqCst)
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.0.stop
    }

    pub(super) fn register(&self, socket: &Arc<OwnedFd>) -> Result<(), NetError> {
        let mut sockets = locked(&self.0.sockets);
        if self.is_canceled() {
            return Err(NetError::Canceled);
        }
        sockets.retain(|socket| socket.strong_count() > 0);
        sockets.push(Arc::downgrade(socket));
        Ok(())
    }
}

/// A moment of the monotonic clock, or an earlier cancellation.
#[derive(Debug, Clone)]
pub(super) struct Deadline {
    clock: Arc<dyn Clock>,
    at: Duration,
    cancel: Canceller,
}

impl Deadline {
    pub fn new(clock: &Arc<dyn Clock>, timeout: Duration, cancel: &Canceller) -> Deadline {
        Deadline {
            clock: clock.clone(),
            at: clock.mono().saturating_add(timeout),
            cancel: cancel.clone(),
        }
    }

    /// Returns the time that is left, or an error when none is.
    pub fn remaining(&self) -> Result<Duration, NetError> {
        if self.cancel.is_canceled() {
            return Err(NetError::Canceled);
        }
        match self.at.checked_sub(self.clock.mono()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(NetError::Deadline),
        }
    }

    /// Returns a deadline that also ends after `part` at the latest.
    pub fn at_most(&self, part: Duration) -> Deadline {
        let mut sooner = self.clone();
        sooner.at = self.at.min(self.clock.mono().saturating_add(part));
        sooner
    }

    pub fn canceller(&self) -> &Canceller {
        &self.cancel
    }
}
