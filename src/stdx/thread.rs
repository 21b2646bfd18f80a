//! Threads with a name, a stack size and an owner who joins them.
//!
//! [`spawn`] and [`spawn_vital`] are the only ways to make one. A panic ends its thread, is logged
//! by name, and is reported to the process-wide hook ([`on_panic`]). The place that starts the
//! thread decides what a panic costs: a vital thread ends the process, any other is left to its
//! owner.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, after, bounded, select};

use super::locked::locked;
use super::stop::{Never, StopSender};

/// The report about a thread that panicked.
#[derive(Debug, Clone)]
pub struct Panicked {
    pub thread: String,
    pub message: String,
    /// Whether it was started by [`spawn_vital`].
    pub is_vital: bool,
}

type PanicHook = Box<dyn Fn(&Panicked) + Send + Sync>;
static PANIC_HOOK: OnceLock<PanicHook> = OnceLock::new();

/// Sets the hook that hears of panicking threads, once per process. Later calls are ignored.
pub fn on_panic(hook: impl Fn(&Panicked) + Send + Sync + 'static) {
    let _ = PANIC_HOOK.set(Box::new(hook));
}

/// A running thread. Dropping it waits for the thread's end, so put the field that tells the thread
/// to stop before this one.
#[derive(Debug)]
pub struct Thread {
    name: String,
    join: Option<JoinHandle<()>>,
    /// Disconnects when the thread has ended, so that a deadline can bound the wait for it.
    ended: Receiver<Never>,
}

/// Starts a thread whose owner goes on when it panics. `name` has at most 15 bytes (Linux cuts the
/// rest); `stack` is in bytes.
///
/// # Errors
/// The system's, when it cannot make another thread. This fails the caller, not the daemon.
pub fn spawn(
    name: impl Into<String>,
    stack: usize,
    f: impl FnOnce() + Send + 'static,
) -> io::Result<Thread> {
    start(name.into(), stack, false, f)
}

/// Starts a thread without which the daemon has no purpose. A panic in it ends the process.
///
/// # Errors
/// Those of [`spawn`].
pub fn spawn_vital(
    name: impl Into<String>,
    stack: usize,
    f: impl FnOnce() + Send + 'static,
) -> io::Result<Thread> {
    start(name.into(), stack, true, f)
}

fn start(
    name: String,
    stack: usize,
    is_vital: bool,
    f: impl FnOnce() + Send + 'static,
) -> io::Result<Thread> {
    debug_assert!(
        name.len() <= 15,
        "thread name {name:?} is longer than 15 bytes"
    );
    #[cfg(test)]
    super::testing::may_spawn()?;
    let (alive, ended) = bounded::<Never>(0);
    let reported = name.clone();
    let join = Builder::new()
        .name(name.clone())
        .stack_size(stack)
        .spawn(move || {
            let _alive = alive;
            if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
                report(Panicked {
                    thread: reported,
                    message: panic_message(&*payload),
                    is_vital,
                });
            }
        })?;
    Ok(Thread {
        name,
        join: Some(join),
        ended,
    })
}

fn report(panicked: Panicked) {
    log::error!(thread = panicked.thread.as_str(), panic = panicked.message.as_str();
        "a thread panicked");
    if let Some(hook) = PANIC_HOOK.get() {
        hook(&panicked);
    }
}

/// Ends the calling thread as a panic does. Its owner decides what that costs.
pub fn give_up(why: &str) -> ! {
    resume_unwind(Box::new(why.to_owned()))
}

/// Returns the text of a panic's payload.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without text".to_owned()
    }
}

impl Thread {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn is_finished(&self) -> bool {
        self.join.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end, at most for `deadline`. Returns false if the thread still runs; it is
    /// then left to itself.
    pub fn join_within(mut self, deadline: Duration) -> bool {
        let ended =
            self.ended.recv_timeout(deadline) != Err(crossbeam_channel::RecvTimeoutError::Timeout);
        let join = self.join.take();
        if ended && let Some(join) = join {
            let _ = join.join();
        }
        ended
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(join) = self.join.take() {
            let _ = join.join();
        }
    }
}

/// Threads that one stop ends. Dropping it stops them and waits for their ends.
#[derive(Debug)]
pub struct Running(Mutex<Option<(StopSender, Vec<Thread>)>>);

impl Running {
    pub fn new(stop: StopSender, threads: Vec<Thread>) -> Running {
        Running(Mutex::new(Some((stop, threads))))
    }

    /// Stops the threads and waits for all of them, at most `deadline` together. Returns false if
    /// one still runs; it is then left to itself. A second call finds nothing to do.
    pub fn stop(&self, deadline: Duration) -> bool {
        // NOTE: an option is always whole.
        let running = locked(&self.0).take();
        let Some((stop, threads)) = running else {
            return true;
        };
        drop(stop);
        let (timer, mut late) = (after(deadline), false);
        let mut all = true;
        for thread in threads {
            if !late {
                select! {
                    recv(thread.ended) -> _ => {}
                    recv(timer) -> _ => late = true,
                }
            }
            all &= thread.join_within(Duration::ZERO);
        }
        all
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let running = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((stop, threads)) = running.take() {
            // ORDER: first told, then joined.
            drop(stop);
            drop(threads);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::stop::stop;

    const STACK: usize = 64 << 10;

    #[test]
    fn a_panic_ends_only_its_thread() {
        for thread in [
            spawn("panics", STACK, || panic!("at the disco")),
            spawn_vital("panics-vital", STACK, || panic!("at the disco")),
        ] {
            assert!(thread.unwrap().join_within(Duration::from_secs(10)));
        }
    }

    #[test]
    fn a_thread_that_does_not_stop_is_left_after_the_deadline() {
        let (stopper, stop) = stop();
        let thread = spawn("waits", STACK, move || {
            let _ = stop.channel().recv();
        })
        .unwrap();
        assert!(!thread.join_within(Duration::from_millis(1)));
        drop(stopper);
    }

    #[test]
    fn all_threads_of_one_stop_share_its_deadline() {
        let (stopper, token) = stop();
        let (held_tx, held) = bounded::<()>(0);
        let good = spawn("good", STACK, move || {
            let _ = token.channel().recv();
        });
        let hangs = spawn("hangs", STACK, move || {
            let _ = held.recv();
        });
        let threads = vec![hangs.unwrap(), good.unwrap()];
        let running = Running::new(stopper, threads);
        assert!(
            !running.stop(Duration::from_millis(1)),
            "one is left behind"
        );
        assert!(running.stop(Duration::ZERO), "it is not told twice");
        drop(held_tx);
        let (stopper, token) = stop();
        let good = spawn("good", STACK, move || {
            let _ = token.channel().recv();
        });
        let running = Running::new(stopper, vec![good.unwrap()]);
        assert!(running.stop(Duration::from_secs(10)));
    }
}
