//! Tests of the head through the database: what is taken, seen and dropped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::Head;
use crate::metrics::Registry;
use crate::model::{Labels, MatchOp, Matcher, Sample, SeriesRef};
use crate::stdx::clock::ManualClock;
use crate::stdx::testing::eventually;
use crate::stdx::thread;
use crate::storage::{
    Appendable, Appender, Committed, Fault, Pending, Querier, Queryable, Refused, SelectHints,
    Series, Spans, StorageError, Times,
};
use crate::tsdb::metrics::HeadMetrics;
use crate::tsdb::{Db, Options, Retention};

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const ALL: (i64, i64) = (i64::MIN, i64::MAX);

fn open(time: Duration) -> (Db, ManualClock, Registry) {
    // The wall clock is far after all samples of these tests.
    let clock = ManualClock::new(1_700_000_000_000);
    let registry = Registry::new();
    let options = Options {
        retention: Retention {
            time,
            ..Retention::default()
        },
        ..Options::in_memory(Arc::new(clock.clone()), registry.clone())
    };
    (Db::open(options).unwrap(), clock, registry)
}

fn db() -> Db {
    open(Duration::ZERO).0
}

pub fn labels(text: &str) -> Labels {
    Labels::from_pairs(text.split(',').map(|pair| pair.split_once('=').unwrap()))
}

pub fn resolve(db: &Db, text: &str) -> SeriesRef {
    db.resolve(&labels(text)).unwrap()
}

pub fn commit(db: &Db, samples: &[(SeriesRef, i64, f64)]) -> Committed {
    let mut batch = Appender::default();
    for (series, t, v) in samples {
        batch.append(*series, *t, *v);
    }
    db.commit(&batch).unwrap()
}

pub fn fill(db: &Db, text: &str, times: impl IntoIterator<Item = i64>) -> SeriesRef {
    let series = resolve(db, text);
    for t in times {
        assert_eq!(commit(db, &[(series, t, t as f64)]).appended, 1, "{t}");
    }
    series
}

/// Returns the selected labels, and their samples as `t=v`.
pub fn read(querier: &dyn Querier, matchers: &[Matcher]) -> Vec<(String, String)> {
    read_hinted(querier, &SelectHints::default(), matchers)
}

/// Reads as [`read`] does, with hints.
pub fn read_hinted(
    querier: &dyn Querier,
    hints: &SelectHints,
    matchers: &[Matcher],
) -> Vec<(String, String)> {
    let mut set = querier.select(hints, matchers).unwrap();
    let mut found = Vec::new();
    while let Some(series) = set.next() {
        let series = series.unwrap();
        let mut samples: Vec<Sample> = Vec::new();
        series.read(ALL.0, ALL.1, &mut samples).unwrap();
        let texts: Vec<_> = samples.iter().map(|s| format!("{}={}", s.t, s.v)).collect();
        found.push((series.labels().to_string(), texts.join(" ")));
    }
    found
}

/// Checks the spans in which a series has a value against the times of its samples.
pub fn check_spans(series: &dyn Series, (start, end): (i64, i64), times: &Times) {
    let (mut spans, mut expected) = (Spans::new(300_000), Spans::new(300_000));
    spans.read(series, start, end).unwrap();
    expected.add(times);
    assert!(spans.iter().eq(expected.iter()));
    assert_eq!(spans.samples(), expected.samples());
}

/// Checks that reads agree in any order, without values, and label by label.
pub fn check_ways(querier: &dyn Querier, matchers: &[Matcher]) {
    let plain = read(querier, matchers);
    let hints = SelectHints {
        any_order: true,
        ..SelectHints::default()
    };
    let mut set = querier.select(&hints, matchers).unwrap();
    let mut found = BTreeMap::new();
    while let Some(series) = set.next() {
        let series = series.unwrap();
        let (mut times, mut expected) = (Times::default(), Times::default());
        let mut samples: Vec<Sample> = Vec::new();
        series.read(ALL.0, ALL.1, &mut samples).unwrap();
        series.read_times(ALL.0, ALL.1, &mut times).unwrap();
        expected.extend(&samples);
        assert_eq!(times, expected);
        check_spans(&*series, ALL, &times);
        let mut pairs = Vec::new();
        series.each_label(&mut |n, v| pairs.push((n.to_owned(), v.to_owned())));
        let labels = series.labels();
        assert!(labels.iter().eq(pairs.iter().map(|(n, v)| (&**n, &**v))));
        let texts: Vec<_> = samples.iter().map(|s| format!("{}={}", s.t, s.v)).collect();
        let again = found.insert(labels, texts.join(" "));
        assert!(again.is_none());
    }
    let found = found.into_iter();
    let found: Vec<_> = found.map(|(l, texts)| (l.to_string(), texts)).collect();
    assert_eq!(found, plain);
}

