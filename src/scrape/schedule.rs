//! When a target is scraped, and the timestamp of a scrape (reference section 5.5).

use std::time::Duration;

use crate::model::TimestampMs;
use crate::stdx::clock::Clock;
use crate::stdx::gofmt::api_float;

/// `--scrape.adjust-timestamps` and `--scrape.timestamp-tolerance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alignment {
    pub adjust: bool,
    /// At most a hundredth of the interval.
    pub tolerance: Duration,
}

impl Default for Alignment {
    fn default() -> Alignment {
        Alignment {
            adjust: true,
            tolerance: Duration::from_millis(2),
        }
    }
}

/// The ticks of one target: `first`, `first + interval`, … on the monotonic clock, and what the
/// wall clock should show at each.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    pub first: Duration,
    pub interval: Duration,
    first_wall_ms: TimestampMs,
    adjust: bool,
    tolerance_ms: i64,
}

impl Schedule {
    /// Finds the next tick. The target's place in the interval is `hash` modulo the interval,
    /// counted from 1970, so that restarts and reloads keep it.
    pub fn new(clock: &dyn Clock, interval: Duration, hash: u64, alignment: Alignment) -> Schedule {
        let (mono, wall_ms) = (clock.mono(), clock.wall_ms());
        let interval_ms = (interval.as_millis() as i64).max(1);
        let offset_ms = (hash % interval_ms as u64) as i64;
        let wait_ms = (offset_ms - wall_ms).rem_euclid(interval_ms);
        Schedule {
            first: mono + Duration::from_millis(wait_ms as u64),
            interval,
            first_wall_ms: wall_ms + wait_ms,
            adjust: alignment.adjust,
            tolerance_ms: (alignment.tolerance.as_millis() as i64).min(interval_ms / 100),
        }
    }

    /// Returns the timestamp of the scrape that was due at `due` and starts now. It is the planned
    /// time if the wall clock is near enough, since equal steps compress better.
    pub fn timestamp(
        &mut self,
        due: Duration,
        mono: Duration,
        wall_ms: TimestampMs,
    ) -> TimestampMs {
        if !self.adjust {
            return wall_ms;
        }
        let planned = self.wall_at(due);
        if (wall_ms - planned).abs() <= self.tolerance_ms {
            return planned;
        }
        let late_ms = mono.saturating_sub(due).as_millis() as i64;
        if late_ms <= self.tolerance_ms {
            // The scrape is on time and the wall clock differs, so the clock was set. The plan
            // follows it.
            self.first_wall_ms += wall_ms - late_ms - planned;
        }
        wall_ms
    }

    /// Returns what the wall clock should show at that time.
    pub fn wall_at(&self, mono: Duration) -> TimestampMs {
        self.first_wall_ms + mono.as_millis() as i64 - self.first.as_millis() as i64
    }

    /// Whether both tick at the same times.
    pub fn has_ticks_of(&self, other: &Schedule) -> bool {
        (self.first, self.interval) == (other.first, other.interval)
    }

