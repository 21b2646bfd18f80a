//! An answer as the handler gives it.

use std::borrow::Cow;
use std::fmt;

use super::pieces::Pieces;

/// Status, headers and body. The server adds Date, Connection, and the length or the chunked
/// coding.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(Cow<'static, str>, String)>,
    pub body: Body,
    /// The `handler` label of the request's counters. If it is empty the request is not counted.
    pub handler: &'static str,
    /// Whether the body may be compressed, if that is worth it and the client accepts it.
    pub compress: bool,
}

pub enum Body {
    Bytes(Cow<'static, [u8]>),
    /// Made as the client takes it. It occupies no worker meanwhile.
    Pieces(Box<dyn Pieces>),
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

    /// Makes a body of JSON, compressed if that is worth it.
    pub fn json(status: u16, json: impl Into<Vec<u8>>) -> Response {
        let response = Response::new(status).header("Content-Type", "application/json");
        response.bytes(json.into()).compressed()
    }

    /// Makes a body piece by piece, compressed if the client accepts that.
    pub fn pieces(status: u16, pieces: impl Pieces + 'static) -> Response {
        let mut response = Response::new(status).compressed();
        response.body = Body::Pieces(Box::new(pieces));
        response
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
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Body::Pieces(_) => f.write_str("pieces"),
        }
    }
}

/// Returns the reason phrase of a status.
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
