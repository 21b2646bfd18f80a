//! Signals: SIGINT by `ctrlc`, SIGTERM and SIGHUP by `signal-hook`, all of them events for main.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use crossbeam_channel::Sender;
use signal_hook::consts::{SIGHUP, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::events::{Event, ReloadRequest};
use crate::stdx::limits::THREAD_STACK;
use crate::stdx::stop::StopSender;
use crate::stdx::thread::{Thread, spawn};

/// Keeps the thread `signals`; dropping it ends it.
pub struct SignalThread {
    handle: Handle,
    #[expect(dead_code, reason = "held for its drop, which joins")]
    thread: Thread,
}

/// Starts listening. The first SIGINT or SIGTERM asks for an orderly end; the second ends the
/// process at once.
pub fn listen(events: Sender<Event>) -> anyhow::Result<SignalThread> {
    let terminating = Arc::new(AtomicBool::new(false));
    let (seen, interrupts) = (terminating.clone(), events.clone());
    // NOTE: ctrlc's own thread, which lives as long as the process; it has no way to end it.
    ctrlc::set_handler(move || terminate("SIGINT", &seen, &interrupts))
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
                    // NOTE: when the channel is full, reloads enough are waiting already.
                    let _ = events.try_send(Event::Reload(request));
                }
                _ => terminate("SIGTERM", &terminating, &events),
            }
        }
    })
    .context("cannot start the thread signals")?;
    Ok(SignalThread { handle, thread })
}

/// For a tool: the first SIGINT or SIGTERM stops its work, the second ends the process at once.
pub fn stop_work(running: StopSender) -> anyhow::Result<SignalThread> {
    let running = Arc::new(Mutex::new(Some(running)));
    let stop = move || {
        // NOTE: an option of nothing but a sender is always whole.
        let sender = running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if sender.is_none() {
            end_at_once();
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

fn terminate(name: &'static str, terminating: &AtomicBool, events: &Sender<Event>) {
    if terminating.swap(true, Ordering::SeqCst) {
        log::warn!(signal = name; "Received a second signal to end, exiting at once");
        end_at_once();
    }
    // NOTE: a full channel must not swallow the end; main empties it soon.
    let _ = events.send(Event::Terminate(name));
}

#[expect(clippy::disallowed_methods, reason = "the operator asked twice")]
fn end_at_once() -> ! {
    std::process::exit(1)
}

impl Drop for SignalThread {
    fn drop(&mut self) {
        self.handle.close();
    }
}
