//! The only room that knows the HTTP clients.
//!
//! Scrapes use a small HTTP/1.1 client of this room ([`Connection`]) on a socket that reads
//! straight into the caller's buffer. Everything else (discovery, tokens, remote write) uses `ureq`
//! ([`Client::fetch`]). Both connect in the same way: resolve, dial, proxy, TLS. Owns the
//! `resolve-N` threads. **Invariant:** its settings are plain values; it knows no configuration
//! file and nothing of what it carries.

mod settings;

mod body;
mod client;
mod common;
mod connection;
mod fetch;
mod framing;
mod gzip;
mod request;
mod response;
mod wire;

mod auth;
mod oauth2;
mod watched_file;

mod dial;
mod proxy;
mod resolver;
mod socket;
mod stream;
mod target_url;
mod tls;
mod tls_error;
mod tls_signatures;
mod tls_verify;

mod counters;
mod deadline;
mod env;
mod error;

#[cfg(any(test, fuzzing))]
mod fuzz;
#[cfg(test)]
mod tests;

pub use client::{Client, Strictness};
pub use connection::Connection;
pub use fetch::{FetchRequest, Fetched};

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use fuzz::check_response;

pub use env::Env;
pub use error::{NetError, without_password};
pub use request::{Fetch, ScrapeRequest, ScrapeResponse};
pub use settings::{
    Authorization, BasicAuth, ClientSettings, HeaderSettings, OAuth2, ProxySettings, Secret,
    SecretSource, TlsSettings, TlsVersion,
};
pub(crate) use tls_signatures::checks_signatures_with;

/// The user agent of every request. Prometheus's name comes first, since exporters and firewalls
/// know it.
pub const USER_AGENT: &str = concat!("Prometheus/3.14.0 Ferula/", env!("CARGO_PKG_VERSION"));

/// The largest unpacked body of a request without a limit of its own. LIMIT: no exporter comes
/// near, and a small machine survives holding one such page.
pub const BODY_BYTES_MAX: u64 = if cfg!(target_pointer_width = "32") {
    64 << 20
} else {
    256 << 20
};
