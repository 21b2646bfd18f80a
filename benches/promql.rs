//! The cost of queries: milliseconds of the clock, of the query's own thread and of all threads,
//! and nanoseconds of all threads per sample read.
//!
//! On a busy machine the clock says little. The CPU times say what an idle machine would take.
//!
//! Wide is 50,000 series of 60 samples, a busy gateway's quarter of an hour: all in the head, half
//! in a block and half in the head, in three blocks and the head, and the same with a third of the
//! series replaced. Long is 2,000 series of 5,760 samples in the head, a small host's day.
//! Arguments: a part of a query's name, and `--world=` a part of a storage's. Prints figures,
//! without a verdict.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use ferula::metrics::Registry;
use ferula::model::{Labels, SeriesRef};
use ferula::promql::{Engine, Features, Query, Settings, Times, Value, parse};
use ferula::stdx::clock::{Clock, RealClock};
use ferula::stdx::stop::stop;
use ferula::storage::{Appendable, Appender};
use ferula::tsdb::{Db, Options, Place};
use rustix::time::{ClockId, clock_gettime};

const START_MS: i64 = 1_700_000_000_000;
const INTERVAL_MS: i64 = 15_000;
/// The best of this many runs counts.
const RUNS: usize = 3;

/// Series by metric. Of 10, 4 are gauges, 3 are counters, 3 are buckets.
struct World {
    name: &'static str,
    series: u64,
    samples: u64,
    /// The head becomes a block before these.
    flushed: &'static [u64],
    /// One of three series ends at the first flush, and another begins.
    churns: bool,
}

const WIDE: World = World {
    name: "wide",
    series: 50_000,
    samples: 60,
    flushed: &[],
    churns: false,
};
const HALF: World = World {
    name: "wide, half in a block",
    flushed: &[30],
    ..WIDE
};
const QUARTERS: World = World {
    name: "wide, in three blocks and the head",
    flushed: &[15, 30, 45],
    ..WIDE
};
const CHURN: World = World {
    name: "wide, half in a block, a third gone",
    flushed: &[30],
    churns: true,
    ..WIDE
};
const LONG: World = World {
    name: "long",
    series: 2_000,
    samples: 5_760,
    ..WIDE
};

/// Name, query, and steps over the whole range; 0 is an instant query at its end.
const WIDE_QUERIES: &[(&str, &str, i64)] = &[
    ("count", "count({__name__=~'node_.+'})", 60),
    (
        "count by",
        "count by (instance) ({__name__=~'node_.+'})",
        60,
    ),
    ("sum", "sum({__name__=~'node_.+'})", 60),
    (
        "sum by rate",
        "sum by (instance) (rate({__name__=~'node_.+'}[5m]))",
        60,
    ),
    (
        "topk rate",
        "topk(5, rate({__name__=~'node_.+_total'}[5m]))",
        60,
    ),
    ("quantile", "quantile(0.9, {__name__=~'node_gauge.+'})", 60),
    ("all series", "{__name__=~'node_.+'}", 0),
    (
        "one metric, rate",
        "sum by (mode) (rate(node_counter_4_total[1m]))",
        60,
    ),
    (
        "histogram_quantile",
        "histogram_quantile(0.9, sum by (le) (rate(node_bucket_7_bucket[1m])))",
        60,
    ),
    (
        "topk with join",
        "topk(5, rate(node_counter_4_total[1m]) * on (instance, mode) node_gauge_0)",
        60,
    ),
    ("sort", "sort_desc(node_gauge_0)", 0),
    (
        "one series",
        "node_gauge_0{instance='127.0.0.1:9007',mode='4'}",
        0,
    ),
];

const LONG_QUERIES: &[(&str, &str, i64)] = &[
    ("count", "count({__name__=~'node_.+'})", 289),
    (
        "sum by rate",
        "sum by (instance) (rate({__name__=~'node_.+'}[5m]))",
        1_441,
    ),
    (
        "one metric, rate",
        "sum by (mode) (rate(node_counter_4_total[5m]))",
        1_441,
    ),
    (
        "quantile_over_time",
        "quantile_over_time(0.9, node_gauge_0[1h])",
        289,
    ),
    (
        "max_over_time",
        "max_over_time({__name__=~'node_.+'}[24h])",
        0,
    ),
    (
        "subquery",
        "max_over_time(rate(node_counter_4_total[5m])[1h:1m])",
        289,
    ),
];

fn main() {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let asked = std::env::args().find_map(|a| a.strip_prefix("--world=").map(str::to_owned));
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let worlds = [&WIDE, &HALF, &QUARTERS, &CHURN].map(|world| (world, WIDE_QUERIES));
    for (world, queries) in worlds.into_iter().chain([(&LONG, LONG_QUERIES)]) {
        if asked
            .as_ref()
            .is_some_and(|a| !world.name.contains(a.as_str()))
        {
            continue;
        }
        let Ok(root) = tempfile::tempdir() else {
            return println!("there is no place for a database");
        };
        let path = root.path().to_owned();
        let place = match world.flushed {
            [] => Place::Memory,
            _ => Place::Path { path, lock: false },
        };
        let Ok(db) = Db::open(Options::new(place, clock.clone(), Registry::new())) else {
            return println!("there is no thread for the database");
        };
        world.fill(&db);
        println!(
            "{}: {} series x {} samples",
            world.name, world.series, world.samples
        );
        let engine = engine(clock.clone());
        for (name, text, steps) in queries {
            let is_asked = filter.as_ref().is_none_or(|f| name.contains(f.as_str()));
            if is_asked {
                measure(world, &db, &engine, &*clock, (name, text, *steps));
            }
        }
    }
}

