//! Runs `ferula query`: asks a server over HTTP and prints its answer as promtool does.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::cli::{Ask, QueryTool};
use crate::config::{self, LoadOptions};
use crate::metrics::Registry;
use crate::model::{TimestampMs, timestamp};
use crate::net::{Client, ClientSettings, Env, FetchRequest, Fetched};
use crate::stdx::clock::{Clock, RealClock};
use crate::stdx::gofmt;
use crate::stdx::sort::sort;

/// The same as promtool's.
const TIMEOUT: Duration = Duration::from_secs(120);

/// LIMIT: an answer is held in memory as text and as a tree.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// How far series and labels are searched without a time, as in promtool.
const FAR: Duration = Duration::from_secs(9999 * 3600);

/// Returns the server's answer, to print.
///
/// # Errors
/// An argument that cannot be read, or `query error: …`.
pub fn run(tool: &QueryTool) -> Result<String> {
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let (path, form) = request(&tool.ask, clock.wall_ms())?;
    let server = Server::new(tool, &clock)?;
    let data = server
        .ask(&path, &form)
        .map_err(|why| anyhow!("query error: {why}"))?;
    if let Ask::Instant { .. } | Ask::Range { .. } = tool.ask {
        let result: QueryData = serde_json::from_str(data.get()).context("query error")?;
        if tool.json {
            return Ok(format!("{}\n", result.result.get()));
        }
        return shown(&result);
    }
    if tool.json {
        return Ok(format!("{}\n", data.get()));
    }
    let items: Vec<Value> = serde_json::from_str(data.get()).context("query error")?;
    let mut out = String::new();
    for item in &items {
        let text = match item {
            Value::String(text) => text.clone(),
            labels => label_set(labels, true),
        };
        let _ = writeln!(out, "{text}");
    }
    Ok(out)
}

/// Returns the endpoint below `/api/v1`, and the parameters.
fn request(ask: &Ask, now: TimestampMs) -> Result<(String, Vec<(&'static str, String)>)> {
    let far = FAR.as_millis() as i64;
    Ok(match ask {
        Ask::Instant { query, time } => {
            let time = at("evaluation", time, now)?;
            let form = vec![("query", query.clone()), ("time", seconds(time))];
            ("query".to_owned(), form)
        }
        Ask::Range {
            query,
            start,
            end,
            step,
        } => {
            let end = at("end", end, now)?;
            let start = at("start", start, end.saturating_sub(300_000))?;
            if start >= end {
                bail!("start time is not before end time");
            }
            let by_itself = (((end - start) / 1000) / 250).max(1) as f64;
            let step = if step.is_zero() {
                by_itself
            } else {
                step.as_secs_f64()
            };
            let form = vec![
                ("query", query.clone()),
                ("start", seconds(start)),
                ("end", seconds(end)),
                ("step", plain(step)),
            ];
            ("query_range".to_owned(), form)
        }
        Ask::Series {
            selectors,
            start,
            end,
        } => {
            let span = [at("start", start, now - far)?, at("end", end, now + far)?];
            ("series".to_owned(), selection(selectors, span))
        }
        Ask::Labels {
            name,
            selectors,
            start,
            end,
        } => {
            let span = [at("start", start, now - far)?, at("end", end, now + far)?];
            (format!("label/{name}/values"), selection(selectors, span))
        }
    })
}

fn selection(selectors: &[String], [start, end]: [TimestampMs; 2]) -> Vec<(&'static str, String)> {
    let mut form = vec![("start", seconds(start)), ("end", seconds(end))];
    form.extend(selectors.iter().map(|s| ("match[]", s.clone())));
    form
}

fn at(what: &str, text: &str, default: TimestampMs) -> Result<TimestampMs> {
    if text.is_empty() {
        return Ok(default);
    }
    timestamp::parse(text).ok_or_else(|| {
        let text = gofmt::quote(text);
        anyhow!("error parsing {what} time: cannot parse {text} to a valid timestamp")
    })
}

fn seconds(t: TimestampMs) -> String {
    plain(t as f64 / 1000.0)
}

struct Server<'t> {
    client: Client,
    base: String,
    headers: &'t [(String, String)],
}

