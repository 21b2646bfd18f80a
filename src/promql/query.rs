//! What the engine is asked: a query, its times, and the limits of all queries.

use std::time::Duration;

use super::error::QueryError;
use super::parser::{Expr, Features, resolve};
use super::query_log::HttpOrigin;
use crate::model::TimestampMs;
use crate::stdx::memory;
use crate::stdx::stop::Stop;

/// The limits of all queries. A single query may have less time and another lookback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How far an instant selector looks back for a sample.
    pub lookback: Duration,
    pub timeout: Duration,
    /// Samples that a query may hold at once.
    pub samples_max: usize,
    /// Bytes that the intermediate results of a query may take at once.
    pub bytes_max: usize,
    pub concurrency_max: usize,
    /// The unstable parts of the language that are switched on.
    pub features: Features,
    /// `promql-delayed-name-removal`.
    pub delays_names: bool,
}

/// A query to evaluate.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    /// The text that `expr` was parsed from.
    pub text: &'q str,
    pub expr: &'q Expr,
    pub times: Times,
    /// The engine's settings, or stricter ones that the request asks for.
    pub settings: &'q Settings,
    pub cancel: &'q Stop,
    /// The request, for the query log.
    pub origin: Option<&'q HttpOrigin>,
}

/// The times at which a query is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    At(TimestampMs),
    /// At `start`, `start + step_ms`, … up to `end`. The caller bounds the number of steps.
    Range {
        start: TimestampMs,
        end: TimestampMs,
        step_ms: i64,
    },
}

impl Times {
    /// Returns the expression with the lengths fixed that depend on the query's span.
    pub fn resolve(self, expr: &Expr) -> Result<Expr, QueryError> {
        let (step_ms, range_ms) = match self {
            Times::At(_) => (0, 0),
            Times::Range {
                start,
                end,
                step_ms,
            } => (step_ms, end.saturating_sub(start)),
        };
        resolve(expr, step_ms, range_ms).map_err(QueryError::Invalid)
    }
}

/// LIMIT: the default maximum for the intermediate results of one query, in bytes. A query over all
/// series of a full small host (50,000 series, 1,441 steps) does not fit; its aggregation does,
/// since it streams.
const BYTES_MAX: usize = 256 << 20;
/// LIMIT: the minimum on the smallest machine: 10,000 points of 100 series.
const BYTES_MIN: usize = 16 << 20;

/// Returns an eighth of the memory that the process may use, between 16 and 256 MiB.
pub fn default_memory_budget() -> usize {
    let bytes = memory::usable_bytes().unwrap_or(0) / 8;
    usize::try_from(bytes).map_or(BYTES_MAX, |bytes| bytes.clamp(BYTES_MIN, BYTES_MAX))
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            lookback: Duration::from_secs(300),
            timeout: Duration::from_secs(120),
            samples_max: 50_000_000,
            bytes_max: BYTES_MAX,
            concurrency_max: 20,
            features: Features::default(),
            delays_names: false,
        }
    }
}
