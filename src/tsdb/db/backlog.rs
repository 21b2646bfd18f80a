//! The backlog: on a disk that is full or cannot be written, commits wait in memory for the log.
//!
//! They are in the head already, where queries see them and the next block takes them from. A
//! process that ends before there is room loses them, and logs that. They are written in the order
//! of commits. If too much waits, the oldest stops waiting: it is still in the head, and safe with
//! the next block.

use std::collections::VecDeque;

use crate::model::{TimestampMs, timestamp};
use crate::storage::Pending;
use crate::tsdb::head::Sifted;
use crate::tsdb::metrics::StoreMetrics;
use crate::tsdb::wal::WalError;

/// LIMIT: 6 MiB, an hour of 70 samples a second. More would take memory that queries need, and a
/// disk that stays full needs a person.
const SAMPLES_MAX: usize = 256 << 10;

#[derive(Debug, Default)]
pub struct Backlog {
    waiting: VecDeque<Sifted>,
    /// The number of the first waiting batch, counted over all that ever waited.
    first: u64,
    samples: usize,
    /// Samples that stopped waiting since the disk is full.
    passed_over: u64,
    passed_over_range: Option<(TimestampMs, TimestampMs)>,
}

impl Backlog {
    /// Whether the disk has all that was committed.
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.passed_over == 0
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The number of samples that only a block can save. If there are none, writing the log is
    /// enough.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Logs what is lost, as the process ends.
    pub fn tell_lost(&self) {
        if self.is_over() {
            return;
        }
        let waiting = { self.waiting.iter() }.flat_map(|b| b.ordered.iter().chain(&b.late));
        let range = waiting.map(|pending| (pending.t, pending.t));
        let range = range.chain(self.passed_over_range);
        let range = range.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (oldest, newest) = range.unwrap_or_default();
        log::error!(samples = self.samples as u64 + self.passed_over,
            oldest = timestamp::rfc3339(oldest).as_str(),
            newest = timestamp::rfc3339(newest).as_str();
            "the disk takes nothing to the end: the samples that wait in memory are lost");
    }

    /// The number of the next batch.
    pub fn end(&self) -> u64 {
        self.first + self.waiting.len() as u64
    }

    /// Adds a batch, in place of the oldest if there are too many.
    pub fn wait(&mut self, ordered: &[Pending], late: &[Pending], metrics: &StoreMetrics) {
        let before = self.passed_over;
        self.samples += ordered.len() + late.len();
        self.waiting.push_back(Sifted {
            ordered: ordered.to_vec(),
            late: late.to_vec(),
        });
        // NOTE: at least one stays, since it shows that the disk is full.
        while self.samples > SAMPLES_MAX && self.waiting.len() > 1 {
            let Some(oldest) = self.pop() else { break };
            if self.passed_over == 0 {
                log::error!(samples_max = SAMPLES_MAX;
                    "too many samples wait for room on the disk: the oldest are in memory alone, \
                     until the head can become a block");
            }
            for Pending { t, .. } in oldest.ordered.iter().chain(&oldest.late) {
                let (first, last) = self.passed_over_range.unwrap_or((*t, *t));
                self.passed_over_range = Some((first.min(*t), last.max(*t)));
            }
            self.passed_over += (oldest.ordered.len() + oldest.late.len()) as u64;
        }
        metrics
            .passed_over_samples
            .add((self.passed_over - before) as f64);
        metrics.waiting_samples.set(self.samples as f64);
    }

    /// Gives the waiting batches to `write`, the oldest first, until it fails.
    pub fn drain(
        &mut self,
        mut write: impl FnMut(&Sifted) -> Result<(), WalError>,
    ) -> Result<(), WalError> {
        while let Some(first) = self.waiting.front() {
            write(first)?;
            self.pop();
        }
        log::info!("the disk takes samples again, what waited is in the log");
        Ok(())
    }

    /// Drops batches before this number, which are in a block. So are those passed over before
    /// them.
    pub fn let_go(&mut self, end: u64) {
        if self.is_over() {
            return;
        }
        while self.first < end && self.pop().is_some() {}
        (self.passed_over, self.passed_over_range) = (0, None);
        if self.waiting.is_empty() {
            log::info!("the disk takes samples again, what waited is in a block");
        }
    }

    fn pop(&mut self) -> Option<Sifted> {
        let popped = self.waiting.pop_front()?;
        self.first += 1;
        self.samples -= popped.ordered.len() + popped.late.len();
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        Some(popped)
    }
}
