//! The HTTP server: connections, requests and answers, with a limit and a deadline on everything.
//!
//! One thread, `http-accept`, owns the listeners and every connection that waits for something: a
//! request, the rest of a body, a slow reader. Only complete work goes to the workers `http-N`, so
//! no client, however slow, occupies one. `http-0` serves only health, readiness, quit and
//! metrics. The framing of HTTP/1.x is our own. `ureq-proto`'s server half is lax about bare LF,
//! obs-fold, Host, lengths and endless trailers. These rules are checked here, per byte and line;
//! what would be left for the crate is one table of chunk states.
//!
//! Owns threads, sockets, and the cache of verified passwords.
//! **Invariant:** knows no path and no handler; it asks the [`Handler`].

// What callers see.
mod options;
mod pieces;
mod request;
mod response;
mod start;

// The poller.
mod accept;
mod lanes;
mod listen;
mod poller;
mod slot;
mod writing;

// The workers.
mod conn;
mod worker;

// Bytes.
mod body;
mod encode;
mod head;
mod headers;
mod multipart;
mod reject;
mod scan;

// Who may ask.
mod access;
mod san;
mod tls;

// What all share.
mod budget;
mod metrics;
mod shared;

#[cfg(any(test, fuzzing))]
mod fuzz;
#[cfg(test)]
mod tests;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use fuzz::check_request_head;
pub use headers::Headers;
pub use options::{Class, Handler, Options};
pub use pieces::Pieces;
pub use request::{Form, FormError, Method, Request};
pub use response::{Body, Response};
pub use start::{Server, ServerError};

pub(super) use tls::{ClientAuth, TlsSettings, is_known_cipher, is_known_curve, server_config};
