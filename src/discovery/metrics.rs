//! The room's metrics, under Prometheus's names. Each manager makes them; the registry gives all of
//! them the same families.

use std::time::Duration;

use crate::metrics::{
    Counter, CounterVec, Gauge, GaugeVec, HistogramVec, Registry, Summary, SummaryVec,
};

const QUANTILES: &[f64] = &[0.5, 0.9, 0.99];

/// A manager's metrics.
#[derive(Debug, Clone)]
pub(super) struct ManagerMetrics {
    name: String,
    pub failed_configs: Gauge,
    pub received_updates: Counter,
    pub sent_updates: Counter,
    discovered_targets: GaugeVec,
    last_update: GaugeVec,
}

impl ManagerMetrics {
    pub fn new(registry: &Registry, name: &str) -> ManagerMetrics {
        let counter = |metric, help| registry.counter_vec(metric, help, &["name"]).with(&[name]);
        let by_job = |metric, help| registry.gauge_vec(metric, help, &["config", "name"]);
        // NOTE: stays 0, since a mailbox of the latest value is never full.
        let _delayed = counter(
            "prometheus_sd_updates_delayed_total",
            "Updates that could not be sent to the consumers at once.",
        );
        let failed_configs = registry.gauge_vec(
            "prometheus_sd_failed_configs",
            "Service discovery configurations that are not running.",
            &["name"],
        );
        ManagerMetrics {
            name: name.to_owned(),
            failed_configs: failed_configs.with(&[name]),
            received_updates: counter(
                "prometheus_sd_received_updates_total",
                "Updates received from the providers of targets.",
            ),
            sent_updates: counter(
                "prometheus_sd_updates_total",
                "Updates sent to the consumers of targets.",
            ),
            discovered_targets: by_job(
                "prometheus_sd_discovered_targets",
                "Targets that are discovered now.",
            ),
            last_update: by_job(
                "prometheus_sd_last_update_timestamp_seconds",
                "When the consumers were last sent an update, or a provider last said that there \
                 is none.",
            ),
        }
    }

    pub fn targets(&self, job: &str, count: usize) {
        let targets = self.discovered_targets.with(&[job, &self.name]);
        targets.set(count as f64);
    }

    pub fn updated(&self, job: &str, wall_ms: i64) {
        let updated = self.last_update.with(&[job, &self.name]);
        updated.set(wall_ms as f64 / 1_000.0);
    }

    pub fn forget(&self, job: &str) {
        self.discovered_targets.remove(&[job, &self.name]);
        self.last_update.remove(&[job, &self.name]);
    }
}

/// The discoverers' metrics.
#[derive(Debug, Clone)]
pub(super) struct SdMetrics {
    pub file_read_errors: Counter,
    pub file_scan_duration: Summary,
    pub file_watcher_errors: Counter,
    /// The modification time, by file name.
    pub file_mtime: GaugeVec,
    pub http_failures: Counter,
    refresh_failures: CounterVec,
    refresh_duration: SummaryVec,
    refresh_histogram: HistogramVec,
}

impl SdMetrics {
    pub fn new(registry: &Registry) -> SdMetrics {
        SdMetrics {
            file_read_errors: registry.counter(
                "prometheus_sd_file_read_errors_total",
                "Target files that could not be read or understood.",
            ),
            file_scan_duration: registry.summary(
                "prometheus_sd_file_scan_duration_seconds",
                "How long it took to look at all files of a file discovery.",
                QUANTILES,
            ),
            file_watcher_errors: registry.counter(
                "prometheus_sd_file_watcher_errors_total",
                "File discoveries that had to do without file change notifications.",
            ),
            file_mtime: registry.gauge_vec(
                "prometheus_sd_file_mtime_seconds",
                "Modification time of a target file when it was last read.",
                &["filename"],
            ),
            http_failures: registry.counter(
                "prometheus_sd_http_failures_total",
                "Failed refreshes of HTTP service discoveries.",
            ),
            refresh_failures: registry.counter_vec(
                "prometheus_sd_refresh_failures_total",
                "Failed refreshes of a service discovery.",
                &["config", "mechanism"],
            ),
            refresh_duration: registry.summary_vec(
                "prometheus_sd_refresh_duration_seconds",
                "How long a refresh of a service discovery took.",
                &["config", "mechanism"],
                QUANTILES,
            ),
            refresh_histogram: registry.histogram_vec(
                "prometheus_sd_refresh_duration_histogram_seconds",
                "How long a refresh of a service discovery took.",
                &["mechanism"],
                &[0.01, 0.1, 1.0, 10.0],
            ),
        }
    }

    pub fn refreshed(&self, job: &str, mechanism: &str, took: Duration, ok: bool) {
        let failures = self.refresh_failures.with(&[job, mechanism]);
        if !ok {
            failures.inc();
        }
        let (duration, took) = (
            self.refresh_duration.with(&[job, mechanism]),
            took.as_secs_f64(),
        );
        duration.observe(took);
        self.refresh_histogram.with(&[mechanism]).observe(took);
    }

    pub fn forget_refreshes(&self, job: &str, mechanism: &str) {
        self.refresh_failures.remove(&[job, mechanism]);
        self.refresh_duration.remove(&[job, mechanism]);
    }
}
