//! The thread around a loop: ticks, succession by another loop, stopping, panics.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crossbeam_channel::{bounded, select_biased};

use super::schedule::Schedule;
use super::scrape_loop::{ScrapeLoop, Turned};
use crate::model::TimestampMs;
use crate::stdx::clock::{Clock, Ticker};
use crate::stdx::limits::LOOP_STACK;
use crate::stdx::locked::locked;
use crate::stdx::mailbox::{Mailbox, Poster, mailbox};
use crate::stdx::stop::{Stop, StopSender};
use crate::stdx::thread::{self, Thread, panic_message};

/// Ends the request that is under way, if there is one.
pub(super) type Cancel = Box<dyn Fn() + Send + Sync>;

/// A loop, with what a thread needs to run it.
pub(super) struct Runnable {
    pub scrape_loop: ScrapeLoop,
    pub cancel: Cancel,
    pub schedule: Schedule,
}

/// A loop on its thread. Dropping it ends the loop after its turn, and joins it.
pub(super) struct Running {
    // ORDER: before the thread, since dropping it tells the thread to end.
    successors: Poster<Runnable>,
    schedule: Schedule,
    token: Stop,
    ending: Ending,
}

/// A loop that was told to end, while a turn under way goes on. Dropping it joins the thread.
pub(super) struct Ending {
    /// Absent once the turn was cancelled too.
    stop: Option<StopSender>,
    /// Cancels the request of the thread's current loop.
    cancel: Arc<Mutex<Cancel>>,
    thread: Thread,
}

impl Running {
    /// Starts the thread. `stop` is the one that the loop was made with.
    ///
    /// # Errors
    /// The system has no thread. That affects only the target, and is tried again.
    pub fn start(
        runnable: Runnable,
        stop: (StopSender, Stop),
        clock: Arc<dyn Clock>,
        number: u64,
    ) -> io::Result<Running> {
        let (sender, token) = stop;
        let Runnable {
            scrape_loop,
            cancel,
            schedule,
        } = runnable;
        let cancel = Arc::new(Mutex::new(cancel));
        let (successors, mailbox) = mailbox();
        let name = format!("scrape-{:04}", number % 10_000);
        let runner = Runner {
            scrape_loop: Arc::new(Mutex::new(scrape_loop)),
            successors: mailbox,
            cancel: cancel.clone(),
            ticker: Ticker::new(&*clock, schedule.first, schedule.interval),
            schedule: schedule.clone(),
            last_turn: None,
            is_first: true,
            first_name: format!("{name}-new"),
            stop: token.clone(),
            clock,
        };
        let thread = thread::spawn(name, LOOP_STACK, move || runner.run())?;
        let ending = Ending {
            stop: Some(sender),
            cancel,
            thread,
        };
        Ok(Running {
            successors,
            schedule,
            token,
            ending,
        })
    }

    /// Hands the thread over to another loop, between two turns. The ticks stay if the interval is
    /// the same. It does not wait. Of several successors the newest counts.
    pub fn hand_over(&mut self, mut next: Runnable) {
        if next.schedule.interval == self.schedule.interval {
            next.schedule = self.schedule.clone();
        } else {
            self.schedule = next.schedule.clone();
        }
        self.successors.post(next);
    }

    /// Returns what stops this thread's loops. A successor is made with it.
    pub fn stop_token(&self) -> &Stop {
        &self.token
    }

    /// Returns false after a panic of the thread itself.
    pub fn is_alive(&self) -> bool {
        !self.ending.is_finished()
    }

    /// Tells the loop to end after its turn, without waiting for it.
    pub fn finish(self) -> Ending {
        self.ending
    }

    /// Returns the tick that the loop would miss now, on both clocks, and its interval.
    pub fn next_tick(&self, clock: &dyn Clock) -> (Duration, TimestampMs, Duration) {
        let (now, wall_ms) = (clock.mono(), clock.wall_ms());
        // NOTE: the tick of this moment may be under way.
        let tick = self.schedule.tick_after(now + MILLISECOND);
        let wait_ms = tick.saturating_sub(now).as_millis() as i64;
        (tick, wall_ms + wait_ms, self.schedule.interval)
    }
}

impl Ending {
    /// Cancels the turn that is under way too. Nothing of it is stored.
    pub fn cancel(&mut self) {
        // ORDER: the loop is told to stop before its request ends, or it would take that for a
        // failure.
        drop(self.stop.take());
        lock(&self.cancel)();
    }

    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Returns the thread, to wait for it with a deadline.
    pub fn into_thread(self) -> Thread {
        self.thread
    }
}

