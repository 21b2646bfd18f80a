//! Requests whose cost does not matter: discovery, remote write, alerts.
//!
//! `ureq` does the HTTP. This room does the connecting ([`super::dial`]), redirects, proxies and
//! credentials, so that all requests of a client obey the same settings in the same way.

use std::error::Error;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

use super::NetError;
use super::common::Common;
use super::connection::{REDIRECTS_MAX, same_domain};
use super::deadline::{Canceller, Deadline};
use super::request::push_header;
use super::target_url::TargetUrl;
use super::wire::{Dial, HEAD_BYTES_MAX, NoNames, TIMEOUT_MAX};

const OUTPUT_BUFFER_BYTES: usize = 4 << 10;
/// LIMIT: idle connections of one client; discovery and senders talk to a few servers each.
const IDLE_CONNECTIONS_MAX: usize = 16;
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);

/// A request of [`super::Client::fetch`].
#[derive(Debug, Clone, Copy)]
pub struct FetchRequest<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Option<&'a [u8]>,
    /// Covers the whole request, including the body of the answer.
    pub timeout: Duration,
    /// The largest answer, uncompressed.
    pub body_limit: u64,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub status: u16,
    pub reason: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Fetched {
    /// Returns the first header of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Writes `404 Not Found`, for messages.
    pub fn status_line(&self) -> String {
        format!("{} {}", self.status, self.reason)
    }
}

#[derive(Debug)]
pub(super) struct Fetcher {
    agent: Agent,
    cancel: Canceller,
    common: Arc<Common>,
}

impl Fetcher {
    pub fn new(common: &Arc<Common>) -> Fetcher {
        let cancel = Canceller::new();
        let config = Config::builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(super::USER_AGENT)
            .input_buffer_size(HEAD_BYTES_MAX)
            .output_buffer_size(OUTPUT_BUFFER_BYTES)
            .max_response_header_size(HEAD_BYTES_MAX)
            .max_idle_connections(IDLE_CONNECTIONS_MAX)
            .max_idle_connections_per_host(IDLE_CONNECTIONS_MAX)
            .max_idle_age(IDLE_MAX)
            .allow_non_standard_methods(true)
            .build();
        let connector = Dial {
            dialer: common.dialer.clone(),
            cancel: cancel.clone(),
        };
        Fetcher {
            agent: Agent::with_parts(config, connector, NoNames),
            cancel,
            common: common.clone(),
        }
    }

    pub fn shutdown(&self) {
        self.cancel.cancel();
        self.agent.clone().shutdown();
    }

    pub fn fetch(&self, request: &FetchRequest<'_>) -> Result<Fetched, NetError> {
        let deadline = self
            .common
            .deadline(request.timeout.min(TIMEOUT_MAX), &self.cancel);
        let in_request = |error: NetError| error.of_request(request.method, request.url);
        let answer = self.follow(request, &deadline)?;
        let (parts, mut body) = answer.into_parts();
        let mut content = Vec::new();
        let allowed = request.body_limit.saturating_add(1);
        let read = body.as_reader().take(allowed).read_to_end(&mut content);
        read.map_err(|error| in_request(self.told(from_io(error))))?;
        if content.len() as u64 > request.body_limit {
            return Err(in_request(NetError::BodyTooBig));
        }
        Ok(Fetched {
            status: parts.status.as_u16(),
            reason: reason(parts.status),
            headers: headers(&parts.headers),
            body: content,
        })
    }

    fn follow(
        &self,
        request: &FetchRequest<'_>,
        deadline: &Deadline,
    ) -> Result<Response<Body>, NetError> {
        let origin = TargetUrl::parse(request.url)?;
        let mut step = Step {
            url: origin.clone(),
            method: request.method,
            body: request.body,
            left_host: false,
        };
        for _ in 0..=REDIRECTS_MAX {
            let in_request = |error: NetError| error.of_request(step.method, step.url.as_str());
            let answer = self
                .authorized(request, &step, deadline)
                .map_err(in_request)?;
            let Some(location) = redirect(&answer).filter(|_| self.common.follow_redirects) else {
                return Ok(answer);
            };
            let next = step.url.join(location).map_err(in_request)?;
            step.left_host |= !same_domain(&next.host, &origin.host);
            step.url = next;
            let status = answer.status().as_u16();
            if matches!(status, 301..=303) && !matches!(step.method, "GET" | "HEAD") {
                (step.method, step.body) = ("GET", None);
            }
        }
        Err(NetError::TooManyRedirects.of_request(step.method, step.url.as_str()))
    }

