//! The thread around a loop: ticks, stopping, panics.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{bounded, select};

use super::schedule::Schedule;
use super::scrape_loop::{ScrapeLoop, Turned};
use crate::model::TimestampMs;
use crate::stdx::clock::{Clock, Ticker};
use crate::stdx::limits::LOOP_STACK;
use crate::stdx::stop::{Stop, StopSender};
use crate::stdx::thread::{self, Thread, panic_message};

/// Ends the request that is under way, if there is one.
pub(super) type Cancel = Box<dyn Fn() + Send + Sync>;

/// A loop that runs on its thread. Dropping it stops and joins it.
pub(super) struct Running {
    cancel: Cancel,
    stop: StopSender,
    schedule: Schedule,
    thread: Thread,
}

impl Running {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread: the target's misfortune, to be tried again.
    pub fn start(
        scrape_loop: ScrapeLoop,
        cancel: Cancel,
        stop: (StopSender, Stop),
        schedule: Schedule,
        clock: Arc<dyn Clock>,
        number: u64,
    ) -> io::Result<Running> {
        let (sender, stop) = stop;
        let plan = schedule.clone();
        let name = format!("scrape-{:04}", number % 10_000);
        let first = format!("{name}-new");
        let run = move || run(scrape_loop, plan, &stop, &*clock, first);
        let thread = thread::spawn(name, LOOP_STACK, run)?;
        Ok(Running {
            cancel,
            stop: sender,
            schedule,
            thread,
        })
    }

    /// Tells the loop to end, and does not wait for it. The thread is to be joined later.
    pub fn stop(self) -> Thread {
        // ORDER: told to stop before its request ends, or it would take that for a failure.
        drop(self.stop);
        (self.cancel)();
        self.thread
    }

    /// When the tick would have been that the loop misses now, on both clocks, and its interval.
    pub fn next_tick(&self, clock: &dyn Clock) -> (Duration, TimestampMs, Duration) {
        let (now, wall_ms) = (clock.mono(), clock.wall_ms());
        let tick = self.schedule.tick_after(now);
        let wait_ms = tick.saturating_sub(now).as_millis() as i64;
        (tick, wall_ms + wait_ms, self.schedule.interval)
    }
}

fn run(
    scrape_loop: ScrapeLoop,
    mut schedule: Schedule,
    stop: &Stop,
    clock: &dyn Clock,
    first: String,
) {
    let mut first = Some(first);
    let shared = Arc::new(Mutex::new(scrape_loop));
    let mut ticker = Ticker::new(clock, schedule.first, schedule.interval);
    loop {
        select! {
            recv(stop.channel()) -> _ => return,
            recv(ticker.channel()) -> _ => {}
        }
        if stop.is_stopped() {
            return;
        }
        let (due, _) = ticker.advance(clock);
        let t = schedule.timestamp(due, clock.mono(), clock.wall_ms());
        let turned = match first.take() {
            Some(name) => first_turn(name, &shared, t),
            None => guarded_turn(&mut lock(&shared), t),
        };
        if turned == Turned::Cancelled {
            return;
        }
    }
}

/// The first turn makes a target's series. It has a thread of its own, because what a thread frees
/// stays with it, as does the stack that it touched: 30 KiB that no later turn needs.
fn first_turn(name: String, shared: &Arc<Mutex<ScrapeLoop>>, t: TimestampMs) -> Turned {
    let (theirs, (tell, told)) = (shared.clone(), bounded(1));
    let turn = move || {
        // NOTE: it has room for one answer, and whoever asked waits for the thread.
        let _ = tell.send(guarded_turn(&mut lock(&theirs), t));
    };
    match thread::spawn(name, LOOP_STACK, turn) {
        Ok(thread) => drop(thread),
        Err(_) => return guarded_turn(&mut lock(shared), t),
    }
    told.try_recv().unwrap_or(Turned::Done)
}

fn lock(shared: &Mutex<ScrapeLoop>) -> MutexGuard<'_, ScrapeLoop> {
    // NOTE: a turn's panic is caught under the lock, and the loop recovers from it.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A turn whose panic costs the target only.
fn guarded_turn(scrape_loop: &mut ScrapeLoop, t: TimestampMs) -> Turned {
    let turn = AssertUnwindSafe(|| scrape_loop.turn(t));
    let payload = match catch_unwind(turn) {
        Ok(turned) => return turned,
        Err(payload) => payload,
    };
    let message = panic_message(&*payload);
    log::error!("a scrape panicked: {message}");
    let recover = AssertUnwindSafe(|| scrape_loop.recover(t, &message));
    if catch_unwind(recover).is_err() {
        log::error!("a scrape's recovery panicked");
    }
    Turned::Done
}
