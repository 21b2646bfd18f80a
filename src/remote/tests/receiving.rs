//! Tests the receiver against a storage double.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::messages::{
    Exemplar, Histogram, Label, Metadata, WriteRequest, body, compressed, series,
};
use crate::metrics::Registry;
use crate::model::{Labels, SeriesRef, TimestampMs};
use crate::remote::{AcceptedMessages, Options, Receiver};
use crate::stdx::clock::ManualClock;
use crate::stdx::testing::logged;
use crate::storage::{
    Appendable, Appender, Committed, ExemplarFault, Fault, PendingExemplar, RefusedExemplar,
    StorageError,
};

const NOW: i64 = 1_700_000_000_000;

/// Takes what is newer than a series' newest. A test can remove series.
#[derive(Debug, Default)]
struct Double(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    series: Vec<(Labels, Vec<(TimestampMs, u64)>)>,
    /// The series by labels. All others are gone.
    live: BTreeMap<String, SeriesRef>,
    resolved: usize,
    commits: usize,
    /// Removes every series before each of the next so many commits.
    going: usize,
    broken: bool,
    takes_exemplars: bool,
    takes_late: bool,
    exemplars: Vec<(Labels, ExemplarOf)>,
    left_out: u64,
}

/// Labels, value and time.
type ExemplarOf = (String, f64, TimestampMs);

impl Appendable for Double {
    fn resolve(&self, labels: &Labels) -> Result<SeriesRef, StorageError> {
        let mut state = self.0.lock().unwrap();
        state.resolved += 1;
        if let Some(found) = state.live.get(&labels.to_string()) {
            return Ok(*found);
        }
        let series = SeriesRef(state.series.len() as u64);
        state.series.push((labels.clone(), Vec::new()));
        state.live.insert(labels.to_string(), series);
        Ok(series)
    }

    fn find(&self, labels: &Labels) -> Result<Option<SeriesRef>, StorageError> {
        Ok(self
            .0
            .lock()
            .unwrap()
            .live
            .get(&labels.to_string())
            .copied())
    }

    fn labels_of(&self, series: SeriesRef) -> Option<Labels> {
        let state = self.0.lock().unwrap();
        state.series.get(series.0 as usize).map(|s| s.0.clone())
    }

    fn left_out_of_order(&self, samples: u64) {
        self.0.lock().unwrap().left_out += samples;
    }

    fn takes_exemplars(&self) -> bool {
        self.0.lock().unwrap().takes_exemplars
    }

    fn takes_late(&self) -> bool {
        self.0.lock().unwrap().takes_late
    }

    fn commit(&self, batch: &Appender) -> Result<Committed, StorageError> {
        let mut state = self.0.lock().unwrap();
        if state.broken {
            return Err(StorageError::Closed);
        }
        state.commits += 1;
        if state.going > 0 {
            state.going -= 1;
            state.live.clear();
        }
        let mut done = Committed::default();
        for PendingExemplar { series, exemplar } in &batch.exemplars {
            if state.live.values().any(|s| s == series) {
                let labels = state.series[series.0 as usize].0.clone();
                // A negative exemplar counts as out of order.
                if exemplar.v < 0.0 {
                    let (fault, t) = (ExemplarFault::OutOfOrder, exemplar.t);
                    let series = *series;
                    done.refuse_exemplar(RefusedExemplar { fault, series, t });
                    continue;
                }
                let of = (exemplar.labels.to_string(), exemplar.v, exemplar.t);
                state.exemplars.push((labels, of));
            }
        }
        for (at, pending) in batch.samples.iter().enumerate() {
            if !state.live.values().any(|s| *s == pending.series) {
                done.gone.push(at as u32);
                continue;
            }
            let samples = &mut state.series[pending.series.0 as usize].1;
            let bits = pending.v.to_bits();
            match samples.last() {
                _ if pending.t < -1_000_000 => done.refuse(Fault::TooOld, *pending),
                _ if pending.t < 0 => done.refuse(Fault::OutOfBounds, *pending),
                Some((t, _)) if pending.t < *t => done.refuse(Fault::OutOfOrder, *pending),
                Some((t, v)) if pending.t == *t && bits != *v => {
                    let (existing, new) = (f64::from_bits(*v), pending.v);
                    let t = *t;
                    done.refuse(Fault::Duplicate { t, existing, new }, *pending);
                }
                Some((t, _)) if pending.t == *t => done.appended += 1,
                _ => {
                    samples.push((pending.t, bits));
                    done.appended += 1;
                }
            }
        }
        Ok(done)
    }
}

