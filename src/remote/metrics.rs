//! The receiver's metrics.

use crate::metrics::{Counter, Registry};

#[derive(Debug)]
pub(super) struct ReceiverMetrics {
    pub samples: Counter,
    pub invalid_labels: Counter,
    pub unordered: Counter,
    pub exemplars_dropped: Counter,
    pub histograms_dropped: Counter,
    pub metadata_dropped: Counter,
    pub series_resolved: Counter,
}

impl ReceiverMetrics {
    pub fn new(registry: &Registry) -> ReceiverMetrics {
        // NOTE: shown as in Prometheus. Only version 2 has metadata of samples.
        registry.counter(
            "prometheus_api_remote_write_without_metadata_appended_samples_total",
            "Samples received by remote write and stored without metadata.",
        );
        ReceiverMetrics {
            samples: registry.counter(
                "ferula_remote_write_received_samples_total",
                "Samples received by remote write and handed to the storage.",
            ),
            invalid_labels: registry.counter(
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "Series received by remote write and left out because of invalid labels.",
            ),
            unordered: registry.counter(
                "ferula_remote_write_received_unordered_samples_total",
                "Samples left out because an earlier sample of the same request was not older.",
            ),
            exemplars_dropped: registry.counter(
                "ferula_remote_write_received_exemplars_dropped_total",
                "Exemplars received by remote write and left out: not wanted, without a series, not valid.",
            ),
            histograms_dropped: registry.counter(
                "ferula_remote_write_received_histograms_dropped_total",
                "Native histograms received by remote write, which are not stored.",
            ),
            metadata_dropped: registry.counter(
                "ferula_remote_write_received_metadata_dropped_total",
                "Metadata received by remote write, which are not stored.",
            ),
            series_resolved: registry.counter(
                "ferula_remote_write_received_series_resolved_total",
                "Series whose labels had to be read, because the receiver's cache had them not.",
            ),
        }
    }
}
