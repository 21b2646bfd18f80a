//! The server's metrics, under Prometheus's names.

use std::time::Duration;

use crate::metrics::{Counter, CounterVec, Histogram, HistogramVec, Registry};

const DURATION_BOUNDS: &[f64] = &[0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];
const SIZE_BOUNDS: &[f64] = &[1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

#[derive(Debug)]
pub(super) struct HttpMetrics {
    pub accepted: Counter,
    pub closed: Counter,
    pub panics: Counter,
    refused: CounterVec,
    requests: CounterVec,
    durations: HistogramVec,
    sizes: HistogramVec,
}

impl HttpMetrics {
    pub fn new(registry: &Registry, handlers: &[&'static str]) -> HttpMetrics {
        let listener = |name, help| {
            let family = registry.counter_vec(name, help, &["listener_name"]);
            family.with(&["http"])
        };
        let metrics = HttpMetrics {
            accepted: listener(
                "net_conntrack_listener_conn_accepted_total",
                "Total number of connections opened to the listener of a given name.",
            ),
            closed: listener(
                "net_conntrack_listener_conn_closed_total",
                "Total number of connections closed that were made to the listener of a given \
                 name.",
            ),
            panics: registry.counter(
                "ferula_http_handler_panics_total",
                "Requests whose handler panicked and that were answered 500.",
            ),
            refused: registry.counter_vec(
                "ferula_http_requests_refused_total",
                "Requests that no handler saw: malformed, too large, too slow, or too many.",
                &["code"],
            ),
            requests: registry.counter_vec(
                "prometheus_http_requests_total",
                "Counter of HTTP requests.",
                &["code", "handler"],
            ),
            durations: registry.histogram_vec(
                "prometheus_http_request_duration_seconds",
                "Histogram of latencies for HTTP requests.",
                &["handler"],
                DURATION_BOUNDS,
            ),
            sizes: registry.histogram_vec(
                "prometheus_http_response_size_bytes",
                "Histogram of response size for HTTP requests.",
                &["handler"],
                SIZE_BOUNDS,
            ),
        };
        for handler in handlers {
            metrics.requests.with(&["200", handler]);
        }
        metrics
    }

    pub fn refuse(&self, status: u16) {
        self.refused.with(&[&status.to_string()]).inc();
    }

    /// Returns the histogram of a handler's body sizes.
    pub fn size_of(&self, handler: &str) -> Option<Histogram> {
        (!handler.is_empty()).then(|| self.sizes.with(&[handler]))
    }

    /// Counts an answer. Without `bytes` the size is reported later.
    pub fn answered(&self, handler: &str, status: u16, took: Duration, bytes: Option<usize>) {
        if handler.is_empty() {
            return;
        }
        self.requests.with(&[&status.to_string(), handler]).inc();
        self.durations.with(&[handler]).observe(took.as_secs_f64());
        if let Some(bytes) = bytes {
            self.sizes.with(&[handler]).observe(bytes as f64);
        }
    }
}
