//! Paces the sending of target sets: the first at once, then at most one per interval.

use std::time::Duration;

/// When the next send is due, on the monotonic clock.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    sent: Option<Duration>,
    due: Option<Duration>,
}

impl Pace {
    pub fn new(interval: Duration) -> Pace {
        Pace {
            interval,
            sent: None,
            due: None,
        }
    }

    /// Notes a change that may wait for the interval since the last send.
    pub fn changed(&mut self, now: Duration) {
        let free = self.sent.map_or(now, |sent| sent + self.interval);
        self.at(free.max(now));
    }

    /// Notes a change that must not wait.
    pub fn urgent(&mut self, now: Duration) {
        self.at(now);
    }

    fn at(&mut self, at: Duration) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Whether to send now. A true answer counts as sent.
    pub fn take_due(&mut self, now: Duration) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = None;
            self.sent = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `c` is a change, `u` an urgent one, each at a time in ms. Checks when things were sent.
    fn check(events: &[(u64, char)], expect: &[u64]) {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(ms(5_000));
        let mut sent = Vec::new();
        for now in 0..20_000 {
            for (_, kind) in events.iter().filter(|(at, _)| *at == now) {
                match kind {
                    'c' => pace.changed(ms(now)),
                    _ => pace.urgent(ms(now)),
                }
            }
            if pace.due().is_some_and(|due| due <= ms(now)) && pace.take_due(ms(now)) {
                sent.push(now);
            }
        }
        assert_eq!(sent, expect, "{events:?}");
    }

    #[test]
    fn the_first_goes_at_once_and_the_others_together() {
        check(&[], &[]);
        check(&[(100, 'c')], &[100]);
        check(&[(100, 'c'), (101, 'c'), (4_000, 'c')], &[100, 5_100]);
        check(&[(100, 'c'), (9_000, 'c')], &[100, 9_000]);
        check(
            &[(100, 'c'), (200, 'c'), (6_000, 'c')],
            &[100, 5_100, 10_100],
        );
        check(&[(100, 'c'), (200, 'u'), (300, 'c')], &[100, 200, 5_200]);
        check(&[(100, 'c'), (200, 'c'), (300, 'u')], &[100, 300]);
    }
}
