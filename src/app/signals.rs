//! Signals: SIGINT by `ctrlc`, SIGTERM and SIGHUP by `signal-hook`. All become events for main.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::Sender;
use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::events::{Event, ReloadRequest};
use crate::stdx::clock::{Clock, RealClock};
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::locked::locked;
use crate::stdx::stop::StopSender;
use crate::stdx::thread::{Thread, spawn};

/// A signal that comes sooner after the first one counts as a repetition of it. `timeout`, for
/// example, signals a command and its process group.
const REPETITION: Duration = Duration::from_secs(1);

/// Keeps the thread `signals`. Dropping it ends the thread.
pub struct SignalThread {
    handle: Handle,
    #[expect(dead_code, reason = "held for its drop, which joins")]
    thread: Thread,
}

/// Starts to listen. The first SIGINT or SIGTERM asks for an orderly end; a second one ends the
/// process at once.
pub fn listen(events: Sender<Event>) -> anyhow::Result<SignalThread> {
    let asked = Asked::new(Arc::new(RealClock::new()));
    let (interrupted, interrupts) = (asked.clone(), events.clone());
    // NOTE: ctrlc's own thread lives as long as the process. There is no way to end it.
    ctrlc::set_handler(move || terminate("SIGINT", &interrupted, &interrupts))
        .context("cannot listen for SIGINT")?;
    let mut signals = Signals::new([SIGTERM, SIGHUP]).context("cannot listen for signals")?;
    let handle = signals.handle();
    let thread = spawn("signals", THREAD_STACK, move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => {
                    let request = ReloadRequest {
                        cause: "SIGHUP",
                        reply: None,
                    };
                    // NOTE: if the channel is full, enough reloads are waiting already.
                    let _ = events.try_send(Event::Reload(request));
                }
                _ => terminate("SIGTERM", &asked, &events),
            }
        }
    })
    .context("cannot start the thread signals")?;
    Ok(SignalThread { handle, thread })
}

/// For a tool: the first SIGINT or SIGTERM stops its work; a second one ends the process at once.
pub fn stop_work(running: StopSender) -> anyhow::Result<SignalThread> {
    let asked = Asked::new(Arc::new(RealClock::new()));
    let running = Arc::new(Mutex::new(Some(running)));
    let stop = move || {
        if asked.is_first() {
            // NOTE: an option of a sender is always whole.
            let mut running = locked(&running);
            drop(running.take());
        }
    };
    let interrupt = stop.clone();
    ctrlc::set_handler(interrupt).context("cannot listen for SIGINT")?;
    let mut signals = Signals::new([SIGTERM]).context("cannot listen for signals")?;
    let handle = signals.handle();
    let thread = spawn("signals", THREAD_STACK, move || {
        signals.forever().for_each(|_| stop());
    })
    .context("cannot start the thread signals")?;
    Ok(SignalThread { handle, thread })
}

fn terminate(name: &'static str, asked: &Asked, events: &Sender<Event>) {
    if asked.is_first() {
        // NOTE: a full channel must not swallow the end. Main empties it soon.
        let _ = events.send(Event::Terminate(name));
    }
}

/// Whether, and when, the end was asked for.
struct Asked {
    clock: Arc<dyn Clock>,
    first: Mutex<Option<Duration>>,
}

#[derive(Debug, PartialEq)]
enum Request {
    First,
    Repetition,
    Second,
}

impl Asked {
    fn new(clock: Arc<dyn Clock>) -> Arc<Asked> {
        let first = Mutex::default();
        Arc::new(Asked { clock, first })
    }

    /// Returns whether this is the first request. It does not return from a second one.
    fn is_first(&self) -> bool {
        match self.ask() {
            Request::First => true,
            Request::Repetition => false,
            Request::Second => end_at_once(),
        }
    }

    fn ask(&self) -> Request {
        let now = self.clock.mono();
        // NOTE: a plain value is always whole.
        let mut first = locked(&self.first);
        match *first {
            None => {
                *first = Some(now);
                Request::First
            }
            Some(first) if now.saturating_sub(first) < REPETITION => Request::Repetition,
            Some(_) => Request::Second,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the operator asked twice")]
fn end_at_once() -> ! {
    log::warn!("Received a second signal to end, exiting at once");
    std::process::exit(1)
}

impl Drop for SignalThread {
    fn drop(&mut self) {
        self.handle.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::clock::ManualClock;

    #[test]
    fn a_signal_that_comes_double_is_one() {
        let clock = Arc::new(ManualClock::new(0));
        let asked = Asked::new(clock.clone());
        assert_eq!(asked.ask(), Request::First);
        assert_eq!(asked.ask(), Request::Repetition);
        clock.advance(REPETITION);
        assert_eq!(asked.ask(), Request::Second);
    }
}