fn engine(clock: Arc<dyn Clock>) -> Engine {
    let settings = Settings {
        features: Features {
            experimental_functions: true,
            ..Features::default()
        },
        ..Settings::default()
    };
    Engine::new(settings, clock, &Registry::new())
}

fn measure(
    world: &World,
    db: &Db,
    engine: &Engine,
    clock: &dyn Clock,
    (name, text, steps): (&str, &str, i64),
) {
    let settings = engine.settings();
    let expr = match parse(text, &settings.features) {
        Ok(expr) => expr,
        Err(error) => return println!("  {name:20} {error}"),
    };
    let span_ms = (world.samples as i64 - 1) * INTERVAL_MS;
    let end = START_MS + span_ms;
    let times = if steps == 0 {
        Times::At(end)
    } else {
        Times::Range {
            start: START_MS,
            end,
            step_ms: (span_ms / (steps - 1).max(1)).max(1),
        }
    };
    let (mut best, mut own, mut all) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let mut told = String::new();
    for _ in 0..RUNS {
        let (_never, cancel) = stop();
        let query = Query {
            text,
            expr: &expr,
            times,
            settings,
            cancel: &cancel,
            origin: None,
        };
        let (of_thread, of_process) = (cpu(ClockId::ThreadCPUTime), cpu(ClockId::ProcessCPUTime));
        let began = clock.mono();
        let answer = match engine.answer(db, &query) {
            Ok(answer) => black_box(answer),
            Err(error) => return println!("  {name:20} {error}"),
        };
        let took = clock.mono().saturating_sub(began);
        best = best.min(took);
        own = own.min(cpu(ClockId::ThreadCPUTime).saturating_sub(of_thread));
        all = all.min(cpu(ClockId::ProcessCPUTime).saturating_sub(of_process));
        let read = answer.statistics.read_samples;
        let each = all.as_nanos() as f64 / read.max(1) as f64;
        let series = match &answer.value {
            Value::Matrix(series) => series.len(),
            Value::Vector(series) => series.len(),
            _ => 1,
        };
        told = format!(
            "{:8.2} ms, own {:8.2}, all {:8.2}, {each:5.1} ns a sample of {read}, {series} series, \
             {} held",
            best.as_secs_f64() * 1000.0,
            own.as_secs_f64() * 1000.0,
            all.as_secs_f64() * 1000.0,
            answer.statistics.peak_samples,
        );
    }
    println!("  {name:20} {told}");
}

fn cpu(clock: ClockId) -> Duration {
    let t = clock_gettime(clock);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

impl World {
    fn fill(&self, db: &Db) {
        let resolve = |n| db.resolve(&labels(n)).unwrap_or(SeriesRef(0));
        let mut series: Vec<_> = (0..self.series).map(resolve).collect();
        let mut batch = Appender::default();
        for round in 0..self.samples {
            if self.flushed.contains(&round) {
                assert!(db.flush().is_ok());
                if self.churns && self.flushed.first() == Some(&round) {
                    let new = |(n, old): (u64, &mut SeriesRef)| {
                        if n % 3 == 0 {
                            *old = resolve(n + self.series);
                        }
                    };
                    (0..).zip(&mut series).for_each(new);
                }
            }
            batch.clear();
            let t = START_MS + round as i64 * INTERVAL_MS;
            for (n, &series) in series.iter().enumerate() {
                batch.append(series, t, value(n as u64, round));
            }
            let done = db.commit(&batch);
            assert!(done.is_ok_and(|done| done.appended == self.series));
        }
    }
}

/// Makes labels: 1,000 series per instance, and of ten neighbours one per metric. No two are the
/// same without the name, which `rate` drops.
fn labels(n: u64) -> Labels {
    let (instance, k) = (n / 1_000, n % 1_000 / 10);
    let instance = format!("127.0.0.1:{}", 9_000 + instance);
    let kind = n % 10;
    let (name, label, value) = match kind {
        0..=3 => (format!("node_gauge_{kind}"), "mode", k.to_string()),
        4..=6 => (format!("node_counter_{kind}_total"), "mode", k.to_string()),
        _ => {
            let bound = 0.005 * (1u64 << (k % 10)) as f64;
            let le = if k % 10 == 9 {
                "+Inf".to_owned()
            } else {
                bound.to_string()
            };
            return Labels::from_pairs([
                ("__name__", format!("node_bucket_{kind}_bucket")),
                ("instance", instance),
                ("handler", (k / 10).to_string()),
                ("kind", kind.to_string()),
                ("le", le),
            ]);
        }
    };
    Labels::from_pairs([
        ("__name__", name.as_str()),
        ("instance", &instance),
        ("kind", &kind.to_string()),
        (label, &value),
    ])
}

fn value(n: u64, round: u64) -> f64 {
    let h = mix(n);
    match n % 10 {
        0 | 1 => (h % 1_000) as f64 / 7.0 + (mix(h ^ round) % 10_000) as f64 / 1_000.0,
        2 | 3 => (h % 4_096) as f64,
        4..=6 => (h % 1_000_000 + round * (h % 97 + 1)) as f64,
        // The k-th bucket counts at least what the one below does.
        _ => (round * (n % 1_000 / 10 % 10 + 1)) as f64,
    }
}

fn mix(mut x: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        x = (x ^ x >> 33).wrapping_mul(factor);
    }
    x ^ x >> 33
}
