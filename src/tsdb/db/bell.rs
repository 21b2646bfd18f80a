//! What wakes the thread `tsdb` beside the clock: a commit or a write that makes work for it.
//!
//! The thread sleeps until the next thing is due. Between, a commit rings it where the head may
//! have to become a block (by its bytes, or by the time that it spans), where samples are late, or
//! where a panic closed the storage. The thread `wal-write` rings it where the log is written after
//! it was durable and at rest, and where it cannot be written.

use std::sync::atomic::AtomicBool;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::stdx::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

#[derive(Debug)]
pub struct Bell {
    ring: Sender<()>,
    /// Bytes of samples in the head at which it is rung.
    at_bytes: AtomicU64,
    /// Milliseconds between the head's oldest and newest sample at which it is rung.
    at_span: AtomicU64,
    /// All of the log is durable, and no sync is planned.
    at_rest: AtomicBool,
    /// Rung for late samples since the last collection.
    rung_for_late: AtomicBool,
    /// Tests let the thread look when they want it to.
    #[cfg(test)]
    pub muted: AtomicBool,
}

impl Bell {
    pub fn new() -> (Bell, Receiver<()>) {
        // LIMIT: one; whoever hears it looks at everything.
        let (ring, heard) = bounded(1);
        let bell = Bell {
            ring,
            at_bytes: AtomicU64::new(0),
            at_span: AtomicU64::new(u64::MAX),
            at_rest: AtomicBool::new(false),
            rung_for_late: AtomicBool::new(false),
            #[cfg(test)]
            muted: AtomicBool::new(false),
        };
        (bell, heard)
    }

    pub fn ring(&self) {
        #[cfg(test)]
        if self.muted.load(SeqCst) {
            return;
        }
        // NOTE: a full channel has rung already.
        let _ = self.ring.try_send(());
    }

    /// The head has so many bytes of samples, from so many milliseconds.
    pub fn has_grown(&self, bytes: u64, span_ms: u64) {
        if bytes >= self.at_bytes.load(Relaxed) || span_ms >= self.at_span.load(Relaxed) {
            self.wants(u64::MAX, u64::MAX);
            self.ring();
        }
    }

    pub fn wants(&self, bytes: u64, span_ms: u64) {
        self.at_bytes.store(bytes, Relaxed);
        self.at_span.store(span_ms, Relaxed);
    }

    /// The log was written.
    pub fn has_logged(&self) {
        if self.at_rest.load(SeqCst) && self.at_rest.swap(false, SeqCst) {
            self.ring();
        }
    }

    /// No sync is planned until [`Bell::has_logged`]. ORDER: told before it is asked once more
    /// whether all is durable, so that no write falls between.
    pub fn set_at_rest(&self, at_rest: bool) {
        self.at_rest.store(at_rest, SeqCst);
    }

    pub fn has_late(&self) {
        if !self.rung_for_late.swap(true, Relaxed) {
            self.ring();
        }
    }

    pub fn may_ring_for_late(&self) {
        self.rung_for_late.store(false, Relaxed);
    }
}
