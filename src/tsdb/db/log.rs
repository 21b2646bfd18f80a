//! Commits: a batch is in the log before it is in memory.

use std::io;
use std::sync::MutexGuard;

use super::backlog::Backlog;
use super::error::{WorkError, is_full};
use super::shared::{Shared, Store};
use crate::storage::{Committed, Pending, StorageError};
use crate::tsdb::head::{Flush, Head, Sifted};
use crate::tsdb::metrics::StoreMetrics;
use crate::tsdb::wal::{Position, Wal, WalError};

/// LIMIT: free bytes below which waiting samples are not written. Each attempt would make a file
/// for nothing, and flash wears.
const CATCH_UP_BYTES: u64 = 64 << 10;

/// The state behind the log's lock.
#[derive(Debug)]
pub struct Log {
    pub wal: Wal,
    /// The part of the current batch that is logged.
    wanted: Sifted,
    /// Used while the disk is full.
    pub backlog: Backlog,
}

impl Log {
    pub fn new(wal: Wal) -> Log {
        Log {
            wal,
            wanted: Sifted::default(),
            backlog: Backlog::default(),
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
        let mut waits = !self.backlog.is_empty();
        if !waits {
            match write(&mut self.wal, head, &self.wanted) {
                Ok(()) => {}
                Err(WalError::Write(error)) => {
                    tell_waiting(&error);
                    waits = true;
                }
                Err(error) => return Err(StorageError::Other(error.to_string())),
            }
        }
        if waits {
            self.backlog.wait(ordered, late, metrics);
        }
        let (taken, strays) = head.take(ordered, late)?;
        if !taken.gone.is_empty() {
            crate::bug!("series went while a batch was logged");
        }
        done.add(&taken);
        if !strays.is_empty() {
            self.log_strays(strays, head, metrics);
        }
        Ok(done)
    }

    /// Logs late samples that were logged as ones in order. A reader refuses them as that.
    #[cold]
    fn log_strays(&mut self, late: Vec<Pending>, head: &Head, metrics: &StoreMetrics) {
        let strays = Sifted {
            ordered: Vec::new(),
            late,
        };
        // NOTE: they are in memory already, so on a failing disk they wait.
        if !self.backlog.is_empty() || write(&mut self.wal, head, &strays).is_err() {
            self.backlog.wait(&[], &strays.late, metrics);
        }
    }

    /// Writes the batches that wait for room.
    fn catch_up(&mut self, head: &Head, metrics: &StoreMetrics) {
        let Log { wal, backlog, .. } = self;
        // NOTE: logged when it began to wait. It is tried again.
        let _ = backlog.drain(|batch| write(wal, head, batch));
        metrics.waiting_samples.set(backlog.samples() as f64);
    }
}

fn tell_waiting(error: &io::Error) {
    let then = "what is committed waits in memory, and is lost if the process ends before";
    if is_full(error) {
        log::error!(
            "the disk is full: {then} there is room ({error}); --storage.tsdb.retention.size keeps \
             the directory within a limit"
        );
    } else {
        log::error!("the log cannot be written: {then} it can ({error})");
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

impl Shared {
    pub fn commit(&self, batch: &[Pending]) -> Result<Committed, StorageError> {
        let done = match &self.store {
            Some(store) => {
                self.has_room(store, batch)?;
                let mut log = store.lock_log()?;
                log.commit(&self.head, batch, &store.metrics)?
            }
            None => self.head.take(batch, &[])?.0,
        };
        self.head.metrics.count(&done);
        Ok(done)
    }

    /// Writes the batches that wait for room on the disk.
    pub fn catch_up(&self, store: &Store) -> Result<(), StorageError> {
        let mut log = store.lock_log()?;
        let free = store.dir.free_bytes();
        if !log.backlog.is_empty() && free.map_or(true, |free| free >= CATCH_UP_BYTES) {
            log.catch_up(&self.head, &store.metrics);
        }
        Ok(())
    }

    /// Begins a flush of what is committed now, with the log's position after it.
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

/// The beginning of a flush.
#[derive(Debug)]
pub struct Begun {
    pub flush: Flush,
    pub cut: Position,
    /// Batches that waited for room and have numbers below this one are in the flush.
    pub waiting: u64,
}

impl Store {
    /// Drops the batches that waited when a flush began. They are in its block.
    pub fn let_go_waiting(&self, end: u64) -> Result<(), StorageError> {
        let mut log = self.lock_log()?;
        log.backlog.let_go(end);
        self.metrics
            .waiting_samples
            .set(log.backlog.samples() as f64);
        Ok(())
    }

    /// Takes the log's lock.
    ///
    /// # Errors
    /// A panic left a half-written batch.
    pub fn lock_log(&self) -> Result<MutexGuard<'_, Log>, StorageError> {
        self.log.lock().map_err(|_| StorageError::Closed)
    }
}
