//! Service discovery: finds the targets.
//!
//! A manager ([`Handle`]) keeps one provider per distinct configuration, which jobs share. It
//! merges what the providers find, and posts all of it to a mailbox. A failure leaves the last
//! targets in place. Owns the thread `sd-NAME` of each manager and the threads
//! `sd-KIND-N` of its providers. **Invariant:** knows nothing of scraping or relabelling, nor who
//! reads the mailbox.

mod discoverer;
mod error;
mod kinds;
mod metrics;
mod prepare;
mod source;

mod file_sd;
mod http_sd;

mod manager;
mod pace;
mod provider;

#[cfg(test)]
mod tests;

pub use manager::{Applied, Handle, Options};
pub use prepare::{Prepared, prepare};
