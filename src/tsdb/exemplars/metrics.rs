//! The ring's metrics, under Prometheus's names where it has them.

use std::sync::Arc;

use super::store::Exemplars;
use crate::metrics::{Counter, Registry, Showing};

#[derive(Debug)]
pub(super) struct ExemplarMetrics {
    pub appended: Counter,
    pub out_of_order: Counter,
    pub too_long: Counter,
    pub unlogged: Counter,
    pub without_series: Counter,
}

impl ExemplarMetrics {
    pub fn new(registry: &Registry) -> ExemplarMetrics {
        ExemplarMetrics {
            appended: registry.counter(
                "prometheus_tsdb_exemplar_exemplars_appended_total",
                "Exemplars that were stored.",
            ),
            out_of_order: registry.counter(
                "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
                "Exemplars refused because they were out of order.",
            ),
            too_long: registry.counter(
                "ferula_tsdb_exemplar_too_long_exemplars_total",
                "Exemplars refused because their labels have more than 128 characters.",
            ),
            unlogged: registry.counter(
                "ferula_tsdb_exemplar_unlogged_exemplars_total",
                "Exemplars refused because they could not be written to the log.",
            ),
            without_series: registry.counter(
                "ferula_tsdb_exemplar_without_series_exemplars_total",
                "Exemplars refused because their series was gone, or had no samples.",
            ),
        }
    }
}

/// Registers the metrics that are computed when they are read.
pub(super) fn show(registry: &Registry, exemplars: &Arc<Exemplars>) {
    let show = Showing::new(registry, exemplars);
    show.gauge(
        "prometheus_tsdb_exemplar_exemplars_in_storage",
        "Exemplars in the ring.",
        |exemplars| exemplars.filled().exemplars as f64,
    );
    show.gauge(
        "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
        "Series with exemplars in the ring.",
        |exemplars| exemplars.filled().series as f64,
    );
    show.gauge(
        "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
        "The time of the exemplar that has been in the ring for the longest time.",
        |exemplars| exemplars.filled().oldest as f64 / 1000.0,
    );
    show.gauge(
        "prometheus_tsdb_exemplar_max_exemplars",
        "How many exemplars the ring has room for.",
        |exemplars| f64::from(exemplars.filled().room),
    );
}
