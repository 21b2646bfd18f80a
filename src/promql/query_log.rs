//! The query log: a line of JSON per query, in the file that the configuration names
//! (`query_log_file`).

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Serialize;
use serde_json::value::RawValue;

use super::query::{Query, Times};
use super::statistics::Statistics;
use crate::model::{TimestampMs, timestamp};
use crate::stdx::append;
use crate::stdx::locked::locked;

/// A query log. It takes queries once the engine has it. Each reload makes a new one, so that a
/// rotated file is released.
#[derive(Debug)]
pub struct QueryLog {
    path: PathBuf,
    /// Absent until the engine has it.
    file: Mutex<Option<File>>,
}

/// The client that asked.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpOrigin {
    #[serde(rename = "clientIP")]
    pub client_ip: String,
    pub method: String,
    pub path: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'l> {
    time: String,
    level: &'static str,
    msg: &'static str,
    params: Params<'l>,
    stats: &'l RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_request: Option<&'l HttpOrigin>,
}

#[derive(Serialize)]
struct Params<'l> {
    query: &'l str,
    start: String,
    end: String,
    /// In whole seconds.
    step: i64,
}

impl QueryLog {
    /// Checks that the file can be appended to, or made, and touches nothing.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn prepare(path: &Path) -> io::Result<QueryLog> {
        append::check(path)?;
        Ok(QueryLog {
            path: path.to_owned(),
            file: Mutex::new(None),
        })
    }

    /// Opens the file, and makes it if needed. If that fails after all, every query to log counts
    /// as a failure.
    pub(super) fn begin(&mut self) {
        match append::open(&self.path) {
            Ok(file) => self.file = Mutex::new(Some(file)),
            Err(why) => log::error!("cannot open the query log {}: {why}", self.path.display()),
        }
    }

    /// Writes a line in one call, so that lines of several processes stay whole.
    pub(super) fn write(
        &self,
        now: TimestampMs,
        query: &Query<'_>,
        statistics: &Statistics,
        error: Option<&str>,
    ) -> io::Result<()> {
        let (start, end, step) = match query.times {
            Times::At(t) => (t, t, 0),
            Times::Range {
                start,
                end,
                step_ms,
            } => (start, end, step_ms / 1000),
        };
        let stats = RawValue::from_string(statistics.json())?;
        let line = Line {
            time: timestamp::rfc3339(now),
            level: "INFO",
            msg: "promql query logged",
            params: Params {
                query: query.text,
                start: in_milliseconds(start),
                end: in_milliseconds(end),
                step,
            },
            stats: &stats,
            error,
            http_request: query.origin,
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        // NOTE: a writer that panicked left nothing half done that matters to the next one.
        let mut file = locked(&self.file);
        match &mut *file {
            Some(file) => file.write_all(&text),
            None => Err(io::Error::other("the query log is not open")),
        }
    }
}

/// Writes RFC 3339 always with three decimals, as Prometheus writes the parameters.
fn in_milliseconds(t: TimestampMs) -> String {
    let second = timestamp::rfc3339(t.div_euclid(1000).saturating_mul(1000));
    let second = second.trim_end_matches('Z');
    format!("{second}.{:03}Z", t.rem_euclid(1000))
}