struct Bed {
    double: Arc<Double>,
    receiver: Receiver,
    registry: Registry,
    clock: ManualClock,
}

impl Bed {
    fn new() -> Bed {
        let (double, registry) = (Arc::new(Double::default()), Registry::new());
        let clock = ManualClock::new(NOW);
        let receiver = Receiver::new(Options {
            storage: double.clone(),
            clock: Arc::new(clock.clone()),
            registry: registry.clone(),
            accepted: AcceptedMessages::from_names(&["prometheus.WriteRequest"]).unwrap(),
        });
        Bed {
            double,
            receiver,
            registry,
            clock,
        }
    }

    fn send(&self, body: &[u8]) -> String {
        let done = self.receiver.receive(Some("snappy"), None, body);
        done.map_or_else(|e| format!("{} {e}", e.status()), |()| "204".to_owned())
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.double.0.lock().unwrap())
    }

    /// Returns the times of the samples of all series of this name.
    fn times(&self, name: &str) -> Vec<TimestampMs> {
        self.state(|state| {
            let of = state.series.iter().filter(|(l, _)| l.metric_name() == name);
            of.flat_map(|(_, s)| s.iter().map(|(t, _)| *t)).collect()
        })
    }

    /// Returns how many were refused for a reason.
    fn refused(&self, reason: &str) -> String {
        let name = "ferula_remote_write_received_refused_total";
        self.metric(&format!("{name}{{reason=\"{reason}\"}}"))
    }

    fn metric(&self, name: &str) -> String {
        self.registry.shown(name)
    }
}

#[test]
fn known_series_are_not_resolved_again() {
    let bed = Bed::new();
    for t in 0..5 {
        let two = [
            series(&[("__name__", "a"), ("x", "1")], &[(t, 1.0)]),
            series(
                &[("__name__", "b")],
                &[(t, f64::from_bits(0x7ff0_0000_0000_0002))],
            ),
        ];
        assert_eq!(bed.send(&body(&two)), "204");
    }
    assert_eq!(bed.state(|s| (s.resolved, s.commits)), (2, 5));
    assert_eq!(bed.times("a"), [0, 1, 2, 3, 4]);
    let stale = bed.state(|s| s.series[1].1[0].1);
    assert_eq!(stale, 0x7ff0_0000_0000_0002);
    assert_eq!(
        bed.metric("ferula_remote_write_received_samples_total"),
        "10"
    );
}

#[test]
fn faults_of_samples_leave_the_others() {
    let bed = Bed::new();
    let m = |samples: &[(i64, f64)]| series(&[("__name__", "m")], samples);
    let other = |t| series(&[("__name__", "other")], &[(t, 0.0)]);
    assert_eq!(bed.send(&body(&[m(&[(100, 1.0)])])), "204");
    assert_eq!(bed.send(&body(&[m(&[(100, 1.0)])])), "204");
    assert_eq!(
        bed.send(&body(&[m(&[(99, 1.0)]), other(1)])),
        "400 out of order sample for series m at 1970-01-01T00:00:00.099Z, value 1"
    );
    let text = "400 duplicate sample for timestamp 100; overrides not allowed: existing 1, new \
                value 2 for series m at 1970-01-01T00:00:00.1Z, value 2";
    assert_eq!(bed.send(&body(&[m(&[(100, 2.0)]), other(2)])), text);
    assert_eq!(
        bed.send(&body(&[m(&[(-1, 2.0)]), other(3)])),
        "400 out of bounds for series m at 1969-12-31T23:59:59.999Z, value 2"
    );
    let ahead = NOW + 600_000;
    assert_eq!(bed.send(&body(&[m(&[(ahead, 2.0)])])), "204");
    let text = "400 out of bounds: timestamp is too far in the future for series m at \
                2023-11-14T22:23:20.001Z, value 2";
    assert_eq!(bed.send(&body(&[m(&[(ahead + 1, 2.0)]), other(4)])), text);
    bed.clock.step_wall(1);
    assert_eq!(bed.send(&body(&[m(&[(ahead + 1, 2.0)])])), "204");
    assert_eq!(bed.times("other"), [1, 2, 3, 4]);
}

