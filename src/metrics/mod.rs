//! Ferula's own metrics, under Prometheus's names.
//!
//! A [`Registry`] is cheap to clone and is passed to every room that counts. Each room makes a
//! struct of its instruments from it. Owns the values. **Invariant:** knows no room and no HTTP.

mod encode;
mod instrument;
mod registry;
mod showing;

pub use instrument::{Counter, Gauge, Histogram, Summary};
pub use registry::{CounterVec, GaugeVec, HistogramVec, Registry, SummaryVec};
pub use showing::Showing;
