//! What the handlers use.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::metrics::{Counter, Gauge, Registry};
use crate::model::TimestampMs;
use crate::promql::Engine;
use crate::regex::Regex;
use crate::remote::Receiver;
use crate::scrape::View;
use crate::stdx::clock::Clock;
use crate::tsdb::Db;
use crate::web::state::State;

/// Shared by all workers.
pub struct Context {
    /// Absent in agent mode, where requests for it are answered as unavailable.
    pub database: Option<Database>,
    /// `--web.enable-admin-api`.
    pub admin: bool,
    pub scrape: View,
    /// Absent unless `--web.enable-remote-write-receiver`.
    pub receiver: Option<Receiver>,
    pub state: Arc<State>,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    pub control: Control,
    pub site: Arc<Site>,
    pub runtime: Runtime,
    pub metrics: WebMetrics,
}

/// The database and the engine that answers queries.
#[derive(Clone)]
pub struct Database {
    pub db: Db,
    pub engine: Arc<Engine>,
}

/// The daemon's own actions that a client can ask for.
pub struct Control {
    /// `--web.enable-lifecycle`.
    pub enabled: bool,
    /// Reads the configuration again, and returns when that is done.
    pub reload: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    pub quit: Box<dyn Fn() + Send + Sync>,
}

/// The server's address, as clients see it.
pub struct Site {
    /// Starts with `/` and does not end with one. Empty for the root.
    pub route_prefix: String,
    /// Host and port of links, for example `gateway:9090`. Either may be absent.
    pub external_host: String,
    pub external_scheme: String,
    /// The listening port. Targets with it on the loopback are reached from outside by the external
    /// URL.
    pub listen_port: u16,
    /// Origins that may use the API. Absent if all may.
    pub cors_origin: Option<Regex>,
}

/// What does not change while the process runs.
pub struct Runtime {
    pub start: TimestampMs,
    pub working_directory: String,
    pub hostname: String,
    /// Names and values, sorted.
    pub flags: Vec<(String, String)>,
    /// The number of processors, for `GOMAXPROCS`.
    pub processors: usize,
}

/// Metrics of the handlers themselves.
pub struct WebMetrics {
    pub in_flight: Gauge,
    pub scrapes_ok: Counter,
    /// The size of the last page, and a little more.
    pub page_bytes: AtomicUsize,
}

impl WebMetrics {
    pub fn new(registry: &Registry) -> WebMetrics {
        let requests = registry.counter_vec(
            "promhttp_metric_handler_requests_total",
            "Total number of scrapes by HTTP status code.",
            &["code"],
        );
        for code in ["500", "503"] {
            requests.with(&[code]);
        }
        WebMetrics {
            in_flight: registry.gauge(
                "promhttp_metric_handler_requests_in_flight",
                "Current number of scrapes being served.",
            ),
            scrapes_ok: requests.with(&["200"]),
            page_bytes: AtomicUsize::new(0),
        }
    }
}
