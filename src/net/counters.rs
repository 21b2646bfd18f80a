//! Counters of connections, under Prometheus's names.

use super::NetError;
use crate::metrics::{Counter, CounterVec, Registry};

/// The metric families, one set per process.
#[derive(Debug, Clone)]
pub(super) struct DialMetrics {
    attempted: CounterVec,
    established: CounterVec,
    failed: CounterVec,
    closed: CounterVec,
}

/// The counters of one client.
#[derive(Debug, Clone)]
pub(super) struct DialCounters {
    pub attempted: Counter,
    pub established: Counter,
    pub closed: Counter,
    resolution: Counter,
    refused: Counter,
    timeout: Counter,
    unknown: Counter,
}

impl DialMetrics {
    pub fn new(registry: &Registry) -> DialMetrics {
        DialMetrics {
            attempted: registry.counter_vec(
                "net_conntrack_dialer_conn_attempted_total",
                "Total number of connections attempted by the given dialer a given name.",
                &["dialer_name"],
            ),
            established: registry.counter_vec(
                "net_conntrack_dialer_conn_established_total",
                "Total number of connections successfully established by the given dialer.",
                &["dialer_name"],
            ),
            failed: registry.counter_vec(
                "net_conntrack_dialer_conn_failed_total",
                "Total number of connections failed to dial by the dialer a given name.",
                &["dialer_name", "reason"],
            ),
            closed: registry.counter_vec(
                "net_conntrack_dialer_conn_closed_total",
                "Total number of connections closed which originated from the dialer.",
                &["dialer_name"],
            ),
        }
    }

    /// Makes the counters of a dialer. All its series show from the start.
    pub fn of(&self, name: &str) -> DialCounters {
        DialCounters {
            attempted: self.attempted.with(&[name]),
            established: self.established.with(&[name]),
            closed: self.closed.with(&[name]),
            resolution: self.failed.with(&[name, "resolution"]),
            refused: self.failed.with(&[name, "refused"]),
            timeout: self.failed.with(&[name, "timeout"]),
            unknown: self.failed.with(&[name, "unknown"]),
        }
    }
}

impl DialCounters {
    pub fn count_failure(&self, error: &NetError) {
        let counter = match error {
            NetError::Lookup { .. } => &self.resolution,
            NetError::Dial { reason, .. } if reason == "connection refused" => &self.refused,
            NetError::Deadline | NetError::DialTimeout { .. } => &self.timeout,
            _ => &self.unknown,
        };
        counter.inc();
    }
}
