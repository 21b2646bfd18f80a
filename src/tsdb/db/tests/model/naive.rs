//! The model: per series a sorted map from times to bits, for blocks and for the head.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::{Dice, HOUR, SERIES, labels};
use crate::model::{Labels, MatchOp, Matcher, STALE_NAN_BITS, Sample, SeriesRef, TimestampMs};
use crate::storage::{Committed, Fault, Pending};

/// The bits of values, by time.
pub type Bits = BTreeMap<TimestampMs, u64>;
pub type Samples = BTreeMap<Labels, Bits>;

/// The engine's limit: how far behind the newest a sample may be.
const BEHIND_MAX_MS: i64 = HOUR;

#[derive(Debug, Default)]
pub struct OneSeries {
    pub labels: Labels,
    pub reference: Option<SeriesRef>,
    in_blocks: Bits,
    ordered: Bits,
    late: Bits,
    newest: Option<(TimestampMs, u64)>,
    /// The samples since the last flush, in logged order.
    log: Vec<(TimestampMs, u64)>,
    last_v: f64,
}

#[derive(Debug)]
pub struct Naive {
    pub series: Vec<OneSeries>,
    pub now: TimestampMs,
    pub max_t: TimestampMs,
    /// Retention may have removed samples older than this.
    pub forgotten_before: TimestampMs,
}

/// The oldest times that are accepted.
#[derive(Clone, Copy)]
struct Window {
    ordered: TimestampMs,
    late: Option<TimestampMs>,
}

enum Verdict {
    Append,
    Late,
    Same,
    Refuse(Fault),
}

impl Naive {
    pub fn new(base: TimestampMs) -> Naive {
        let series = SERIES.iter().map(|text| OneSeries {
            labels: labels(text),
            ..OneSeries::default()
        });
        Naive {
            series: series.collect(),
            now: base,
            max_t: TimestampMs::MIN,
            forgotten_before: TimestampMs::MIN,
        }
    }

    /// Moves time forward, mostly by a little.
    pub fn advance(&mut self, dice: &mut Dice) -> TimestampMs {
        let step = dice.one(&[
            1,
            999,
            15_000,
            15_000,
            15_000,
            15_001,
            60_000,
            HOUR,
            2 * HOUR,
        ]);
        let step = if dice.below(40) == 0 { 30 * HOUR } else { step };
        self.later(step)
    }

    pub fn later(&mut self, step: i64) -> TimestampMs {
        self.now = self.now.saturating_add(step);
        self.now
    }

    /// Makes a value by the kind of the series, and sometimes something odd.
    pub fn value(&mut self, i: usize, dice: &mut Dice) -> f64 {
        let odd = [
            f64::from_bits(STALE_NAN_BITS),
            f64::from_bits(0x7ff8_0000_0000_0001),
            f64::from_bits(0xfff0_dead_beef_0001),
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            0.0,
            f64::MAX,
            f64::MIN_POSITIVE / 4.0,
            9_007_199_254_740_993.0,
        ];
        if dice.below(25) == 0 {
            return dice.one(&odd);
        }
        let last = self.series[i].last_v;
        let v = match i % 6 {
            0 if dice.below(30) == 0 => 0.0,
            0 => last + dice.below(100) as f64,
            1 => (dice.below(100_000) as f64) / 100.0,
            2 => 1.0,
            3 => f64::from_bits(dice.next()),
            4 => last + dice.below(1_000) as f64 / 10.0,
            _ => dice.below(3) as f64,
        };
        if v.is_finite() && v.abs() < 1e15 {
            self.series[i].last_v = v;
        }
        v
    }

    /// Makes a sample that may be in order or not, new or not.
    pub fn odd_sample(&mut self, dice: &mut Dice) -> (usize, TimestampMs, f64) {
        let i = dice.below(SERIES.len() as u64) as usize;
        let v = self.value(i, dice);
        let series = &self.series[i];
        let newest = series
            .newest
            .or(series.in_blocks.last_key_value().map(|(t, v)| (*t, *v)));
        let (newest_t, newest_v) = newest.unwrap_or((self.now, 0));
        let known = |dice: &mut Dice| {
            let all: Vec<_> = [&series.in_blocks, &series.ordered, &series.late]
                .iter()
                .flat_map(|bits| bits.iter().map(|(t, v)| (*t, *v)))
                .collect();
            if all.is_empty() {
                (newest_t, newest_v)
            } else {
                dice.one(&all)
            }
        };
        let (t, v) = match dice.below(12) {
            0 => (newest_t, f64::from_bits(newest_v)),
            1 => (newest_t, v),
            2 => {
                let (t, bits) = known(dice);
                (t, f64::from_bits(bits))
            }
            3 => (known(dice).0, v),
            4 | 5 => (newest_t.saturating_sub(dice.below(120_000) as i64), v),
            6 => (
                newest_t.saturating_sub(dice.below(4 * HOUR as u64) as i64),
                v,
            ),
            7 => (
                self.now.saturating_sub(dice.below(8 * HOUR as u64) as i64),
                v,
            ),
            8 => (newest_t.saturating_add(dice.below(5) as i64), v),
            9 if dice.below(10) == 0 => (TimestampMs::MIN, v),
            _ => (self.now.saturating_add(dice.below(20_000) as i64), v),
        };
        self.now = self.now.max(t);
        (i, t, v)
    }

