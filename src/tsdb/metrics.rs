//! The database's metrics, under Prometheus's names where it has them.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::metrics::{Counter, Gauge, Histogram, Registry, Summary};
use crate::storage::Committed;

/// Values that are counted as they happen. `db` has those that are computed when they are read.
#[derive(Debug)]
pub struct HeadMetrics {
    pub samples_appended: Counter,
    pub series_created: Counter,
    pub series_removed: Counter,
    pub series_not_found: Counter,
    pub chunks_removed: Counter,
    pub out_of_order: Counter,
    pub out_of_bound: Counter,
    pub too_old: Counter,
    /// Whether there is an out-of-order window. Then older samples are "too old", else "out of
    /// bound", as in Prometheus.
    pub takes_late: AtomicBool,
    pub gc_duration: Summary,
    pub steps_ahead: Counter,
    pub steps_back: Counter,
    pub last_step: Gauge,
    pub retention_seconds: Gauge,
    pub retention_bytes: Gauge,
    pub retention_percentage: Gauge,
}

const TYPE: &[&str] = &["type"];

impl HeadMetrics {
    pub fn new(registry: &Registry) -> HeadMetrics {
        // NOTE: families for out-of-order samples and histograms are shown from the start, at zero,
        // as Prometheus shows them.
        let by_type = |name, help, types: &[&str]| {
            let family = registry.counter_vec(name, help, TYPE);
            for of_type in types {
                family.with(&[of_type]);
            }
            family.with(&["float"])
        };
        let steps = registry.counter_vec(
            "ferula_clock_steps_total",
            "Times that the wall clock was set by more than a second, by direction.",
            &["direction"],
        );
        HeadMetrics {
            steps_ahead: steps.with(&["ahead"]),
            steps_back: steps.with(&["back"]),
            last_step: registry.gauge(
                "ferula_clock_last_step_seconds",
                "How far the wall clock was set the last time; less than 0 is back, 0 never.",
            ),
            too_old: by_type(
                "prometheus_tsdb_too_old_samples_total",
                "Samples refused because they were older than the out-of-order window.",
                &[],
            ),
            takes_late: AtomicBool::new(false),
            samples_appended: by_type(
                "prometheus_tsdb_head_samples_appended_total",
                "Samples appended to the head.",
                &["histogram"],
            ),
            series_created: registry.counter(
                "prometheus_tsdb_head_series_created_total",
                "Series created in the head.",
            ),
            series_removed: registry.counter(
                "prometheus_tsdb_head_series_removed_total",
                "Series removed from the head.",
            ),
            series_not_found: registry.counter(
                "prometheus_tsdb_head_series_not_found_total",
                "Requests for series that were not there.",
            ),
            chunks_removed: registry.counter(
                "prometheus_tsdb_head_chunks_removed_total",
                "Chunks removed from the head.",
            ),
            out_of_order: by_type(
                "prometheus_tsdb_out_of_order_samples_total",
                "Samples refused because they were older than their series' newest.",
                &["histogram"],
            ),
            out_of_bound: by_type(
                "prometheus_tsdb_out_of_bound_samples_total",
                "Samples refused because they were older than the appendable window.",
                &[],
            ),
            gc_duration: registry.summary(
                "prometheus_tsdb_head_gc_duration_seconds",
                "How long garbage collection in the head took.",
                &[],
            ),
            retention_seconds: registry.gauge(
                "prometheus_tsdb_retention_limit_seconds",
                "How long samples are kept.",
            ),
            retention_bytes: registry.gauge(
                "prometheus_tsdb_retention_limit_bytes",
                "How many bytes are kept at most; 0 is no limit.",
            ),
            retention_percentage: registry.gauge(
                "prometheus_tsdb_retention_limit_percentage",
                "How much of the disk is kept at most, in percent; 0 is no limit.",
            ),
        }
    }

    pub fn count(&self, done: &Committed) {
        let add = |counter: &Counter, by: u64| {
            if by > 0 {
                counter.add(by as f64);
            }
        };
        add(&self.samples_appended, done.appended);
        add(&self.out_of_order, done.out_of_order);
        if self.takes_late.load(Relaxed) {
            add(&self.too_old, done.too_old);
        } else {
            add(&self.out_of_bound, done.too_old);
        }
        add(&self.series_not_found, done.gone.len() as u64);
    }
}

/// Metrics of what is on disk.
#[derive(Debug)]
pub struct StoreMetrics {
    pub compactions: Counter,
    pub compactions_triggered: Counter,
    pub compactions_failed: Counter,
    pub truncations: Counter,
    pub truncations_failed: Counter,
    pub reloads: Counter,
    pub reload_failures: Counter,
    pub time_retentions: Counter,
    pub size_retentions: Counter,
    pub wal_corruptions: Counter,
    pub quarantined: Counter,
    pub damaged_reads: Counter,
    pub skipped_records: Counter,
    pub skipped_bytes: Counter,
    pub unread_samples: Counter,
    pub torn_bytes: Counter,
    pub unknown_segments: Counter,
    pub dropped_segments: Counter,
    pub clean_start: Gauge,
    pub replay_duration: Gauge,
    /// Samples that wait for room in the log, and those that were too many for that.
    pub waiting_samples: Gauge,
    pub passed_over_samples: Counter,
    pub refused_samples: Counter,
    pub snapshot_bytes: Gauge,
    pub compaction_lost_pages: Counter,
    pub compaction_duration: Histogram,
    /// Counted by cause.
    pub flushed_bytes: Counter,
    pub compacted_bytes: Counter,
}

