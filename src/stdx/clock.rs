//! Time as an argument: the wall clock, the monotonic clock, and channels that fire at a time.
//!
//! The daemon uses [`RealClock`], tests use [`ManualClock`].

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::locked::locked;
use crossbeam_channel::{Receiver, Sender, bounded, never};

/// The time, for every room that needs it.
pub trait Clock: Debug + Send + Sync {
    /// Milliseconds since 1970 by the wall clock, which may jump.
    fn wall_ms(&self) -> i64;

    /// The time since a fixed moment of this clock's own. It never goes back.
    fn mono(&self) -> Duration;

    /// Returns a channel that gives one message when [`Clock::mono`] reaches `mono`.
    fn at(&self, mono: Duration) -> Receiver<Instant>;

    /// Returns a channel that gives one message after `delay`.
    fn after(&self, delay: Duration) -> Receiver<Instant> {
        self.at(self.mono() + delay)
    }
}

/// The machine's clocks.
#[derive(Debug)]
pub struct RealClock {
    start: Instant,
}

impl RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine"
    )]
    pub fn new() -> Self {
        RealClock {
            start: Instant::now(),
        }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine"
    )]
    fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        }
    }

    fn mono(&self) -> Duration {
        self.start.elapsed()
    }

    fn at(&self, mono: Duration) -> Receiver<Instant> {
        crossbeam_channel::at(self.start + mono)
    }
}

/// A clock that moves only when a test moves it. Clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock {
    state: Arc<Mutex<ManualState>>,
}

#[derive(Debug)]
struct ManualState {
    wall_ms: i64,
    mono: Duration,
    timers: Vec<(Duration, Sender<Instant>)>,
}

impl ManualClock {
    pub fn new(wall_ms: i64) -> Self {
        let state = ManualState {
            wall_ms,
            mono: Duration::ZERO,
            timers: Vec::new(),
        };
        ManualClock {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Moves both clocks forward and fires the timers that are due.
    #[expect(
        clippy::disallowed_methods,
        reason = "the message's content is not used"
    )]
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        state.wall_ms += by.as_millis() as i64;
        state.mono += by;
        let now = state.mono;
        state.timers.retain(|(due, tx)| {
            if *due <= now {
                let _ = tx.try_send(Instant::now());
            }
            *due > now
        });
    }

    /// Moves the wall clock only, as a time server or an operator does.
    pub fn step_wall(&self, by_ms: i64) {
        self.lock().wall_ms += by_ms;
    }

    /// The number of timers that wait. A test sees by it that the others sleep.
    pub fn waiting(&self) -> usize {
        self.lock().timers.len()
    }

    fn lock(&self) -> MutexGuard<'_, ManualState> {
        locked(&self.state)
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.lock().wall_ms
    }

    fn mono(&self) -> Duration {
        self.lock().mono
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the message's content is not used"
    )]
    fn at(&self, mono: Duration) -> Receiver<Instant> {
        let (tx, rx) = bounded(1);
        let mut state = self.lock();
        if mono <= state.mono {
            let _ = tx.try_send(Instant::now());
        } else {
            state.timers.push((mono, tx));
        }
        rx
    }
}

/// A timer that follows whatever is due next.
#[derive(Debug)]
pub struct Alarm {
    due: Option<Duration>,
    channel: Receiver<Instant>,
}

impl Default for Alarm {
    fn default() -> Self {
        Alarm {
            due: None,
            channel: never(),
        }
    }
}

impl Alarm {
    /// Sets it to a monotonic time, or to none. The time that it is set to already changes nothing.
    pub fn set(&mut self, clock: &dyn Clock, due: Option<Duration>) {
        if self.due != due {
            self.due = due;
            self.channel = due.map_or_else(never, |at| clock.at(at));
        }
    }

    /// The channel for `select!`. After a message, call [`Alarm::heard`].
    pub fn channel(&self) -> &Receiver<Instant> {
        &self.channel
    }

    /// Notes that it has rung, so that it can be set to the same time again.
    pub fn heard(&mut self) {
        *self = Alarm::default();
    }
}

/// Ticks at `first`, `first + interval`, … of the monotonic clock. Ticks that nobody took in time
/// are skipped, so the phase never moves.
#[derive(Debug)]
pub struct Ticker {
    next: Duration,
    interval: Duration,
    channel: Receiver<Instant>,
}

impl Ticker {
    pub fn new(clock: &dyn Clock, first: Duration, interval: Duration) -> Self {
        Ticker {
            next: first,
            interval,
            channel: clock.at(first),
        }
    }

    /// The channel for `select!`. After a message, call [`Ticker::advance`].
    pub fn channel(&self) -> &Receiver<Instant> {
        &self.channel
    }