/// The envelope of an answer.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
    status: String,
}

#[derive(Deserialize)]
struct QueryData {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Box<RawValue>,
}

impl<'t> Server<'t> {
    fn new(tool: &'t QueryTool, clock: &Arc<dyn Clock>) -> Result<Server<'t>> {
        let settings = match &tool.http_config {
            Some(file) => client_settings(file)?,
            None => ClientSettings::default(),
        };
        let env = Env::new(clock.clone(), &Registry::new());
        Ok(Server {
            client: Client::new(&settings, "query", &env)?,
            base: server_url(&tool.server)?,
            headers: &tool.headers,
        })
    }

    /// Returns the answer's `data`.
    fn ask(&self, path: &str, form: &[(&'static str, String)]) -> Result<Box<RawValue>> {
        let url = format!("{}/api/v1/{path}", self.base);
        let form = Serializer::new(String::new()).extend_pairs(form).finish();
        let mut answer = if path.starts_with("label/") {
            self.fetch("GET", &format!("{url}?{form}"), None)?
        } else {
            self.fetch("POST", &url, Some(form.as_bytes()))?
        };
        // Some proxies let only GET through.
        if matches!(answer.status, 405 | 501) {
            answer = self.fetch("GET", &format!("{url}?{form}"), None)?;
        }
        let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(&answer.body) else {
            let kind = if answer.status / 100 == 5 {
                "server_error: server"
            } else {
                "client_error: client"
            };
            bail!("{kind} error: {}", answer.status);
        };
        match envelope.data {
            Some(data) if envelope.status == "success" => Ok(data.to_owned()),
            _ => bail!("{}: {}", envelope.error_type, envelope.error),
        }
    }

    fn fetch(&self, method: &str, url: &str, body: Option<&[u8]>) -> Result<Fetched> {
        let own = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        let headers: Vec<(&str, &str)> = own.chain(body.map(|_| form)).collect();
        let request = FetchRequest {
            method,
            url,
            headers: &headers,
            body,
            timeout: TIMEOUT,
            body_limit: ANSWER_BYTES_MAX,
        };
        Ok(self.client.fetch(&request)?)
    }
}

/// Returns the URL without a slash at its end.
pub fn server_url(text: &str) -> Result<String> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .with_context(|| format!("{text:?} is no URL of a server"))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

pub fn client_settings(file: &Path) -> Result<ClientSettings> {
    let options = LoadOptions {
        environment: &|name| std::env::var(name).ok(),
        ..LoadOptions::default()
    };
    config::load_http_client(file, &options)
        .map_err(|diagnostics| anyhow!("{}", config::summary(file, &diagnostics)))
}

/// Writes a value of the API as Go does.
fn shown(data: &QueryData) -> Result<String> {
    let text = data.result.get();
    let wrong = "query error: an answer of another shape";
    Ok(match data.result_type.as_str() {
        "scalar" => {
            let point: Point = serde_json::from_str(text).context(wrong)?;
            format!("scalar: {}\n", point.shown())
        }
        "string" => {
            let Point(_, text) = serde_json::from_str(text).context(wrong)?;
            format!("{text}\n")
        }
        "vector" | "matrix" => {
            let series: Vec<Series> = serde_json::from_str(text).context(wrong)?;
            let texts: Vec<String> = series.iter().map(Series::shown).collect();
            format!("{}\n", texts.join("\n"))
        }
        other => bail!("query error: unexpected value type {other:?}"),
    })
}

/// Seconds and a value.
#[derive(Deserialize)]
struct Point(f64, String);

#[derive(Deserialize)]
struct Series {
    metric: Value,
    value: Option<Point>,
    values: Option<Vec<Point>>,
}

impl Point {
    fn shown(&self) -> String {
        let Point(t, v) = self;
        // NOTE: in full, as Go's %v of its sample value, where the API may use an exponent.
        let v = v.parse::<f64>().map_or_else(|_| v.clone(), plain);
        format!("{v} @[{}]", plain(*t))
    }
}

/// Writes it without an exponent, however long.
fn plain(v: f64) -> String {
    if v.is_finite() {
        format!("{v}")
    } else {
        gofmt::v(v)
    }
}

impl Series {
    fn shown(&self) -> String {
        let metric = label_set(&self.metric, false);
        match (&self.value, &self.values) {
            (Some(point), _) => format!("{metric} => {}", point.shown()),
            (_, Some(points)) => {
                let points: Vec<String> = points.iter().map(Point::shown).collect();
                format!("{metric} =>\n{}", points.join("\n"))
            }
            _ => metric,
        }
    }
}

/// Writes `name{a="b", c="d"}`, or with `whole` the name as a label among the others.
fn label_set(labels: &Value, whole: bool) -> String {
    let mut name = "";
    let mut pairs = Vec::new();
    for (label, value) in labels.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or("");
        if label == "__name__" && !whole {
            name = value;
        } else {
            pairs.push((label.as_str(), value));
        }
    }
    sort(&mut pairs);
    let pairs = pairs
        .iter()
        .map(|(n, v)| format!("{n}={}", gofmt::quote(v)));
    let pairs = pairs.collect::<Vec<_>>().join(", ");
    match (name, pairs.as_str()) {
        ("", _) => format!("{{{pairs}}}"),
        (name, "") => name.to_owned(),
        (name, _) => format!("{name}{{{pairs}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(result_type: &str, result: &str, expect: &str) {
        let data = QueryData {
            result_type: result_type.to_owned(),
            result: RawValue::from_string(result.to_owned()).unwrap(),
        };
        assert_eq!(shown(&data).unwrap(), expect);
    }

    #[test]
    fn values_look_as_promtools() {
        check("scalar", r#"[1.5,"1"]"#, "scalar: 1 @[1.5]\n");
        check("string", r#"[1.5,"a b"]"#, "a b\n");
        check(
            "vector",
            r#"[{"metric":{"__name__":"up","b":"2","a":"1"},"value":[1700000000,"1e+21"]},
                {"metric":{},"value":[1.001,"NaN"]}]"#,
            "up{a=\"1\", b=\"2\"} => 1000000000000000000000 @[1700000000]\n{} => NaN @[1.001]\n",
        );
        check(
            "matrix",
            r#"[{"metric":{"__name__":"up"},"values":[[1,"1"],[2,"+Inf"]]}]"#,
            "up =>\n1 @[1]\n+Inf @[2]\n",
        );
        check("vector", "[]", "\n");
    }

    #[test]
    fn ranges_have_defaults() {
        let ask = |start: &str, end: &str, step| Ask::Range {
            query: "x".to_owned(),
            start: start.to_owned(),
            end: end.to_owned(),
            step: Duration::from_secs(step),
        };
        let check = |ask: Ask, expect: &str| {
            let text = match request(&ask, 1_000_000_000) {
                Ok((path, form)) => format!("{path} {form:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(text, expect);
        };
        let whole = |start, end, step| {
            format!(
                "query_range [(\"query\", \"x\"), (\"start\", \"{start}\"), (\"end\", \"{end}\"), \
                 (\"step\", \"{step}\")]"
            )
        };
        check(ask("", "", 0), &whole(999_700, 1_000_000, 1));
        check(ask("0", "1000", 0), &whole(0, 1000, 4));
        check(ask("0", "10", 7), &whole(0, 10, 7));
        check(ask("10", "10", 7), "start time is not before end time");
        let bad = "error parsing end time: cannot parse \"x\" to a valid timestamp";
        check(ask("10", "x", 7), bad);
    }
}
