//! What the unit tests of every room share: waiting for other threads, and reading the log.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Once;
use std::time::Duration;

use super::clock::{Clock, RealClock};

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

/// A logger that keeps each thread's lines apart.
struct Lines;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut line = Pairs(record.args().to_string());
        record.key_values().visit(&mut line).unwrap();
        LINES.with_borrow_mut(|lines| lines.push(line.0));
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

/// Returns what this thread has logged since the last call, warnings and errors: the message, then
/// the pairs. The first call of the process makes the logger.
pub fn logged() -> Vec<String> {
    static LOGGER: Once = Once::new();
    LOGGER.call_once(|| {
        log::set_logger(&Lines).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    LINES.take()
}