    /// The monotonic time of the next tick.
    pub fn next(&self) -> Duration {
        self.next
    }

    /// Arms the first tick after now. Returns the tick that just fired and the number of missed
    /// ones.
    pub fn advance(&mut self, clock: &dyn Clock) -> (Duration, u64) {
        let fired = self.next;
        let late = clock.mono().saturating_sub(fired);
        let missed = late.as_nanos() / self.interval.as_nanos().max(1);
        let steps = u32::try_from(missed + 1).unwrap_or(u32::MAX);
        self.next = fired + self.interval * steps;
        self.channel = clock.at(self.next);
        (fired, missed as u64)
    }
}

/// Notices when the wall clock was set: then it moved by more or less than the monotonic clock.
#[derive(Debug)]
pub struct Steps {
    /// The wall clock's lead over the monotonic one.
    lead_ms: i64,
}

/// The wall clock's time before and after it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub from_ms: i64,
    pub to_ms: i64,
}

/// LIMIT: a smaller difference is a clock that is slewed, or a late tick.
const STEP_MIN_MS: i64 = 1000;

/// LIMIT: the longest time between the two looks at the monotonic clock. A thread stopped between
/// them for longer would see a step where there was none.
const LOOK_MAX: Duration = Duration::from_millis(100);

impl Steps {
    pub fn new(clock: &dyn Clock) -> Steps {
        let mono_ms = clock.mono().as_millis() as i64;
        Steps {
            lead_ms: clock.wall_ms() - mono_ms,
        }
    }

    /// Returns the step if the clock was set since the last look. The sleep of a suspended machine
    /// is a step, since the monotonic clock sleeps too.
    pub fn look(&mut self, clock: &dyn Clock) -> Option<Step> {
        let mono = clock.mono();
        let to_ms = clock.wall_ms();
        if clock.mono().saturating_sub(mono) > LOOK_MAX {
            return None;
        }
        let from_ms = mono.as_millis() as i64 + self.lead_ms;
        self.lead_ms += to_ms - from_ms;
        let is_step = (to_ms - from_ms).abs() > STEP_MIN_MS;
        is_step.then_some(Step { from_ms, to_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_timers_fire_when_due() {
        let clock = ManualClock::new(1_000);
        let timer = clock.after(Duration::from_secs(5));
        clock.advance(Duration::from_secs(4));
        assert!(timer.try_recv().is_err());
        clock.advance(Duration::from_secs(1));
        assert!(timer.try_recv().is_ok());
        assert_eq!(clock.wall_ms(), 6_000);
        assert_eq!(clock.waiting(), 0);
    }

    #[test]
    fn steps_are_told_and_slewing_is_not() {
        let clock = ManualClock::new(50_000);
        let mut steps = Steps::new(&clock);
        let mut check = |advance_ms: u64, step_ms: i64, expect: Option<(i64, i64)>| {
            clock.advance(Duration::from_millis(advance_ms));
            clock.step_wall(step_ms);
            let step = steps.look(&clock).map(|step| (step.from_ms, step.to_ms));
            assert_eq!(step, expect, "{step_ms}");
        };
        check(1_000, 0, None);
        check(1_000, 999, None);
        check(1_000, 999, None);
        check(1_000, -999, None);
        check(1_000, 3_600_000, Some((55_999, 3_655_999)));
        check(60_000, 0, None);
        check(1_000, -5_000, Some((3_716_999, 3_711_999)));
        check(1_000, 0, None);
    }

    #[test]
    fn an_alarm_follows_what_is_due_next() {
        let clock = ManualClock::new(0);
        let mut alarm = Alarm::default();
        let mut check = |due: Option<u64>, advance: u64, rings: bool| {
            alarm.set(&clock, due.map(Duration::from_secs));
            clock.advance(Duration::from_secs(advance));
            assert_eq!(alarm.channel().try_recv().is_ok(), rings, "{due:?}");
            if rings {
                alarm.heard();
            }
        };
        check(Some(5), 4, false);
        check(Some(5), 1, true);
        check(Some(5), 0, true);
        check(Some(9), 1, false);
        check(None, 9, false);
        check(Some(16), 1, true);
    }

    #[test]
    fn a_ticker_keeps_its_phase_over_missed_ticks() {
        let clock = ManualClock::new(0);
        let second = Duration::from_secs(1);
        let mut ticker = Ticker::new(&clock, Duration::from_millis(300), second);
        clock.advance(Duration::from_millis(2_500));
        assert!(ticker.channel().try_recv().is_ok());
        assert_eq!(ticker.advance(&clock), (Duration::from_millis(300), 2));
        assert_eq!(ticker.next(), Duration::from_millis(3_300));
    }
}