/// Prometheus compares only with what was committed before, and drops such samples silently.
#[test]
fn what_is_unordered_within_a_request_is_left_out() {
    let bed = Bed::new();
    let m = |samples: &[(i64, f64)]| series(&[("__name__", "m")], samples);
    let request = [
        m(&[(5, 1.0), (3, 1.0), (5, 2.0), (6, 1.0)]),
        m(&[(6, 1.0), (7, 1.0)]),
    ];
    assert_eq!(bed.send(&body(&request)), "204");
    assert_eq!(bed.times("m"), [5, 6, 7]);
    assert_eq!(
        bed.metric("ferula_remote_write_received_unordered_samples_total"),
        "3"
    );
    // The storage counts those that are older, as if it had seen them.
    assert_eq!(bed.state(|s| s.left_out), 1);
    let newest_first: Vec<_> = (1..=5).rev().map(|t| (NOW + t, 1.0)).collect();
    assert_eq!(bed.send(&body(&[m(&newest_first)])), "204");
    assert_eq!(bed.state(|s| s.left_out), 5);
    assert_eq!(bed.refused("out_of_order_in_request"), "5");
    assert_eq!(bed.refused("duplicate_in_request"), "2");
}

/// Once only the kind of the first was reported, and never which sample it was.
#[test]
fn the_first_of_each_kind_is_named() {
    let bed = Bed::new();
    bed.state(|s| s.takes_exemplars = true);
    let of =
        |host: &str, samples: &[(i64, f64)]| series(&[("__name__", "z"), ("host", host)], samples);
    let known = ["a", "b", "c"].map(|host| of(host, &[(NOW, 1.0)]));
    assert_eq!(bed.send(&body(&known)), "204");
    let mut histogram = of("h", &[]);
    histogram.histograms.push(Histogram::default());
    let mut far = of("a", &[]);
    far.exemplars.push(exemplar("x", 1.0, NOW + 600_001));
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let all = [
        of("a", &[(NOW - 5_000, 2.0)]),
        of("b", &[(NOW - 4_000, stale)]),
        of("b", &[(NOW, f64::NAN)]),
        of("c", &[(-1, f64::INFINITY), (NOW + 900_000, 1.0)]),
        of(
            "d",
            &[(NOW, 1.0), (NOW - 1, 1.0), (NOW - 2, 1.0), (NOW, 1.0)],
        ),
        series(
            &[("__name__", "z"), ("host", "e"), ("host", "f")],
            &[(NOW, 3.0)],
        ),
        series(&[("host", "bad-host")], &[(NOW, 1.0)]),
        series(
            &[("__name__", "z"), ("long", &"x".repeat(1 << 20))],
            &[(NOW, 1.0)],
        ),
        far,
        histogram,
    ];
    logged();
    let answer = bed.send(&body(&all));
    let lines = logged();
    let line = "remote write: not stored reason=out of order sample series=z{host=\"a\"} \
                timestamp=2023-11-14T22:13:15Z value=2 count=2 not_told_since_last=0";
    assert!(lines.iter().any(|l| l == line), "{lines:#?}");
    assert_eq!(lines.len(), 11, "{lines:#?}");
    let pieces = [
        "400 out of order sample for series z{host=\"a\"} at 2023-11-14T22:13:15Z, value 2 (the \
         first of 2)",
        "duplicate sample for timestamp 1700000000000; overrides not allowed: existing 1, new \
         value NaN for series z{host=\"b\"} at 2023-11-14T22:13:20Z, value NaN",
        "out of bounds for series z{host=\"c\"} at 1969-12-31T23:59:59.999Z, value +Inf",
        "out of bounds: timestamp is too far in the future for series z{host=\"c\"} at \
         2023-11-14T22:28:20Z, value 1",
        "out of order sample within the request for series z{host=\"d\"} at \
         2023-11-14T22:13:19.999Z, value 1 (the first of 2)",
        "duplicate sample within the request for series z{host=\"d\"} at \
         2023-11-14T22:13:20Z, value 1",
        "invalid labels: the label name \"host\" twice for series z{host=\"e\", host=\"f\"} at \
         2023-11-14T22:13:20Z, value 3",
        "invalid labels: no metric name for series {host=\"bad-host\"} at \
         2023-11-14T22:13:20Z, value 1",
        "invalid labels: 1048605 bytes of labels, 1048576 at most for series z{long=\"xxx",
        "exemplar too far in the future for series z{host=\"a\"} at 2023-11-14T22:23:20.001Z, \
         value 1",
        "native histograms are not kept for series z{host=\"h\"}, value histogram",
    ];
    let mut rest = answer.as_str();
    for piece in pieces {
        let at = rest
            .find(piece)
            .unwrap_or_else(|| panic!("{piece} in {answer}"));
        rest = &rest[at + piece.len()..];
    }
    assert!(answer.len() < 4_000, "{} bytes", answer.len());
    for (reason, count) in [
        ("out_of_order", "2"),
        ("duplicate", "1"),
        ("out_of_bounds", "1"),
        ("too_new", "1"),
        ("label_twice", "1"),
        ("invalid_labels", "1"),
        ("labels_too_large", "1"),
        ("out_of_order_in_request", "2"),
        ("duplicate_in_request", "1"),
        ("invalid_exemplar", "1"),
        ("histogram", "1"),
        ("metadata", "0"),
    ] {
        assert_eq!(bed.refused(reason), count, "{reason}");
    }
}

