//! The engine: settings and limits around one evaluation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::active::ActiveQueries;
use super::error::QueryError;
use super::eval::{Evaluation, Helpers, Run};
use super::gate::Gate;
use super::query::{Query, Settings};
use super::query_log::QueryLog;
use super::statistics::Statistics;
use super::value::{Answer, Value};
use crate::metrics::{Counter, Gauge, Registry, SummaryVec};
use crate::stdx::atomic::{AtomicI64, Ordering};
use crate::stdx::clock::Clock;
use crate::storage::Queryable;

/// Shared by everyone who queries.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    default_step_ms: AtomicI64,
    clock: Arc<dyn Clock>,
    gate: Gate,
    helpers: Arc<Helpers>,
    metrics: Metrics,
    active: Option<ActiveQueries>,
    log: RwLock<Option<QueryLog>>,
}

#[derive(Debug)]
struct Metrics {
    queries: Gauge,
    duration: SummaryVec,
    samples: Counter,
    log_enabled: Gauge,
    log_failures: Counter,
}

impl Metrics {
    fn new(registry: &Registry, settings: &Settings) -> Metrics {
        registry
            .gauge(
                "prometheus_engine_queries_concurrent_max",
                "The max number of concurrent queries.",
            )
            .set(settings.concurrency_max as f64);
        let duration = registry.summary_vec(
            "prometheus_engine_query_duration_seconds",
            "Query timings",
            &["slice"],
            &[0.5, 0.9, 0.99],
        );
        for slice in ["queue_time", "prepare_time", "inner_eval", "result_sort"] {
            let _ = duration.with(&[slice]);
        }
        Metrics {
            queries: registry.gauge(
                "prometheus_engine_queries",
                "The current number of queries being executed or waiting.",
            ),
            samples: registry.counter(
                "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries (full window per step for \
                 range-vector).",
            ),
            duration,
            log_enabled: registry.gauge(
                "prometheus_engine_query_log_enabled",
                "State of the query log.",
            ),
            log_failures: registry.counter(
                "prometheus_engine_query_log_failures_total",
                "The number of query log failures.",
            ),
        }
    }
}

/// A running query's entry in the file of active queries.
struct Active<'e>(&'e ActiveQueries, usize);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

/// Counts a query in a gauge while it lives.
struct Counted<'m>(&'m Gauge);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}

impl Engine {
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, registry: &Registry) -> Engine {
        Engine {
            gate: Gate::new(settings.concurrency_max),
            helpers: Helpers::new(clock.clone()),
            metrics: Metrics::new(registry, &settings),
            settings,
            default_step_ms: AtomicI64::new(60_000),
            clock,
            active: None,
            log: RwLock::new(None),
        }
    }

    /// Keeps the running queries in a file, for the start after a crash.
    #[must_use]
    pub fn with_active_queries(mut self, active: ActiveQueries) -> Engine {
        self.active = Some(active);
        self
    }

    /// Sets where queries are logged from now on; `None` stops logging.
    pub fn set_log(&self, log: Option<QueryLog>) {
        let log = log.map(|mut log| {
            log.begin();
            log
        });
        self.metrics
            .log_enabled
            .set(f64::from(u8::from(log.is_some())));
        *self.log.write().unwrap_or_else(PoisonError::into_inner) = log;
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sets the step of subqueries that name none, as the configuration now has it.
    pub fn set_default_step(&self, step: Duration) {
        let ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        self.default_step_ms.store(ms.max(1), Ordering::Relaxed);
    }

    /// Evaluates a query. Waiting for a place counts against its time.
    ///
    /// # Errors
    /// A limit, `cancel`, the storage; for a range query, an expression that is no instant vector
    /// or scalar.
    pub fn answer(&self, storage: &dyn Queryable, query: &Query<'_>) -> Result<Answer, QueryError> {
        self.metrics.queries.add(1.0);
        let _counted = Counted(&self.metrics.queries);
        let start = self.clock.mono();
        let settings = query.settings;
        let deadline = start.saturating_add(settings.timeout.min(self.settings.timeout));
        let place = self.gate.enter(&*self.clock, deadline, query.cancel)?;
        let _active = self.active.as_ref().map(|active| {
            let now_sec = self.clock.wall_ms().div_euclid(1000);
            active.begin(place.number, query.text, now_sec);
            Active(active, place.number)
        });
        let (entered, queue_time) = self.observe("queue_time", start);
        let samples_max = settings.samples_max.min(self.settings.samples_max);
        let mut run = Run::new(
            &*self.clock,
            deadline,
            query.cancel,
            samples_max,
            settings.delays_names,
        )
        .with_bytes_max(settings.bytes_max.min(self.settings.bytes_max))
        .with_helpers(&self.helpers);
        let default_step_ms = self.default_step_ms.load(Ordering::Relaxed);
        let expr = query.times.resolve(query.expr)?;
        let mut prepare_time = 0.0;
        let value = evaluate(&mut run, |run| {
            run.look()?;
            let evaluation = Evaluation::open(storage, query, &expr, default_step_ms)?;
            (_, prepare_time) = self.observe("prepare_time", entered);
            evaluation.value(&expr, run)
        });
        let (_, took) = self.observe("inner_eval", entered);
        let sort_time = run.statistics.sort_time;
        self.metrics
            .duration
            .with(&["result_sort"])
            .observe(sort_time);
        let queryable = run.statistics.queryable_samples;
        self.metrics.samples.add(queryable as f64);
        run.statistics.queue_time = queue_time;
        run.statistics.prepare_time = prepare_time;
        run.statistics.eval_time = (took - prepare_time - sort_time).max(0.0);
        self.log(query, &run.statistics, value.as_ref().err());
        Ok(Answer {
            value: value?,
            annotations: run.annotations,
            statistics: run.statistics,
        })
    }

    /// Writes the query log. A failed write does not fail the query.
    fn log(&self, query: &Query<'_>, statistics: &Statistics, error: Option<&QueryError>) {
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = &*log else {
            return;
        };
        let error = error.map(ToString::to_string);
        let now = self.clock.wall_ms();
        if let Err(why) = log.write(now, query, statistics, error.as_deref()) {
            self.metrics.log_failures.inc();
            log::error!("the query log can't be written: {why}");
        }
    }

    /// Returns the time now, and the seconds since `since`.
    fn observe(&self, slice: &str, since: Duration) -> (Duration, f64) {
        let now = self.clock.mono();
        let took = now.saturating_sub(since).as_secs_f64();
        self.metrics.duration.with(&[slice]).observe(took);
        (now, took)
    }
}

/// Evaluates the query. A panic fails the query, and nothing else.
fn evaluate<'e>(
    run: &mut Run<'e>,
    evaluation: impl FnOnce(&mut Run<'e>) -> Result<Value, QueryError>,
) -> Result<Value, QueryError> {
    // NOTE: only annotations and statistics outlive the closure, and they are whole at all times.
    let value = catch_unwind(AssertUnwindSafe(|| evaluation(run)));
    value.unwrap_or_else(|panic| {
        let text = { panic.downcast_ref::<&str>().copied() }
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("panic");
        Err(QueryError::Execution(format!("unexpected error: {text}")))
    })
}
