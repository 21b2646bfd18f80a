//! Ferula: Prometheus for machines that are too small for it.
//!
//! The rooms are listed from the ground up. `docs/ARCHITECTURE.md` says which may use which.

// Layer 0.
pub mod stdx;

// Layer 1.
pub mod metrics;
pub mod regex;

// Layer 2.
pub mod model;

// Layer 3.
pub mod exposition;
pub mod net;
pub mod relabel;
pub mod watch;

// Layer 4.
pub mod config;
pub mod storage;

// Layer 5.
pub mod prometheus;
pub mod promql;
pub mod tsdb;

// Layer 6.
pub mod discovery;
pub mod remote;
pub mod scrape;

// Layer 7.
pub mod plan;
pub mod web;

// Layer 8.
pub mod cli;

// Layer 9.
pub mod tools;

// Layer 10.
pub mod app;

pub use app::run;