    /// Returns the first tick at or after this time.
    pub fn tick_after(&self, mono: Duration) -> Duration {
        let passed = mono.saturating_sub(self.first).as_nanos();
        let ticks = passed.div_ceil(self.interval.as_nanos().max(1));
        self.first + self.interval * u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

/// Writes a duration as Go does, for the metrics' label `interval`: `500ms`, `1.5s`, `1m0s`,
/// `1h0m0s`.
pub(super) fn go_text(duration: Duration) -> String {
    let ms = duration.as_millis() as u64;
    let seconds = api_float((ms % 60_000) as f64 / 1000.0);
    match (ms / 3_600_000, ms / 60_000 % 60) {
        (0, 0) if ms == 0 => "0s".to_owned(),
        (0, 0) if ms < 1000 => format!("{ms}ms"),
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Computes the 64-bit FNV-1a, by which Prometheus places its targets.
pub(super) fn fnv64a(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdx::clock::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(clock: &ManualClock, hash: u64) -> Schedule {
        Schedule::new(clock, SECOND, hash, Alignment::default())
    }

    #[test]
    fn the_place_in_the_interval_is_pinned_to_wall_time() {
        let check = |wall_ms, hash, wait_ms| {
            let clock = ManualClock::new(wall_ms);
            let found = schedule(&clock, hash).first;
            assert_eq!(found, Duration::from_millis(wait_ms), "{wall_ms} {hash}");
        };
        check(0, 0, 0);
        check(0, 300, 300);
        check(1_700_000_000_100, 300, 200);
        check(1_700_000_000_300, 300, 0);
        check(1_700_000_000_301, 300, 999);
        check(1_700_000_000_301, 5_300, 999);
        check(-700, 300, 0);
    }

    #[test]
    fn timestamps_are_the_planned_ones_within_the_tolerance() {
        let clock = ManualClock::new(10_000);
        // `due` and `started` are in ms; the wall clock shows 10 s plus `wall` ms.
        let check = |due, started, wall: i64, expect: i64| {
            let ms = Duration::from_millis;
            let found = schedule(&clock, 0).timestamp(ms(due), ms(started), 10_000 + wall);
            assert_eq!(found, 10_000 + expect, "{due} {started} {wall}");
        };
        check(0, 0, 0, 0);
        check(3_000, 3_000, 3_000, 3_000);
        check(3_000, 3_002, 3_002, 3_000);
        check(3_000, 3_001, 2_999, 3_000);
        check(3_000, 3_003, 3_003, 3_003);
        check(3_000, 3_900, 3_900, 3_900);
        check(3_000, 3_000, -60_000, -60_000);
    }

    #[test]
    fn after_the_wall_clock_was_set_the_plan_follows_it() {
        let clock = ManualClock::new(10_000);
        let mut plan = schedule(&clock, 0);
        let at = |s: u64| Duration::from_secs(s);
        assert_eq!(plan.timestamp(at(1), at(1), 4_000), 4_000);
        let late = at(2) + Duration::from_millis(1);
        assert_eq!(plan.timestamp(at(2), late, 5_001), 5_000);
        // The plan does not follow a late scrape.
        assert_eq!(plan.timestamp(at(3), at(3) + SECOND / 2, 6_500), 6_500);
        assert_eq!(plan.timestamp(at(4), at(4), 7_001), 7_000);
    }

    #[test]
    fn alignment_can_be_off_and_is_tighter_for_short_intervals() {
        let clock = ManualClock::new(0);
        let off = Alignment {
            adjust: false,
            ..Alignment::default()
        };
        let mut plan = Schedule::new(&clock, SECOND, 0, off);
        assert_eq!(plan.timestamp(SECOND, SECOND, 1_001), 1_001);
        let short = Duration::from_millis(100);
        let mut plan = Schedule::new(&clock, short, 0, Alignment::default());
        let late = short + Duration::from_millis(2);
        assert_eq!(plan.timestamp(short, late, 102), 102);
        assert_eq!(plan.timestamp(short, late, 101), 100);
    }

    #[test]
    fn intervals_as_go_writes_them() {
        let check = |ms, expect| assert_eq!(go_text(Duration::from_millis(ms)), expect);
        check(0, "0s");
        check(500, "500ms");
        check(1_500, "1.5s");
        check(15_000, "15s");
        check(60_000, "1m0s");
        check(3_690_000, "1h1m30s");
        check(86_400_000, "24h0m0s");
    }

    #[test]
    fn ticks_after_a_time() {
        let clock = ManualClock::new(0);
        let plan = schedule(&clock, 300);
        let ms = Duration::from_millis;
        assert_eq!(plan.tick_after(ms(0)), ms(300));
        assert_eq!(plan.tick_after(ms(300)), ms(300));
        assert_eq!(plan.tick_after(ms(301)), ms(1_300));
    }
}
