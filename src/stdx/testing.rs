//! What the unit tests of every room share: waiting for other threads, reading the log, and a
//! system that has no more threads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::sync::{Mutex, Once};
use std::time::Duration;

use super::clock::{Clock, RealClock};
use super::locked::locked;

/// LIMIT: far beyond what a busy machine takes. A test that waits this long has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Asks again and again until it holds, since other threads are at work.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = RealClock::new();
    while !holds() {
        assert!(
            clock.mono() < DEADLINE,
            "waited {DEADLINE:?} in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

thread_local! {
    static HAS_THREADS: Cell<bool> = const { Cell::new(true) };
}

/// Acts while the system has no thread for what this one starts.
pub fn without_threads<T>(act: impl FnOnce() -> T) -> T {
    HAS_THREADS.set(false);
    let done = act();
    HAS_THREADS.set(true);
    done
}

/// # Errors
/// The test wants none.
pub(super) fn may_spawn() -> io::Result<()> {
    if HAS_THREADS.get() {
        Ok(())
    } else {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// A logger that keeps each thread's lines apart, and the newest of all threads together.
struct Lines;

type Line = (log::Level, String);

thread_local! {
    static OWN: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// LIMIT: far more than all tests write that run at one time.
const LINES_MAX: usize = 10_000;
static ALL: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut line = Pairs(record.args().to_string());
        record.key_values().visit(&mut line).unwrap();
        let mut all = locked(&ALL);
        if all.len() == LINES_MAX {
            all.pop_front();
        }
        all.push_back(line.0.clone());
        drop(all);
        OWN.with_borrow_mut(|own| own.push((record.level(), line.0)));
    }

    fn flush(&self) {}
}

struct Pairs(String);

impl<'a> log::kv::VisitSource<'a> for Pairs {
    fn visit_pair(
        &mut self,
        key: log::kv::Key<'a>,
        value: log::kv::Value<'a>,
    ) -> Result<(), log::kv::Error> {
        let _ = write!(self.0, " {key}={value}");
        Ok(())
    }
}

fn start_logging() {
    static LOGGER: Once = Once::new();
    LOGGER.call_once(|| {
        log::set_logger(&Lines).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
}

/// Returns what this thread has logged since the last call, warnings and errors: the message, then
/// the pairs. The first call of the process makes the logger.
pub fn logged() -> Vec<String> {
    logged_from(log::Level::Warn)
}

/// Returns what this thread has logged since the last call, down to this level.
pub fn logged_from(level: log::Level) -> Vec<String> {
    start_logging();
    let lines = OWN.take().into_iter();
    { lines.filter(|line| line.0 <= level) }
        .map(|line| line.1)
        .collect()
}

/// Waits until any thread, of any test, has logged a line with all these pieces. One piece must be
/// this test's own. The logger must have been made before, by [`logged`].
#[track_caller]
pub fn logged_by_any(pieces: &[&str]) {
    eventually(&format!("the log has {pieces:?}"), || {
        let all = locked(&ALL);
        let is_it = |line: &String| pieces.iter().all(|piece| line.contains(piece));
        all.iter().any(is_it)
    });
}
