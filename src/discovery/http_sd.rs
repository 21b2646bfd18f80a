//! Targets from a web server, requested at an interval.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::select;

use super::discoverer::{Discoverer, Updates};
use super::error::Error;
use super::metrics::SdMetrics;
use super::source::Source;
use crate::config::{HttpSdConfig, TargetFileKind, parse_target_groups};
use crate::model::TargetGroup;
use crate::net::{self, Client, FetchRequest, Fetched, NetError, Strictness, without_password};
use crate::stdx::clock::{Clock, Ticker};
use crate::stdx::gofmt;
use crate::stdx::limits::SD_BODY_BYTES_MAX;
use crate::stdx::stop::Stop;

/// Makes a request: [`Client::fetch`](crate::net::Client::fetch), or a test's double.
pub(super) type Fetch = Box<dyn Fn(&FetchRequest<'_>) -> Result<Fetched, NetError> + Send>;

/// One `http_sd_configs` entry.
pub(super) struct HttpDiscoverer {
    pub config: HttpSdConfig,
    pub fetch: Fetch,
    pub user_agent: String,
    pub clock: Arc<dyn Clock>,
    pub metrics: SdMetrics,
    /// The first job that has it, whose name is in the metrics.
    pub job: String,
}

pub(super) fn prepare(
    config: &HttpSdConfig,
    env: &net::Env,
    strictness: Strictness,
) -> Result<Source, NetError> {
    let client = Client::with(&config.http, "http", env, strictness)?;
    let (config, fetcher) = (config.clone(), client.clone());
    Ok(Source::discoverer(Some(client), |surroundings| {
        HttpDiscoverer {
            config,
            fetch: Box::new(move |request| fetcher.fetch(request)),
            user_agent: surroundings.user_agent,
            clock: surroundings.clock,
            metrics: surroundings.metrics,
            job: surroundings.job,
        }
    }))
}

impl HttpDiscoverer {
    fn refresh(&self) -> Result<Vec<TargetGroup>, Error> {
        let start = self.clock.mono();
        let result = self
            .fetch()
            .map_err(Error::from)
            .and_then(|answer| groups(&self.config.url, &answer));
        let took = self.clock.mono().saturating_sub(start);
        if result.is_err() {
            self.metrics.http_failures.inc();
        }
        self.metrics
            .refreshed(&self.job, "http", took, result.is_ok());
        result
    }

    fn shown_url(&self) -> String {
        without_password(&self.config.url, "***")
    }

    fn fetch(&self) -> Result<Fetched, NetError> {
        let interval = gofmt::api_float(self.config.refresh_interval.as_secs_f64());
        (self.fetch)(&FetchRequest {
            method: "GET",
            url: &self.config.url,
            headers: &[
                ("User-Agent", &self.user_agent),
                ("Accept", "application/json"),
                ("X-Prometheus-Refresh-Interval-Seconds", &interval),
            ],
            body: None,
            timeout: self.config.refresh_interval,
            body_limit: SD_BODY_BYTES_MAX,
        })
    }
}

impl Discoverer for HttpDiscoverer {
    fn run(self: Box<Self>, stop: Stop, updates: Updates) {
        // LIMIT: a configured interval of zero would spin.
        let interval = self.config.refresh_interval.max(Duration::from_secs(1));
        let start = self.clock.mono();
        let mut ticker = Ticker::new(&*self.clock, start + interval, interval);
        let mut told = None;
        let mut sources = 0;
        loop {
            match self.refresh() {
                Ok(mut groups) => {
                    if told.take().is_some() {
                        log::info!(job = self.job.as_str(), url:% = self.shown_url();
                            "target groups come again");
                    }
                    let now = groups.len();
                    groups.extend((now..sources).map(|i| empty_group(&self.config.url, i)));
                    sources = now;
                    if !updates.send(groups) {
                        return;
                    }
                }
                Err(_) if stop.is_stopped() => return,
                Err(error) => {
                    if told.as_ref() != Some(&error) {
                        let url = self.shown_url();
                        log::error!(job = self.job.as_str(), url:%, err:% = error;
                            "can't refresh target groups, keeping the last");
                    }
                    told = Some(error);
                }
            }
            select! {
                recv(stop.channel()) -> _ => return,
                recv(ticker.channel()) -> _ => { ticker.advance(&*self.clock); }
            }
        }
    }
}

impl Drop for HttpDiscoverer {
    fn drop(&mut self) {
        self.metrics.forget_refreshes(&self.job, "http");
    }
}

/// Returns the groups in an answer.
pub(super) fn groups(url: &str, answer: &Fetched) -> Result<Vec<TargetGroup>, Error> {
    if answer.status != 200 {
        return Err(NetError::Status(answer.status_line()).into());
    }
    let content_type = answer.header("content-type").unwrap_or_default();
    if !is_json(content_type) {
        return Err(Error::ContentType(content_type.to_owned()));
    }
    let kind = TargetFileKind::Json;
    let mut groups = parse_target_groups(&answer.body, kind).map_err(Error::Parse)?;
    for (i, group) in groups.iter_mut().enumerate() {
        group.source = source(url, i);
        group.labels.insert("__meta_url".to_owned(), url.to_owned());
    }
    Ok(groups)
}

/// Whether it is `application/json`, alone or with the charset UTF-8.
fn is_json(content_type: &str) -> bool {
    let content_type = content_type.trim().to_ascii_lowercase();
    let Some(rest) = content_type.strip_prefix("application/json") else {
        return false;
    };
    let charset = rest.strip_prefix(';').map(str::trim_start);
    rest.is_empty() || matches!(charset, Some("charset=utf-8" | "charset=\"utf-8\""))
}

fn empty_group(url: &str, i: usize) -> TargetGroup {
    TargetGroup {
        source: source(url, i),
        ..TargetGroup::default()
    }
}

fn source(url: &str, i: usize) -> String {
    format!("{url}:{i}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: (u16, &str), content_type: &str, body: &str, expect: Result<usize, &str>) {
        let answer = Fetched {
            status: status.0,
            reason: status.1.to_owned(),
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.as_bytes().to_vec(),
        };
        let found = groups("http://sd/x", &answer);
        let found = found
            .map(|groups| groups.len())
            .map_err(|err| err.to_string());
        assert_eq!(
            found,
            expect.map_err(str::to_owned),
            "{content_type} {body}"
        );
    }

    #[test]
    fn an_answer_must_be_a_json_list() {
        const JSON: &str = "application/json";
        let ok = (200, "OK");
        check(ok, JSON, "[]", Ok(0));
        check(ok, JSON, "null", Ok(0));
        check(ok, JSON, r#"[{"targets":["a:1"]},{"targets":[]}]"#, Ok(2));
        check(
            ok,
            JSON,
            "[null]",
            Err("nil target group item found (index 0)"),
        );
        check(ok, " Application/JSON; charset=UTF-8", "[]", Ok(0));
        check(ok, "application/json;charset=\"utf-8\"", "[]", Ok(0));
        let status = Err("server returned HTTP status 503 Busy");
        check((503, "Busy"), JSON, "[]", status);
        let status = Err("server returned HTTP status 204 No Content");
        check((204, "No Content"), JSON, "", status);
        for bad in [
            "",
            "text/html",
            "application/json; charset=latin1",
            "application/jsonx",
        ] {
            let expect = format!("unsupported content type \"{bad}\"");
            check(ok, bad, "[]", Err(&expect));
        }
    }

    #[test]
    fn groups_are_named_by_url_and_place() {
        let answer = Fetched {
            status: 200,
            reason: String::new(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: br#"[{"targets":["a:1"],"labels":{"k":"v"}}]"#.to_vec(),
        };
        let found = groups("http://sd/x", &answer).unwrap();
        let group = found.first().unwrap();
        assert_eq!(group.source, "http://sd/x:0");
        assert_eq!(group.labels["__meta_url"], "http://sd/x");
        assert_eq!(group.labels["k"], "v");
        assert_eq!(group.targets[0]["__address__"], "a:1");
    }
}
