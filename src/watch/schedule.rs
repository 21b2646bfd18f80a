//! Decides when a subscription's bell rings: after a quiet time that follows changes, and at each
//! rescan.

use std::time::Duration;

/// The longest time for which continuous changes put off the bell. LIMIT: a person who saves a file
/// waits no longer than this, whatever else goes on in the directory.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// LIMIT: a rescan costs a few `lstat` calls per path. A shorter interval would be polling.
const RESCAN_MIN: Duration = Duration::from_secs(1);

/// One subscription's times, all on the monotonic clock.
#[derive(Debug)]
pub(super) struct Schedule {
    settle: Duration,
    rescan: Duration,
    rescan_at: Duration,
    changes: Option<Changes>,
}

#[derive(Debug, Clone, Copy)]
struct Changes {
    first: Duration,
    last: Duration,
}

impl Schedule {
    pub fn new(now: Duration, rescan: Duration, settle: Duration) -> Schedule {
        let rescan = rescan.max(RESCAN_MIN);
        Schedule {
            settle: settle.min(SETTLE_MAX),
            rescan,
            rescan_at: now + rescan,
            changes: None,
        }
    }

    /// Notes that something changed at `now`.
    pub fn mark(&mut self, now: Duration) {
        let first = self.changes.map_or(now, |changes| changes.first);
        self.changes = Some(Changes { first, last: now });
    }

    /// The time when the bell rings next, unless more changes come.
    pub fn due(&self) -> Duration {
        self.settled_at()
            .map_or(self.rescan_at, |at| at.min(self.rescan_at))
    }

    /// Whether to ring now. A true answer clears what was due.
    pub fn take_due(&mut self, now: Duration) -> bool {
        let settled = self.settled_at().is_some_and(|at| at <= now);
        let rescan = self.rescan_at <= now;
        if settled {
            self.changes = None;
        }
        if rescan {
            self.rescan_at = now + self.rescan;
        }
        settled || rescan
    }

    fn settled_at(&self) -> Option<Duration> {
        let Changes { first, last } = self.changes?;
        Some((last + self.settle).min(first + SETTLE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Marks changes at these times; the bell must ring at exactly `expect`.
    fn check(changes: &[u64], expect: u64) {
        let mut schedule = Schedule::new(ms(0), ms(60_000), ms(300));
        for at in changes {
            assert!(!schedule.take_due(ms(*at)), "rang before {at} ms");
            schedule.mark(ms(*at));
        }
        assert_eq!(schedule.due(), ms(expect), "{changes:?}");
        assert!(!schedule.take_due(ms(expect - 1)));
        assert!(schedule.take_due(ms(expect)));
        assert!(!schedule.take_due(ms(expect)), "rang twice");
    }

    #[test]
    fn the_bell_rings_after_quiet_but_not_later_than_the_longest_wait() {
        check(&[], 60_000);
        check(&[1_000], 1_300);
        check(&[1_000, 1_200, 1_400], 1_700);
        let unceasing: Vec<u64> = (0..25).map(|i| 1_000 + i * 200).collect();
        check(&unceasing, 6_000);
    }

    #[test]
    fn rescans_come_whatever_changes() {
        let mut schedule = Schedule::new(ms(0), ms(2_000), ms(300));
        schedule.mark(ms(1_900));
        assert!(schedule.take_due(ms(2_000)), "the rescan");
        assert_eq!(schedule.due(), ms(2_200), "the change is not forgotten");
        assert!(schedule.take_due(ms(2_200)));
        assert_eq!(schedule.due(), ms(4_000));
    }

    #[test]
    fn a_rescan_has_a_shortest_interval() {
        assert_eq!(
            Schedule::new(ms(0), ms(0), ms(0)).due(),
            Duration::from_secs(1)
        );
    }
}