/// The thread `scrape-NNNN`.
struct Runner {
    /// Shared with the thread of its first turn.
    scrape_loop: Arc<Mutex<ScrapeLoop>>,
    /// Disconnected when the loop must end.
    successors: Mailbox<Runnable>,
    cancel: Arc<Mutex<Cancel>>,
    schedule: Schedule,
    ticker: Ticker,
    /// When the newest turn began, on the monotonic clock.
    last_turn: Option<Duration>,
    /// The next turn makes the target's series.
    is_first: bool,
    first_name: String,
    stop: Stop,
    clock: Arc<dyn Clock>,
}

enum Event {
    End,
    Successor,
    Tick,
}

impl Runner {
    fn run(mut self) {
        loop {
            match self.next_event() {
                Event::End => return,
                Event::Successor => self.on_successor(),
                Event::Tick => {
                    if self.on_tick() == Turned::Cancelled {
                        return;
                    }
                }
            }
        }
    }

    fn next_event(&self) -> Event {
        // ORDER: after a long turn all may be ready, and no turn may begin with outdated settings.
        select_biased! {
            recv(self.stop.channel()) -> _ => Event::End,
            recv(self.successors.bell()) -> message => match message {
                Ok(()) => Event::Successor,
                Err(_) => Event::End,
            },
            recv(self.ticker.channel()) -> _ => Event::Tick,
        }
    }

    fn on_successor(&mut self) {
        // It is empty if the bell rang again for what its first ring already gave.
        let Some(next) = self.successors.take() else {
            return;
        };
        let mut scrape_loop = next.scrape_loop;
        let mut former = lock(&self.scrape_loop);
        self.is_first |= scrape_loop.succeed(&former);
        *former = scrape_loop;
        drop(former);
        *lock(&self.cancel) = next.cancel;
        if !next.schedule.has_ticks_of(&self.schedule) {
            // The slot of the newest turn is taken.
            let now = self.clock.mono();
            let begun = self.last_turn.map_or(now, |at| at + MILLISECOND);
            let first = next.schedule.tick_after(now.max(begun));
            self.ticker = Ticker::new(&*self.clock, first, next.schedule.interval);
            self.schedule = next.schedule;
        }
    }

    fn on_tick(&mut self) -> Turned {
        let clock = &*self.clock;
        let (due, _) = self.ticker.advance(clock);
        self.last_turn = Some(clock.mono());
        let t = self.schedule.timestamp(due, clock.mono(), clock.wall_ms());
        if std::mem::take(&mut self.is_first) {
            first_turn(self.first_name.clone(), &self.scrape_loop, t)
        } else {
            guarded_turn(&mut lock(&self.scrape_loop), t)
        }
    }
}

/// The resolution of timestamps, which tell slots apart no better.
const MILLISECOND: Duration = Duration::from_millis(1);

/// Runs the first turn, which makes a target's series, on a thread of its own. Memory that a thread
/// frees stays with it, and so does the stack that it touched: 30 KiB that no later turn needs.
fn first_turn(name: String, shared: &Arc<Mutex<ScrapeLoop>>, t: TimestampMs) -> Turned {
    let (theirs, (tell, told)) = (shared.clone(), bounded(1));
    let turn = move || {
        // NOTE: it has room for one answer, and the caller waits for the thread.
        let _ = tell.send(guarded_turn(&mut lock(&theirs), t));
    };
    match thread::spawn(name, LOOP_STACK, turn) {
        Ok(thread) => drop(thread),
        Err(_) => return guarded_turn(&mut lock(shared), t),
    }
    told.try_recv().unwrap_or(Turned::Done)
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // NOTE: a turn's panic is caught under the lock, and the loop recovers from it. Loops and
    // cancels are replaced whole.
    locked(shared)
}

/// Runs a turn. A panic in it affects only the target.
fn guarded_turn(scrape_loop: &mut ScrapeLoop, t: TimestampMs) -> Turned {
    let turn = AssertUnwindSafe(|| scrape_loop.turn(t));
    let payload = match catch_unwind(turn) {
        Ok(turned) => return turned,
        Err(payload) => payload,
    };
    let message = panic_message(&*payload);
    let recover = AssertUnwindSafe(|| scrape_loop.recover(t, &message));
    if catch_unwind(recover).is_err() {
        log::error!("a scrape's recovery panicked");
    }
    Turned::Done
}