/// LIMIT: from one second to 4.5 hours.
const COMPACTION_SECONDS: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0,
    16384.0,
];

impl StoreMetrics {
    pub fn new(registry: &Registry) -> StoreMetrics {
        let written = registry.counter_vec(
            "ferula_tsdb_block_bytes_written_total",
            "Bytes of blocks that were written, by cause.",
            &["cause"],
        );
        StoreMetrics {
            compactions: registry.counter(
                "prometheus_tsdb_compactions_total",
                "Compactions that were done.",
            ),
            compactions_triggered: registry.counter(
                "prometheus_tsdb_compactions_triggered_total",
                "Compactions that were begun.",
            ),
            compactions_failed: registry.counter(
                "prometheus_tsdb_compactions_failed_total",
                "Compactions that failed.",
            ),
            truncations: registry.counter(
                "prometheus_tsdb_head_truncations_total",
                "Times that the head became a block.",
            ),
            truncations_failed: registry.counter(
                "prometheus_tsdb_head_truncations_failed_total",
                "Times that the head could not become a block.",
            ),
            reloads: registry.counter(
                "prometheus_tsdb_reloads_total",
                "Times that blocks were read from disk.",
            ),
            reload_failures: registry.counter(
                "prometheus_tsdb_reloads_failures_total",
                "Blocks that could not be opened.",
            ),
            time_retentions: registry.counter(
                "prometheus_tsdb_time_retentions_total",
                "Times that blocks were removed because of their age.",
            ),
            size_retentions: registry.counter(
                "prometheus_tsdb_size_retentions_total",
                "Times that blocks were removed because of the directory's size.",
            ),
            wal_corruptions: registry.counter(
                "prometheus_tsdb_wal_corruptions_total",
                "Damaged stretches of the write-ahead log.",
            ),
            quarantined: registry.counter(
                "ferula_tsdb_quarantined_files_total",
                "Damaged files that were moved away.",
            ),
            damaged_reads: registry.counter(
                "ferula_tsdb_damaged_reads_total",
                "Selections that went without a damaged block.",
            ),
            skipped_records: registry.counter(
                "ferula_tsdb_wal_skipped_records_total",
                "Records of the write-ahead log that were missing or damaged at the start.",
            ),
            skipped_bytes: registry.counter(
                "ferula_tsdb_wal_skipped_bytes_total",
                "Bytes of the write-ahead log that were no good record at the start.",
            ),
            unread_samples: registry.counter(
                "ferula_tsdb_wal_unread_samples_total",
                "Samples that could not be read because of damage before them.",
            ),
            torn_bytes: registry.counter(
                "ferula_tsdb_wal_torn_bytes_total",
                "Bytes at the log's end that were the beginning of a record at the start.",
            ),
            unknown_segments: registry.counter(
                "ferula_tsdb_wal_unknown_segments_total",
                "Segments of the log in a version that this program does not know, left alone.",
            ),
            dropped_segments: registry.counter(
                "ferula_tsdb_wal_dropped_unread_segments_total",
                "Segments of the log that had to go before their reader had read them.",
            ),
            clean_start: registry.gauge(
                "prometheus_tsdb_clean_start",
                "-1: no lock file. 0: the last process was killed. 1: it ended as it should.",
            ),
            replay_duration: registry.gauge(
                "prometheus_tsdb_data_replay_duration_seconds",
                "How long reading the directory took at the start.",
            ),
            waiting_samples: registry.gauge(
                "ferula_tsdb_full_disk_waiting_samples",
                "Samples that wait in memory for room on the disk.",
            ),
            passed_over_samples: registry.counter(
                "ferula_tsdb_full_disk_passed_over_samples_total",
                "Samples that wait for the next block alone, because too many wait for the log.",
            ),
            refused_samples: registry.counter(
                "ferula_tsdb_head_full_refused_samples_total",
                "Samples refused because the head cannot become a block, or not fast enough.",
            ),
            snapshot_bytes: registry.gauge(
                "ferula_tsdb_snapshot_bytes",
                "Bytes of snapshots that are in no block of the store.",
            ),
            compaction_lost_pages: registry.counter(
                "ferula_tsdb_compaction_lost_pages_total",
                "Damaged pages of blocks that a compaction had to leave out.",
            ),
            compaction_duration: registry.histogram(
                "prometheus_tsdb_compaction_duration_seconds",
                "How long compactions took.",
                COMPACTION_SECONDS,
            ),
            flushed_bytes: written.with(&["flush"]),
            compacted_bytes: written.with(&["compaction"]),
        }
    }
}
