//! Random sequences of everything that a database does, compared with a naive model.
//!
//! A sequence is a list of steps, each with its own seed, so that it means the same whatever
//! precedes it. A failing sequence is shortened step by step, then reported. `PROPTEST_RNG_SEED`
//! chooses the sequences; `FERULA_MODEL_SECONDS=600 cargo test --lib model` runs for that long.

mod check;
mod dice;
mod naive;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use self::check::{View, ask};
use self::dice::Dice;
use self::naive::{Naive, Samples};
use super::super::shared::locked;
use super::power::opened_within;
use super::*;
use crate::model::TimestampMs;
use crate::stdx::stop::stop;
use crate::tsdb::OfflineWriter;
use crate::tsdb::head::tests::labels;

/// After all samples of all sequences. `clock.rs` tests samples from the future.
const CLOCK: TimestampMs = i64::MAX - HOUR;

/// The sequences of a quick run, and the steps of each.
const SEQUENCES: u64 = 60;
const STEPS: u64 = 60;

/// LIMIT: how often a failing sequence is run again to shorten it.
const RUNS_MAX: usize = 300;

const SERIES: [&str; 14] = [
    "n=a,job=x",
    "n=a,job=y",
    "n=a",
    "n=a,i=1",
    "n=a,i=10",
    "n=a,i=2,job=x",
    "n=ab,job=x",
    "n=b,job=\u{e9}",
    "n=b,job=x y",
    "n=b,i=\u{10ffff}",
    "m=a",
    "n=c,z=1",
    "n=c,z=2",
    "n=\u{0},job=x",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scrape,
    Rows,
    One,
    Batch,
    Open,
    Look,
    Shut,
    Query,
    Flush,
    Tick,
    Collect,
    Compact,
    Delete,
    Clean,
    RetainTime,
    RetainBytes,
    Restart,
    Kill,
    Window,
    Snapshot,
}

/// The frequency of each kind.
const KINDS: [(Kind, u64); 20] = [
    (Kind::Scrape, 30),
    (Kind::Rows, 12),
    (Kind::One, 30),
    (Kind::Batch, 12),
    (Kind::Open, 8),
    (Kind::Look, 12),
    (Kind::Shut, 6),
    (Kind::Query, 20),
    (Kind::Flush, 10),
    (Kind::Tick, 8),
    (Kind::Collect, 5),
    (Kind::Compact, 5),
    (Kind::Delete, 4),
    (Kind::Clean, 2),
    (Kind::RetainTime, 1),
    (Kind::RetainBytes, 1),
    (Kind::Restart, 3),
    (Kind::Kill, 4),
    (Kind::Window, 3),
    (Kind::Snapshot, 2),
];

#[derive(Debug, Clone, Copy)]
struct Step {
    kind: Kind,
    seed: u64,
}

/// One database with its model.
struct Run {
    world: World,
    naive: Naive,
    views: Vec<View>,
    window: Duration,
    retention: Duration,
    /// The steps so far, as text.
    told: Vec<String>,
}

#[test]
fn as_a_naive_model() {
    let seed = std::env::var("PROPTEST_RNG_SEED").ok();
    let seed: u64 = seed.and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let seconds = std::env::var("FERULA_MODEL_SECONDS").ok();
    let seconds: Option<u64> = seconds.and_then(|seconds| seconds.parse().ok());
    let began = began();
    let mut steps = 0;
    for number in 0.. {
        if number % 500 == 499 {
            println!("{number} sequences, {steps} steps");
        }
        let is_over = match seconds {
            Some(seconds) => began.elapsed().as_secs() >= seconds,
            None => number >= SEQUENCES,
        };
        if is_over {
            println!(
                "{number} sequences of {steps} steps in {:?}",
                began.elapsed()
            );
            break;
        }
        let first = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(number)).next();
        steps += check_sequence(first);
    }
}

#[expect(clippy::disallowed_methods, reason = "a long run ends by the clock")]
fn began() -> Instant {
    Instant::now()
}

fn check_sequence(seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let count = dice.below(STEPS) + STEPS / 2;
    let step = |_| Step {
        kind: dice.weighted(&KINDS),
        seed: dice.next(),
    };
    let steps: Vec<Step> = (0..count).map(step).collect();
    if fails(seed, &steps).is_some() {
        let shortest = shortened(seed, steps);
        let why = fails(seed, &shortest).unwrap_or_else(|| "not again".to_owned());
        panic!("sequence {seed}:\n{why}\nby {shortest:#?}");
    }
    count
}

