//! Reads parameters of requests as Prometheus reads them.

use std::time::Duration;

use super::ApiError;
use crate::model::{Matcher, TimestampMs, duration, timestamp};
use crate::promql::{self, Expr};
use crate::stdx::{gofloat, gofmt};
use crate::web::context::Context;
use crate::web::server::Form;

/// Reads a time. `default` is used if the parameter is absent or empty.
pub fn time_or(
    form: &Form,
    name: &'static str,
    default: TimestampMs,
) -> Result<TimestampMs, ApiError> {
    match form.get(name) {
        None | Some("") => Ok(default),
        Some(text) => parse_time(text).map_err(|why| {
            ApiError::parameter(name, format!("invalid time value for '{name}': {why}"))
        }),
    }
}

/// Reads a time that must be there.
pub fn time(form: &Form, name: &'static str) -> Result<TimestampMs, ApiError> {
    parse_time(form.get(name).unwrap_or("")).map_err(|why| ApiError::parameter(name, why))
}

fn parse_time(text: &str) -> Result<TimestampMs, String> {
    let bad = || format!("cannot parse {} to a valid timestamp", gofmt::quote(text));
    match text {
        // Clients send the limits of Prometheus's time as it writes them.
        "-292273086-05-16T16:47:06Z" => Ok(timestamp::MIN_MS),
        "292277025-08-18T07:12:54.999999999Z" => Ok(timestamp::MAX_MS),
        // NOTE: Prometheus makes a time of `NaN` and `Inf` that depends on the processor. Here they
        // are errors.
        _ => timestamp::parse(text).ok_or_else(bad),
    }
}

/// Reads seconds with a fraction, or a Prometheus duration. Returns milliseconds, which may be
/// negative.
pub fn duration_ms(text: &str) -> Result<i64, String> {
    // NOTE: cut off by way of nanoseconds, as in Prometheus.
    duration_ns(text).map(|ns| ns / 1_000_000)
}

fn duration_ns(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = gofloat::parse_float(text) {
        let nanoseconds = seconds * 1e9;
        if !(-(i64::MAX as f64)..=i64::MAX as f64).contains(&nanoseconds) {
            let text = gofmt::quote(text);
            return Err(format!(
                "cannot parse {text} to a valid duration. It overflows int64"
            ));
        }
        return Ok(nanoseconds as i64);
    }
    match duration::parse(text) {
        Ok(duration) => Ok(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)),
        Err(_) => Err(format!(
            "cannot parse {} to a valid duration",
            gofmt::quote(text)
        )),
    }
}

/// Reads `limit`; 0 is no limit.
pub fn limit(form: &Form) -> Result<usize, ApiError> {
    let Some(text) = form.get("limit").filter(|t| !t.is_empty()) else {
        return Ok(0);
    };
    match text.parse::<i64>() {
        Ok(limit) if limit < 0 => Err(ApiError::parameter("limit", "limit must be non-negative")),
        Ok(limit) => Ok(usize::try_from(limit).unwrap_or(usize::MAX)),
        Err(_) => {
            let text = gofmt::quote(text);
            let why = format!("strconv.Atoi: parsing {text}: invalid syntax");
            Err(ApiError::parameter("limit", why))
        }
    }
}

/// Reads a count that must be a number. Absent gives -1.
pub fn count(form: &Form, name: &'static str) -> Result<i64, ApiError> {
    match form.get(name) {
        None | Some("") => Ok(-1),
        Some(text) => text
            .parse()
            .map_err(|_| ApiError::bad_data(format!("{name} must be a number"))),
    }
}

/// Reads `timeout`, which is at most `longest`.
pub fn timeout(form: &Form, longest: Duration) -> Result<Duration, ApiError> {
    match form.get("timeout") {
        None | Some("") => Ok(longest),
        Some(text) => {
            let ns = duration_ns(text).map_err(|why| ApiError::parameter("timeout", why))?;
            Ok(longest.min(Duration::from_nanos(ns.max(0) as u64)))
        }
    }
}

/// Reads the expression of `query`.
pub fn query(context: &Context, text: &str) -> Result<Expr, ApiError> {
    let features = &context.database()?.engine.settings().features;
    promql::parse(text, features).map_err(|why| ApiError::parameter("query", why))
}

/// Reads all `match[]` selectors. The error says why there are none.
pub fn matchers(form: &Form) -> Result<Vec<Vec<Matcher>>, String> {
    let mut sets = Vec::new();
    for text in form.all("match[]") {
        let set = promql::parse_selector(text).map_err(|why| why.to_string())?;
        if set.iter().all(Matcher::matches_empty) {
            return Err("match[] must contain at least one non-empty matcher".to_owned());
        }
        sets.push(set);
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, ns: Result<i64, &str>, ms: i64| {
            let found = duration_ns(text);
            assert_eq!(
                found.as_ref().map_err(String::as_str),
                ns.as_ref().map_err(|e| *e)
            );
            assert_eq!(duration_ms(text).unwrap_or(0), ms, "{text}");
        };
        check("1.5", Ok(1_500_000_000), 1_500);
        check("0x1p-1", Ok(500_000_000), 500);
        check("1_0", Ok(10_000_000_000), 10_000);
        check("0.0004", Ok(400_000), 0);
        check("-0.0015", Ok(-1_500_000), -1);
        check(
            "NaN",
            Err("cannot parse \"NaN\" to a valid duration. It overflows int64"),
            0,
        );
        check(
            "1e10",
            Err("cannot parse \"1e10\" to a valid duration. It overflows int64"),
            0,
        );
        check("1m5ms", Ok(60_005_000_000), 60_005);
        check("x", Err("cannot parse \"x\" to a valid duration"), 0);
    }
}
