//! The log and what waits for it: a batch is committed when the log has it, or cannot be written.

use super::backlog::Backlog;
use super::error::is_full;
use crate::storage::{Committed, Pending, StorageError};
use crate::tsdb::head::{Head, Sifted};
use crate::tsdb::metrics::StoreMetrics;
use crate::tsdb::wal::{Wal, WalError};

/// LIMIT: free bytes below which waiting samples are not tried: each attempt makes a file for
/// nothing, and flash wears.
pub const CATCH_UP_BYTES: u64 = 64 << 10;

/// The state behind the log's lock.
#[derive(Debug)]
pub struct Log {
    pub wal: Wal,
    /// The part of the current batch that is logged.
    wanted: Sifted,
    /// Used while the disk is full.
    pub backlog: Backlog,
    /// Why the log was not written when it was tried last.
    pub unwritable: Option<String>,
}

impl Log {
    pub fn new(wal: Wal, unwritable: Option<String>) -> Log {
        Log {
            wal,
            wanted: Sifted::default(),
            backlog: Backlog::default(),
            unwritable,
        }
    }

    pub fn commit(
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
        let begun = { self.backlog.is_empty() }.then(|| begin(&mut self.wal, head, &self.wanted));
        // NOTE: while the log's thread writes, so that its write is waited for less. Whoever is
        // told that a batch is committed is told so when the log has it, or cannot be written.
        let (taken, strays) = head.take(ordered, late)?;
        let written = begun.map(|begun| begun.and_then(|()| self.wal.settle()));
        match written {
            Some(Ok(_)) => self.unwritable = None,
            Some(Err(error)) => {
                tell_waiting(&error);
                self.unwritable = Some(error.to_string());
                self.backlog.wait(ordered, late, metrics);
            }
            None => self.backlog.wait(ordered, late, metrics),
        }
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

    /// Whether the last batch had late samples.
    pub fn has_late(&self) -> bool {
        !self.wanted.late.is_empty()
    }

    /// Writes what waits for room.
    pub fn catch_up(&mut self, head: &Head, metrics: &StoreMetrics) {
        let Log { wal, backlog, .. } = self;
        // NOTE: told when it began to wait; it is tried again.
        let drained = backlog.drain(|batch| write(wal, head, batch));
        self.unwritable = drained.err().map(|error| error.to_string());
        metrics.waiting_samples.set(backlog.samples() as f64);
    }
}

fn tell_waiting(error: &WalError) {
    let then = "what is committed waits in memory, and is lost if the process ends before";
    if let WalError::Write(error) = error
        && is_full(error)
    {
        log::error!(
            "the disk is full: {then} there is room ({error}); --storage.tsdb.retention.size keeps \
             the directory within a limit"
        );
    } else {
        log::error!("the log cannot be written: {then} it can ({error})");
    }
}

/// Writes a batch, and waits only for the write of late samples. [`Wal::settle`] waits for the
/// other.
fn begin(wal: &mut Wal, head: &Head, batch: &Sifted) -> Result<(), WalError> {
    let mut labels = |series| head.labels(series);
    if !batch.ordered.is_empty() {
        wal.begin(&batch.ordered, &mut labels)?;
    }
    if !batch.late.is_empty() {
        wal.settle()?;
        wal.log_out_of_order(&batch.late, &mut labels)?;
    }
    Ok(())
}

fn write(wal: &mut Wal, head: &Head, batch: &Sifted) -> Result<(), WalError> {
    begin(wal, head, batch)?;
    wal.settle().map(|_| ())
}