#[test]
fn every_other_reason_is_counted_and_told() {
    let bed = Bed::new();
    let check = |reason: &str, why: &str, request: &[u8]| {
        logged();
        bed.send(request);
        let lines = logged();
        let begin = format!("remote write: not stored reason={why} series=m");
        assert!(
            lines.len() == 1 && lines[0].starts_with(&begin),
            "{lines:?}"
        );
        assert_eq!(bed.refused(reason), "1", "{reason}");
    };
    let m = |samples: &[(i64, f64)]| series(&[("__name__", "m")], samples);
    let mut with_exemplar = m(&[(1, 1.0)]);
    with_exemplar.exemplars.push(exemplar("x", -1.0, 1));
    let off = "exemplars are not kept (--enable-feature=exemplar-storage)";
    let with_exemplar = body(&[with_exemplar]);
    check("exemplars_off", off, &with_exemplar);
    bed.state(|s| s.takes_exemplars = true);
    check("exemplar_refused", "out of order exemplar", &with_exemplar);
    let metadata = Metadata {
        family: "m".to_owned(),
        ..Metadata::default()
    };
    let metadata = WriteRequest {
        timeseries: Vec::new(),
        metadata: vec![metadata],
    };
    let metadata = compressed(&prost::Message::encode_to_vec(&metadata));
    check("metadata", "metadata are not kept", &metadata);
    check(
        "too_old",
        "too old sample",
        &body(&[m(&[(-2_000_000, 1.0)])]),
    );
}

/// Late ones were left out too, even if the storage would have taken them.
#[test]
fn what_is_late_within_a_request_is_for_the_storage() {
    let bed = Bed::new();
    bed.state(|s| s.takes_late = true);
    let m = |samples: &[(i64, f64)]| series(&[("__name__", "m")], samples);
    let request = [m(&[(5, 1.0), (3, 1.0), (5, 2.0)]), m(&[(6, 1.0), (4, 1.0)])];
    // This storage does not take them.
    let answer = bed.send(&body(&request));
    assert!(
        answer.starts_with("400 out of order sample for series m"),
        "{answer}"
    );
    assert_eq!(bed.times("m"), [5, 6]);
    let unordered = "ferula_remote_write_received_unordered_samples_total";
    assert_eq!(bed.metric(unordered), "1");
}

/// A storage would refuse them, and the whole request with them, for ever.
#[test]
fn far_too_much_of_labels_is_invalid() {
    let bed = Bed::new();
    let value = "x".repeat(1 << 20);
    let names: Vec<String> = (0..40_000).map(|i| format!("l{i}")).collect();
    let mut many: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
    many.push(("__name__", "m"));
    let good = series(&[("__name__", "m")], &[(1, 1.0)]);
    for bad in [&[("__name__", "m"), ("a", &value)], &many[..]] {
        let bad = series(bad, &[(1, 1.0)]);
        assert_eq!(bed.send(&body(&[bad, good.clone()])), "204");
    }
    let name = "prometheus_api_remote_write_invalid_labels_samples_total";
    assert_eq!(bed.metric(name), "2");
    assert_eq!(bed.times("m"), [1]);
}

