//! The log: commits queue for it, and the thread `wal-write` writes.
//!
//! A medium may stand still: a write then neither fails nor returns, and whoever made it is held by
//! the kernel. That must be nobody who scrapes, answers or stops. So the thread alone asks the disk
//! for something, and nobody waits for a write that takes too long.
//!
//! Where nobody was promised a batch, nobody waits for it. While such batches come in quick
//! succession, the thread lets them gather for a tenth of a second, and writes them as one. A query
//! that will see them hurries it.

use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use super::backlog::{Backlog, Entry, Exemplars};
use super::bell::Bell;
use super::error::{WorkError, is_full};
use super::log_writer::run;
use crate::stdx::clock::Clock;
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::thread::{Thread, spawn};
use crate::storage::{Committed, Pending, StorageError};
use crate::tsdb::filenames::WAL_DIR;
use crate::tsdb::head::{Appended, Flush, Head};
use crate::tsdb::metrics::StoreMetrics;
use crate::tsdb::wal::{Position, Wal, WalError};

#[derive(Debug)]
pub struct Log {
    queue: Arc<Queue>,
    /// Joined when the queue is closed.
    _thread: Thread,
}

/// What the thread and all others share.
#[derive(Debug)]
pub struct Queue {
    pub state: Mutex<State>,
    /// Rung when the thread has something to do.
    pub asked: Condvar,
    /// Rung when a write has ended, if somebody waits for one.
    pub ended: Condvar,
    pub patience: Duration,
    pub clock: Arc<dyn Clock>,
    pub bell: Arc<Bell>,
    pub metrics: Arc<StoreMetrics>,
}

/// The state behind the log's lock.
#[derive(Debug)]
pub struct State {
    /// `None` while the thread writes.
    pub wal: Option<Wal>,
    pub backlog: Backlog,
    /// Since when the thread writes, on the monotonic clock.
    pub writing_since: Option<Duration>,
    /// Somebody has lost patience with what it writes.
    pub is_overdue: bool,
    /// The number of writes that failed.
    pub failures: u64,
    /// The last write failed, or has not returned: what comes waits until it is tried again.
    pub is_failing: bool,
    pub tries_again: bool,
    /// The disk answers again; entries before this number have gathered while it did not.
    pub heals_at: Option<u64>,
    /// Why the log cannot be written, as far as is known.
    pub unwritable: Option<String>,
    pub thread: Phase,
    /// Somebody waits for what is in the backlog.
    pub is_wanted: bool,
    pub waiters: u32,
    pub is_closed: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Phase {
    /// It sleeps until something is asked.
    Rests,
    /// It lets batches gather.
    Naps,
    Works,
}

/// A flush at its beginning.
#[derive(Debug)]
pub struct Begun {
    pub flush: Flush,
    /// The log's place behind what is in the flush.
    pub cut: Position,
    /// The batches that waited for room, those before this number, are in the flush.
    pub waiting: u64,
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Ok(mut state) = self.lock() {
            state.is_closed = true;
        }
        self.queue.asked.notify_one();
    }
}

type Guard<'a> = MutexGuard<'a, State>;

