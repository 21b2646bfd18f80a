//! Tests of evaluation over a storage in memory.

mod evaluation;
mod view;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::metrics::Registry;
use crate::model::{Labels, Matcher, Sample, TimestampMs, stale_nan};
use crate::stdx::clock::ManualClock;
use crate::stdx::stop::{Stop, stop};
use crate::storage::{self, Querier, Queryable, SelectHints, SeriesSet, StorageError};

/// Series in memory, in any order.
#[derive(Clone, Default)]
struct Memory(Vec<(Labels, Vec<Sample>)>);

impl Queryable for Memory {
    fn querier(
        &self,
        start: TimestampMs,
        end: TimestampMs,
    ) -> Result<Box<dyn Querier>, StorageError> {
        if start == 13 {
            return Err(StorageError::Closed);
        }
        assert!(start <= end);
        Ok(Box::new(self.clone()))
    }
}

impl Querier for Memory {
    fn select(
        &self,
        _: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        let matches = |labels: &Labels| {
            matchers
                .iter()
                .all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
        };
        let found = self.0.iter().filter(|(labels, _)| matches(labels)).cloned();
        Ok(Box::new(found.collect::<Vec<_>>().into_iter()))
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

impl SeriesSet for std::vec::IntoIter<(Labels, Vec<Sample>)> {
    fn next(&mut self) -> Option<Result<Box<dyn storage::Series>, StorageError>> {
        let series = Iterator::next(self)?;
        Some(Ok(Box::new(One(series))))
    }
}

struct One((Labels, Vec<Sample>));

impl storage::Series for One {
    fn labels(&self) -> Labels {
        self.0.0.clone()
    }

    fn read(
        &self,
        start: TimestampMs,
        end: TimestampMs,
        out: &mut Vec<Sample>,
    ) -> Result<(), StorageError> {
        out.extend(self.0.1.iter().filter(|s| (start..=end).contains(&s.t)));
        Ok(())
    }
}

/// Holds `foo{n="1"}` every 10 s from 0 with values 0, 1, …, and `foo{n="0"}` at 10 s, gone at 20
/// s.
fn memory() -> Memory {
    let of = |n: &str| Labels::from_pairs([("__name__", "foo"), ("n", n)]);
    let sample = |t, v| Sample { t, v };
    let steady = (0..60).map(|i| sample(i * 10_000, i as f64)).collect();
    let gone = vec![sample(10_000, 7.0), sample(20_000, stale_nan())];
    Memory(vec![(of("1"), steady), (of("0"), gone)])
}

fn settings() -> Settings {
    Settings {
        lookback: Duration::from_secs(30),
        samples_max: 20,
        concurrency_max: 1,
        ..Settings::default()
    }
}

struct Fixture {
    engine: Engine,
    clock: ManualClock,
    registry: Registry,
}

fn fixture() -> Fixture {
    let (clock, registry) = (ManualClock::new(0), Registry::new());
    let engine = Engine::new(settings(), Arc::new(clock.clone()), &registry);
    Fixture {
        engine,
        clock,
        registry,
    }
}

impl Fixture {
    fn ask(
        &self,
        storage: &dyn Queryable,
        text: &str,
        times: Times,
        settings: &Settings,
        cancel: &Stop,
    ) -> Result<Value, QueryError> {
        let expr = parse(text, &settings.features).unwrap();
        let query = Query {
            text,
            expr: &expr,
            times,
            settings,
            cancel,
            origin: None,
        };
        Ok(self.engine.answer(storage, &query)?.value)
    }
}

/// Shows each series as `n: value@time ...`, times in seconds.
fn show(value: Value) -> String {
    let series = match value {
        Value::Scalar(sample) => vec![(Labels::empty(), vec![sample])],
        Value::Text(_, text) => return text,
        Value::Matrix(matrix) => matrix,
        Value::Vector(vector) => vector.into_iter().map(|(l, s)| (l, vec![s])).collect(),
    };
    let one = |(labels, samples): (Labels, Vec<Sample>)| {
        let points: Vec<String> = samples
            .iter()
            .map(|s| format!("{}@{}", s.v, s.t as f64 / 1000.0))
            .collect();
        format!("{}: {}", labels.get("n").unwrap_or(""), points.join(" "))
    };
    series.into_iter().map(one).collect::<Vec<_>>().join("; ")
}

fn never() -> Stop {
    let (tx, stop) = stop();
    std::mem::forget(tx);
    stop
}

#[test]
fn instant_queries() {
    fn check(query: &str, t: TimestampMs, expect: &str) {
        let value = fixture().ask(&memory(), query, Times::At(t), &settings(), &never());
        assert_eq!(show(value.unwrap()), expect, "{query} at {t}");
    }
    check("foo", 10_000, "0: 7@10; 1: 1@10");
    check("foo", 19_999, "0: 7@19.999; 1: 1@19.999");
    check("foo", 20_000, "1: 2@20");
    check("foo", 590_000, "1: 59@590");
    // The window excludes its left end.
    check("foo", 619_999, "1: 59@619.999");
    check("foo", 620_000, "");
    check("foo", -1, "");
    check("(foo)", 0, "1: 0@0");
    check("foo offset 5s", 20_000, "0: 7@20; 1: 1@20");
    check("foo offset -1m", 0, "1: 6@0");
    check("foo @ 10", 500_000, "0: 7@500; 1: 1@500");
    check("foo @ 20 offset 10s", 500_000, "0: 7@500; 1: 1@500");
    check("foo @ end()", 50_000, "1: 5@50");
    check(r#"{n="0"}"#, 10_000, "0: 7@10");
    check("bar", 10_000, "");
    check("foo[20s]", 20_000, "0: 7@10; 1: 1@10 2@20");
    check("foo[20001ms]", 20_000, "0: 7@10; 1: 0@0 1@10 2@20");
    check("foo[10s]", 20_000, "1: 2@20");
    check("foo[10s] offset 10s", 30_000, "1: 2@20");
    check("foo[10s] @ 10", 400_000, "0: 7@10; 1: 1@10");
}

#[test]
fn range_queries() {
    fn check(query: &str, span: (TimestampMs, TimestampMs, i64), expect: &str) {
        let (start, end, step_ms) = span;
        let times = Times::Range {
            start,
            end,
            step_ms,
        };
        let value = fixture().ask(&memory(), query, times, &settings(), &never());
        let text = value.map_or_else(|error| error.to_string(), show);
        assert_eq!(text, expect, "{query} over {span:?}");
    }
    check("foo", (0, 30_000, 15_000), "0: 7@15; 1: 0@0 1@15 3@30");
    check("foo", (580_000, 640_000, 20_000), "1: 58@580 59@600");
    check(
        "foo @ start()",
        (10_000, 12_000, 1_000),
        "0: 7@10 7@11 7@12; 1: 1@10 1@11 1@12",
    );
    check(
        "foo offset 10s",
        (10_000, 20_000, 10_000),
        "0: 7@20; 1: 0@10 1@20",
    );
    check("foo", (10_000, 10_000, 1_000), "0: 7@10; 1: 1@10");
    let wrong = "invalid expression type \"range vector\" for range query, must be Scalar or \
                 instant Vector";
    check("(foo[5m])", (0, 10, 1), wrong);
    let many = "query processing would load too many samples into memory in query execution";
    check("foo", (0, 30_000, 1_000), many);
}

#[test]
fn limits() {
    let fixture = fixture();
    let ask = |settings: &Settings, cancel: &Stop, t| {
        let answer = fixture.ask(&memory(), "foo", Times::At(t), settings, cancel);
        answer.map_or_else(|error| error.to_string(), show)
    };
    let none = Settings {
        timeout: Duration::ZERO,
        ..settings()
    };
    assert_eq!(
        ask(&none, &never(), 0),
        "query timed out in expression evaluation"
    );
    let (tx, stopped) = stop();
    drop(tx);
    let canceled = "query was canceled in expression evaluation";
    assert_eq!(ask(&settings(), &stopped, 0), canceled);
    let closed = "expanding series: the storage is closed";
    assert_eq!(ask(&settings(), &never(), 30_012), closed);
    assert_eq!(ask(&settings(), &never(), 0), "1: 0@0");
    let mut text = String::new();
    fixture.registry.encode(&mut text);
    for line in [
        "prometheus_engine_queries 0\n",
        "prometheus_engine_queries_concurrent_max 1\n",
        "prometheus_engine_query_duration_seconds_count{slice=\"inner_eval\"} 4\n",
        "prometheus_engine_query_log_enabled 0\n",
        "prometheus_engine_query_samples_total 1\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

/// A storage that queries the engine again while it answers.
struct Nested<'e>(&'e Fixture, Settings, Stop);

impl Queryable for Nested<'_> {
    fn querier(&self, _: TimestampMs, _: TimestampMs) -> Result<Box<dyn Querier>, StorageError> {
        let Nested(fixture, settings, cancel) = self;
        let answer = fixture.ask(&memory(), "foo", Times::At(0), settings, cancel);
        Err(StorageError::Other(answer.unwrap_err().to_string()))
    }
}

#[test]
fn waiting_counts_against_the_timeout() {
    let fixture = fixture();
    let ask = |nested: Settings, cancel: Stop| {
        let storage = Nested(&fixture, nested, cancel);
        let answer = fixture.ask(&storage, "foo", Times::At(0), &settings(), &never());
        answer.unwrap_err().to_string()
    };
    let none = Settings {
        timeout: Duration::ZERO,
        ..settings()
    };
    let timed_out = "expanding series: query timed out in query queue";
    assert_eq!(ask(none, never()), timed_out);
    let (tx, stopped) = stop();
    drop(tx);
    let canceled = "expanding series: query was canceled in query queue";
    assert_eq!(ask(settings(), stopped), canceled);
    // The place was given back each time.
    fixture.clock.advance(Duration::from_secs(1));
    let answer = fixture.ask(&memory(), "foo", Times::At(0), &settings(), &never());
    assert_eq!(show(answer.unwrap()), "1: 0@0");
}
