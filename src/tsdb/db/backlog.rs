//! The backlog: what is committed, or asked for otherwise, and not yet in the log.
//!
//! Its samples are in the head already, where queries see them and the next block takes them from.
//! On a good disk they wait for the thread `wal-write` alone. On a disk that is full or cannot be
//! written they wait until it can; a process that ends before loses them, and logs that. If too
//! much waits there, the oldest stops waiting: it is still in the head, and safe with the next
//! block. All is written in the order of commits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use crate::model::{TimestampMs, timestamp};
use crate::storage::Pending;
use crate::tsdb::exemplars::Named;
use crate::tsdb::head::Appended;
use crate::tsdb::metrics::StoreMetrics;
use crate::tsdb::wal::Position;

/// LIMIT: 6 MiB, an hour of 70 samples a second. More would take memory that queries need, and a
/// disk that stays full needs a person.
const SAMPLES_MAX: usize = 256 << 10;

/// LIMIT: the samples that are taken at once, without those of the last entry. A disk that writes
/// what has gathered does not stand still.
const TAKEN_MAX: usize = 64 << 10;

#[derive(Debug)]
pub enum Entry {
    Samples(Appended),
    /// Given up if they cannot be written: whoever brought them waits for them.
    Exemplars(Arc<Exemplars>),
    /// What comes after it begins a new segment, whose position it gets. Given up in the same way.
    Cut(Arc<OnceLock<Position>>),
}

#[derive(Debug)]
pub struct Exemplars {
    pub named: Vec<Named>,
    pub are_logged: AtomicBool,
    /// Whoever brought them waits no more, and has refused them.
    pub are_given_up: AtomicBool,
}

impl Exemplars {
    pub fn new(named: Vec<Named>) -> Exemplars {
        Exemplars {
            named,
            are_logged: AtomicBool::new(false),
            are_given_up: AtomicBool::new(false),
        }
    }
}

/// Entries with their numbers, which count all that ever were.
pub type Entries = VecDeque<(u64, Entry)>;

#[derive(Debug, Default)]
pub struct Backlog {
    waiting: Entries,
    /// What the thread writes at this time.
    taken: Option<Arc<Entries>>,
    /// The number of the next entry.
    end: u64,
    /// Samples that wait or are taken.
    samples: usize,
    /// Samples that stopped waiting since the disk is full.
    passed_over: u64,
    passed_over_range: Option<(TimestampMs, TimestampMs)>,
    /// They had numbers before this one.
    passed_to: u64,
}

impl Backlog {
    /// Whether nothing waits. Something may be taken.
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
        let samples = self.samples as u64 + self.passed_over;
        if samples == 0 {
            return;
        }
        let entries = self.taken.iter().flat_map(|taken| taken.iter());
        let waiting = entries.chain(&self.waiting).flat_map(|(_, e)| e.samples());
        let range = waiting.map(|pending| (pending.t, pending.t));
        let range = range.chain(self.passed_over_range);
        let range = range.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (oldest, newest) = range.unwrap_or_default();
        log::error!(samples = samples,
            oldest = timestamp::rfc3339(oldest).as_str(),
            newest = timestamp::rfc3339(newest).as_str();
            "the disk takes nothing to the end: the samples that wait in memory are lost");
    }

    /// Whether all entries up to this one are in the log, or given up.
    pub fn has_settled(&self, number: u64) -> bool {
        let taken = self.taken.as_ref().and_then(|taken| taken.front());
        let first = taken.or(self.waiting.front());
        first.is_none_or(|(first, _)| *first > number)
    }

    /// The number of the next entry.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Adds an entry. Returns its number.
    pub fn push(&mut self, entry: Entry) -> u64 {
        let number = self.end;
        self.end += 1;
        self.samples += entry.samples_len();
        self.waiting.push_back((number, entry));
        number
    }

    /// Lets the oldest wait no more, if too many do. ORDER: on a disk that fails; else somebody
    /// may wait for them.
    pub fn pass_over(&mut self, metrics: &StoreMetrics) {
        let before = self.passed_over;
        // NOTE: at least one stays, since it shows that the disk is full.
        while self.samples > SAMPLES_MAX && self.waiting.len() > 1 {
            let Some((number, oldest)) = self.pop() else {
                break;
            };
            self.passed_to = number + 1;
            if self.passed_over == 0 {
                log::error!(samples_max = SAMPLES_MAX;
                    "too many samples wait for room on the disk: the oldest are in memory alone, \
                     until the head can become a block");
            }
            for Pending { t, .. } in oldest.samples() {
                let (first, last) = self.passed_over_range.unwrap_or((*t, *t));
                self.passed_over_range = Some((first.min(*t), last.max(*t)));
            }
            self.passed_over += oldest.samples_len() as u64;
        }
        let more = self.passed_over - before;
        if more > 0 {
            metrics.passed_over_samples.add(more as f64);
        }
    }

    /// Gives away what waits, the oldest first, until [`Backlog::written`] or
    /// [`Backlog::put_back`].
    pub fn take(&mut self) -> Arc<Entries> {
        let (mut samples, mut count) = (0, 0);
        for (_, entry) in &self.waiting {
            count += 1;
            samples += entry.samples_len();
            if samples >= TAKEN_MAX {
                break;
            }
        }
        let rest = self.waiting.split_off(count);
        let taken = Arc::new(std::mem::replace(&mut self.waiting, rest));
        self.taken = Some(taken.clone());
        taken
    }

    /// What was taken is in the log.
    pub fn written(&mut self) {
        self.end_of_taken(u64::MAX);
    }

    /// What was taken is in the log up to this number. The samples of the rest wait again.
    pub fn put_back(&mut self, from: u64, metrics: &StoreMetrics) {
        let mut waiting = self.end_of_taken(from);
        waiting.append(&mut self.waiting);
        waiting.retain(|(_, entry)| entry.samples_len() > 0);
        self.waiting = waiting;
        self.pass_over(metrics);
    }

    /// What was taken is in the log up to this number. Returns the rest. ORDER: the thread has let
    /// go of it.
    fn end_of_taken(&mut self, from: u64) -> Entries {
        let taken = self.taken.take().and_then(Arc::into_inner);
        let mut logged = taken.unwrap_or_default();
        let rest = logged.split_off(logged.partition_point(|(number, _)| *number < from));
        for (_, entry) in logged {
            self.samples -= entry.samples_len();
            if let Entry::Exemplars(exemplars) = entry {
                exemplars.are_logged.store(true, Relaxed);
            }
        }
        rest
    }

    /// Drops entries before this number, which are in a block. So are those that were passed over,
    /// unless newer ones were since.
    pub fn let_go(&mut self, end: u64) {
        while { self.waiting.front() }.is_some_and(|(number, _)| *number < end) {
            self.pop();
        }
        if self.passed_to <= end {
            (self.passed_over, self.passed_over_range) = (0, None);
        }
    }

    fn pop(&mut self) -> Option<(u64, Entry)> {
        let (number, popped) = self.waiting.pop_front()?;
        self.samples -= popped.samples_len();
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        Some((number, popped))
    }
}

impl Entry {
    fn samples(&self) -> impl Iterator<Item = &Pending> {
        let samples = match self {
            Entry::Samples(samples) => Some(samples),
            Entry::Exemplars(_) | Entry::Cut(_) => None,
        };
        samples.into_iter().flat_map(Appended::iter)
    }

    fn samples_len(&self) -> usize {
        match self {
            Entry::Samples(samples) => samples.len(),
            Entry::Exemplars(_) | Entry::Cut(_) => 0,
        }
    }
}