impl Log {
    /// Starts the thread. The second value is why the log cannot be written, where that is known.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start(
        (wal, unwritable): (Wal, Option<String>),
        patience: Duration,
        head: Arc<Head>,
        clock: Arc<dyn Clock>,
        bell: Arc<Bell>,
        metrics: Arc<StoreMetrics>,
    ) -> io::Result<Log> {
        let queue = Arc::new(Queue {
            state: Mutex::new(State {
                wal: Some(wal),
                backlog: Backlog::default(),
                writing_since: None,
                is_overdue: false,
                failures: 0,
                is_failing: false,
                tries_again: false,
                heals_at: None,
                unwritable,
                thread: Phase::Works,
                is_wanted: false,
                waiters: 0,
                is_closed: false,
            }),
            asked: Condvar::new(),
            ended: Condvar::new(),
            patience,
            clock,
            bell,
            metrics,
        });
        let of_thread = queue.clone();
        let thread = spawn("wal-write", THREAD_STACK, move || run(&of_thread, &head))?;
        Ok(Log {
            queue,
            _thread: thread,
        })
    }

    /// Stores a batch in the head, and queues what was stored for the log. Unless it is `deferred`,
    /// it waits until the log has it, or cannot be written. Returns also whether samples were late.
    pub fn commit(
        &self,
        head: &Head,
        batch: &[Pending],
        deferred: bool,
    ) -> Result<(Committed, bool), StorageError> {
        let mut state = self.lock()?;
        let mut stored = Appended::with_room(batch.len());
        let done = head.take(batch, Some(&mut stored))?;
        let has_late = !stored.late.is_empty();
        // LIMIT: what may wait long has no more room than it needs.
        if stored.ordered.len() < batch.len() / 2 {
            stored.ordered.shrink_to_fit();
        }
        if stored.len() > 0 {
            self.push(&mut state, Entry::Samples(stored));
        }
        if state.is_failing || deferred {
            self.wake(&state);
        } else if let Some(last) = state.backlog.end().checked_sub(1)
            && done.appended > 0
        {
            // NOTE: what was stored already may wait for the log, too.
            drop(self.wait(state, last)?);
        }
        Ok((done, has_late))
    }

    /// Logs exemplars, and waits for it. Returns whether they are in the log.
    pub fn log_exemplars(&self, exemplars: &Arc<Exemplars>) -> Result<bool, StorageError> {
        let mut state = self.lock()?;
        if !state.is_failing {
            let number = self.push(&mut state, Entry::Exemplars(exemplars.clone()));
            state = self.wait(state, number)?;
        }
        let are_logged = exemplars.are_logged.load(Relaxed);
        exemplars.are_given_up.store(!are_logged, Relaxed);
        drop(state);
        Ok(are_logged)
    }

    /// Returns what is committed now, and the log's place behind it.
    ///
    /// # Errors
    /// The log can be cut there only when the disk has answered.
    pub fn begin_flush(&self, head: &Arc<Head>) -> Result<Begun, WorkError> {
        let mut state = self.lock()?;
        if !state.is_failing {
            // ORDER: both under one lock, so that the log goes on where the flush ends.
            let (flush, waiting) = (head.flush()?, state.backlog.end());
            let cut = Arc::new(OnceLock::new());
            let number = self.push(&mut state, Entry::Cut(cut.clone()));
            state = self.wait(state, number)?;
            if let Some(cut) = cut.get().copied() {
                return Ok(Begun {
                    flush,
                    cut,
                    waiting,
                });
            }
        }
        // NOTE: on a disk that fails nothing more is written, and the block has what waits now.
        let State {
            wal,
            backlog,
            is_failing,
            unwritable,
            ..
        } = &mut *state;
        let Some(wal) = wal.as_mut().filter(|_| *is_failing) else {
            let why = unwritable
                .clone()
                .unwrap_or_else(|| "the log could not be cut".to_owned());
            return Err(StorageError::Other(why).into());
        };
        Ok(Begun {
            flush: head.flush()?,
            cut: wal.cut(),
            waiting: backlog.end(),
        })
    }

    /// What waited when a flush began is in its block.
    pub fn let_go(&self, end: u64) -> Result<(), StorageError> {
        let mut state = self.lock()?;
        state.backlog.let_go(end);
        if state.backlog.is_empty() && state.writing_since.is_none() {
            self.queue.heals(&mut state, "a block");
        } else {
            self.queue.show(&state);
        }
        Ok(())
    }

    /// Has everything written that waits, and waits for that.
    pub fn drain(&self) -> Result<(), StorageError> {
        let mut state = self.lock()?;
        if let Some(last) = state.backlog.end().checked_sub(1)
            && !self.queue.stands_still(&mut state)
        {
            state.tries_again = state.is_failing;
            drop(self.wait(state, last)?);
        }
        Ok(())
    }

    /// A query will see what is committed: it shall be in the log soon. Nobody waits.
    pub fn hurry(&self) {
        if let Ok(mut state) = self.lock()
            && !state.backlog.is_empty()
        {
            state.is_wanted = true;
            self.wake(&state);
        }
    }

    /// Logs what is lost, as the process ends.
    pub fn tell_lost(&self) {
        if let Ok(state) = self.lock() {
            state.backlog.tell_lost();
        }
    }

    /// Whether samples wait for a disk that can be written, or for a block.
    pub fn waits(&self) -> Result<bool, StorageError> {
        Ok(self.lock()?.waits())
    }

    /// Whether the disk has held a write back for longer than anybody waits: then nobody should ask
    /// more of it.
    pub fn stands_still(&self) -> Result<bool, StorageError> {
        Ok(self.queue.stands_still(&mut *self.lock()?))
    }

    /// # Errors
    /// A panic left something half-written.
    pub fn lock(&self) -> Result<Guard<'_>, StorageError> {
        self.queue.state.lock().map_err(|_| StorageError::Closed)
    }

    fn push(&self, state: &mut State, entry: Entry) -> u64 {
        self.queue.stands_still(state);
        let number = state.backlog.push(entry);
        if state.is_failing {
            state.backlog.pass_over(&self.queue.metrics);
        }
        self.queue.show(state);
        number
    }

    /// Wakes the thread, if it sleeps and has something to do.
    fn wake(&self, state: &State) {
        let sleeps = match state.thread {
            Phase::Rests => true,
            Phase::Naps => state.is_wanted,
            Phase::Works => false,
        };
        if sleeps && state.has_work() {
            self.queue.asked.notify_one();
        }
    }

    /// Waits for the end of an entry's first write, unless the disk stands still.
    fn wait<'a>(&self, mut state: Guard<'a>, number: u64) -> Result<Guard<'a>, StorageError> {
        if !state.backlog.has_settled(number) {
            state.is_wanted = true;
            self.wake(&state);
        }
        let (queue, failures) = (&self.queue, state.failures);
        while !state.backlog.has_settled(number) && state.failures == failures {
            if queue.stands_still(&mut state) {
                break;
            }
            state.waiters += 1;
            let left = queue.patience.saturating_sub(queue.spent(&state));
            let write = state.writing_since;
            let waited = queue.ended.wait_timeout(state, left);
            let (woken, timeout) = waited.map_err(|_| StorageError::Closed)?;
            state = woken;
            state.waiters -= 1;
            // NOTE: a write that has not begun yet, or only now, says nothing about the disk.
            let is_same = write.is_some() && state.writing_since == write;
            state.is_overdue |= timeout.timed_out() && is_same;
        }
        Ok(state)
    }
}

