//! Committing, as the database does it: what commits, flushes and the end of the process ask of the
//! log.

use std::sync::MutexGuard;

use super::error::WorkError;
use super::log::{CATCH_UP_BYTES, Log};
use super::shared::{Shared, Store};
use crate::storage::{Committed, Pending, StorageError};
use crate::tsdb::head::Flush;
use crate::tsdb::wal::Position;

impl Shared {
    pub fn commit(&self, batch: &[Pending]) -> Result<Committed, StorageError> {
        let done = self.commit_unseen(batch);
        match &done {
            Ok(done) => self.head.metrics.count(done),
            // NOTE: the thread ends the process.
            Err(StorageError::Closed) => self.bell.ring(),
            Err(_) => {}
        }
        done
    }

    fn commit_unseen(&self, batch: &[Pending]) -> Result<Committed, StorageError> {
        self.look_at_clock()?;
        let Some(store) = &self.store else {
            return Ok(self.head.take(batch, &[])?.0);
        };
        self.has_room(store, batch)?;
        let mut log = store.lock_log()?;
        let done = log.commit(&self.head, batch, &store.metrics)?;
        let (has_late, waits) = (log.has_late(), !log.backlog.is_over());
        drop(log);
        self.bell.has_logged();
        if waits {
            self.bell.ring();
        }
        if has_late {
            self.bell.has_late();
        }
        Ok(done)
    }

    /// Writes what waits for room on the disk.
    pub fn catch_up(&self, store: &Store) -> Result<(), StorageError> {
        let mut log = store.lock_log()?;
        let free = store.dir.free_bytes();
        if !log.backlog.is_empty() && free.map_or(true, |free| free >= CATCH_UP_BYTES) {
            log.catch_up(&self.head, &store.metrics);
        }
        Ok(())
    }

    /// The process ends before the disk has taken what waits.
    pub fn tell_unwritten(&self) {
        let Some(store) = &self.store else { return };
        // NOTE: who holds it at this moment will tell.
        if let Ok(log) = store.log.try_lock() {
            log.backlog.tell_lost();
        }
        let (durable, position) = (store.segments.durable(), store.segments.position());
        if durable != position {
            log::warn!(durable = format!("{durable:?}").as_str(),
                written = format!("{position:?}").as_str();
                "the end of the log is written, and not known to be durable");
        }
    }

    /// What is committed now, and the log's place behind it.
    pub fn begin_flush(&self, store: &Store) -> Result<Begun, WorkError> {
        let mut log = store.lock_log()?;
        let cut = log.wal.cut();
        // ORDER: before the log goes on.
        let flush = self.head.flush()?;
        let waiting = log.backlog.end();
        drop(log);
        Ok(Begun {
            flush,
            cut,
            waiting,
        })
    }
}

/// A flush at its beginning.
#[derive(Debug)]
pub struct Begun {
    pub flush: Flush,
    pub cut: Position,
    /// The batches that waited for room, those before this number, are in the flush.
    pub waiting: u64,
}

impl Store {
    /// Whether the disk holds writes back: then nobody should ask more of it.
    pub fn stands_still(&self) -> Result<bool, StorageError> {
        Ok(self.lock_log()?.wal.stands_still())
    }

    /// What waited when a flush began is in its block.
    pub fn let_go_waiting(&self, end: u64) -> Result<(), StorageError> {
        let mut log = self.lock_log()?;
        log.backlog.let_go(end);
        if log.backlog.is_over() {
            log.unwritable = None;
        }
        self.metrics
            .waiting_samples
            .set(log.backlog.samples() as f64);
        Ok(())
    }

    /// # Errors
    /// A panic left a half-written batch.
    pub fn lock_log(&self) -> Result<MutexGuard<'_, Log>, StorageError> {
        self.log.lock().map_err(|_| StorageError::Closed)
    }
}
