//! The thread `wal-write`, which alone writes the log.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::backlog::{Entries, Entry};
use super::log::{Phase, Queue, State};
use crate::tsdb::head::Head;
use crate::tsdb::wal::{Wal, WalError};

/// LIMIT: how long batches that nobody waits for gather. A process that is killed loses as much at
/// most of what no query has seen.
const NAP: Duration = Duration::from_millis(100);

/// LIMIT: a write, without its last entry, however much waits.
const WRITE_BYTES: usize = 64 << 10;

/// The first entry that is not in the log, and why.
type Failed = (u64, WalError);

/// Returns when the other side has closed the log, or a panic has.
pub fn run(queue: &Queue, head: &Head) {
    let mut last: Option<Duration> = None;
    while let Some((mut wal, entries)) = rest(queue) {
        let began = queue.clock.mono();
        let written = catch_unwind(AssertUnwindSafe(|| write(&mut wal, &entries, head)));
        drop(entries);
        match written {
            Ok(written) => end(queue, wal, written),
            Err(payload) => close(queue, payload),
        }
        let follows = last.is_some_and(|last| began.saturating_sub(last) < 2 * NAP);
        last = Some(began);
        if follows {
            let spent = queue.clock.mono().saturating_sub(began);
            nap(queue, NAP.saturating_sub(spent));
        }
    }
}

/// Waits for something to write. Returns nothing when nothing will come any more.
fn rest(queue: &Queue) -> Option<(Wal, Arc<Entries>)> {
    let mut state = queue.state.lock().ok()?;
    while !state.has_work() {
        if state.is_closed {
            return None;
        }
        state.thread = Phase::Rests;
        state = queue.asked.wait(state).ok()?;
    }
    state.thread = Phase::Works;
    (state.is_wanted, state.tries_again) = (false, false);
    state.writing_since = Some(queue.clock.mono());
    Some((state.wal.take()?, state.backlog.take()))
}

/// Lets batches gather, unless somebody waits for one.
fn nap(queue: &Queue, left: Duration) {
    if let Ok(mut state) = queue.state.lock() {
        state.thread = Phase::Naps;
        let gathers = |state: &mut State| !state.is_wanted && !state.is_closed;
        if let Ok((mut state, _)) = queue.asked.wait_timeout_while(state, left, gathers) {
            state.thread = Phase::Works;
        }
    }
}

/// Returns whether the disk was asked for anything.
fn write(wal: &mut Wal, entries: &Entries, head: &Head) -> Result<bool, Failed> {
    let mut first = entries.front().map_or(0, |(number, _)| *number);
    for (number, entry) in entries {
        put(wal, entry, head).map_err(|error| (first, error))?;
        if wal.to_write() == 0 {
            first = number + 1;
        }
    }
    wal.write().map_err(|error| (first, error))?;
    Ok({ entries.iter() }.any(|(_, entry)| !matches!(entry, Entry::Cut(_))))
}

/// Writes what was put before, too, if that is much, or the log is cut.
fn put(wal: &mut Wal, entry: &Entry, head: &Head) -> Result<(), WalError> {
    let mut labels = |series| head.labels(series);
    match entry {
        Entry::Samples(samples) => {
            wal.put(&samples.ordered, &mut labels)?;
            wal.put_out_of_order(&samples.late, &mut labels)?;
        }
        Entry::Exemplars(exemplars) if exemplars.are_given_up.load(Relaxed) => {}
        Entry::Exemplars(exemplars) => wal.put_exemplars(&exemplars.named)?,
        Entry::Cut(cut) => {
            wal.write()?;
            let _ = cut.set(wal.cut());
        }
    }
    if wal.to_write() >= WRITE_BYTES {
        wal.write()?;
    }
    Ok(())
}

fn end(queue: &Queue, wal: Wal, written: Result<bool, Failed>) {
    let Ok(mut state) = queue.state.lock() else {
        return;
    };
    state.wal = Some(wal);
    (state.writing_since, state.is_overdue) = (None, false);
    match written {
        Ok(has_asked) => {
            state.backlog.written();
            if !state.has_caught_up() {
                state.tries_again = true;
            } else if has_asked {
                queue.heals(&mut state, "the log");
            }
        }
        Err((from, error)) => {
            state.failures += 1;
            state.backlog.put_back(from, &queue.metrics);
            if state.backlog.is_empty() {
                state.is_failing = false;
                state.unwritable = Some(error.to_string());
                queue.show(&state);
            } else {
                queue.fails(&mut state, &error);
            }
        }
    }
    let are_waiting = state.waiters > 0;
    drop(state);
    if are_waiting {
        queue.ended.notify_all();
    }
    queue.bell.has_logged();
}

/// A panic left something half-written, which closes the storage.
fn close(queue: &Queue, payload: Box<dyn Any + Send>) -> ! {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _poisoned = queue.state.lock();
        resume_unwind(Box::new(()));
    }));
    queue.ended.notify_all();
    queue.bell.ring();
    resume_unwind(payload)
}