impl State {
    /// Whether samples wait for a disk that can be written, or for a block.
    pub fn waits(&self) -> bool {
        self.is_failing || self.backlog.passed_over() > 0
    }

    /// Whether the disk has what gathered before it answered again.
    pub fn has_caught_up(&mut self) -> bool {
        let end = self.backlog.end();
        let last = { self.is_failing }.then(|| *self.heals_at.get_or_insert(end));
        let last = last.and_then(|end| end.checked_sub(1));
        last.is_none_or(|last| self.backlog.has_settled(last))
    }

    pub fn has_work(&self) -> bool {
        !self.backlog.is_empty() && (!self.is_failing || self.tries_again)
    }
}

impl Queue {
    /// Whether a write is overdue. The first who finds it so logs it.
    pub fn stands_still(&self, state: &mut State) -> bool {
        state.is_overdue |= self.spent(state) >= self.patience;
        if state.is_overdue && !state.is_failing {
            self.fails(state, &self.late());
        }
        state.is_overdue
    }

    /// How long the thread has been writing.
    fn spent(&self, state: &State) -> Duration {
        let spent = |since| self.clock.mono().saturating_sub(since);
        state.writing_since.map_or(Duration::ZERO, spent)
    }

    /// The log cannot be written: what is committed waits in memory.
    pub fn fails(&self, state: &mut State, error: &WalError) {
        if !state.is_failing {
            tell_waiting(error);
            state.is_failing = true;
            self.bell.ring();
        }
        state.unwritable = Some(error.to_string());
        (state.tries_again, state.heals_at) = (false, None);
        self.show(state);
    }

    /// What waited is safe.
    pub fn heals(&self, state: &mut State, where_it_is: &str) {
        (state.unwritable, state.heals_at) = (None, None);
        if std::mem::take(&mut state.is_failing) {
            let rest = match state.backlog.passed_over() {
                0 => "",
                _ => ", but for the oldest, which wait for a block",
            };
            log::info!("the disk takes samples again, what waited is in {where_it_is}{rest}");
        }
        self.show(state);
    }

    pub fn show(&self, state: &State) {
        let waiting = { state.waits() }.then(|| state.backlog.samples());
        let waiting = waiting.unwrap_or_default();
        self.metrics.waiting_samples.set(waiting as f64);
    }

    fn late(&self) -> WalError {
        let text = format!(
            "{WAL_DIR}: the disk stands still: no answer in {:?}",
            self.patience
        );
        io::Error::new(ErrorKind::TimedOut, text).into()
    }
}

fn tell_waiting(error: &WalError) {
    let then = "what is committed waits in memory, and is lost if the process ends before";
    if is_full(&error.0) {
        log::error!(
            "the disk is full: {then} there is room ({error}); --storage.tsdb.retention.size keeps \
             the directory within a limit"
        );
    } else {
        log::error!("the log cannot be written: {then} it can ({error})");
    }
}