#[test]
fn series_with_invalid_labels_are_left_out() {
    let bed = Bed::new();
    let good = series(&[("__name__", "m")], &[(1, 1.0)]);
    let bad = series(&[("job", "m")], &[(1, 1.0)]);
    for _ in 0..2 {
        assert_eq!(bed.send(&body(&[bad.clone(), good.clone()])), "204");
    }
    let name = "prometheus_api_remote_write_invalid_labels_samples_total";
    assert_eq!(bed.metric(name), "2");
    assert_eq!(bed.times("m"), [1]);
}

#[test]
fn histograms_and_exemplars_are_counted_and_the_rest_taken() {
    let bed = Bed::new();
    let mut all = series(&[("__name__", "m")], &[(1, 1.0)]);
    all.exemplars.push(Exemplar::default());
    all.histograms
        .extend([Histogram::default(), Histogram::default()]);
    let mut only = series(&[("__name__", "h")], &[]);
    only.histograms.push(Histogram::default());
    assert_eq!(bed.send(&body(&[all, only])), "204");
    assert_eq!(
        bed.metric("ferula_remote_write_received_histograms_dropped_total"),
        "3"
    );
    assert_eq!(
        bed.metric("ferula_remote_write_received_exemplars_dropped_total"),
        "1"
    );
    assert_eq!(
        bed.state(|s| s.resolved),
        1,
        "a series without samples is not made"
    );
}

fn exemplar(id: &str, value: f64, timestamp: i64) -> Exemplar {
    let label = Label {
        name: b"id".to_vec(),
        value: id.as_bytes().to_vec(),
    };
    Exemplar {
        labels: vec![label],
        value,
        timestamp,
    }
}

#[test]
fn exemplars_go_to_series_that_are_there() {
    let bed = Bed::new();
    bed.state(|s| s.takes_exemplars = true);
    let of = |name: &str, samples: &[(i64, f64)], exemplars: &[Exemplar]| {
        let mut all = series(&[("__name__", name)], samples);
        all.exemplars.extend_from_slice(exemplars);
        all
    };
    let check = |all: &[super::messages::TimeSeries], expect: &str, dropped: &str| {
        assert_eq!(bed.send(&body(all)), "204");
        let found = bed.state(|s| std::mem::take(&mut s.exemplars));
        let text = |(labels, (of, v, t)): &(Labels, ExemplarOf)| {
            format!("{} {of} {v}@{t}", labels.metric_name())
        };
        let found: Vec<_> = found.iter().map(text).collect();
        assert_eq!(found.join("; "), expect);
        let name = "ferula_remote_write_received_exemplars_dropped_total";
        assert_eq!(bed.metric(name), dropped);
    };
    let (one, two) = (exemplar("x", 1.0, 5), exemplar("", 2.0, 6));
    let apart = of("m", &[], std::slice::from_ref(&one));
    check(std::slice::from_ref(&apart), "", "1");
    check(
        &[of("m", &[(1, 1.0)], &[one.clone(), two]), apart.clone()],
        "m {id=\"x\"} 1@5; m {} 2@6; m {id=\"x\"} 1@5",
        "1",
    );
    let ahead = exemplar("x", 1.0, NOW + 600_001);
    let long = exemplar(&"x".repeat(3_000), 1.0, 5);
    let mut other = one.clone();
    other.labels[0].value = vec![0xff];
    check(&[of("m", &[], &[ahead, long, other])], "", "4");
    check(&[of("", &[(1, 1.0)], std::slice::from_ref(&one))], "", "5");
    // Samples make a removed series anew, and its exemplars find it.
    bed.state(|s| s.going = 1);
    let all = [of("m", &[(2, 1.0)], &[]), apart.clone()];
    check(&all, "m {id=\"x\"} 1@5", "5");
    // A series that only the storage knows.
    bed.clock.advance(Duration::from_secs(3 * 3601));
    assert_eq!(bed.send(&body(&[])), "204");
    bed.clock.advance(Duration::from_secs(3 * 3601));
    check(&[apart], "m {id=\"x\"} 1@5", "5");
}

