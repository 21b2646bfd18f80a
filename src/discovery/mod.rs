//! Service discovery: which targets there are.
//!
//! A manager ([`Handle`]) keeps one provider for each different configuration, shared by the jobs
//! that have it, merges what the providers find, and posts the whole to a mailbox. Whatever fails
//! leaves the last targets in place. Owns the thread `sd-NAME` of each manager and the threads
//! `sd-KIND-N` of its providers. **Invariant:** knows nothing of scraping, of relabelling, nor of
//! who reads the mailbox.

mod discoverer;
mod error;
mod kinds;
mod metrics;
mod prepare;

mod file_sd;
mod http_sd;

mod manager;
mod pace;
mod provider;

#[cfg(test)]
mod tests;

pub use manager::{Applied, Handle, Options};
pub use prepare::{Prepared, prepare};