pub fn names(querier: &dyn Querier, matchers: &[Matcher]) -> Vec<String> {
    let found = read(querier, matchers);
    found.into_iter().map(|(labels, _)| labels).collect()
}

#[test]
fn a_series_is_found_again_and_read() {
    let db = db();
    let a = fill(&db, "__name__=up,job=a", [0, 1, 2]);
    assert_eq!(resolve(&db, "__name__=up,job=a"), a);
    assert_ne!(resolve(&db, "__name__=up,job=b"), a);
    let querier = db.querier(1, 2).unwrap();
    let found = read(&*querier, &[Matcher::equal("__name__", "up")]);
    let expected = (
        r#"{__name__="up", job="a"}"#.to_owned(),
        "1=1 2=2".to_owned(),
    );
    assert_eq!(found, [expected]);
    assert!(db.resolve(&Labels::empty()).is_err());
}

#[test]
fn long_series_are_read_over_all_chunks() {
    let db = db();
    let times = || (0..2_000).map(|i| i * 15_000);
    fill(&db, "a=b", times());
    assert!(db.stats().unwrap().chunks > 4);
    let check = |start: i64, end: i64| {
        let querier = db.querier(start, end).unwrap();
        let expected: Vec<_> = times()
            .filter(|t| (start..=end).contains(t))
            .map(|t| format!("{t}={t}"))
            .collect();
        let found = read(&*querier, &[Matcher::equal("a", "b")]);
        let texts: Vec<_> = found.into_iter().map(|f| f.1).collect();
        assert_eq!(texts.join(""), expected.join(" "), "{start} to {end}");
    };
    check(ALL.0, ALL.1);
    check(0, 0);
    check(3_600_000, 7_200_000);
    check(5 * HOUR + 1, 5 * HOUR + 14_999);
    check(-5, -1);
    check(29_985_000, ALL.1);
}

/// Checks one sample, after the series has 10 s with the value 1 and another series has `newest`.
fn check_append(newest: i64, t: i64, v: f64, expect: &str) {
    let db = db();
    let series = resolve(&db, "a=1");
    commit(&db, &[(series, 10_000, 1.0)]);
    commit(&db, &[(resolve(&db, "a=2"), newest, 1.0)]);
    let done = commit(&db, &[(series, t, v)]);
    assert_eq!(fault(&done), expect, "{t} {v} with newest {newest}");
}

fn fault(done: &Committed) -> &'static str {
    match (
        done.appended,
        done.duplicate,
        done.out_of_order,
        done.too_old,
    ) {
        (1, 0, 0, 0) => "appended",
        (0, 1, 0, 0) => "duplicate",
        (0, 0, 1, 0) => "out of order",
        (0, 0, 0, 1) => "too old",
        _ => "nothing",
    }
}

#[test]
fn append_rules() {
    check_append(10_000, 10_001, 2.0, "appended");
    check_append(10_000, 10_000, 1.0, "appended");
    check_append(10_000, 10_000, 2.0, "duplicate");
    check_append(10_000, 9_999, 1.0, "out of order");
    check_append(10_000, 10_000 - HOUR, 1.0, "out of order");
    check_append(10_000, 9_999 - HOUR, 1.0, "too old");
    check_append(10_000 + HOUR, 10_000, 1.0, "appended");
    check_append(10_001 + HOUR, 10_000, 1.0, "too old");
    check_append(10_000 + 9 * HOUR, 10_000 + 8 * HOUR, 1.0, "appended");
    check_append(10_000 + 9 * HOUR, 9_999 + 8 * HOUR, 1.0, "too old");
    check_append(i64::MAX, i64::MAX, 1.0, "appended");
    check_append(10_000, i64::MIN, 1.0, "too old");
}