/// Returns the failure and the steps before it.
fn fails(seed: u64, steps: &[Step]) -> Option<String> {
    let mut run = Run::new(seed);
    for step in steps {
        let done = catch_unwind(AssertUnwindSafe(|| run.step(*step)));
        if let Err(panic) = done {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            let why = text.unwrap_or_default();
            return Some(format!("{}\n{why}", run.told.join("\n")));
        }
    }
    None
}

/// Leaves steps out as long as the sequence still fails.
fn shortened(seed: u64, mut steps: Vec<Step>) -> Vec<Step> {
    let mut runs = 0;
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut from = 0;
        while from < steps.len() && runs < RUNS_MAX {
            let mut fewer = steps.clone();
            fewer.drain(from..(from + size).min(steps.len()));
            runs += 1;
            if fails(seed, &fewer).is_some() {
                steps = fewer;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
    steps
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut dice = Dice::new(seed);
        let window = window(&mut dice);
        let base = dice.one(&[
            NOW - 20 * HOUR,
            NOW - 20 * HOUR,
            NOW - 20 * HOUR,
            0,
            -3 * HOUR,
            i64::MIN + 1,
            i64::MAX - 2_000 * HOUR,
        ]);
        Run {
            world: opened(&Double::new(), window, Duration::ZERO),
            naive: Naive::new(base),
            views: Vec::new(),
            window,
            retention: Duration::ZERO,
            told: vec![format!("base {base}, window {window:?}")],
        }
    }

    fn tell(&mut self, text: impl Into<String>) {
        self.told.push(text.into());
    }

    fn step(&mut self, step: Step) {
        let mut dice = Dice::new(step.seed);
        let dice = &mut dice;
        match step.kind {
            Kind::Scrape => self.scrape(dice),
            Kind::Rows => self.rows(dice),
            Kind::One => self.one(dice),
            Kind::Batch => self.batch(dice),
            Kind::Open => self.open(dice),
            Kind::Look => self.look(dice),
            Kind::Shut => self.shut(dice),
            Kind::Query => self.query(dice),
            Kind::Flush => self.flush(),
            Kind::Tick => self.tick(dice),
            Kind::Collect => {
                self.world.db.collect_garbage().unwrap();
                self.tell("collect");
                self.after_collection();
            }
            Kind::Compact => self.compact(),
            Kind::Delete => self.delete(dice),
            Kind::Clean => {
                let count = self.world.db.clean_tombstones().unwrap();
                self.tell(format!("clean {count}"));
            }
            Kind::RetainTime => self.retain_time(dice),
            Kind::RetainBytes => self.retain_bytes(dice),
            Kind::Restart => self.restart(dice, false),
            Kind::Kill => self.restart(dice, true),
            Kind::Window => {
                self.window = window(dice);
                self.world.db.set_out_of_order_window(self.window);
                self.tell(format!("window {:?}", self.window));
            }
            Kind::Snapshot => self.snapshot(dice),
        }
        let stats = self.world.db.stats().unwrap();
        assert_eq!(stats.max_t, self.naive.max_t, "the newest sample");
    }

    /// Commits a batch, and compares the outcome.
    fn commit(&mut self, all: &[(usize, TimestampMs, f64)]) {
        let mut batch = Appender::default();
        for (i, t, v) in all {
            let series = resolve(&self.world.db, SERIES[*i]);
            self.naive.series[*i].reference = Some(series);
            batch.append(series, *t, *v);
        }
        let done = self.world.db.commit(&batch).unwrap();
        let expected = self.naive.commit(all, millis(self.window));
        let texts: Vec<_> = { all.iter().take(12) }
            .map(|(i, t, v)| format!("{} {t}={v}/{:x}", SERIES[*i], v.to_bits()))
            .collect();
        let more = all.len().saturating_sub(12);
        self.tell(format!("commit {} +{more}", texts.join("; ")));
        // NOTE: as texts, since NaN is not equal to itself.
        let texts = [format!("{done:?}"), format!("{expected:?}")];
        assert_eq!(texts[0], texts[1], "what became of a batch");
    }

    /// Commits one time for some successive series.
    fn scrape(&mut self, dice: &mut Dice) {
        let t = self.naive.advance(dice);
        let from = dice.below(SERIES.len() as u64) as usize;
        let to = from + dice.below(SERIES.len() as u64 - from as u64) as usize;
        let all: Vec<_> = (from..=to)
            .map(|i| (i, t, self.naive.value(i, dice)))
            .collect();
        self.commit(&all);
    }

    /// Commits scrapes of the same series, equally far apart or nearly so.
    fn rows(&mut self, dice: &mut Dice) {
        let from = dice.below(SERIES.len() as u64) as usize;
        let to = (from + dice.below(4) as usize).min(SERIES.len() - 1);
        let (step, jitter) = (dice.one(&[1, 1_000, 15_000, 60_000]), dice.one(&[1, 1, 3]));
        let count = dice.one(&[3, 9, 30, 130, 260]);
        for _ in 0..count {
            let t = self.naive.later(step + dice.below(jitter) as i64);
            let all: Vec<_> = (from..=to)
                .map(|i| (i, t, self.naive.value(i, dice)))
                .collect();
            self.commit(&all);
            self.told.pop();
        }
        let now = self.naive.now;
        self.tell(format!(
            "{count} scrapes of {from} to {to}, {step} ms, until {now}"
        ));
    }

    /// Commits one sample, of whatever kind.
    fn one(&mut self, dice: &mut Dice) {
        let sample = self.naive.odd_sample(dice);
        self.commit(&[sample]);
    }

    /// Commits several samples in any order, with repeated series.
    fn batch(&mut self, dice: &mut Dice) {
        let count = dice.below(10) + 1;
        let all: Vec<_> = (0..count).map(|_| self.naive.odd_sample(dice)).collect();
        self.commit(&all);
    }

    fn open(&mut self, dice: &mut Dice) {
        if self.views.len() >= 4 {
            return;
        }
        let (start, end) = if dice.below(2) == 0 {
            ALL
        } else {
            self.naive.range(dice)
        };
        let querier = self.world.db.querier(start, end).unwrap();
        let view = View::new(querier, (start, end), &self.naive.visible(), &self.naive);
        self.tell(format!("open a view of {start} to {end}"));
        self.views.push(view);
    }

    fn look(&mut self, dice: &mut Dice) {
        if self.views.is_empty() {
            return;
        }
        let at = dice.below(self.views.len() as u64) as usize;
        let asked = ask(dice, &self.naive);
        self.tell(format!("look at view {at}: {asked:?}"));
        self.views[at].compare(&asked);
    }

    fn shut(&mut self, dice: &mut Dice) {
        if self.views.is_empty() {
            return;
        }
        let at = dice.below(self.views.len() as u64) as usize;
        self.tell(format!("shut view {at}"));
        self.views.remove(at);
    }

    fn query(&mut self, dice: &mut Dice) {
        let (start, end) = if dice.below(2) == 0 {
            ALL
        } else {
            self.naive.range(dice)
        };
        let asked = ask(dice, &self.naive);
        self.tell(format!("query {start} to {end}: {asked:?}"));
        let querier = self.world.db.querier(start, end).unwrap();
        let view = View::new(querier, (start, end), &self.naive.visible(), &self.naive);
        view.compare(&asked);
    }

    fn flush(&mut self) {
        self.tell("flush");
        self.world.db.flush().unwrap();
        self.naive.flush();
        self.after_collection();
    }

    /// Does what the thread `tsdb` does each second.
    fn tick(&mut self, dice: &mut Dice) {
        let store = self.world.db.0.shared.store.as_ref().unwrap();
        let flushes = || store.metrics.truncations.get();
        let before = flushes();
        let ticks = dice.one(&[1, 1, 2, 70]);
        for _ in 0..ticks {
            self.world.clock.advance(Duration::from_secs(1));
            self.world.db.look();
        }
        let flushed = flushes() > before;
        self.tell(format!("{ticks} ticks, flushed {flushed}"));
        if flushed {
            self.naive.flush();
        }
        self.after_collection();
    }

    /// Updates the model: series may be gone, with what the head knew about them.
    fn after_collection(&mut self) {
        let (db, naive) = (&self.world.db, &mut self.naive);
        if !self.retention.is_zero() {
            let newest = db.0.shared.newest().unwrap();
            naive.forget_before(newest.saturating_sub(millis(self.retention)));
        }
        naive.forget_gone(|series| db.has_series(series).unwrap());
    }

    fn compact(&mut self) {
        let (_stopper, stop) = stop();
        let shared = &self.world.db.0.shared;
        let store = shared.store.as_ref().unwrap();
        let mut merges = 0;
        while shared.compact(store, &stop).unwrap() {
            merges += 1;
            assert!(merges < 100, "no end of merging");
        }
        self.tell(format!("{merges} merges"));
    }

    fn delete(&mut self, dice: &mut Dice) {
        let matchers = self.naive.matchers(dice);
        let (start, end) = if dice.below(4) == 0 {
            ALL
        } else {
            self.naive.range(dice)
        };
        self.tell(format!("delete {start} to {end} of {matchers:?}"));
        self.world.db.delete(&matchers, start, end).unwrap();
        self.naive.flush();
        self.naive.delete(&matchers, start, end);
        for view in &mut self.views {
            view.deleted.push((matchers.clone(), start, end));
        }
        self.after_collection();
    }

    fn retain_time(&mut self, dice: &mut Dice) {
        let hours = dice.one(&[2, 3, 5, 24]);
        self.retention = Duration::from_secs(hours * 3600);
        self.tell(format!("retention of {hours} h"));
        self.world.db.set_retention(Retention {
            time: self.retention,
            ..Retention::default()
        });
        self.world.db.flush().unwrap();
        self.naive.flush();
        self.world.db.collect_garbage().unwrap();
        self.after_collection();
    }

    /// Removes some of the oldest blocks.
    fn retain_bytes(&mut self, dice: &mut Dice) {
        let shared = self.world.db.0.shared.clone();
        let store = shared.store.as_ref().unwrap();
        // ORDER: what goes meanwhile goes by size.
        let merging = locked(&store.merging);
        let before = self.world.db.blocks().unwrap();
        let used = super::super::retention::directory_bytes(&*store.dir).unwrap();
        let share = dice.below(used + 1);
        self.world.db.set_retention(Retention {
            bytes: used - share,
            ..Retention::default()
        });
        shared.retain(store).unwrap();
        self.retention = Duration::ZERO;
        self.world.db.set_retention(Retention::default());
        let after = self.world.db.blocks().unwrap();
        drop(merging);
        let gone = before.iter().filter(|meta| !after.contains(meta));
        let gone: Vec<_> = gone.map(|meta| meta.max_t).collect();
        self.tell(format!("retention of bytes: {} blocks go", gone.len()));
        if let Some(newest) = gone.iter().max() {
            self.naive.forget_before(newest.saturating_add(1));
        }
    }

    fn restart(&mut self, dice: &mut Dice, kill: bool) {
        self.views.clear();
        if dice.below(4) == 0 {
            self.window = window(dice);
        }
        self.tell(format!("restart, kill {kill}, window {:?}", self.window));
        let disk = if kill {
            self.world.disk.copy()
        } else {
            self.world.disk.clone()
        };
        // ORDER: dropping the last clone closes it.
        let other = opened(&Double::new(), self.window, self.retention);
        drop(std::mem::replace(&mut self.world, other));
        if dice.below(4) == 0 {
            self.import(dice, &disk);
        }
        self.world = opened(&disk, self.window, self.retention);
        let max_t = self.world.db.stats().unwrap().max_t;
        self.naive.restart(max_t);
        let querier = self.world.db.querier(ALL.0, ALL.1).unwrap();
        View::new(querier, ALL, &self.naive.visible(), &self.naive);
    }

    fn import(&mut self, dice: &mut Dice, disk: &Double) {
        let block = self.naive.import(dice);
        let texts = { block.iter() }.map(|(labels, samples)| {
            let bits = samples.iter().map(|s| (s.t, s.v.to_bits()));
            format!("{labels} {:x?}", bits.take(5).collect::<Vec<_>>())
        });
        self.told
            .push(format!("import {}", texts.collect::<Vec<_>>().join("; ")));
        let clock = Arc::new(ManualClock::new(NOW));
        let mut offline = OfflineWriter::on_double(disk.dir(), clock).unwrap();
        let mut writer = offline.begin_block().unwrap();
        for (labels, samples) in &block {
            writer.add(labels, samples).unwrap();
        }
        writer.finish(1, &[], None).unwrap();
    }

    fn snapshot(&mut self, dice: &mut Dice) {
        let skip_head = dice.below(3) == 0;
        let name = self.world.db.snapshot(skip_head).unwrap();
        self.tell(format!("snapshot, skip the head {skip_head}"));
        let other = opened_within(&self.world.disk, &format!("snapshots/{name}"));
        let expected: Samples = if skip_head {
            self.naive.in_blocks()
        } else {
            self.naive.visible()
        };
        let querier = other.db.querier(ALL.0, ALL.1).unwrap();
        View::new(querier, ALL, &expected, &self.naive);
    }
}

fn opened(disk: &Double, window: Duration, retention: Duration) -> World {
    start_at(CLOCK, disk, |options| {
        options.out_of_order_window = window;
        options.retention.time = retention;
    })
}

fn window(dice: &mut Dice) -> Duration {
    Duration::from_secs(dice.one(&[0, 0, 60, 1_800, 7_200, 6 * 3_600]))
}

fn millis(duration: Duration) -> i64 {
    duration.as_millis() as i64
}
