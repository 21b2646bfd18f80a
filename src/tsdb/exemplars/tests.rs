//! Tests the ring against a list that does the same slowly.

use proptest::prelude::*;

use super::ring::{Ring, Verdict};
use super::store::{Exemplars, Named};
use crate::metrics::Registry;
use crate::model::{Labels, MatchOp, Matcher, SeriesRef};
use crate::storage::{Committed, Exemplar, PendingExemplar};

fn series(n: u64) -> Labels {
    Labels::from_pairs([("n", n.to_string())])
}

fn exemplar(id: &str, v: f64, t: i64) -> Exemplar {
    Exemplar {
        labels: Labels::from_pairs([("id", id)]),
        v,
        t,
        timed: true,
    }
}

/// Reads "id=v@t". A "~" follows an exemplar without a time of its own.
fn parse(text: &str) -> Exemplar {
    let (id, rest) = text.split_once('=').unwrap();
    let (v, t) = rest.trim_end_matches('~').split_once('@').unwrap();
    Exemplar {
        timed: !rest.ends_with('~'),
        ..exemplar(id, v.parse().unwrap(), t.parse().unwrap())
    }
}

/// Checks the decision about each: taken, same, out of order.
#[track_caller]
fn check(window_ms: i64, all: &str, expect: &str) {
    check_ahead(None, window_ms, all, expect);
}

/// Checks the same where later ones are from the future.
#[track_caller]
fn check_ahead(ahead: Option<i64>, window_ms: i64, all: &str, expect: &str) {
    let mut ring = Ring::default();
    ring.ahead = ahead;
    ring.set_room(100);
    ring.set_window(window_ms);
    let (labels, reference) = (series(0), SeriesRef(0));
    let mut verdicts = String::new();
    for text in all.split_whitespace() {
        let new = parse(text);
        let known = ring.series.find(reference);
        let verdict = known.map_or(Verdict::Taken, |at| ring.judge(at, &new));
        verdicts.push(match verdict {
            Verdict::Taken => 't',
            Verdict::Same => 's',
            Verdict::OutOfOrder => 'o',
        });
        if verdict == Verdict::Taken {
            ring.insert(&labels, reference, new);
        }
    }
    assert_eq!(verdicts, expect, "{all}");
}

#[test]
fn verdicts() {
    check(0, "a=1@1 a=1@1", "ts");
    check(0, "a=1@1 a=1@2", "tt");
    check(0, "a=1@1~ a=1@2~", "ts");
    check(0, "a=1@1~ a=1@2", "tt");
    check(0, "a=1@1 a=1@2~", "tt");
    check(0, "a=1@1~ b=1@2~ a=1@3~", "ttt");
    check(0, "a=1@5 b=1@4 b=2@5", "tot");
    check(0, "a=2@5 b=1@5 b=3@5", "tot");
    check(0, "a=1@5 c=1@3 a=2@6 b=1@5", "toto");
    check(3, "a=1@5 b=1@3 b=1@2 b=1@3 c=1@4", "ttost");
    check(3, "a=1@5 b=1@4 a=1@5 a=1@9 b=1@6 b=1@7", "ttstot");
    check_ahead(
        Some(10),
        0,
        "a=1@99 b=1@5 b=1@5 c=1@11 c=1@7 d=1@6",
        "ttsott",
    );
    let nan = "a=NaN@1 a=NaN@1";
    check(0, nan, "tt");
}

/// The number of a series, and an exemplar of it.
type Came = (u64, Exemplar);

/// A slow ring.
#[derive(Default)]
struct Slow {
    came: Vec<Came>,
    room: usize,
    window_ms: i64,
}

impl Slow {
    fn of(&self, n: u64) -> Vec<Exemplar> {
        let mut of: Vec<_> = { self.came.iter() }.filter(|(s, _)| *s == n).collect();
        of.sort_by_key(|(_, e)| e.t);
        of.into_iter().map(|(_, e)| e.clone()).collect()
    }

    fn add(&mut self, n: u64, new: Exemplar) {
        if let Some(last) = self.of(n).last() {
            let late = new.t < last.t;
            let same = new.v == last.v && new.labels == last.labels && new.t == last.t;
            let of_its_time = self.of(n).iter().any(|e| e.t == new.t);
            let too_late = late && new.t <= last.t - self.window_ms;
            let hashes = (new.labels.stable_hash(), last.labels.stable_hash());
            let before = new.t == last.t && (new.v, hashes.0) < (last.v, hashes.1);
            if same || too_late || before || (late && of_its_time) {
                return;
            }
        }
        self.came.push((n, new));
        self.cut();
    }

