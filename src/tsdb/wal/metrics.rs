//! The log's metrics, under Prometheus's names where it has them.

use crate::metrics::{Counter, Gauge, Registry, Summary};

#[derive(Debug)]
pub(super) struct WalMetrics {
    pub sync_duration: Summary,
    pub syncs_failed: Counter,
    pub writes_failed: Counter,
    pub bytes_written: Counter,
    pub segment_current: Gauge,
    pub storage_bytes: Gauge,
    pub truncations: Counter,
    pub truncations_failed: Counter,
}

impl WalMetrics {
    pub fn new(registry: &Registry) -> WalMetrics {
        WalMetrics {
            sync_duration: registry.summary(
                "prometheus_tsdb_wal_fsync_duration_seconds",
                "How long making the write-ahead log durable took.",
                &[0.5, 0.9, 0.99],
            ),
            syncs_failed: registry.counter(
                "ferula_tsdb_wal_fsyncs_failed_total",
                "Attempts to make the write-ahead log durable that failed.",
            ),
            writes_failed: registry.counter(
                "prometheus_tsdb_wal_writes_failed_total",
                "Writes of the write-ahead log that failed.",
            ),
            bytes_written: registry.counter(
                "ferula_tsdb_wal_written_bytes_total",
                "Bytes written to the write-ahead log.",
            ),
            segment_current: registry.gauge(
                "prometheus_tsdb_wal_segment_current",
                "The number of the segment that is being written.",
            ),
            storage_bytes: registry.gauge(
                "prometheus_tsdb_wal_storage_size_bytes",
                "Bytes of all segments of the write-ahead log.",
            ),
            truncations: registry.counter(
                "prometheus_tsdb_wal_truncations_total",
                "Attempts to drop segments of the write-ahead log.",
            ),
            truncations_failed: registry.counter(
                "prometheus_tsdb_wal_truncations_failed_total",
                "Attempts to drop segments of the write-ahead log that failed.",
            ),
        }
    }
}