    /// Stores a batch. Returns the expected outcome.
    pub fn commit(&mut self, all: &[(usize, TimestampMs, f64)], window_ms: i64) -> Committed {
        let mut done = Committed::default();
        let behind = |by: i64| self.max_t.saturating_sub(by).max(TimestampMs::MIN + 1);
        let window = Window {
            ordered: behind(BEHIND_MAX_MS),
            late: (window_ms > 0).then(|| behind(window_ms)),
        };
        let mut appended = BTreeSet::new();
        for (i, t, v) in all {
            let (series, t, bits) = (&mut self.series[*i], *t, v.to_bits());
            match series.judge(t, bits, window) {
                Verdict::Append => {
                    appended.insert(*i);
                    done.appended += 1;
                    series.log.push((t, bits));
                    series.ordered.insert(t, bits);
                    series.newest = Some((t, bits));
                    self.max_t = self.max_t.max(t);
                }
                // Within a batch even an equal one is a fault.
                Verdict::Same if appended.contains(i) => {
                    series.refuse(&mut done, duplicate(t, bits, bits), t, bits);
                }
                Verdict::Same => done.appended += 1,
                Verdict::Late => series.take_late(t, bits, &mut done),
                Verdict::Refuse(fault) => series.refuse(&mut done, fault, t, bits),
            }
        }
        done
    }

    pub fn flush(&mut self) {
        for series in &mut self.series {
            series.log.clear();
            let late = std::mem::take(&mut series.late);
            series.in_blocks.extend(late);
            let ordered = std::mem::take(&mut series.ordered);
            series.in_blocks.extend(ordered);
        }
    }

    /// Adds a foreign block, newer than all others, with as many samples as a block may have.
    pub fn import(&mut self, dice: &mut Dice) -> Vec<(Labels, Vec<Sample>)> {
        let (start, count) = (self.some_time(dice), dice.one(&[1, 5, 300]));
        let step = dice.one(&[1, 15_000, HOUR / 2]);
        let mut block = Vec::new();
        for i in 0..SERIES.len() {
            if dice.below(3) > 0 {
                continue;
            }
            let t = |k: i64| start.saturating_add(k * step).min(self.now);
            let times: BTreeSet<_> = (0..count).map(t).collect();
            let sample = |t| Sample {
                t,
                v: self.value(i, dice),
            };
            let samples: Vec<Sample> = times.into_iter().map(sample).collect();
            let bits = samples.iter().map(|s| (s.t, s.v.to_bits()));
            self.series[i].in_blocks.extend(bits);
            block.push((self.series[i].labels.clone(), samples));
        }
        block.sort_by(|a, b| a.0.cmp(&b.0));
        block
    }

    /// Restarts: the log is read. The head no longer knows the newest sample of series that are
    /// only in blocks.
    pub fn restart(&mut self, max_t: TimestampMs) {
        let before = self.visible();
        for series in &mut self.series {
            (series.newest, series.reference) = (None, None);
            series.ordered.clear();
            series.late.clear();
            for (t, bits) in &series.log {
                let newest = series.newest.map_or(TimestampMs::MIN, |newest| newest.0);
                match newest.cmp(t) {
                    Ordering::Less => {
                        series.newest = Some((*t, *bits));
                        series.ordered.insert(*t, *bits);
                    }
                    // It would be late. At the same time, the newest counts anyway.
                    Ordering::Equal => {}
                    Ordering::Greater => drop(series.late.entry(*t).or_insert(*bits)),
                }
            }
        }
        assert!(before == self.visible(), "the model of a restart");
        self.max_t = max_t;
    }

    pub fn delete(&mut self, matchers: &[Matcher], start: TimestampMs, end: TimestampMs) {
        for series in &mut self.series {
            if matches(matchers, &series.labels) {
                series.in_blocks.retain(|t, _| !(start..=end).contains(t));
            }
        }
    }

    pub fn forget_before(&mut self, t: TimestampMs) {
        self.forgotten_before = self.forgotten_before.max(t);
    }