#[test]
fn a_giant_request_of_exemplars_is_committed_in_parts() {
    let bed = Bed::new();
    bed.state(|s| s.takes_exemplars = true);
    let labels = [("__name__", "m")];
    let mut all = vec![series(&labels, &[(1, 1.0)]); 3];
    for series in &mut all {
        series.exemplars = vec![exemplar("x", 1.0, 5); 1 << 14];
    }
    all[1].exemplars.push(exemplar("x", 1.0, 5));
    assert_eq!(bed.send(&body(&all)), "204");
    assert_eq!(bed.state(|s| (s.commits, s.exemplars.len())), (3, 3 << 14));
    let name = "ferula_remote_write_received_exemplars_dropped_total";
    assert_eq!(bed.metric(name), "1");
}

#[test]
fn series_that_went_away_are_resolved_anew() {
    let bed = Bed::new();
    let all = |t: i64| {
        let of = |n: &i64| {
            let name = format!("m{}", n % 3);
            let labels = [("__name__", name.as_str()), ("n", &n.to_string())];
            series(&labels, &[(t, 1.0), (t + 1, 2.0)])
        };
        body(
            &(0..9)
                .collect::<Vec<_>>()
                .iter()
                .map(of)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(bed.send(&all(10)), "204");
    for (going, from) in [(1, 20), (2, 30)] {
        bed.state(|s| s.going = going);
        assert_eq!(bed.send(&all(from)), "204");
    }
    assert_eq!(bed.times("m1").len(), 18);
    let resolved = bed.state(|s| s.resolved);
    assert_eq!(bed.send(&all(40)), "204");
    assert_eq!(
        bed.state(|s| s.resolved),
        resolved,
        "the cache has the new ones"
    );
    bed.state(|s| s.going = 9);
    assert!(bed.send(&all(50)).starts_with("500 series went away"));
}

#[test]
fn nothing_is_stored_of_what_is_no_request() {
    let bed = Bed::new();
    let good = series(&[("__name__", "m")], &[(1, 1.0)]);
    let mut raw = prost::Message::encode_to_vec(&WriteRequest {
        timeseries: vec![good.clone()],
        metadata: Vec::new(),
    });
    raw.extend([0x0a, 5]);
    logged();
    assert_eq!(bed.send(&compressed(&raw)), "400 unexpected EOF");
    let line = "remote write: request not stored err=unexpected EOF status=400 \
                not_told_since_last=0";
    assert_eq!(logged(), [line]);
    assert_eq!(bed.send(b""), "400 snappy: corrupt input");
    assert_eq!(bed.send(&[0xff; 9]), "400 snappy: corrupt input");
    assert_eq!(bed.send(&[5, 0, b'a']), "400 snappy: corrupt input");
    let huge = [0x81, 0x80, 0x80, 0x10, 0];
    let text = "400 decoded size exceeds the 33554432 bytes limit";
    assert_eq!(bed.send(&huge), text);
    assert_eq!(bed.state(|s| s.commits), 0);
    bed.state(|s| s.broken = true);
    assert_eq!(bed.send(&body(&[good])), "500 the storage is closed");
    let line = "remote write: request not stored err=the storage is closed status=500 \
                not_told_since_last=0";
    assert_eq!(logged(), [line], "ours has a pace of its own");
}

#[test]
fn a_giant_request_is_committed_in_parts() {
    let bed = Bed::new();
    let of = |n: i64| {
        let samples: Vec<_> = (0..1000).map(|t| (n * 1000 + t, 0.0)).collect();
        series(&[("__name__", "m")], &samples)
    };
    let all: Vec<_> = (0..150).map(of).collect();
    assert_eq!(bed.send(&body(&all)), "204");
    assert_eq!(bed.times("m").len(), 150_000);
    assert_eq!(bed.state(|s| s.commits), 3);
}

#[test]
fn the_cache_lets_go_what_is_not_used() {
    let bed = Bed::new();
    let of = |n: usize| series(&[("__name__", "m"), ("n", &n.to_string())], &[(1, 0.0)]);
    let all: Vec<_> = (0..100).map(of).collect();
    assert_eq!(bed.send(&body(&all)), "204");
    for hour in 1..4 {
        bed.clock.advance(Duration::from_secs(3601));
        assert_eq!(bed.send(&body(&all[..3])), "204", "{hour}");
    }
    assert_eq!(bed.state(|s| s.resolved), 100);
    assert_eq!(bed.receiver.cached(), 3);
}
