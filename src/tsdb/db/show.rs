//! Metrics that are computed when they are read.

use std::sync::Arc;

use super::shared::Shared;
use crate::metrics::{Registry, Showing};
use crate::tsdb::head::{Head, HeadStats};

/// Registers the metrics of what is on disk.
pub fn show_store(registry: &Registry, shared: &Arc<Shared>) {
    let show = Showing::new(registry, shared);
    show.counter(
        "ferula_tsdb_damaged_pages_total",
        "Pages of blocks that were found damaged; queries go on without them, or by their copies.",
        |shared| {
            let store = shared.store.as_ref();
            store.map_or(0.0, |store| store.cache.damaged_pages() as f64)
        },
    );
    show.gauge(
        "prometheus_tsdb_blocks_loaded",
        "Blocks that are open.",
        |shared| shared.head.blocks().map_or(0, |blocks| blocks.len()) as f64,
    );
    show.gauge(
        "prometheus_tsdb_storage_blocks_bytes",
        "Bytes of all blocks.",
        |shared| {
            let blocks = shared.head.blocks().unwrap_or_default();
            blocks.iter().map(|block| block.meta().bytes).sum::<u64>() as f64
        },
    );
    show.gauge(
        "prometheus_tsdb_lowest_timestamp",
        "The oldest sample, in milliseconds.",
        |shared| oldest(shared) as f64,
    );
    show.gauge(
        "prometheus_tsdb_lowest_timestamp_seconds",
        "The oldest sample, in seconds.",
        |shared| (oldest(shared) / 1000) as f64,
    );
    show.gauge(
        "ferula_tsdb_head_budget_bytes",
        "Bytes of memory at which the head becomes a block.",
        |shared| shared.settings.head_budget as f64,
    );
    show.gauge(
        "ferula_tsdb_head_used_bytes",
        "Bytes of memory that samples in the head take.",
        |shared| shared.head.used_bytes().map_or(0, |used| used.0) as f64,
    );
}

/// Registers the head's metrics.
pub fn show_head(registry: &Registry, head: &Arc<Head>) {
    let show = Showing::new(registry, head);
    show.counter(
        "ferula_tsdb_clock_corrected_samples_total",
        "Samples taken late because their series' newest is dated after the clock, which was set \
         back.",
        |head| of(head, |stats| stats.corrected as f64),
    );
    show.gauge(
        "prometheus_tsdb_head_series",
        "Series in the head.",
        |head| of(head, |stats| stats.series as f64),
    );
    show.gauge(
        "prometheus_tsdb_head_chunks",
        "Chunks in the head.",
        |head| of(head, |stats| stats.chunks as f64),
    );
    show.gauge(
        "prometheus_tsdb_symbol_table_size_bytes",
        "Bytes of label names and values held in memory.",
        |head| of(head, |stats| stats.symbol_bytes as f64),
    );
    show.gauge(
        "prometheus_tsdb_head_max_time",
        "The head's newest sample, in milliseconds.",
        |head| of(head, |stats| stats.max_t as f64),
    );
    show.gauge(
        "prometheus_tsdb_head_max_time_seconds",
        "The head's newest sample, in seconds.",
        |head| of(head, |stats| (stats.max_t / 1000) as f64),
    );
    show.gauge(
        "prometheus_tsdb_head_min_time",
        "The head's oldest sample, in milliseconds.",
        |head| of(head, |stats| stats.min_t as f64),
    );
    show.gauge(
        "prometheus_tsdb_head_min_time_seconds",
        "The head's oldest sample, in seconds.",
        |head| of(head, |stats| (stats.min_t / 1000) as f64),
    );
}

/// Returns a value of the head's statistics; 0 if a panic has closed the head.
fn of(head: &Head, read: fn(&HeadStats) -> f64) -> f64 {
    head.stats().as_ref().map_or(0.0, read)
}

/// Returns the oldest time in the head and all blocks.
fn oldest(shared: &Shared) -> i64 {
    let head = shared.head.stats().map_or(i64::MAX, |stats| stats.min_t);
    let blocks = shared.head.blocks().unwrap_or_default();
    let blocks = blocks.iter().map(|block| block.meta().min_t);
    blocks.fold(head, i64::min)
}