#[test]
fn the_same_bits_are_the_same_value() {
    let db = db();
    let series = resolve(&db, "a=1");
    let check = |t, bits: u64, expect: &str| {
        let done = commit(&db, &[(series, t, f64::from_bits(bits))]);
        assert_eq!(fault(&done), expect, "{bits:x}");
    };
    check(1, 0x7ff8_0000_0000_0001, "appended");
    check(1, 0x7ff8_0000_0000_0001, "appended");
    check(1, 0x7ff0_0000_0000_0002, "duplicate");
    check(2, 0, "appended");
    check(2, 1 << 63, "duplicate");
}

#[test]
fn within_a_batch_the_first_wins_and_the_window_stays() {
    let db = db();
    let (a, b) = (resolve(&db, "a=1"), resolve(&db, "a=2"));
    let gone = SeriesRef(u64::from(u32::MAX));
    let done = commit(
        &db,
        &[
            (a, 9 * HOUR, 1.0),
            (a, 9 * HOUR, 1.0),
            (gone, 0, 1.0),
            (a, 9 * HOUR, 2.0),
            (b, 0, 1.0),
            (b, 1, 1.0),
        ],
    );
    let expected = Committed {
        appended: 3,
        duplicate: 2,
        gone: vec![2],
        firsts: vec![Refused {
            fault: Fault::Duplicate {
                t: 9 * HOUR,
                existing: 1.0,
                new: 1.0,
            },
            sample: Pending {
                series: a,
                t: 9 * HOUR,
                v: 1.0,
            },
        }],
        ..Committed::default()
    };
    assert_eq!(done, expected);
}

