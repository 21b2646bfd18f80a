//! Paces log lines: the first is written at once, then one per interval, with the number left out
//! since.

use std::sync::Mutex;
use std::time::Duration;

use super::locked::locked;

/// LIMIT: a failure of every scrape or request is logged once a minute per kind.
pub const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Paces one kind of message.
#[derive(Debug, Clone)]
pub struct Pacer {
    interval: Duration,
    /// When the last message passed, on the monotonic clock.
    passed: Option<Duration>,
    left_out: u64,
}

impl Default for Pacer {
    fn default() -> Pacer {
        Pacer::new(LOG_INTERVAL)
    }
}

impl Pacer {
    pub const fn new(interval: Duration) -> Pacer {
        Pacer {
            interval,
            passed: None,
            left_out: 0,
        }
    }

    /// Decides whether a message that stands for `count` cases may pass at the monotonic time
    /// `now`. Returns the number of cases left out since the last one that passed. `None` means
    /// that it may not pass; its own cases then count as left out.
    pub fn pass(&mut self, now: Duration, count: u64) -> Option<u64> {
        if self.passed.is_some_and(|at| now < at + self.interval) {
            self.left_out += count;
            return None;
        }
        self.passed = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

/// A pacer that threads share.
#[derive(Debug, Default)]
pub struct SharedPacer(Mutex<Pacer>);

impl SharedPacer {
    pub const fn new(interval: Duration) -> SharedPacer {
        SharedPacer(Mutex::new(Pacer::new(interval)))
    }

    /// Decides as [`Pacer::pass`] does.
    pub fn pass(&self, now: Duration, count: u64) -> Option<u64> {
        locked(&self.0).pass(now, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::clock::{Clock, ManualClock};

    #[test]
    fn the_first_passes_and_the_others_are_counted_until_the_interval_ends() {
        let clock = ManualClock::new(0);
        let mut pacer = Pacer::default();
        let mut check = |advance_s: u64, count, expect: Option<u64>| {
            clock.advance(Duration::from_secs(advance_s));
            assert_eq!(
                pacer.pass(clock.mono(), count),
                expect,
                "{:?}",
                clock.mono()
            );
        };
        check(0, 3, Some(0));
        check(0, 1, None);
        check(59, 4, None);
        check(1, 7, Some(5));
        check(30, 2, None);
        check(3_600, 1, Some(2));
        check(60, 1, Some(0));
    }
}
