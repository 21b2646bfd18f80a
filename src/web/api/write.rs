//! `POST /api/v1/write`: remote write over the HTTP server.

use crate::remote::Receiver;
use crate::web::context::Context;
use crate::web::server::{Method, Request, Response};

pub const HANDLER: &str = "/api/v1/write";

/// Receives a write. It answers in plain text, as Prometheus does here.
pub fn write(context: &Context, request: &Request) -> Response {
    if request.method != Method::Post {
        return plain(405, "Method Not Allowed").header("Allow", "OPTIONS, POST");
    }
    match &context.receiver {
        Some(receiver) => receive(receiver, request),
        None => plain(
            404,
            "remote write receiver needs to be enabled with --web.enable-remote-write-receiver",
        ),
    }
}

fn receive(receiver: &Receiver, request: &Request) -> Response {
    let encoding = request.header("content-encoding");
    let content_type = request.header("content-type");
    match receiver.receive(encoding, content_type, &request.body) {
        Ok(()) => Response::new(204),
        Err(error) => plain(error.status(), &error.to_string()),
    }
}

fn plain(status: u16, text: &str) -> Response {
    Response::text(status, format!("{text}\n")).header("X-Content-Type-Options", "nosniff")
}