/// Rows, each with a time and a value per series, store what they would store one after the other.
#[test]
fn rows_that_are_taken_again() {
    type Rows<'a> = &'a [(i64, &'a [f64])];
    let stored = |calls: &[Rows<'_>], late_ms: i64| {
        let db = db();
        let head = db.head();
        head.set_late_window(late_ms).unwrap();
        let series = ["n=a", "n=b"].map(|name| Some(resolve(&db, name)));
        for rows in calls {
            let all = [series[0], None, series[1]];
            let times: Vec<_> = rows.iter().map(|row| row.0).collect();
            let columns = (0..all.len()).flat_map(|i| rows.iter().map(move |row| row.1[i]));
            let values: Vec<_> = columns.collect();
            let series = all.into_iter();
            head.take_rows_again(series, &times, &values).unwrap();
        }
        let stats = head.stats().unwrap();
        let found = read(&*db.querier(ALL.0, ALL.1).unwrap(), &[]);
        let texts = found.into_iter().map(|(_, samples)| samples);
        let counts = [stats.min_t, stats.max_t, stats.samples_appended as i64];
        (texts.collect::<Vec<_>>().join(" | "), counts)
    };
    let check = |rows: Rows<'_>, late_ms: i64, expect: &str, counts: [i64; 3]| {
        let at_once = stored(&[rows], late_ms);
        assert_eq!(at_once, (expect.to_owned(), counts), "{rows:?}");
        let one_by_one: Vec<_> = rows.iter().map(std::slice::from_ref).collect();
        assert_eq!(stored(&one_by_one, late_ms), at_once, "{rows:?}");
    };
    let (a, b) = ([1.0, 9.0, 2.0], [3.5, 9.0, 4.0]);
    check(&[(1, &a), (2, &b)], 0, "1=1 2=3.5 | 1=2 2=4", [1, 2, 4]);
    // A time in another window, and one that is older than an hour.
    let far = 3 * HOUR;
    let expect = "1=1 10800000=3.5 | 1=2 10800000=4";
    check(&[(1, &a), (far, &b), (2, &a)], 0, expect, [1, far, 4]);
    // A repetition counts, another value does not.
    check(&[(5, &a), (5, &a), (5, &b)], 0, "5=1 | 5=2", [5, 5, 4]);
    // An older sample is out of order: it was refused, or is logged again as late.
    for late_ms in [0, 10] {
        check(&[(5, &a), (1, &b)], late_ms, "5=1 | 5=2", [5, 5, 2]);
    }
}

#[test]
fn selection_by_matchers() {
    let db = db();
    for text in ["n=x,a=1", "n=x,a=2,b=1", "n=y,a=1", "n=y,a=1,b=1", "n=z"] {
        fill(&db, text, [1]);
    }
    resolve(&db, "n=x,never=committed");
    let querier = db.querier(0, 10).unwrap();
    let not = |name: &str, value: &str| Matcher::new(MatchOp::NotEqual, name, value).unwrap();
    let check = |matchers: &[Matcher], expect: &[&str]| {
        assert_eq!(names(&*querier, matchers), expect, "{matchers:?}");
    };
    let (x1, x2) = (r#"{a="1", n="x"}"#, r#"{a="2", b="1", n="x"}"#);
    let (y1, y2) = (r#"{a="1", n="y"}"#, r#"{a="1", b="1", n="y"}"#);
    let z = r#"{n="z"}"#;
    check(&[], &[y2, x1, y1, x2, z]);
    check(&[Matcher::equal("n", "x")], &[x1, x2]);
    check(&[Matcher::equal("n", "w")], &[]);
    check(&[Matcher::equal("m", "x")], &[]);
    check(&[Matcher::equal("m", "")], &[y2, x1, y1, x2, z]);
    check(&[Matcher::equal("b", "")], &[x1, y1, z]);
    check(
        &[Matcher::equal("a", "1"), Matcher::equal("b", "")],
        &[x1, y1],
    );
    check(
        &[Matcher::equal("a", "1"), Matcher::equal("n", "y")],
        &[y2, y1],
    );
    check(&[not("a", "1")], &[x2, z]);
    check(&[not("a", "")], &[y2, x1, y1, x2]);
    check(&[not("a", ""), not("b", "")], &[y2, x2]);
    check(&[not("n", "x"), not("a", "")], &[y2, y1]);
    check(&[Matcher::equal("n", "z"), not("a", "1")], &[z]);
}

#[test]
fn a_few_of_many_are_filtered_one_by_one() {
    let db = db();
    for i in 0..100 {
        fill(&db, &format!("n=x{},a={}", i / 2, i % 2), [1]);
    }
    let querier = db.querier(0, 10).unwrap();
    let not = Matcher::new(MatchOp::NotEqual, "a", "1").unwrap();
    let found = names(&*querier, &[Matcher::equal("n", "x7"), not]);
    assert_eq!(found, [r#"{a="0", n="x7"}"#]);
}

#[test]
fn names_and_values_of_labels() {
    let db = db();
    for text in ["n=x,a=1", "n=x,a=2,b=1", "n=y,a=3"] {
        fill(&db, text, [1]);
    }
    fill(&db, "n=later,c=1", [100]);
    resolve(&db, "n=never,never=committed");
    let querier = db.querier(0, 10).unwrap();
    let x = [Matcher::equal("n", "x")];
    assert_eq!(querier.label_names(&[], 0).unwrap(), ["a", "b", "n"]);
    assert_eq!(querier.label_names(&[], 2).unwrap(), ["a", "b"]);
    let y = [Matcher::equal("n", "y")];
    assert_eq!(querier.label_names(&y, 0).unwrap(), ["a", "n"]);
    assert_eq!(querier.label_values("a", &[], 0).unwrap(), ["1", "2", "3"]);
    assert_eq!(querier.label_values("n", &[], 0).unwrap(), ["x", "y"]);
    assert_eq!(querier.label_values("a", &x, 0).unwrap(), ["1", "2"]);
    assert_eq!(querier.label_values("a", &x, 1).unwrap(), ["1"]);
    assert!(querier.label_values("z", &[], 0).unwrap().is_empty());
    let hints = SelectHints {
        limit: 1,
        ..SelectHints::default()
    };
    let mut set = querier.select(&hints, &x).unwrap();
    assert!(set.next().is_some() && set.next().is_none());
}

#[test]
fn all_ways_of_reading_agree() {
    let db = db();
    // Later series sort first.
    for i in (0..40i64).rev() {
        let series = resolve(&db, &format!("n=x{},i={i}", i % 3));
        for t in 0..300 {
            let v = match (t * 31 + i * 17) % 50 {
                0 => crate::model::stale_nan(),
                1 => 0.5,
                _ => (t * i) as f64,
            };
            commit(&db, &[(series, t * 15_000 + t % 7, v)]);
        }
    }
    let prefix = Matcher::new(MatchOp::Regex, "n", "x.+").unwrap();
    for (start, end) in [ALL, (0, 0), (500_000, 2_000_000), (4_000_000, i64::MAX)] {
        let querier = db.querier(start, end).unwrap();
        assert!(!read(&*querier, &[]).is_empty());
        check_ways(&*querier, &[]);
        check_ways(&*querier, &[Matcher::equal("n", "x1")]);
        check_ways(&*querier, std::slice::from_ref(&prefix));
    }
}

#[test]
fn a_view_stays_as_it_was() {
    let db = db();
    let (a, b) = (fill(&db, "n=a", [1]), resolve(&db, "n=b"));
    let first = db.querier(0, 100_000).unwrap();
    commit(&db, &[(a, 2, 2.0), (b, 2, 2.0)]);
    let second = db.querier(0, 100_000).unwrap();
    // Enough samples to close chunks and restart the open one.
    for t in 3..600 {
        commit(&db, &[(a, t, 0.5), (b, t, 0.5)]);
    }
    fill(&db, "n=c", [1]);
    let all = |texts: &[(&str, &str)]| -> Vec<(String, String)> {
        let of = |(n, samples): &(&str, &str)| (format!("{{n=\"{n}\"}}"), (*samples).to_owned());
        texts.iter().map(of).collect()
    };
    assert_eq!(read(&*first, &[]), all(&[("a", "1=1")]));
    assert_eq!(read(&*second, &[]), all(&[("a", "1=1 2=2"), ("b", "2=2")]));
    drop(first);
    assert_eq!(read(&*second, &[]), all(&[("a", "1=1 2=2"), ("b", "2=2")]));
    let set = second.select(&SelectHints::default(), &[]).unwrap();
    drop(second);
    assert!(mark_count(&db) > 0, "the set keeps the view");
    drop(set);
    assert_eq!(mark_count(&db), 0);
    assert_eq!(read(&*db.querier(0, 100_000).unwrap(), &[]).len(), 3);
}

fn mark_count(db: &Db) -> usize {
    db.head().lock().unwrap().views.mark_count()
}

/// Writers append the same number to all of their series in each batch. A reader must see equal
/// numbers in them, and always the same ones in one view.
#[test]
fn every_view_sees_each_batch_whole() {
    const SERIES: usize = 40;
    let db = db();
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (db, done) = (db.clone(), done.clone());
            let write = move || {
                let series: Vec<_> = (0..SERIES)
                    .map(|i| resolve(&db, &format!("w={writer},i={i}")))
                    .collect();
                let mut batch = Appender::default();
                for t in 0..2_000 {
                    batch.clear();
                    for series in &series {
                        batch.append(*series, t, t as f64);
                    }
                    assert_eq!(db.commit(&batch).unwrap().appended, SERIES as u64);
                }
                done.store(true, Relaxed);
            };
            thread::spawn(format!("writer-{writer}"), 1 << 20, write).unwrap()
        })
        .collect();
    let mut views = 0;
    while views < 20 || !done.load(Relaxed) {
        let querier = db.querier(ALL.0, ALL.1).unwrap();
        let first = read(&*querier, &[]);
        assert_eq!(first, read(&*querier, &[]), "a view that is kept");
        for writer in ["0", "1"] {
            let of = read(&*querier, &[Matcher::equal("w", writer)]);
            assert!(of.is_empty() || of.len() == SERIES);
            assert!(
                of.windows(2).all(|two| two[0].1 == two[1].1),
                "half a batch"
            );
        }
        views += 1;
    }
    drop(writers);
    assert_eq!(
        db.stats().unwrap().samples_appended,
        2 * 2_000 * SERIES as u64
    );
}

#[test]
fn retention_counts_from_the_newest_sample() {
    let (db, _, _) = open(Duration::from_secs(6 * 3600));
    let times =
        |hours: std::ops::Range<i64>| (hours.start * 60..hours.end * 60).map(|m| m * MINUTE);
    let old = fill(&db, "n=old", times(0..2));
    let live = fill(&db, "n=live", times(1..8));
    db.collect_garbage().unwrap();
    // The newest is at 7:59, so what ends before 1:59 is dropped. The series "old" ends exactly
    // there.
    assert!(db.has_series(old).unwrap());
    commit(&db, &[(live, 8 * HOUR + 1, 0.0)]);
    let view = db.querier(HOUR, 2 * HOUR).unwrap();
    db.collect_garbage().unwrap();
    assert!(db.has_series(old).unwrap(), "a view may ask for it");
    assert_eq!(read(&*view, &[]).len(), 2);
    drop(view);
    db.collect_garbage().unwrap();
    assert!(!db.has_series(old).unwrap());
    let stats = db.stats().unwrap();
    assert_eq!((stats.series, stats.min_t), (1, 2 * HOUR));
    assert_eq!(stats.chunks, 4);
    assert_eq!(commit(&db, &[(old, 9 * HOUR, 1.0)]).gone, [0]);
    let again = resolve(&db, "n=old");
    assert_ne!(again, old);
    assert_eq!(commit(&db, &[(old, 9 * HOUR, 1.0)]).gone, [0]);
    assert_eq!(commit(&db, &[(again, 9 * HOUR, 1.0)]).appended, 1);
}

#[test]
fn a_clock_that_is_behind_keeps_more() {
    let (db, clock, _) = open(Duration::from_secs(3600));
    clock.step_wall(-1_700_000_000_000);
    let old = fill(&db, "n=old", [0]);
    fill(&db, "n=future", [1_000 * HOUR]);
    db.collect_garbage().unwrap();
    assert!(db.has_series(old).unwrap());
    clock.advance(Duration::from_secs(2 * 3600));
    db.collect_garbage().unwrap();
    assert!(!db.has_series(old).unwrap());
}

#[test]
fn what_no_series_needs_is_released() {
    let (db, _, _) = open(Duration::from_secs(3600));
    fill(&db, "n=keeps,shared=1", [9 * HOUR]);
    let before = db.stats().unwrap();
    for i in 0..3_000 {
        resolve(&db, &format!("n=never{i},shared=1,other{i}=x"));
    }
    let used = resolve(&db, "n=used,shared=1");
    assert_eq!(db.stats().unwrap().series, 3_002);
    db.collect_garbage().unwrap();
    assert_eq!(db.stats().unwrap().series, 3_002, "a grace of one round");
    assert_eq!(resolve(&db, "n=used,shared=1"), used);
    db.collect_garbage().unwrap();
    assert_eq!(db.stats().unwrap().series, 2, "resolved in between");
    db.collect_garbage().unwrap();
    assert_eq!(db.stats().unwrap(), before);
    let querier = db.querier(ALL.0, ALL.1).unwrap();
    assert_eq!(querier.label_names(&[], 0).unwrap(), ["n", "shared"]);
    // Reused places are not in order: lists are sorted when they are needed.
    for i in 0..3_000 {
        fill(&db, &format!("n=new{i},shared=1"), [9 * HOUR]);
    }
    let querier = db.querier(ALL.0, ALL.1).unwrap();
    assert_eq!(
        read(&*querier, &[Matcher::equal("shared", "1")]).len(),
        3_001
    );
    assert_eq!(read(&*querier, &[Matcher::equal("n", "new7")]).len(), 1);
}

#[test]
fn memory_of_what_is_let_go_serves_again() {
    let (db, _, _) = open(Duration::from_secs(3600));
    let pool_bytes = || db.head().lock().unwrap().pool.heap_bytes();
    let mut first = 0;
    for round in 0..5 {
        let start = round * 100 * HOUR;
        let text = format!("round={round}");
        let series = fill(&db, &text, (0..1_000).map(|i| start + i * 30_000));
        commit(
            &db,
            &[
                (series, start + 50 * HOUR, 0.1),
                (series, start + 50 * HOUR + 1, 0.2),
            ],
        );
        db.collect_garbage().unwrap();
        assert_eq!(db.stats().unwrap().chunks, 1, "what is old is gone");
        first = if round == 0 { pool_bytes() } else { first };
    }
    // The last series of a round is still there in the next.
    assert!(
        pool_bytes() <= first + first / 4,
        "{} after {first}",
        pool_bytes()
    );
}

#[test]
fn the_thread_collects_every_minute() {
    let (db, clock, _) = open(Duration::ZERO);
    resolve(&db, "n=never");
    for _ in 0..2 {
        eventually("the thread sleeps", || clock.waiting() == 1);
        clock.advance(Duration::from_secs(60));
    }
    eventually("it is collected", || db.stats().unwrap().series == 0);
}

#[test]
fn a_panic_under_the_lock_closes_the_head() {
    let clock = Arc::new(ManualClock::new(0));
    let head = Arc::new(Head::new(HeadMetrics::new(&Registry::new()), clock));
    let (series, view) = (
        head.resolve(&labels("a=b")).unwrap(),
        head.querier(0, 1).unwrap(),
    );
    let other = head.clone();
    let panics = move || {
        let _state = other.lock();
        panic!("in the middle of a batch");
    };
    drop(thread::spawn("panics", 1 << 20, panics).unwrap());
    let mut batch = Appender::default();
    batch.append(series, 1, 1.0);
    let closed = |result: Result<(), StorageError>| {
        assert!(matches!(result, Err(StorageError::Closed)));
    };
    closed(head.commit(&batch).map(drop));
    closed(head.resolve(&labels("a=b")).map(drop));
    closed(head.querier(0, 1).map(drop));
    closed(view.select(&SelectHints::default(), &[]).map(drop));
    closed(head.collect(0, None).map(drop));
    drop(view);
}

#[test]
fn figures() {
    let (db, _, registry) = open(Duration::from_secs(3600));
    let a = fill(&db, "__name__=m,a=x", [1_000, 2_000]);
    fill(&db, "__name__=m,a=yy", [1_000]);
    commit(
        &db,
        &[(a, 1_500, 0.0), (a, 2_000, 0.0), (SeriesRef(0), 0, 0.0)],
    );
    let counted = |list: &[super::Counted]| -> Vec<String> {
        list.iter()
            .map(|c| format!("{}={}", c.name, c.value))
            .collect()
    };
    let all = db.cardinality(2).unwrap();
    assert_eq!(counted(&all.series_count_by_metric_name), ["m=2"]);
    assert_eq!(
        counted(&all.label_value_count_by_label_name),
        ["a=2", "__name__=1"]
    );
    assert_eq!(
        counted(&all.memory_in_bytes_by_label_name),
        ["__name__=22", "a=9"]
    );
    assert_eq!(
        counted(&all.series_count_by_label_value_pair),
        ["__name__=m=2", "a=x=1"]
    );
    let mut text = String::new();
    registry.encode(&mut text);
    for line in [
        "prometheus_tsdb_head_series 2",
        "prometheus_tsdb_head_chunks 2",
        "prometheus_tsdb_head_samples_appended_total{type=\"float\"} 3",
        "prometheus_tsdb_head_samples_appended_total{type=\"histogram\"} 0",
        "prometheus_tsdb_out_of_order_samples_total{type=\"float\"} 1",
        "prometheus_tsdb_head_series_created_total 2",
        "prometheus_tsdb_head_series_not_found_total 1",
        "prometheus_tsdb_head_min_time 1000",
        "prometheus_tsdb_head_max_time_seconds 2",
        "prometheus_tsdb_lowest_timestamp_seconds 1",
        "prometheus_tsdb_symbol_table_size_bytes 13",
        "prometheus_tsdb_retention_limit_seconds 3600",
    ] {
        assert!(
            text.contains(&format!("\n{line}\n")),
            "{line} is not in:\n{text}"
        );
    }
}
