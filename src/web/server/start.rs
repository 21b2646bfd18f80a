//! Starts and stops the server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, never};

use crate::stdx::limits::{QUERY_STACK, THREAD_STACK};
use crate::stdx::pacer::SharedPacer;
use crate::stdx::thread::{Thread, spawn, spawn_vital};

use super::access::Access;
use super::budget::Budget;
use super::lanes::{Lanes, query_workers};
use super::listen::Listeners;
use super::metrics::HttpMetrics;
use super::options::{Handler, Options};
use super::poller::Poller;
use super::shared::{Shared, waker};
use super::worker::Worker;

/// How long a dropped server waits for requests in flight.
const DROP_GRACE: Duration = Duration::from_secs(1);
/// How long a canceled handler may take to notice. Then its thread is left to itself.
const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// A running server. Dropping it stops it.
pub struct Server {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    /// Carries how long to wait for requests in flight.
    stop_tx: Sender<Duration>,
    poller: Option<Thread>,
    workers: Vec<Thread>,
}

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// `listen tcp 0.0.0.0:9090: bind: address already in use`.
    #[error("{0}")]
    Listen(String),
    #[error("web configuration file {}: {}", .path.display(), .faults.join("; "))]
    WebConfig { path: PathBuf, faults: Vec<String> },
    #[error("the HTTP server cannot start: {0}")]
    System(#[from] io::Error),
}

impl Server {
    /// Binds, reads the web configuration, and serves.
    pub fn start(options: Options, handler: Arc<dyn Handler>) -> Result<Server, ServerError> {
        let access =
            Access::load(options.web_config.clone(), options.clock.clone()).map_err(|faults| {
                ServerError::WebConfig {
                    path: options.web_config.clone().unwrap_or_default(),
                    faults,
                }
            })?;
        let listeners = Listeners::bind(&options.listen).map_err(ServerError::Listen)?;
        let addresses = listeners.addresses();
        let (waker, wake_end) = waker()?;
        let workers = options.workers.max(1);
        let shared = Arc::new(Shared {
            metrics: HttpMetrics::new(&options.registry, &options.handlers),
            bodies: Budget::new(options.bodies_bytes_max),
            heads: Budget::new(options.heads_bytes_max),
            access,
            handler,
            waker,
            refusals: SharedPacer::default(),
            stopping: AtomicBool::new(false),
            options,
        });
        // Each connection can be on its way back once.
        let (returns_tx, returns) = bounded(shared.options.max_connections + 1);
        let (lanes, ends) = Lanes::new(workers);
        let mut threads = Vec::with_capacity(workers + 1);
        let mut failed = None;
        for i in 0..=workers {
            let worker = Worker {
                shared: shared.clone(),
                jobs: if i == 0 {
                    ends.management.clone()
                } else {
                    ends.normal.clone()
                },
                queries: if (1..=query_workers(workers)).contains(&i) {
                    ends.query.clone()
                } else {
                    never()
                },
                handshakes: ends.handshake.clone(),
                returns: returns_tx.clone(),
                is_management: i == 0,
            };
            match spawn(format!("http-{i}"), QUERY_STACK, move || worker.run()) {
                Ok(thread) => threads.push(thread),
                Err(e) => failed = Some(e),
            }
        }
        if let Some(e) = failed {
            // ORDER: the lanes first, since the workers wait for their end.
            drop(lanes);
            return Err(e.into());
        }
        let (stop_tx, stop) = bounded(1);
        let poller = Poller::new(shared.clone(), listeners, wake_end, lanes, returns, stop);
        let poller = spawn_vital("http-accept", THREAD_STACK, move || poller.run())?;
        Ok(Server {
            addresses,
            shared,
            stop_tx,
            poller: Some(poller),
            workers: threads,
        })
    }

    /// Returns the listening addresses, with the ports that port 0 became.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Closes the listeners and idle connections, finishes the requests in flight within `grace`,
    /// then cancels the rest. Returns false if something still runs then, and is left behind.
    pub fn stop(mut self, grace: Duration) -> bool {
        self.halt(grace)
    }

    fn halt(&mut self, grace: Duration) -> bool {
        let mut all = true;
        self.shared.stopping.store(true, Relaxed);
        let _ = self.stop_tx.try_send(grace);
        self.shared.waker.wake();
        if let Some(poller) = self.poller.take() {
            all &= poller.join_within(grace + CANCEL_GRACE);
        }
        for worker in self.workers.drain(..) {
            let name = worker.name().to_owned();
            if !worker.join_within(CANCEL_GRACE) {
                log::warn!(thread = name.as_str(); "an HTTP handler does not end; left behind");
                all = false;
            }
        }
        all
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.poller.is_some() {
            self.halt(DROP_GRACE);
        }
    }
}
