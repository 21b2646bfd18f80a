//! Health, readiness, reload, quit and our own metrics (reference section 3.4).

use std::sync::atomic::Ordering::Relaxed;

use super::api;
use super::context::Context;
use super::server::{Method, Request, Response};
use super::state::Phase;

/// Paths with a worker of their own, so that they answer whatever the others do.
pub const RESERVED: &[&str] = &["/-/healthy", "/-/ready", "/-/quit", "/metrics"];

/// Answers a path outside of the API. Returns `None` if it is unknown.
pub fn handle(context: &Context, request: &Request, path: &str) -> Option<Response> {
    let get = matches!(request.method, Method::Get | Method::Head);
    let response = match path {
        "/-/healthy" if get => told(request, "Prometheus Server is Healthy.\n"),
        "/-/ready" if get => {
            not_ready(context).unwrap_or_else(|| told(request, "Prometheus Server is Ready.\n"))
        }
        "/-/reload" | "/-/quit" => lifecycle(context, request, path),
        "/metrics" if get => metrics(context),
        "/version" if get => Response::json(200, api::build_info()),
        "/" if get => Response::text(200, WELCOME),
        "/-/healthy" | "/-/ready" | "/metrics" | "/version" | "/" => {
            Response::text(405, "Method Not Allowed\n").header("Allow", "GET, HEAD")
        }
        _ => return None,
    };
    Some(response.handler(handler_label(path)))
}

const WELCOME: &str = "Ferula is running.\n\
    API: /api/v1/query?query=up   Targets: /api/v1/targets   Own metrics: /metrics\n";

/// The `handler` labels of these paths.
pub const HANDLERS: &[&str] = &[
    "/",
    "/-/healthy",
    "/-/quit",
    "/-/ready",
    "/-/reload",
    "/metrics",
    "/version",
];

/// Returns the path that differs from this one only in case.
pub fn meant(path: &str) -> Option<&'static str> {
    let mut paths = HANDLERS.iter().copied();
    paths.find(|known| known.eq_ignore_ascii_case(path))
}

fn handler_label(path: &str) -> &'static str {
    HANDLERS.iter().find(|h| **h == path).copied().unwrap_or("")
}

/// NOTE: without a body there is no type, as in Prometheus.
fn told(request: &Request, text: &'static str) -> Response {
    match request.method {
        Method::Head => Response::new(200),
        _ => Response::text(200, text),
    }
}

/// Returns the answer of every path that needs the components, before they run and after.
pub fn not_ready(context: &Context) -> Option<Response> {
    let stopping = match context.state.phase() {
        Phase::Ready => return None,
        Phase::Starting => "false",
        Phase::Stopping => "true",
    };
    let response = Response::text(503, "Service Unavailable");
    Some(response.header("X-Prometheus-Stopping", stopping))
}

fn lifecycle(context: &Context, request: &Request, path: &str) -> Response {
    if !matches!(request.method, Method::Post | Method::Put) {
        let refused = Response::text(405, "Only POST or PUT requests allowed");
        return refused.header("Allow", "POST, PUT");
    }
    if !context.control.enabled {
        return Response::text(403, "Lifecycle API is not enabled.");
    }
    if path == "/-/quit" {
        (context.control.quit)();
        return Response::text(200, "Requesting termination... Goodbye!");
    }
    match (context.control.reload)() {
        Ok(()) => Response::new(200),
        Err(errors) => Response::text(500, format!("failed to reload config: {errors}\n")),
    }
}

fn metrics(context: &Context) -> Response {
    context.metrics.in_flight.add(1.0);
    // NOTE: a page that grew by doubling would leave its halves in the heap.
    let mut body = String::with_capacity(context.metrics.page_bytes.load(Relaxed));
    context.registry.encode(&mut body);
    context
        .metrics
        .page_bytes
        .store(body.len() + body.len() / 16, Relaxed);
    context.metrics.in_flight.add(-1.0);
    context.metrics.scrapes_ok.inc();
    Response::new(200)
        .header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        .bytes(body.into_bytes())
        .compressed()
}
