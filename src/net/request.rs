//! A scrape's request and answer, and the trait by which a scrape loop makes requests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::NetError;
use super::target_url::TargetUrl;

/// The network as a scrape loop sees it: [`Connection`](super::Connection), or a test's double.
pub trait Fetch: Send {
    /// Gets a page. `body` is cleared, then holds the page, unpacked. Any status is an answer:
    /// [`ScrapeResponse::check`] makes an error of the wrong ones.
    fn get(
        &mut self,
        request: &ScrapeRequest,
        body: &mut Vec<u8>,
    ) -> Result<ScrapeResponse, NetError>;
}

/// What stays the same from scrape to scrape of one target. Made once.
#[derive(Debug, Clone)]
pub struct ScrapeRequest {
    pub(super) url: TargetUrl,
    /// The caller's `name: value\r\n` lines, ready for the wire.
    pub(super) header_lines: Vec<u8>,
    pub(super) timeout: Duration,
    pub(super) body_limit: u64,
    pub(super) gzip: bool,
    pub(super) unix_socket: Option<PathBuf>,
    pub(super) method: &'static str,
    /// The body of a request with a method other than GET.
    pub(super) payload: Vec<u8>,
}

impl ScrapeRequest {
    /// Makes a request. `headers` are those of the scrape itself (Accept, User-Agent, …); the
    /// client's settings add theirs to each request. By default: timeout 10 s, no body limit, gzip
    /// accepted.
    pub fn new(url: &str, headers: &[(&str, &str)]) -> Result<ScrapeRequest, NetError> {
        Ok(ScrapeRequest {
            url: TargetUrl::parse(url)?,
            header_lines: header_lines(headers)?,
            timeout: Duration::from_secs(10),
            body_limit: 0,
            gzip: true,
            unix_socket: None,
            method: "GET",
            payload: Vec::new(),
        })
    }

    /// Sends a form instead of asking for a page.
    pub(super) fn post(mut self, payload: Vec<u8>) -> ScrapeRequest {
        (self.method, self.payload) = ("POST", payload);
        self
    }

    /// Sets the timeout of the whole request: resolving, connecting, TLS, head and body together.
    pub fn timeout(mut self, timeout: Duration) -> ScrapeRequest {
        self.timeout = timeout;
        self
    }

    /// Sets the size, counted after unpacking, at which a body is too big. 0 leaves only the room's
    /// own limit ([`BODY_BYTES_MAX`](super::BODY_BYTES_MAX)).
    pub fn body_limit(mut self, bytes: u64) -> ScrapeRequest {
        self.body_limit = bytes;
        self
    }

    /// Whether to ask for a packed body (`Accept-Encoding: gzip`, else `identity`).
    pub fn gzip(mut self, gzip: bool) -> ScrapeRequest {
        self.gzip = gzip;
        self
    }

    /// Connects to this socket instead of the URL's host.
    pub fn unix_socket(mut self, path: Option<&Path>) -> ScrapeRequest {
        self.unix_socket = path.map(Path::to_owned);
        self
    }
}

/// The answer's head. The body is in the caller's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeResponse {
    pub status: u16,
    /// As the server wrote it. It may be empty.
    pub reason: String,
    /// As the server wrote it. Empty if there is none.
    pub content_type: String,
    /// Bytes of the body as they arrived, before unpacking.
    pub bytes_read: u64,
}

impl ScrapeResponse {
    /// Refuses every status but 200: `server returned HTTP status 404 Not Found`.
    pub fn check(&self) -> Result<(), NetError> {
        match self.status {
            200 => Ok(()),
            status => Err(NetError::Status(format!("{status} {}", self.reason))),
        }
    }
}

/// Renders headers, and refuses those that would break the request apart.
pub(super) fn header_lines(headers: &[(&str, &str)]) -> Result<Vec<u8>, NetError> {
    let mut lines = Vec::new();
    for (name, value) in headers {
        push_header(&mut lines, name, value)?;
    }
    Ok(lines)
}

pub(super) fn push_header(out: &mut Vec<u8>, name: &str, value: &str) -> Result<(), NetError> {
    if !is_header_name(name) {
        return Err(NetError::Settings(format!(
            "net/http: invalid header field name {}",
            crate::stdx::gofmt::quote(name)
        )));
    }
    if value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
        // NOTE: without the value, which may be a secret.
        return Err(NetError::Settings(format!(
            "net/http: invalid header field value for {}",
            crate::stdx::gofmt::quote(name)
        )));
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.trim().as_bytes());
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}

/// Writes the value of `Authorization` for a user (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
