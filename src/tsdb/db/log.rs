//! Committing: a batch is in the log before it is in memory.

use std::io;
use std::sync::MutexGuard;

use super::core::{Core, Store};
use super::error::WorkError;
use super::ring::{Ring, is_full};
use crate::storage::{Committed, Pending, StorageError};
use crate::tsdb::head::{Flush, Head, Sifted};
use crate::tsdb::metrics::StoreMetrics;
use crate::tsdb::wal::{Position, Wal, WalError};

/// Behind the log's lock.
#[derive(Debug)]
pub struct Log {
    pub wal: Wal,
    /// Of the batch at hand, what is logged.
    wanted: Sifted,
    /// While the disk is full.
    pub ring: Ring,
}

impl Log {
    pub fn new(wal: Wal) -> Log {
        Log {
            wal,
            wanted: Sifted::default(),
            ring: Ring::default(),
        }
    }

    fn commit(
        &mut self,
        head: &Head,
        batch: &[Pending],
        metrics: &StoreMetrics,
    ) -> Result<Committed, StorageError> {
        let mut done = head.sift(batch, &mut self.wanted)?;
        let Sifted { ordered, late } = &self.wanted;
        if ordered.is_empty() && late.is_empty() {
            return Ok(done);
        }
        // ORDER: after what waits already.
        let written = if self.ring.is_empty() {
            write(&mut self.wal, head, &self.wanted)
        } else {
            Err(WalError::Write(io::ErrorKind::StorageFull.into()))
        };
        match written {
            Ok(()) => {}
            Err(error) if is_full(&error) => {
                if self.ring.is_empty() {
                    log::error!("the disk is full: what is committed waits in memory ({error})");
                }
                if !self.ring.push(ordered, late) {
                    metrics
                        .refused_samples
                        .add((ordered.len() + late.len()) as f64);
                    return Err(StorageError::Other(format!(
                        "the disk is full, and {} samples wait in memory already",
                        self.ring.samples()
                    )));
                }
                metrics.waiting_samples.set(self.ring.samples() as f64);
            }
            Err(error) => return Err(StorageError::Other(error.to_string())),
        }
        let taken = head.take(&[ordered, late])?;
        if !taken.gone.is_empty() {
            crate::bug!("series went while a batch was logged");
        }
        done.add(&taken);
        Ok(done)
    }

    /// Writes what waits for room.
    fn catch_up(&mut self, head: &Head, metrics: &StoreMetrics) {
        let Log { wal, ring, .. } = self;
        // NOTE: told when it began to wait; it is tried again.
        let _ = ring.drain(|batch| write(wal, head, batch));
        metrics.waiting_samples.set(ring.samples() as f64);
    }
}

fn write(wal: &mut Wal, head: &Head, batch: &Sifted) -> Result<(), WalError> {
    let mut labels = |series| head.labels(series);
    if !batch.ordered.is_empty() {
        wal.log(&batch.ordered, &mut labels)?;
    }
    if !batch.late.is_empty() {
        wal.log_out_of_order(&batch.late, &mut labels)?;
    }
    Ok(())
}

impl Core {
    pub fn commit(&self, batch: &[Pending]) -> Result<Committed, StorageError> {
        let done = match &self.store {
            Some(store) => {
                self.has_room(store, batch)?;
                let mut log = store.lock_log()?;
                log.commit(&self.head, batch, &store.metrics)?
            }
            None => self.head.take(&[batch])?,
        };
        self.head.metrics.count(&done);
        Ok(done)
    }

    /// Writes what waits for room on the disk; whether there was any.
    pub fn catch_up(&self, store: &Store) -> Result<bool, StorageError> {
        let mut log = store.lock_log()?;
        if log.ring.is_empty() {
            return Ok(false);
        }
        log.catch_up(&self.head, &store.metrics);
        Ok(true)
    }

    /// What is committed now, and the log's place behind it.
    pub fn begin_flush(&self, store: &Store) -> Result<(Flush, Position), WorkError> {
        let mut log = store.lock_log()?;
        let cut = log.wal.cut();
        // ORDER: before the log goes on.
        let flush = self.head.flush()?;
        drop(log);
        Ok((flush, cut))
    }
}

impl Store {
    /// # Errors
    /// A panic left a half-written batch.
    pub fn lock_log(&self) -> Result<MutexGuard<'_, Log>, StorageError> {
        self.log.lock().map_err(|_| StorageError::Closed)
    }
}
