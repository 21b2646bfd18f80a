//! Buffers that requests borrow, and the budget for what is decoded at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::error::WriteError;
use crate::stdx::locked::locked;
use crate::storage::{Appender, Pending, PendingExemplar};

/// LIMIT: one decoded request, as in Prometheus.
pub(super) const DECODED_BYTES_MAX: usize = 32 << 20;

/// LIMIT: all requests that are being decoded: two of the largest. Further senders are told to come
/// again.
const DECODED_BYTES_AT_ONCE: usize = 2 * DECODED_BYTES_MAX;

/// LIMIT: sets of buffers kept for later requests. More may be in use.
const KEPT_MAX: usize = 2;

/// LIMIT: the bytes of a kept buffer. A usual request has a few hundred KiB.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// One request's buffers.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// As long as was ever needed, so that it is not zeroed at each request.
    pub decoded: Vec<u8>,
    pub batch: Appender,
    /// The batch's runs, in its order.
    pub runs: Vec<Run>,
    pub joined: Vec<u8>,
}

/// The samples of one series' message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// The position of the first sample in the batch.
    pub first: u32,
    /// Where the message begins in the decoded request.
    pub at: u32,
    pub len: u32,
}

#[derive(Debug, Default)]
pub(super) struct Scratches {
    kept: Mutex<Vec<Scratch>>,
    decoded_bytes: AtomicUsize,
}

impl Scratches {
    /// Lends buffers to `work` for a request with so many decoded bytes.
    pub fn lend<T>(
        &self,
        bytes: usize,
        work: impl FnOnce(&mut Scratch) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let share = Share::of(&self.decoded_bytes, bytes)?;
        let mut scratch = self.kept().pop().unwrap_or_default();
        if scratch.decoded.len() < bytes {
            scratch.decoded.resize(bytes, 0);
        }
        let done = work(&mut scratch);
        scratch.limit();
        let mut kept = self.kept();
        if kept.len() < KEPT_MAX {
            kept.push(scratch);
        }
        drop(kept);
        drop(share);
        done
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        // NOTE: a panic leaves only whole buffers here.
        locked(&self.kept)
    }
}

impl Scratch {
    fn limit(&mut self) {
        let too_large = self.decoded.capacity() > KEPT_BYTES_MAX
            || self.joined.capacity() > KEPT_BYTES_MAX
            || self.batch.samples.capacity() * size_of::<Pending>() > KEPT_BYTES_MAX
            || self.batch.exemplars.capacity() * size_of::<PendingExemplar>() > KEPT_BYTES_MAX
            || self.runs.capacity() * size_of::<Run>() > KEPT_BYTES_MAX;
        if too_large {
            *self = Scratch::default();
        }
    }
}

/// A part of the budget, given back when it is dropped, even by a panic.
struct Share<'a>(&'a AtomicUsize, usize);

impl<'a> Share<'a> {
    fn of(total: &'a AtomicUsize, bytes: usize) -> Result<Share<'a>, WriteError> {
        let before = total.fetch_add(bytes, Relaxed);
        let share = Share(total, bytes);
        if before + bytes > DECODED_BYTES_AT_ONCE {
            return Err(WriteError::Busy(before, DECODED_BYTES_AT_ONCE));
        }
        Ok(share)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Relaxed);
    }
}
