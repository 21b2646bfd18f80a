//! Tests of the room against real sockets. The tests' servers answer from scripts.

mod auth;
mod fetch;
mod hostile;
mod plain;
mod proxy;
mod server;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use super::{Client, ClientSettings, Connection, Env, Fetch, NetError, ScrapeRequest};
use crate::metrics::Registry;
use crate::stdx::clock::RealClock;

fn env() -> Env {
    Env::new(Arc::new(RealClock::new()), &Registry::new())
}

fn client(settings: &ClientSettings) -> Client {
    Client::new(settings, "test", &env()).unwrap()
}

fn connection() -> Connection {
    client(&ClientSettings::default()).connection()
}

fn request(url: &str) -> ScrapeRequest {
    ScrapeRequest::new(url, &[("User-Agent", "Test/1")])
        .unwrap()
        .timeout(Duration::from_secs(10))
}

/// Returns status and body.
fn get(connection: &mut Connection, url: &str) -> Result<(u16, String), NetError> {
    let mut body = Vec::new();
    let response = connection.get(&request(url), &mut body)?;
    Ok((response.status, String::from_utf8(body).unwrap()))
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what get answers")]
fn ok(text: &str) -> Result<(u16, String), NetError> {
    Ok((200, text.to_owned()))
}

/// Runs `act` on another thread once `ready` holds.
fn when(ready: impl Fn() -> bool + Send + 'static, act: impl FnOnce() + Send + 'static) {
    let run = move || {
        while !ready() {
            std::thread::yield_now();
        }
        act();
    };
    std::thread::Builder::new().spawn(run).unwrap();
}