    fn cut(&mut self) {
        let gone = self.came.len().saturating_sub(self.room);
        self.came.drain(..gone);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(u64, u8, i64),
    /// The series comes back under another reference.
    Renew(u64),
    Room(usize),
    Window(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (0..4_u64, 0..3_u8, 0..60_i64).prop_map(|(n, v, t)| Step::Add(n, v, t)),
        2 => (0..4_u64).prop_map(Step::Renew),
        2 => (0..12_usize).prop_map(Step::Room),
        1 => (0..40_i64).prop_map(Step::Window),
    ]
}

proptest! {
    #[test]
    fn as_a_slow_list(steps in proptest::collection::vec(step(), 0..200)) {
        let (ring, mut slow) = (Exemplars::new(&Registry::new()), Slow::default());
        let mut references = [0_u64, 1, 2, 3];
        for (i, step) in steps.into_iter().enumerate() {
            match step {
                Step::Add(n, v, t) => {
                    // NOTE: mostly in order.
                    let new = exemplar(&v.to_string(), f64::from(v), t + i as i64 / 2);
                    let reference = SeriesRef(references[n as usize]);
                    let pending = PendingExemplar { series: reference, exemplar: new.clone() };
                    let sifted = ring.sift(&[pending], &mut Committed::default());
                    prop_assert!(sifted.unnamed.len() + sifted.named.len() < 2);
                    let unnamed = sifted.unnamed.into_iter().map(|p| Named {
                        series: p.series,
                        labels: series(n),
                        exemplar: p.exemplar,
                    });
                    let named: Vec<_> = sifted.named.into_iter().chain(unnamed).collect();
                    ring.add(&named, &mut Committed::default());
                    slow.add(n, new);
                }
                Step::Renew(n) => references[n as usize] += 4,
                Step::Room(room) => {
                    ring.set_room(room as u64);
                    slow.room = room;
                    slow.cut();
                }
                Step::Window(window_ms) => {
                    ring.set_window(window_ms);
                    slow.window_ms = window_ms;
                }
            }
            let all = |n| (series(n), slow.of(n));
            let expect: Vec<_> = (0..4).map(all).filter(|(_, e)| !e.is_empty()).collect();
            prop_assert_eq!(ring.select(&[Vec::new()], i64::MIN, i64::MAX), expect);
            let (came, _) = ring.since(i64::MIN, 0, 100).unwrap_or_default();
            let came: Vec<_> = came.into_iter().map(|n| (n.labels, n.exemplar)).collect();
            let expect: Vec<_> = slow.came.iter().map(|(n, e)| (series(*n), e.clone())).collect();
            prop_assert_eq!(came, expect);
            let filled = ring.filled();
            prop_assert_eq!(filled.exemplars, slow.came.len());
            prop_assert_eq!(filled.oldest, slow.came.first().map_or(0, |(_, e)| e.t));
        }
    }
}

fn filled(room: u64) -> (std::sync::Arc<Exemplars>, Registry) {
    let registry = Registry::new();
    let ring = Exemplars::new(&registry);
    ring.set_room(room);
    for n in 0..6 {
        let all = (0..3).map(|i| Named {
            series: SeriesRef(n),
            labels: series(n),
            exemplar: exemplar("x", i as f64, i * 10 + n as i64),
        });
        ring.add(&all.collect::<Vec<_>>(), &mut Committed::default());
    }
    (ring, registry)
}

#[test]
fn selections() {
    let (ring, _) = filled(100);
    let check = |sets: &[&str], start, end, expect: &str| {
        let set = |text: &&str| vec![Matcher::new(MatchOp::Regex, "n", *text).unwrap()];
        let sets: Vec<_> = sets.iter().map(set).collect();
        let found = ring.select(&sets, start, end);
        let text = |(labels, exemplars): &(Labels, Vec<Exemplar>)| {
            let times: Vec<_> = exemplars.iter().map(|e| e.t.to_string()).collect();
            format!("{}:{}", labels.get("n").unwrap(), times.join(","))
        };
        let found: Vec<_> = found.iter().map(text).collect();
        assert_eq!(found.join(" "), expect, "{sets:?} {start} {end}");
    };
    check(&["3|1"], 0, 100, "1:1,11,21 3:3,13,23");
    check(&["3", "1|3"], 0, 100, "1:1,11,21 3:3,13,23");
    check(&[".*"], 20, 21, "0:20 1:21");
    check(&["4"], 5, 13, "");
    check(&["4"], 4, 14, "4:4,14");
    check(&["9"], 0, 100, "");
    check(&[], 0, 100, "");
}

#[test]
fn what_is_counted() {
    let (ring, registry) = filled(10);
    let check = |name: &str, expect: &str| assert_eq!(registry.shown(name), expect, "{name}");
    check("prometheus_tsdb_exemplar_exemplars_appended_total", "18");
    check("prometheus_tsdb_exemplar_exemplars_in_storage", "10");
    let name = "prometheus_tsdb_exemplar_series_with_exemplars_in_storage";
    check(name, "4");
    check("prometheus_tsdb_exemplar_max_exemplars", "10");
    let name = "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds";
    check(name, "0.022");
    let pending = |n, exemplar| PendingExemplar {
        series: SeriesRef(n),
        exemplar,
    };
    let old = pending(5, exemplar("x", 1.0, 1));
    // Characters, not bytes.
    let fits = pending(5, exemplar(&"é".repeat(126), 1.0, 100));
    let too_long = pending(5, exemplar(&"é".repeat(127), 1.0, 100));
    let mut done = Committed::default();
    let sifted = ring.sift(&[old, fits, too_long], &mut done);
    assert_eq!((sifted.named.len(), done.exemplars_out_of_order), (1, 1));
    assert_eq!(done.exemplars_refused, 2);
    let name = "prometheus_tsdb_exemplar_out_of_order_exemplars_total";
    check(name, "1");
    check("ferula_tsdb_exemplar_too_long_exemplars_total", "1");
    assert!(ring.is_on());
    ring.set_room(0);
    assert!(!ring.is_on());
    check("prometheus_tsdb_exemplar_exemplars_in_storage", "0");
}
