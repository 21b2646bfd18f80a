//! The engine: its settings and limits, around one evaluation.

use std::sync::Arc;
use std::time::Duration;

use super::error::QueryError;
use super::eval::{Context, Evaluation};
use super::gate::Gate;
use super::parser::Expr;
use super::value::Value;
use crate::metrics::{Counter, Gauge, Registry, SummaryVec};
use crate::model::TimestampMs;
use crate::stdx::clock::Clock;
use crate::stdx::stop::Stop;
use crate::storage::Queryable;

/// The limits of all queries. A single query may have less time and another lookback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How far an instant selector looks back for a sample.
    pub lookback: Duration,
    pub timeout: Duration,
    /// Samples that a query may hold at once.
    pub samples_max: usize,
    pub concurrency_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            lookback: Duration::from_secs(300),
            timeout: Duration::from_secs(120),
            samples_max: 50_000_000,
            concurrency_max: 20,
        }
    }
}

/// Shared by all who query.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    clock: Arc<dyn Clock>,
    gate: Gate,
    metrics: Metrics,
}

#[derive(Debug)]
struct Metrics {
    queries: Gauge,
    duration: SummaryVec,
    samples: Counter,
}

impl Metrics {
    fn new(registry: &Registry, settings: &Settings) -> Metrics {
        registry
            .gauge(
                "prometheus_engine_queries_concurrent_max",
                "The max number of concurrent queries.",
            )
            .set(settings.concurrency_max as f64);
        registry
            .gauge(
                "prometheus_engine_query_log_enabled",
                "State of the query log.",
            )
            .set(0.0);
        let _ = registry.counter(
            "prometheus_engine_query_log_failures_total",
            "The number of query log failures.",
        );
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
        }
    }
}

/// Counts a query while it is there.
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
            metrics: Metrics::new(registry, &settings),
            settings,
            clock,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Evaluates at one time. `lookback` and `timeout` come from `settings` or from the request.
    ///
    /// # Errors
    /// A limit, `cancel`, or the storage.
    pub fn instant(
        &self,
        storage: &dyn Queryable,
        expr: &Expr,
        t: TimestampMs,
        settings: &Settings,
        cancel: &Stop,
    ) -> Result<Value, QueryError> {
        self.run(settings, cancel, |context| {
            Evaluation::at(storage, settings, t).instant(expr, context)
        })
    }

    /// Evaluates at `start`, `start + step`, … up to `end`. The caller bounds the number of steps.
    ///
    /// # Errors
    /// As [`Engine::instant`], and an expression that makes no instant vector.
    pub fn range(
        &self,
        storage: &dyn Queryable,
        expr: &Expr,
        (start, end, step_ms): (TimestampMs, TimestampMs, i64),
        settings: &Settings,
        cancel: &Stop,
    ) -> Result<Value, QueryError> {
        if expr.type_name() == "range vector" {
            return Err(QueryError::RangeQueryType(expr.type_name()));
        }
        self.run(settings, cancel, |context| {
            let evaluation = Evaluation {
                storage,
                lookback_ms: settings.lookback.as_millis() as i64,
                start,
                end,
                step_ms: step_ms.max(1),
            };
            evaluation.range(expr, context)
        })
    }

    fn run(
        &self,
        settings: &Settings,
        cancel: &Stop,
        evaluate: impl FnOnce(&mut Context<'_>) -> Result<Value, QueryError>,
    ) -> Result<Value, QueryError> {
        self.metrics.queries.add(1.0);
        let _counted = Counted(&self.metrics.queries);
        let start = self.clock.mono();
        let deadline = start.saturating_add(settings.timeout.min(self.settings.timeout));
        let _place = self.gate.enter(&*self.clock, deadline, cancel)?;
        let entered = self.observe("queue_time", start);
        let samples_max = settings.samples_max.min(self.settings.samples_max);
        let mut context = Context::new(&*self.clock, deadline, cancel, samples_max);
        let value = evaluate(&mut context);
        self.observe("inner_eval", entered);
        self.metrics.samples.add(context.samples_read as f64);
        value
    }

    fn observe(&self, slice: &str, since: Duration) -> Duration {
        let now = self.clock.mono();
        let took = now.saturating_sub(since).as_secs_f64();
        self.metrics.duration.with(&[slice]).observe(took);
        now
    }
}