    /// Forgets what the head knew about series that are gone.
    pub fn forget_gone(&mut self, has_series: impl Fn(SeriesRef) -> bool) {
        for series in &mut self.series {
            if series.reference.is_some_and(|of| !has_series(of)) {
                (series.reference, series.newest) = (None, None);
            }
        }
    }

    pub fn visible(&self) -> Samples {
        self.samples(|series| {
            let mut all = series.in_blocks.clone();
            all.extend(&series.late);
            all.extend(&series.ordered);
            all
        })
    }

    pub fn in_blocks(&self) -> Samples {
        self.samples(|series| series.in_blocks.clone())
    }

    fn samples(&self, of: impl Fn(&OneSeries) -> Bits) -> Samples {
        let all = self.series.iter();
        let all = all.map(|series| (series.labels.clone(), of(series)));
        all.filter(|(_, bits)| !bits.is_empty()).collect()
    }

    /// Makes a range around the stored samples.
    pub fn range(&self, dice: &mut Dice) -> (TimestampMs, TimestampMs) {
        let (a, b) = (self.some_time(dice), self.some_time(dice));
        (a.min(b), a.max(b))
    }

    fn some_time(&self, dice: &mut Dice) -> TimestampMs {
        let series = &self.series[dice.below(SERIES.len() as u64) as usize];
        let of = dice.one(&[&series.in_blocks, &series.ordered, &series.late]);
        let at = dice.below(of.len() as u64) as usize;
        let t = of.keys().nth(at).copied().unwrap_or(self.now);
        let beside = dice.one(&[-30_000, -1, 0, 0, 1, 30_000]);
        t.saturating_add(beside)
    }

    pub fn matchers(&self, dice: &mut Dice) -> Vec<Matcher> {
        if dice.below(3) == 0 {
            let labels = &self.series[dice.below(SERIES.len() as u64) as usize].labels;
            return { labels.iter() }
                .map(|(name, value)| Matcher::equal(name, value))
                .collect();
        }
        let count = dice.one(&[0, 1, 1, 1, 2, 3]);
        let matcher = |_| {
            let name = dice.one(&["n", "n", "job", "i", "m", "z", "never"]);
            let regexes = [
                "a|b", ".*", ".+", "a.*", "", "x|", "[ab]+", "x|y|a", "\u{e9}|1",
            ];
            let values = [
                "a", "a", "b", "ab", "c", "x", "y", "x y", "\u{e9}", "1", "10", "", "w",
            ];
            let (op, value) = match dice.below(6) {
                0 => (MatchOp::Regex, dice.one(&regexes)),
                1 => (MatchOp::NotRegex, dice.one(&regexes)),
                2 => (MatchOp::NotEqual, dice.one(&values)),
                _ => (MatchOp::Equal, dice.one(&values)),
            };
            Matcher::new(op, name, value).unwrap()
        };
        (0..count).map(matcher).collect()
    }
}

impl OneSeries {
    fn judge(&self, t: TimestampMs, bits: u64, window: Window) -> Verdict {
        if t >= window.ordered {
            match self.newest {
                None => return Verdict::Append,
                Some((newest, _)) if newest < t => return Verdict::Append,
                Some((newest, v)) if newest == t && v == bits => return Verdict::Same,
                Some((newest, v)) if newest == t => {
                    return Verdict::Refuse(duplicate(t, v, bits));
                }
                Some(_) => {}
            }
        }
        match window.late {
            Some(oldest) if t >= oldest => Verdict::Late,
            Some(_) => Verdict::Refuse(Fault::TooOld),
            None if t < window.ordered => Verdict::Refuse(Fault::OutOfBounds),
            None => Verdict::Refuse(Fault::OutOfOrder),
        }
    }

    fn refuse(&self, done: &mut Committed, fault: Fault, t: TimestampMs, bits: u64) {
        let (series, v) = (self.reference.unwrap(), f64::from_bits(bits));
        done.refuse(fault, Pending { series, t, v });
    }

    fn take_late(&mut self, t: TimestampMs, bits: u64, done: &mut Committed) {
        match self.late.get(&t) {
            Some(known) if *known != bits => {
                self.refuse(done, duplicate(t, *known, bits), t, bits);
            }
            Some(_) => done.appended += 1,
            None => {
                done.appended += 1;
                self.late.insert(t, bits);
                self.log.push((t, bits));
            }
        }
    }
}

fn duplicate(t: TimestampMs, existing: u64, new: u64) -> Fault {
    Fault::Duplicate {
        t,
        existing: f64::from_bits(existing),
        new: f64::from_bits(new),
    }
}

pub fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    let value = |name: &str| labels.get(name).unwrap_or("");
    matchers.iter().all(|m| m.matches(value(&m.name)))
}
