//! `/query` and `/query_range`.

use std::time::Duration;

use super::parameters::{duration_ms, limit, query, time, time_or, timeout};
use super::result::result;
use super::{Answer, ApiError, ErrorKind};
use crate::promql::{HttpOrigin, Query, QueryError, Settings, Severity, Times, Value};
use crate::stdx::gofmt;
use crate::web::context::Context;
use crate::web::server::{Form, Request};

/// LIMIT: Prometheus's; steps of 60 s over a week, or of 1 h over a year.
const POINTS_MAX: i64 = 11_000;

pub fn instant(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let form = request.form()?;
    let limit = limit(&form)?;
    let at = time_or(&form, "time", context.clock.wall_ms())?;
    let settings = settings(context, &form)?;
    run(context, request, &form, Times::At(at), &settings, limit)
}

pub fn range(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let form = request.form()?;
    let limit = limit(&form)?;
    let (start, end) = (time(&form, "start")?, time(&form, "end")?);
    if end < start {
        return Err(ApiError::parameter(
            "end",
            "end timestamp must not be before start time",
        ));
    }
    let step = duration_ms(form.get("step").unwrap_or(""))
        .map_err(|why| ApiError::parameter("step", why))?;
    if step <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. \
                   Try a positive integer";
        return Err(ApiError::parameter("step", why));
    }
    if end.saturating_sub(start) / step > POINTS_MAX {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. \
             Try decreasing the query resolution (?step=XX)",
        ));
    }
    let settings = settings(context, &form)?;
    let times = Times::Range {
        start,
        end,
        step_ms: step,
    };
    run(context, request, &form, times, &settings, limit)
}

fn run(
    context: &Context,
    request: &Request,
    form: &Form,
    times: Times,
    settings: &Settings,
    limit: usize,
) -> Result<Answer, ApiError> {
    let database = context.database()?;
    let text = form.get("query").unwrap_or("");
    let origin = HttpOrigin {
        client_ip: request.remote.ip().to_string(),
        method: request.method.to_string(),
        path: request.path.clone(),
    };
    let query = Query {
        text,
        expr: &query(context, text)?,
        times,
        settings,
        cancel: &request.canceled,
        origin: Some(&origin),
    };
    let mut found = database.engine.answer(&database.db, &query)?;
    let cut = cut(&mut found.value, limit);
    let stats = match form.get("stats") {
        None | Some("") => None,
        Some(_) => Some(found.statistics.json()),
    };
    let texts = |severity| found.annotations.texts(severity, text);
    Ok(Answer::of(result(found.value, stats.as_deref()))
        .warn(cut.then(truncated))
        .warn(texts(Severity::Warning))
        .warn(deprecated_stats(form))
        .inform(texts(Severity::Info)))
}

/// Returns the engine's settings, with those that the request asks for.
fn settings(context: &Context, form: &Form) -> Result<Settings, ApiError> {
    let mut settings = *context.database()?.engine.settings();
    settings.timeout = timeout(form, settings.timeout)?;
    if let Some(text) = form.get("lookback_delta").filter(|t| !t.is_empty()) {
        let ms = duration_ms(text).map_err(|why| {
            ApiError::bad_data(format!("error parsing lookback delta duration: {why}"))
        })?;
        if ms > 0 {
            settings.lookback = Duration::from_millis(ms as u64);
        }
    }
    Ok(settings)
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> ApiError {
        let kind = match &error {
            QueryError::Timeout(_) => ErrorKind::Timeout,
            QueryError::Canceled(_) => ErrorKind::Canceled,
            QueryError::Storage(_) => ErrorKind::Internal,
            QueryError::RangeQueryType(_) | QueryError::Invalid(_) => {
                return ApiError::parameter("query", error);
            }
            QueryError::TooManySamples | QueryError::TooManyBytes(_) | QueryError::Execution(_) => {
                ErrorKind::Execution
            }
        };
        ApiError::new(kind, error)
    }
}

/// Cuts off what is beyond the limit. Returns whether that is anything.
fn cut(value: &mut Value, limit: usize) -> bool {
    match value {
        Value::Scalar(_) | Value::Text(..) => false,
        Value::Vector(vector) => truncate(vector, limit),
        Value::Matrix(matrix) => truncate(matrix, limit),
    }
}

fn deprecated_stats(form: &Form) -> Option<String> {
    let value = form
        .get("stats")
        .filter(|v| !["", "true", "all"].contains(v))?;
    let value = gofmt::quote(value);
    Some(format!(
        "value {value} for parameter \"stats\" is deprecated and will be rejected in the next \
         major release, use \"true\" or \"all\""
    ))
}

/// Cuts as [`cut`] does.
pub fn truncate<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let cut = limit > 0 && items.len() > limit;
    if cut {
        items.truncate(limit);
    }
    cut
}

/// Returns the warning that a limit cut the answer.
pub fn truncated() -> String {
    "results truncated due to limit".to_owned()
}
