//! Prometheus's HTTP API v1 (reference section 3).
//!
//! **Invariant:** no other room knows the API's JSON.

mod routes;

mod query;
mod result;

mod exemplars;
mod labels;
mod parse;
mod targets;

mod relabel;
mod write;

mod features;
mod status;
mod tsdb;

mod answer;
mod document;
mod folded;
mod parameters;

pub use routes::{handle, handlers, is_heavy, meant};
pub use status::build_info;

use answer::{Answer, ApiError, ErrorKind};
