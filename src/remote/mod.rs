//! The receiving side of remote write: from a request's body to samples in storage.
//!
//! Owns the receiver's buffers, which requests borrow, and its cache of series; no thread.
//! **Invariant:** knows neither the HTTP server nor the storage behind its traits.

mod cache;
mod error;
mod labels;
mod media_type;
mod metrics;
mod receiver;
mod refusals;
mod scratch;
mod series;
#[cfg(test)]
mod tests;
mod wire;

pub use media_type::AcceptedMessages;
pub use receiver::{Options, Receiver};
