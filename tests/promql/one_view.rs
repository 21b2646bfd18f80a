//! Tests that a query sees only whole batches, however many selectors it has. Each commit has the
//! same value in two series, and no query, in whatever order it reads them, finds a difference.

use std::sync::Arc;

use crossbeam_channel::{Sender, TryRecvError, bounded};
use ferula::metrics::Registry;
use ferula::model::Labels;
use ferula::promql::{Engine, Query, Settings, Times, Value, parse};
use ferula::stdx::atomic::{AtomicI64, Ordering::Relaxed};
use ferula::stdx::clock::{Clock, RealClock};
use ferula::stdx::stop::stop;
use ferula::stdx::thread::{Thread, spawn};
use ferula::storage::{Appendable, Appender};
use ferula::tsdb::{Db, Options};

/// LIMIT: series of either metric. Enough that a commit falls into nearly every query.
const SERIES: usize = 64;
const ROUNDS: usize = 200;
const STEP_MS: i64 = 1_000;

/// Each query gives 0 wherever it has a value.
const QUERIES: &[&str] = &[
    "a - b",
    "b - a",
    "sum(a) - sum(b)",
    "sum(b) - sum(a)",
    "(a > 0) - ignoring (x) b",
    "max_over_time(a[1m]) - max_over_time(b[1m])",
    "max_over_time((b - a)[10s:1s])",
    "max_over_time(a[20s:1s]) - max_over_time(b[20s:1s])",
    "last_over_time(b[10s:1s]) - last_over_time(a[10s:1s])",
    "scalar(sum(a)) - scalar(sum(b))",
    "sum(a and b) - sum(b)",
    "count(a offset 1s or b) - count(b offset 1s)",
];

/// Commits batch after batch until the channel's other end is dropped.
fn write(db: &Db, newest: &Arc<AtomicI64>) -> (Sender<()>, Thread) {
    let (db, newest, mut batch) = (db.clone(), newest.clone(), batch(db));
    let (hold, dropped) = bounded(0);
    let writer = spawn("writer", 256 << 10, move || {
        for n in 1.. {
            for sample in &mut batch.samples {
                (sample.t, sample.v) = (n * STEP_MS, n as f64);
            }
            db.commit(&batch).unwrap();
            newest.store(n * STEP_MS, Relaxed);
            if dropped.try_recv() == Err(TryRecvError::Disconnected) {
                return;
            }
        }
    });
    (hold, writer.unwrap())
}

fn batch(db: &Db) -> Appender {
    let mut batch = Appender::default();
    for name in ["a", "b"] {
        for i in 0..SERIES {
            let labels = [("__name__", name), ("i", &i.to_string())];
            let series = db.resolve(&Labels::from_pairs(labels)).unwrap();
            batch.append(series, 0, 0.0);
        }
    }
    batch
}

#[test]
fn a_query_sees_whole_batches_whatever_it_reads_first() {
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let db = Db::open(Options::in_memory(clock.clone(), Registry::new())).unwrap();
    let newest = Arc::new(AtomicI64::new(0));
    let _writer = write(&db, &newest);
    let engine = Engine::new(Settings::default(), clock, &Registry::new());
    let mut values = 0;
    for round in 0..ROUNDS {
        let text = QUERIES[round % QUERIES.len()];
        // NOTE: ahead of what is stored, so that each query sees the newest samples.
        let end = newest.load(Relaxed) + 60 * STEP_MS;
        let range = Times::Range {
            start: end - 120 * STEP_MS,
            end,
            step_ms: STEP_MS,
        };
        for times in [Times::At(end), range] {
            values += zeroes(&engine, &db, text, times);
        }
    }
    assert!(values > ROUNDS, "{values} values");
}

/// Returns the number of values, all of which must be 0.
fn zeroes(engine: &Engine, db: &Db, text: &str, times: Times) -> usize {
    let settings = Settings::default();
    let (_hold, cancel) = stop();
    let query = Query {
        text,
        expr: &parse(text, &settings.features).unwrap(),
        times,
        settings: &settings,
        cancel: &cancel,
        origin: None,
    };
    let values: Vec<f64> = match engine.answer(db, &query).unwrap().value {
        Value::Scalar(sample) => vec![sample.v],
        Value::Vector(vector) => vector.iter().map(|(_, sample)| sample.v).collect(),
        Value::Matrix(matrix) => { matrix.iter() }
            .flat_map(|(_, samples)| samples.iter().map(|sample| sample.v))
            .collect(),
        Value::Text(..) => Vec::new(),
    };
    // NOTE: `scalar()` of nothing is NaN.
    let torn = values.iter().find(|v| **v != 0.0 && !v.is_nan());
    assert_eq!(torn, None, "{text} over {times:?}");
    values.len()
}