    fn authorized(
        &self,
        request: &FetchRequest<'_>,
        step: &Step<'_>,
        deadline: &Deadline,
    ) -> Result<Response<Body>, NetError> {
        let answer = self.once(request, step, deadline)?;
        let refused = answer.status().as_u16() == 401 && !step.left_host;
        if refused && self.common.credentials.forget_token() {
            return self.once(request, step, deadline);
        }
        Ok(answer)
    }

    /// Makes one request, and repeats it if a kept connection may have gone stale.
    fn once(
        &self,
        request: &FetchRequest<'_>,
        step: &Step<'_>,
        deadline: &Deadline,
    ) -> Result<Response<Body>, NetError> {
        let mut lines = Vec::new();
        for (name, value) in request.headers {
            push_header(&mut lines, name, value)?;
        }
        if !step.left_host {
            self.common
                .credentials
                .push(&mut lines, &step.url, deadline)?;
        }
        let proxy = self.common.dialer.proxies.choose(&step.url);
        if let Some(proxy) = proxy.filter(|_| !step.url.https)
            && let Some(value) = &proxy.authorization
        {
            push_header(&mut lines, "Proxy-Authorization", value)?;
        }
        let attempt = || {
            let result = self.run(&lines, step, deadline.remaining()?);
            result.map_err(|error| self.told(from_ureq(error)))
        };
        let idempotent = matches!(step.method, "GET" | "HEAD");
        match attempt() {
            Err(NetError::Eof | NetError::Socket { .. }) if idempotent => attempt(),
            other => other,
        }
    }

    fn run(
        &self,
        lines: &[u8],
        step: &Step<'_>,
        left: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut builder = Request::builder()
            .method(step.method)
            .uri(wire_url(&step.url));
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            builder = builder.header(name, value);
        }
        match step.body {
            Some(body) => self.configured(builder.body(body)?, left),
            None => self.configured(builder.body(())?, left),
        }
    }

    fn configured<B: ureq::AsSendBody>(
        &self,
        request: Request<B>,
        left: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        let config = self.agent.configure_request(request);
        self.agent.run(config.timeout_global(Some(left)).build())
    }

    /// Turns the many errors of a cancelled request into one.
    fn told(&self, error: NetError) -> NetError {
        if self.cancel.is_canceled() {
            NetError::Canceled
        } else {
            error
        }
    }
}

/// One request in a chain of redirects.
struct Step<'a> {
    url: TargetUrl,
    method: &'a str,
    body: Option<&'a [u8]>,
    left_host: bool,
}

/// Returns the URL without its user, from which ureq would make credentials, and without its
/// fragment.
fn wire_url(url: &TargetUrl) -> String {
    let scheme = if url.https { "https" } else { "http" };
    format!("{scheme}://{}{}", url.authority, url.path)
}

fn redirect(answer: &Response<Body>) -> Option<&str> {
    match answer.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => answer.headers().get("location")?.to_str().ok(),
        _ => None,
    }
}

fn reason(status: ureq::http::StatusCode) -> String {
    status.canonical_reason().unwrap_or("").to_owned()
}

fn headers(map: &ureq::http::HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    map.iter().map(pair).collect()
}

/// Takes our own errors back out of ureq's.
fn from_ureq(error: ureq::Error) -> NetError {
    match error {
        ureq::Error::Timeout(_) => NetError::Deadline,
        ureq::Error::Io(error) => from_io(error),
        ureq::Error::Other(error) => match error.downcast::<NetError>() {
            Ok(error) => *error,
            Err(other) => NetError::Protocol(other.to_string()),
        },
        other => NetError::Protocol(other.to_string()),
    }
}

fn from_io(error: io::Error) -> NetError {
    let kind = error.kind();
    let reason = super::error::reason(&error);
    let inner = error.into_inner().map(<dyn Error + Send + Sync>::downcast);
    match (inner, kind) {
        (Some(Ok(ureq)), _) => from_ureq(*ureq),
        (_, io::ErrorKind::UnexpectedEof) => NetError::Eof,
        (_, io::ErrorKind::NotConnected) => NetError::Canceled,
        _ => NetError::Body(reason),
    }
}
