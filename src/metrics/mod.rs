//! Ferula's own metrics, under Prometheus's names.
//!
//! A [`Registry`] is cheap to clone and is passed to whoever counts; each room has a struct of its
//! instruments made from it. Owns the values. **Invariant:** knows no room and no HTTP.

mod encode;
mod instrument;
mod registry;

pub use instrument::{Counter, Gauge, Histogram, Summary};
pub use registry::{CounterVec, GaugeVec, HistogramVec, Registry, SummaryVec};
