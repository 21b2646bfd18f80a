//! `<http_config>`: how a section's client authenticates, encrypts, and uses proxies.
//!
//! Owns nothing. **Invariant:** knows no section that contains it.

mod auth;
mod client;
mod headers;
mod proxy;
mod tls;

pub(super) use client::http;
pub(super) use headers::check_plain_headers;
pub(super) use tls::tls;
