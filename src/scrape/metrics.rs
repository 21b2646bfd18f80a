//! The room's metrics, under Prometheus's names.

use crate::metrics::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramVec, Registry, Summary, SummaryVec,
};

/// Shared by all pools. Clones share the values.
#[derive(Debug, Clone)]
pub(super) struct ScrapeMetrics {
    pub pools: Counter,
    pub reloads: Counter,
    pub exceeded_target_limit: Counter,
    pub exceeded_label_limits: Counter,
    pub exceeded_body_size: Counter,
    /// Ferula's own: bodies beyond the guard that no configuration asks for.
    pub exceeded_body_guard: Counter,
    pub exceeded_samples: Counter,
    pub cache_flush_forced: Counter,
    pub duplicate: Counter,
    pub out_of_order: Counter,
    pub out_of_bounds: Counter,
    pub exemplar_out_of_order: Counter,
    /// Ferula's own: all others that were not stored.
    pub exemplars_refused: Counter,
    /// Ferula's own: samples of scrapes that the storage did not take.
    pub lost: Counter,
    /// Ferula's own: samples of series that the storage would not make.
    pub refused: Counter,
    pub scrape_duration: Histogram,
    /// Ferula's own: turns that panicked, and threads that could not be started.
    pub panics: Counter,
    pub spawn_failures: Counter,
    pub reload_length: SummaryVec,
    target_limit: GaugeVec,
    targets: GaugeVec,
    symbols: GaugeVec,
    syncs: CounterVec,
    sync_length: SummaryVec,
    sync_length_histogram: HistogramVec,
    sync_failed: CounterVec,
    metadata_entries: GaugeVec,
    metadata_bytes: GaugeVec,
    interval_length: SummaryVec,
    interval_length_histogram: HistogramVec,
}

/// The metrics of one job.
#[derive(Debug, Clone)]
pub(super) struct PoolMetrics {
    pub target_limit: Gauge,
    pub targets: Gauge,
    pub syncs: Counter,
    pub sync_length: Summary,
    pub sync_length_histogram: Histogram,
    pub sync_failed: Counter,
    pub metadata_entries: Gauge,
    pub metadata_bytes: Gauge,
}

/// The metrics of one interval, looked up once per loop.
#[derive(Debug, Clone)]
pub(super) struct IntervalMetrics {
    summary: Summary,
    histogram: Histogram,
}

impl IntervalMetrics {
    pub fn observe(&self, seconds: f64) {
        self.summary.observe(seconds);
        self.histogram.observe(seconds);
    }
}

const QUANTILES: &[f64] = &[0.01, 0.05, 0.5, 0.9, 0.99];
const BOUNDS: &[f64] = &[0.01, 0.1, 1.0, 10.0];
const JOB: &[&str] = &["scrape_job"];
const INTERVAL: &[&str] = &["interval"];

