//! What a caller gives the server: settings, and the handler of requests.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Registry;
use crate::stdx::clock::Clock;

use super::request::Request;
use super::response::Response;

/// Answers requests, on a worker's thread. A panic in it becomes a 500 and affects nothing else.
pub trait Handler: Send + Sync {
    fn handle(&self, request: Request) -> Response;
}

impl<F: Fn(Request) -> Response + Send + Sync> Handler for F {
    fn handle(&self, request: Request) -> Response {
        self(request)
    }
}

/// The class of workers that a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Quick, and never starved: it has a worker of its own.
    Management,
    Normal,
    /// May compute for long. Two workers never take one, so that the rest is answered however many
    /// queries there are. Waiting ones take no thread.
    Query,
}

/// LIMIT: heads of the largest size that may come at once. Others never wait for them, and small
/// heads need no such room.
const HEADS_AT_ONCE: usize = 16;

/// The server's settings. [`Options::new`] gives the defaults.
#[derive(Clone)]
pub struct Options {
    /// Each is `host:port`. `:9090` is every address of IPv4 and IPv6; port 0 takes a free one.
    pub listen: Vec<String>,
    /// Workers for requests of [`Class::Normal`]. All but two of them also take [`Class::Query`].
    /// One more serves [`Class::Management`].
    pub workers: usize,
    pub max_connections: usize,
    /// How long a connection may idle between requests.
    pub read_timeout: Duration,
    /// How long a request's head, or a TLS handshake, may take from its first byte. A head also has
    /// the time for its bytes at 16 KiB/s.
    pub head_timeout: Duration,
    /// How long a request's body may take in all.
    pub body_timeout: Duration,
    /// How long a write may take without the client reading. A parked answer has this, plus the
    /// time for its remaining bytes at 16 KiB/s.
    pub write_timeout: Duration,
    /// How long a request may wait for a worker before it is answered 503.
    pub queue_timeout: Duration,
    /// The limit for a request's line and headers together.
    pub head_bytes_max: usize,
    /// The limit for all heads that are being read or handled, together, beyond 16 KiB for each
    /// connection. If there is no room the head that has been coming longest is refused.
    pub heads_bytes_max: usize,
    pub body_bytes_max: usize,
    /// The limit for all bodies that are being read or handled, together.
    pub bodies_bytes_max: usize,
    /// The limit for all answers that wait for their readers. Beyond it the oldest is dropped.
    pub parked_bytes_max: usize,
    /// How many requests may wait for a worker; beyond it they are answered 503.
    pub queue_max: usize,
    /// `--web.config.file`.
    pub web_config: Option<PathBuf>,
    /// The handlers whose counters are shown from the start, as zero.
    pub handlers: Vec<&'static str>,
    /// Gets the decoded path.
    pub classify: Arc<dyn Fn(&str) -> Class + Send + Sync>,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
}

impl Options {
    /// Sets the bytes of a head, and with them those of all heads together.
    pub fn limit_heads(&mut self, bytes_max: usize) {
        self.head_bytes_max = bytes_max;
        self.heads_bytes_max = bytes_max.saturating_mul(HEADS_AT_ONCE);
    }

    pub fn new(clock: Arc<dyn Clock>, registry: Registry) -> Options {
        Options {
            listen: vec!["0.0.0.0:9090".to_owned()],
            workers: 8,
            max_connections: 512,
            read_timeout: Duration::from_secs(300),
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            queue_timeout: Duration::from_secs(30),
            // LIMIT: the same as Go's. Grafana sends queries of some ten KiB in the request line.
            head_bytes_max: 1 << 20,
            heads_bytes_max: HEADS_AT_ONCE << 20,
            // LIMIT: the largest remote write request seen is a tenth of it.
            body_bytes_max: 32 << 20,
            // LIMIT: what a small machine can spare for clients that send at once.
            bodies_bytes_max: 64 << 20,
            // LIMIT: the same as for the bodies.
            parked_bytes_max: 64 << 20,
            // LIMIT: a dashboard's burst. More would wait longer than its user does.
            queue_max: 128,
            web_config: None,
            handlers: Vec::new(),
            classify: Arc::new(|_| Class::Normal),
            clock,
            registry,
        }
    }
}
