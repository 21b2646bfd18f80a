//! A full disk: what is committed waits in memory for its place in the log.
//!
//! It is in the head already, so that queries see it; a process that ends before there is room
//! loses it, which the log says. Committed in the order in which it came.

use std::collections::VecDeque;
use std::io;

use crate::model::TimestampMs;
use crate::storage::Pending;
use crate::tsdb::head::Sifted;
use crate::tsdb::wal::WalError;

/// LIMIT: 6 MiB, an hour of 70 samples a second. More waiting would cost what queries need, and a
/// disk that stays full needs a person.
const SAMPLES_MAX: usize = 256 << 10;

#[derive(Debug, Default)]
pub struct Ring {
    waiting: VecDeque<Sifted>,
    samples: usize,
    /// Samples that found no place here either, since the disk is full.
    refused: u64,
    refused_range: Option<(TimestampMs, TimestampMs)>,
}

/// Whether an error goes away with room on the disk.
pub fn is_full(error: &WalError) -> bool {
    match error {
        WalError::Write(error) => matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ),
        WalError::TooLong(_) => false,
    }
}

impl Ring {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Takes a batch, unless there are too many; then it is counted.
    pub fn push(&mut self, ordered: &[Pending], late: &[Pending]) -> bool {
        let count = ordered.len() + late.len();
        if self.samples + count > SAMPLES_MAX {
            for pending in ordered.iter().chain(late) {
                let (first, last) = self.refused_range.unwrap_or((pending.t, pending.t));
                self.refused_range = Some((first.min(pending.t), last.max(pending.t)));
            }
            self.refused += count as u64;
            return false;
        }
        self.samples += count;
        self.waiting.push_back(Sifted {
            ordered: ordered.to_vec(),
            late: late.to_vec(),
        });
        true
    }

    /// Gives `write` what waits, the oldest first, until it fails.
    pub fn drain(
        &mut self,
        mut write: impl FnMut(&Sifted) -> Result<(), WalError>,
    ) -> Result<(), WalError> {
        while let Some(first) = self.waiting.front() {
            write(first)?;
            self.samples -= first.ordered.len() + first.late.len();
            self.waiting.pop_front();
        }
        self.waiting = VecDeque::new();
        let refused = std::mem::take(&mut self.refused);
        let (first, last) = self.refused_range.take().unwrap_or_default();
        log::info!(refused_samples = refused, oldest = first, newest = last;
            "the disk has room again, what waited is written");
        Ok(())
    }
}
