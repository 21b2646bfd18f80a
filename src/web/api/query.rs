//! `/query` and `/query_range`.

use super::parameters::{duration_ms, limit, time, time_or, timeout};
use super::{Answer, ApiError, ErrorKind};
use std::time::Duration;

use crate::promql::{self, Expr, QueryError, Settings, Value};
use crate::web::context::Context;
use crate::web::json;
use crate::web::server::{Form, Request};

/// LIMIT: Prometheus's: 60 s over a week, or 1 h over a year.
const POINTS_MAX: i64 = 11_000;

pub fn instant(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let form = request.form();
    let limit = limit(&form)?;
    let at = time_or(&form, "time", context.clock.wall_ms())?;
    let settings = settings(context, &form)?;
    let expr = parse(&form)?;
    let storage = &*context.storage;
    let value = context
        .engine
        .instant(storage, &expr, at, &settings, &request.canceled);
    Ok(answer(value.map_err(ApiError::from)?, limit))
}

pub fn range(context: &Context, request: &Request) -> Result<Answer, ApiError> {
    let form = request.form();
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
    let expr = parse(&form)?;
    let (storage, steps) = (&*context.storage, (start, end, step));
    let value = context
        .engine
        .range(storage, &expr, steps, &settings, &request.canceled);
    Ok(answer(value.map_err(ApiError::from)?, limit))
}

fn parse(form: &Form) -> Result<Expr, ApiError> {
    promql::parse(form.get("query").unwrap_or("")).map_err(|why| ApiError::parameter("query", why))
}

/// The engine's settings, with what the request asks for.
fn settings(context: &Context, form: &Form) -> Result<Settings, ApiError> {
    let mut settings = *context.engine.settings();
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
            QueryError::RangeQueryType(_) => return ApiError::parameter("query", error),
            QueryError::TooManySamples => ErrorKind::Execution,
        };
        ApiError::new(kind, error)
    }
}

fn answer(value: Value, limit: usize) -> Answer {
    let (kind, result, cut) = match value {
        Value::Vector(mut vector) => {
            let cut = truncate(&mut vector, limit);
            let result = json::list(&vector, |out, (labels, sample)| {
                out.push_str("{\"metric\":");
                json::push_labels(out, labels);
                out.push_str(",\"value\":");
                json::push_point(out, sample);
                out.push('}');
            });
            ("vector", result, cut)
        }
        Value::Matrix(mut matrix) => {
            let cut = truncate(&mut matrix, limit);
            let result = json::list(&matrix, |out, (labels, samples)| {
                out.push_str("{\"metric\":");
                json::push_labels(out, labels);
                out.push_str(",\"values\":");
                out.push_str(&json::list(samples, json::push_point));
                out.push('}');
            });
            ("matrix", result, cut)
        }
    };
    let data = json::Object::new()
        .text("resultType", kind)
        .raw("result", &result)
        .end();
    Answer::of(data).warn(cut.then(truncated))
}

fn truncate<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let cut = limit > 0 && items.len() > limit;
    if cut {
        items.truncate(limit);
    }
    cut
}

/// Said where a limit cut the answer.
pub fn truncated() -> String {
    "results truncated due to limit".to_owned()
}
