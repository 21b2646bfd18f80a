//! Committing, as the database does it.

use super::shared::{Shared, Store};
use crate::storage::{Committed, Pending, StorageError};

/// LIMIT: free bytes below which waiting samples are not tried: each attempt makes a file for
/// nothing, and flash wears.
const CATCH_UP_BYTES: u64 = 64 << 10;

impl Shared {
    pub fn commit(&self, batch: &[Pending], deferred: bool) -> Result<Committed, StorageError> {
        let done = self.commit_unseen(batch, deferred);
        match &done {
            Ok(done) => self.head.metrics.count(done),
            // NOTE: the thread ends the process.
            Err(StorageError::Closed) => self.bell.ring(),
            Err(_) => {}
        }
        done
    }

    fn commit_unseen(&self, batch: &[Pending], deferred: bool) -> Result<Committed, StorageError> {
        self.look_at_clock()?;
        let Some(store) = &self.store else {
            return self.head.take(batch, None);
        };
        self.has_room(store, batch)?;
        let (done, has_late) = store.log.commit(&self.head, batch, deferred)?;
        if has_late {
            self.bell.has_late();
        }
        Ok(done)
    }

    /// The process ends before the disk has taken what waits.
    pub fn tell_unwritten(&self) {
        let Some(store) = &self.store else { return };
        store.log.tell_lost();
        let (durable, position) = (store.segments.durable(), store.segments.position());
        if durable != position {
            log::warn!(durable = format!("{durable:?}").as_str(),
                written = format!("{position:?}").as_str();
                "the end of the log is written, and not known to be durable");
        }
    }
}

impl Store {
    /// Writes what waits for the log, unless the disk has no room for it.
    pub fn catch_up(&self) -> Result<(), StorageError> {
        let free = self.dir.free_bytes();
        if !self.log.waits()? || free.map_or(true, |free| free >= CATCH_UP_BYTES) {
            self.log.drain()?;
        }
        Ok(())
    }
}
