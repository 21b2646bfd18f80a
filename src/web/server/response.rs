//! An answer as the handler gives it.

use std::borrow::Cow;
use std::fmt;
use std::io;

use super::live::{Live, LiveBody};
use super::pieces::Pieces;
use super::stream::BodyWriter;

/// Status, headers and body. The server adds Date, the length or the chunked coding, and
/// Connection.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(Cow<'static, str>, String)>,
    pub body: Body,
    /// The `handler` label under which the request is counted; empty is not counted.
    pub handler: &'static str,
    /// Whether the body may be compressed, if it is worth it and the client takes it.
    pub compress: bool,
}

/// Writes a body piece by piece.
pub type StreamFn = Box<dyn FnOnce(&mut BodyWriter<'_>) -> io::Result<()> + Send>;

pub enum Body {
    Bytes(Cow<'static, [u8]>),
    /// Written by a closure on the worker, which is busy for as long.
    Stream(StreamFn),
    /// Made as the client takes it; costs no worker while it does not.
    Pieces(Box<dyn Pieces>),
    /// Fed by a [`Live`] handle from any thread; costs no worker.
    Live(LiveBody),
}

impl Response {
    pub fn new(status: u16) -> Response {
        Response {
            status,
            headers: Vec::new(),
            body: Body::Bytes(Cow::Borrowed(&[])),
            handler: "",
            compress: false,
        }
    }

    pub fn text(status: u16, text: impl Into<String>) -> Response {
        let body = text.into().into_bytes();
        Response::new(status)
            .header("Content-Type", "text/plain; charset=utf-8")
            .bytes(body)
    }

    /// A body of JSON, compressed where that is worth it.
    pub fn json(status: u16, json: impl Into<Vec<u8>>) -> Response {
        let response = Response::new(status).header("Content-Type", "application/json");
        response.bytes(json.into()).compressed()
    }

    /// A body that a closure writes while the worker waits.
    pub fn stream(
        status: u16,
        write: impl FnOnce(&mut BodyWriter<'_>) -> io::Result<()> + Send + 'static,
    ) -> Response {
        let mut response = Response::new(status);
        response.body = Body::Stream(Box::new(write));
        response
    }

    /// A body that is made piece by piece, compressed where the client takes that.
    pub fn pieces(status: u16, pieces: impl Pieces + 'static) -> Response {
        let mut response = Response::new(status).compressed();
        response.body = Body::Pieces(Box::new(pieces));
        response
    }

    /// A body without end that the handle feeds; it ends when the handle is dropped.
    pub fn live(status: u16) -> (Response, Live) {
        let (live, body) = Live::new();
        let mut response = Response::new(status);
        response.body = Body::Live(body);
        (response, live)
    }

    pub fn bytes(mut self, body: impl Into<Cow<'static, [u8]>>) -> Response {
        self.body = Body::Bytes(body.into());
        self
    }

    pub fn header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn handler(mut self, handler: &'static str) -> Response {
        self.handler = handler;
        self
    }

    pub fn compressed(mut self) -> Response {
        self.compress = true;
        self
    }

    /// The bytes of a body that is in memory.
    pub fn body_bytes(&self) -> &[u8] {
        match &self.body {
            Body::Bytes(bytes) => bytes,
            _ => &[],
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Body::Stream(_) => f.write_str("stream"),
            Body::Pieces(_) => f.write_str("pieces"),
            Body::Live(_) => f.write_str("live"),
        }
    }
}

/// The reason phrase of a status.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        499 => "Client Closed Request",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}
