//! Tests of the server over real sockets: one for each way in which other servers were seen to
//! fail.

mod client;

mod access;
mod framing;
mod heads;
mod life;
mod load;
mod pieces;

use std::sync::Arc;

use crate::metrics::Registry;
use crate::stdx::clock::RealClock;

use super::{Class, Options, Request, Response, Server};

use client::Client;

struct Fixture {
    server: Server,
    registry: Registry,
}

/// Starts a server on a free port with the test's options.
fn start(
    change: impl FnOnce(&mut Options),
    handler: impl Fn(Request) -> Response + Send + Sync + 'static,
) -> Fixture {
    let registry = Registry::new();
    let mut options = Options::new(Arc::new(RealClock::new()), registry.clone());
    options.listen = vec!["127.0.0.1:0".to_owned()];
    options.workers = 2;
    options.classify = Arc::new(|path| match path {
        "/-/healthy" => Class::Management,
        _ => Class::Normal,
    });
    change(&mut options);
    let server = Server::start(options, Arc::new(handler)).unwrap();
    Fixture { server, registry }
}

impl Fixture {
    fn client(&self) -> Client {
        Client::connect(self.server.addresses()[0])
    }

    /// Whether the registry shows this line.
    fn shows(&self, line: &str) -> bool {
        let mut text = String::new();
        self.registry.encode(&mut text);
        text.lines().any(|l| l == line)
    }
}

/// Answers what it was asked.
fn echo(request: Request) -> Response {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let Request { method, path, .. } = &request;
    Response::text(200, format!("{method} {path} {body}")).handler("/echo")
}
