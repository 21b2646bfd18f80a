//! The head's metrics, under Prometheus's names.

use crate::metrics::{Counter, Gauge, Registry, Summary};
use crate::storage::Committed;

/// What is counted when it happens; what is computed when it is read stands in `db`.
#[derive(Debug)]
pub struct HeadMetrics {
    pub samples_appended: Counter,
    pub series_created: Counter,
    pub series_removed: Counter,
    pub series_not_found: Counter,
    pub chunks_removed: Counter,
    pub out_of_order: Counter,
    pub out_of_bound: Counter,
    pub gc_duration: Summary,
    pub retention_seconds: Gauge,
}

const TYPE: &[&str] = &["type"];

impl HeadMetrics {
    pub fn new(registry: &Registry) -> HeadMetrics {
        // NOTE: families that the head will need only with out-of-order samples and histograms are
        // shown from the start, at zero, as Prometheus shows them.
        let by_type = |name, help, types: &[&str]| {
            let family = registry.counter_vec(name, help, TYPE);
            for of_type in types {
                family.with(&[of_type]);
            }
            family.with(&["float"])
        };
        by_type(
            "prometheus_tsdb_too_old_samples_total",
            "Samples refused because they were older than the out-of-order window.",
            &[],
        );
        registry.gauge(
            "prometheus_tsdb_retention_limit_bytes",
            "How many bytes are kept at most; 0 is no limit.",
        );
        HeadMetrics {
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
        add(&self.out_of_bound, done.too_old);
        add(&self.series_not_found, done.gone.len() as u64);
    }
}
