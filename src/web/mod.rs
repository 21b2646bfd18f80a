//! The web: the HTTP server, the router, Prometheus's HTTP API and the management endpoints.
//!
//! Owns the threads `http-accept` and `http-N` and every client's connection.
//! **Invariant:** the only room that knows the API's JSON and a server's framing. It decides
//! nothing about a component, and knows no configuration but its own file.

pub mod server;

mod context;
mod paths;
mod router;
mod state;
mod web_config;

mod api;
mod management;

mod json;

#[cfg(test)]
mod tests;

pub use context::{Context, Control, Database, Runtime, Site, WebMetrics};
pub use router::{Router, classify, handlers};
pub use state::{ConfigStatus, Phase, ReloadReport, State};
pub use web_config::WebConfig;
