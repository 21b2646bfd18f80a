//! The head of an answer: received, bounded and parsed, with what it says about the body.

use super::NetError;
use super::deadline::Deadline;
use super::framing::Framing;
use super::stream::Stream;
use crate::stdx::gofmt::quote_bytes;

/// LIMIT: all heads of one answer together, including interim ones.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// LIMIT: header lines. They are on the stack while they are parsed (2 KiB).
const HEADERS_MAX: usize = 64;
/// The size of the first read, and of the buffer's growth.
const READ_BYTES: usize = 8 << 10;

/// What a request needs to know about the answer's head.
#[derive(Debug)]
pub(super) struct Head {
    pub status: u16,
    pub reason: String,
    pub content_type: String,
    pub location: Option<String>,
    pub gzip: bool,
    pub framing: Framing,
    /// The connection may serve another request after the body.
    pub keep_alive: bool,
}

impl Head {
    /// Reads into `buffer` until a final head is complete. Returns it and where the body begins.
    /// [`NetError::Eof`] means closed before the first byte.
    pub fn receive(
        stream: &mut Stream,
        buffer: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<(Head, usize), NetError> {
        let mut start = 0;
        let mut seen = 0;
        loop {
            let rest = buffer.get(start..).unwrap_or_default();
            check_beginning(rest)?;
            if has_end(rest, seen) {
                let (head, used) = Head::parse(rest)?;
                start += used;
                seen = 0;
                if head.status == 101 {
                    return Err(broken("unexpected 101 response"));
                }
                if head.status / 100 != 1 {
                    return Ok((head, start));
                }
                continue;
            }
            seen = rest.len();
            if buffer.len() >= HEAD_BYTES_MAX {
                return Err(NetError::Body(format!(
                    "net/http: server response headers exceeded {HEAD_BYTES_MAX} bytes; aborted"
                )));
            }
            if buffer.len() == buffer.capacity() {
                let room = HEAD_BYTES_MAX - buffer.len();
                buffer.reserve_exact(room.min(READ_BYTES));
            }
            let empty = buffer.is_empty();
            match stream.recv_into(buffer, deadline) {
                Ok(0) if empty => return Err(NetError::Eof),
                Ok(0) => return Err(NetError::UnexpectedEof),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Parses the head in `bytes`, which hold at least one whole head.
    pub fn parse(bytes: &[u8]) -> Result<(Head, usize), NetError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let used = match response.parse(bytes) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) => return Err(malformed(bytes)),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(broken(&format!("more than {HEADERS_MAX} header lines")));
            }
            Err(httparse::Error::Status | httparse::Error::Version) => {
                return Err(malformed(bytes));
            }
            Err(error) => return Err(broken(&format!("malformed MIME header: {error}"))),
        };
        let mut fields = Fields::default();
        for header in response.headers.iter() {
            fields.take(header.name, header.value)?;
        }
        let status = response.code.unwrap_or(0);
        let http_1_1 = response.version == Some(1);
        let framing = fields.framing(status, http_1_1);
        let keep_alive = fields.keep_alive(http_1_1) && !matches!(framing, Framing::ToEnd);
        let head = Head {
            status,
            reason: response.reason.unwrap_or("").to_owned(),
            content_type: fields.content_type,
            location: fields.location,
            gzip: fields.gzip,
            framing,
            keep_alive,
        };
        Ok((head, used))
    }
}

/// The headers that matter here.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    stay: bool,
    gzip: bool,
    content_type: String,
    location: Option<String>,
}

impl Fields {
    fn take(&mut self, name: &str, value: &[u8]) -> Result<(), NetError> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let text = || String::from_utf8_lossy(value).trim().to_owned();
        if is("content-length") {
            let length = parse_length(value)?;
            if self.length.is_some_and(|before| before != length) {
                return Err(broken(
                    "message cannot contain multiple Content-Length headers",
                ));
            }
            self.length = Some(length);
        } else if is("transfer-encoding") {
            if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                let shown = quote_bytes(value);
                return Err(broken(&format!("unsupported transfer encoding: {shown}")));
            }
            self.chunked = true;
        } else if is("connection") {
            for token in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                self.close |= token.eq_ignore_ascii_case(b"close");
                self.stay |= token.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if is("content-encoding") {
            self.gzip = value.trim_ascii().eq_ignore_ascii_case(b"gzip");
        } else if is("content-type") && self.content_type.is_empty() {
            self.content_type = text();
        } else if is("location") && self.location.is_none() {
            self.location = Some(text()).filter(|location| !location.is_empty());
        }
        Ok(())
    }

    fn framing(&self, status: u16, http_1_1: bool) -> Framing {
        if matches!(status, 100..=199 | 204 | 304) {
            return Framing::length(0);
        }
        match self.length {
            _ if self.chunked && http_1_1 => Framing::chunked(),
            Some(length) => Framing::length(length),
            None => Framing::ToEnd,
        }
    }

    fn keep_alive(&self, http_1_1: bool) -> bool {
        // NOTE: an answer with both is read by its chunks, but its sender is not trusted with a
        // second request.
        let ambiguous = self.chunked && self.length.is_some();
        !self.close && (http_1_1 || self.stay) && !ambiguous
    }
}

fn parse_length(value: &[u8]) -> Result<u64, NetError> {
    let digits = value.trim_ascii();
    let text = str::from_utf8(digits).unwrap_or("");
    match text.parse() {
        Ok(length) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(length),
        _ => Err(broken(&format!(
            "bad Content-Length {}",
            quote_bytes(value)
        ))),
    }
}

/// Whether an empty line ends the head. `seen` bytes were looked at before. ORDER: one pass that
/// ends at the first empty line, because most of a first read is body.
pub(super) fn has_end(bytes: &[u8], seen: usize) -> bool {
    let from = seen.saturating_sub(3);
    let mut rest = bytes.get(from..).unwrap_or_default();
    while let Some(at) = rest.iter().position(|b| *b == b'\n') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            return true;
        }
    }
    false
}

/// Refuses early what cannot become a head, before a whole buffer of it is read.
fn check_beginning(bytes: &[u8]) -> Result<(), NetError> {
    let n = bytes.len().min(5);
    match bytes.get(..n) {
        Some(start) if !b"HTTP/".starts_with(start) => Err(malformed(bytes)),
        _ => Ok(()),
    }
}

fn malformed(bytes: &[u8]) -> NetError {
    let line = bytes.split(|b| matches!(b, b'\r' | b'\n')).next();
    let line = line.unwrap_or_default();
    // LIMIT: this much of a garbage page is enough.
    let line = line.get(..80).unwrap_or(line);
    broken(&format!("malformed HTTP response {}", quote_bytes(line)))
}

fn broken(what: &str) -> NetError {
    NetError::Protocol(what.to_owned())
}