impl ScrapeMetrics {
    pub fn new(r: &Registry) -> ScrapeMetrics {
        // These stay at 0, since everything that can fail is checked before anything is touched.
        r.counter(
            "prometheus_target_scrape_pools_failed_total",
            "Attempts to make a scrape pool that failed.",
        );
        r.counter(
            "prometheus_target_scrape_pool_reloads_failed_total",
            "Reloads of scrape pools that failed.",
        );
        // It belongs to native histograms. No such samples are taken, so it stays at 0.
        r.counter(
            "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
            "Scrapes refused because a native histogram had too many buckets.",
        );
        ScrapeMetrics {
            pools: r.counter(
                "prometheus_target_scrape_pools_total",
                "Attempts to make a scrape pool.",
            ),
            reloads: r.counter(
                "prometheus_target_scrape_pool_reloads_total",
                "Reloads of scrape pools whose configuration changed.",
            ),
            exceeded_target_limit: r.counter(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Syncs and reloads that found a pool above its target limit.",
            ),
            exceeded_label_limits: r.counter(
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Scrapes refused because of a label limit.",
            ),
            exceeded_body_size: r.counter(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Scrapes refused because the body was too big.",
            ),
            exceeded_body_guard: r.counter(
                "ferula_target_scrapes_exceeded_body_guard_total",
                "Scrapes refused because the body was beyond the built-in guard.",
            ),
            exceeded_samples: r.counter(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Scrapes refused because there were too many samples.",
            ),
            cache_flush_forced: r.counter(
                "prometheus_target_scrapes_cache_flush_forced_total",
                "Scrape caches flushed because they grew while scrapes failed.",
            ),
            duplicate: r.counter(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Samples refused because their series has another value at that time.",
            ),
            out_of_order: r.counter(
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Samples refused because they were out of order.",
            ),
            out_of_bounds: r.counter(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Samples refused because they were too old or too far in the future.",
            ),
            exemplar_out_of_order: r.counter(
                "prometheus_target_scrapes_exemplar_out_of_order_total",
                "Exemplars refused because they were out of order.",
            ),
            exemplars_refused: r.counter(
                "ferula_target_scrapes_exemplars_refused_total",
                "Exemplars not stored because they were not valid, too long, or the storage could \
                 not take them.",
            ),
            lost: r.counter(
                "ferula_target_scrapes_lost_samples_total",
                "Samples of scrapes that were lost because their commit failed.",
            ),
            refused: r.counter(
                "ferula_target_scrapes_series_refused_total",
                "Samples lost because the storage made no new series.",
            ),
            scrape_duration: r.histogram(
                "prometheus_target_scrape_duration_seconds",
                "Time from a scrape's start to the end of its commit.",
                &[],
            ),
            panics: r.counter(
                "ferula_target_scrape_panics_total",
                "Scrapes that ended in a mistake of the program.",
            ),
            spawn_failures: r.counter(
                "ferula_target_scrape_thread_failures_total",
                "Scrape loops for which the system had no thread.",
            ),
            reload_length: r.summary_vec(
                "prometheus_target_reload_length_seconds",
                "Time to reload a scrape pool with a changed configuration.",
                INTERVAL,
                QUANTILES,
            ),
            target_limit: r.gauge_vec(
                "prometheus_target_scrape_pool_target_limit",
                "The most targets that the pool may have.",
                JOB,
            ),
            targets: r.gauge_vec(
                "prometheus_target_scrape_pool_targets",
                "Targets of the pool.",
                JOB,
            ),
            symbols: r.gauge_vec(
                "prometheus_target_scrape_pool_symboltable_items",
                "Always 0: symbols are the storage's.",
                JOB,
            ),
            syncs: r.counter_vec(
                "prometheus_target_scrape_pool_sync_total",
                "Syncs of the pool.",
                JOB,
            ),
            sync_length: r.summary_vec(
                "prometheus_target_sync_length_seconds",
                "Time to sync the pool.",
                JOB,
                QUANTILES,
            ),
            sync_length_histogram: r.histogram_vec(
                "prometheus_target_sync_length_histogram_seconds",
                "Time to sync the pool.",
                JOB,
                BOUNDS,
            ),
            sync_failed: r.counter_vec(
                "prometheus_target_sync_failed_total",
                "Targets that could not be made of what was discovered.",
                JOB,
            ),
            metadata_entries: r.gauge_vec(
                "prometheus_target_metadata_cache_entries",
                "Metric families whose metadata is known.",
                JOB,
            ),
            metadata_bytes: r.gauge_vec(
                "prometheus_target_metadata_cache_bytes",
                "Bytes of the known metadata.",
                JOB,
            ),
            interval_length: r.summary_vec(
                "prometheus_target_interval_length_seconds",
                "Actual time between two scrapes of a target.",
                INTERVAL,
                QUANTILES,
            ),
            interval_length_histogram: r.histogram_vec(
                "prometheus_target_interval_length_histogram_seconds",
                "Actual time between two scrapes of a target.",
                INTERVAL,
                BOUNDS,
            ),
        }
    }

    pub fn pool(&self, job: &str) -> PoolMetrics {
        self.symbols.with(&[job]).set(0.0);
        PoolMetrics {
            target_limit: self.target_limit.with(&[job]),
            targets: self.targets.with(&[job]),
            syncs: self.syncs.with(&[job]),
            sync_length: self.sync_length.with(&[job]),
            sync_length_histogram: self.sync_length_histogram.with(&[job]),
            sync_failed: self.sync_failed.with(&[job]),
            metadata_entries: self.metadata_entries.with(&[job]),
            metadata_bytes: self.metadata_bytes.with(&[job]),
        }
    }

    pub fn forget_pool(&self, job: &str) {
        let gauges = [
            &self.target_limit,
            &self.targets,
            &self.symbols,
            &self.metadata_entries,
            &self.metadata_bytes,
        ];
        for vec in gauges {
            vec.remove(&[job]);
        }
        self.syncs.remove(&[job]);
        self.sync_length.remove(&[job]);
        self.sync_length_histogram.remove(&[job]);
        self.sync_failed.remove(&[job]);
    }

    pub fn interval(&self, interval: &str) -> IntervalMetrics {
        IntervalMetrics {
            summary: self.interval_length.with(&[interval]),
            histogram: self.interval_length_histogram.with(&[interval]),
        }
    }
}
