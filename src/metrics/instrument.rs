//! Counters, gauges, histograms and summaries: atomics behind cheap handles.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::stdx::atomic::{AtomicU64, Ordering::Relaxed};
use crate::stdx::locked::locked;
use crate::stdx::sort::sort_by;

/// A value that only goes up.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A value that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Counter {
    pub fn inc(&self) {
        self.add(1.0);
    }

    pub fn add(&self, by: f64) {
        add(&self.0, by);
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

impl Gauge {
    pub fn set(&self, v: f64) {
        self.0.store(v.to_bits(), Relaxed);
    }

    pub fn add(&self, by: f64) {
        add(&self.0, by);
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

fn add(cell: &AtomicU64, by: f64) {
    let _ = cell.fetch_update(Relaxed, Relaxed, |bits| {
        Some((f64::from_bits(bits) + by).to_bits())
    });
}

/// Counts of observations in buckets with upper bounds.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<HistogramCells>);

#[derive(Debug)]
struct HistogramCells {
    bounds: Vec<f64>,
    /// One per upper bound, and one more for what lies above all of them.
    buckets: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: &[f64]) -> Histogram {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        let cells = HistogramCells {
            bounds: bounds.to_vec(),
            buckets,
            sum: AtomicU64::new(0),
        };
        Histogram(Arc::new(cells))
    }

    pub fn observe(&self, v: f64) {
        let i = self
            .0
            .bounds
            .iter()
            .position(|b| v <= *b)
            .unwrap_or(self.0.bounds.len());
        if let Some(bucket) = self.0.buckets.get(i) {
            bucket.fetch_add(1, Relaxed);
        }
        add(&self.0.sum, v);
    }

    /// Returns cumulative `(le, count)` pairs with +Inf last, and the sum.
    pub(super) fn read(&self) -> (Vec<(f64, u64)>, f64) {
        let mut total = 0;
        let bounds = self.0.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds.zip(&self.0.buckets).map(|(le, bucket)| {
            total += bucket.load(Relaxed);
            (le, total)
        });
        (buckets.collect(), f64::from_bits(self.0.sum.load(Relaxed)))
    }
}

/// Quantiles of the latest observations. LIMIT: they cover the last 128 observations, so a summary
/// costs 1 KiB.
#[derive(Debug, Clone)]
pub struct Summary(Arc<SummaryCells>);

const SUMMARY_WINDOW: usize = 128;

#[derive(Debug)]
struct SummaryCells {
    quantiles: Vec<f64>,
    state: Mutex<SummaryState>,
}

#[derive(Debug, Default)]
struct SummaryState {
    latest: VecDeque<f64>,
    sum: f64,
    count: u64,
}

impl Summary {
    pub(super) fn new(quantiles: &[f64]) -> Summary {
        let state = Mutex::new(SummaryState::default());
        Summary(Arc::new(SummaryCells {
            quantiles: quantiles.to_vec(),
            state,
        }))
    }

    pub fn observe(&self, v: f64) {
        let mut state = locked(&self.0.state);
        if !self.0.quantiles.is_empty() {
            if state.latest.len() == SUMMARY_WINDOW {
                state.latest.pop_front();
            }
            state.latest.push_back(v);
        }
        state.sum += v;
        state.count += 1;
    }

    /// Returns `(quantile, value)` pairs, sum and count. Without observations the values are NaN.
    pub(super) fn read(&self) -> (Vec<(f64, f64)>, f64, u64) {
        let state = locked(&self.0.state);
        let mut sorted: Vec<f64> = state.latest.iter().copied().collect();
        sort_by(&mut sorted, f64::total_cmp);
        let at = |q: f64| {
            let i = (q * sorted.len() as f64).ceil() as usize;
            sorted
                .get(i.saturating_sub(1).min(sorted.len().saturating_sub(1)))
                .copied()
        };
        let values = self
            .0
            .quantiles
            .iter()
            .map(|q| (*q, at(*q).unwrap_or(f64::NAN)))
            .collect();
        (values, state.sum, state.count)
    }
}
