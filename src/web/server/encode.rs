//! An answer as bytes: the head, the coding of its body, and the rest to be written.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use time::OffsetDateTime;
use time::macros::format_description;

use super::head::Head;
use super::headers::Headers;
use super::pieces::{PieceBody, Step};
use super::reject::Reject;
use super::request::{Method, Version};
use super::response::{Body, Response, reason};
use crate::metrics::Histogram;

/// LIMIT: below this the frame costs as much as is saved, and either way it is one packet.
const COMPRESS_BYTES_MIN: usize = 256;

/// The parts of the request that decide the answer's form.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub is_head: bool,
    pub version: Version,
    pub keep_alive: bool,
    pub gzip: bool,
}

impl Asked {
    pub fn of(head: &Head) -> Asked {
        Asked {
            is_head: head.method == Method::Head,
            version: head.version,
            keep_alive: head.keep_alive,
            gzip: accepts_gzip(&head.headers),
        }
    }

    /// For answers to requests that could not be read.
    pub fn nothing() -> Asked {
        Asked {
            is_head: false,
            version: Version::Http11,
            keep_alive: false,
            gzip: false,
        }
    }
}

/// The rest of an answer that is being written.
#[derive(Default)]
pub(super) struct Output {
    head: Vec<u8>,
    body: Cow<'static, [u8]>,
    at: usize,
    pieces: Option<Box<PieceBody>>,
    /// Whether the remaining pieces cannot be made.
    broken: bool,
    chunked: bool,
    /// Whether the connection serves another request afterwards.
    pub keep_alive: bool,
}

/// An answer, ready to be written.
pub(super) struct Encoded {
    pub output: Output,
    pub body_bytes: usize,
}

impl Output {
    /// Makes output of plain bytes.
    pub fn of(bytes: Vec<u8>) -> Output {
        Output {
            head: bytes,
            ..Output::default()
        }
    }

    pub fn is_done(&self) -> bool {
        self.left() == 0 && self.pieces.is_none()
    }

    /// Whether it breaks off early.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    pub fn left(&self) -> usize {
        self.head.len() + self.body.len() - self.at
    }

    /// Returns the bytes made since the last call. Making them is work, as writing is.
    pub fn take_made(&mut self) -> usize {
        self.pieces.as_mut().map_or(0, |pieces| pieces.take_made())
    }

    /// The approximate number of bytes to write in all.
    pub fn to_come(&self) -> usize {
        let pieces = self.pieces.as_ref().map_or(0, |pieces| pieces.to_come());
        self.left().saturating_add(pieces)
    }

    /// The memory held until it is done.
    pub fn held(&self) -> usize {
        let pieces = self.pieces.as_ref().map_or(0, |pieces| pieces.held());
        let body = match &self.body {
            Cow::Owned(bytes) => bytes.len(),
            Cow::Borrowed(_) => 0,
        };
        if self.left() == 0 {
            pieces
        } else {
            self.head.len() + body + pieces
        }
    }

    /// Returns the next bytes; empty at the end.
    pub fn next(&self) -> (&[u8], &[u8]) {
        let head = self.head.get(self.at..).unwrap_or_default();
        let body_at = self.at.saturating_sub(self.head.len());
        (head, self.body.get(body_at..).unwrap_or_default())
    }

    pub fn advance(&mut self, n: usize) {
        self.at += n;
        if self.left() == 0 {
            self.pull();
        }
    }

    /// Reports the size of a body of pieces to `size` once it is known. Returns false if it is
    /// known already.
    pub fn tell_size(&mut self, size: Histogram) -> bool {
        match &mut self.pieces {
            Some(pieces) => pieces.size = Some(size),
            None => return false,
        }
        true
    }

    /// Takes the next piece if nothing is left.
    pub fn pull(&mut self) {
        if self.left() > 0 {
            return;
        }
        let Some(pieces) = &mut self.pieces else {
            return;
        };
        let (piece, is_last) = match pieces.step() {
            Step::Piece(piece) => (piece, false),
            Step::Last(piece) => (piece, true),
            Step::Broken => {
                self.broken = true;
                return;
            }
        };
        self.head.clear();
        self.body = Cow::Borrowed(&[]);
        self.at = 0;
        push_chunk(&mut self.head, &piece, self.chunked);
        if is_last {
            push_last_chunk(&mut self.head, self.chunked);
            self.pieces = None;
        }
    }

    #[cfg(test)]
    pub fn text(&self) -> String {
        let (head, body) = self.next();
        String::from_utf8_lossy(&[head, body].concat()).into_owned()
    }
}

fn push_chunk(out: &mut Vec<u8>, bytes: &[u8], chunked: bool) {
    if bytes.is_empty() {
        return;
    }
    if chunked {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
    }
    out.extend_from_slice(bytes);
    if chunked {
        out.extend_from_slice(b"\r\n");
    }
}

fn push_last_chunk(out: &mut Vec<u8>, chunked: bool) {
    if chunked {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}

/// Encodes an answer. `extra` are the headers that the web configuration adds to every answer. A
/// header that the answer itself sets is not repeated.
pub(super) fn encode(
    mut response: Response,
    asked: &Asked,
    extra: &[(String, String)],
    wall_ms: i64,
) -> Encoded {
    let packs = compress(&mut response, asked);
    let bodyless = matches!(response.status, 100..=199 | 204 | 304);
    let chunked = asked.version == Version::Http11;
    let sized = matches!(response.body, Body::Bytes(_));
    let keep_alive = asked.keep_alive && (sized || bodyless || chunked);

    let mut head = String::with_capacity(256);
    let _ = write!(
        head,
        "HTTP/1.1 {} {}\r\n",
        response.status,
        reason(response.status)
    );
    let is_own = |name: &str| {
        let mut own = response.headers.iter();
        own.any(|(n, _)| n.eq_ignore_ascii_case(name))
    };
    for (name, value) in extra.iter().filter(|(name, _)| !is_own(name)) {
        push_header(&mut head, name, value);
    }
    for (name, value) in &response.headers {
        push_header(&mut head, name, value);
    }
    push_header(&mut head, "Date", &date(wall_ms));
    match &response.body {
        _ if bodyless => {}
        Body::Bytes(bytes) => push_header(&mut head, "Content-Length", &bytes.len().to_string()),
        Body::Pieces(_) if chunked => push_header(&mut head, "Transfer-Encoding", "chunked"),
        Body::Pieces(_) => {}
    }
    if !keep_alive {
        push_header(&mut head, "Connection", "close");
    } else if asked.version == Version::Http10 {
        push_header(&mut head, "Connection", "keep-alive");
    }
    head.push_str("\r\n");

    let mut encoded = Encoded {
        output: Output {
            head: head.into_bytes(),
            keep_alive,
            chunked,
            ..Output::default()
        },
        body_bytes: 0,
    };
    if !bodyless && !asked.is_head {
        match response.body {
            Body::Bytes(bytes) => {
                encoded.body_bytes = bytes.len();
                encoded.output.body = bytes;
            }
            Body::Pieces(pieces) => {
                let body = PieceBody::new(pieces);
                let body = if packs { body.compressed() } else { body };
                encoded.output.pieces = Some(Box::new(body));
            }
        }
    }
    encoded
}

/// Makes the answer to a request that could not be read. The connection closes after it.
pub(super) fn refusal(reject: &Reject, extra: &[(String, String)], wall_ms: i64) -> Output {
    let phrase = reason(reject.status);
    let text = match &*reject.why {
        "" => format!("{} {phrase}\n", reject.status),
        why => format!("{} {phrase}: {why}\n", reject.status),
    };
    let mut response = Response::text(reject.status, text);
    if reject.status == 503 {
        response = response.header("Retry-After", "1");
    }
    encode(response, &Asked::nothing(), extra, wall_ms).output
}

/// Writes a header. A name or value from foreign bytes cannot break out of its line.
fn push_header(head: &mut String, name: &str, value: &str) {
    head.push_str(name);
    head.push_str(": ");
    head.extend(
        value
            .chars()
            .map(|c| if c.is_ascii_control() { ' ' } else { c }),
    );
    head.push_str("\r\n");
}

/// Compresses the body. A body of pieces is compressed as it comes.
fn compress(response: &mut Response, asked: &Asked) -> bool {
    if !response.compress {
        return false;
    }
    response
        .headers
        .push(("Vary".into(), "Accept-Encoding".to_owned()));
    match &response.body {
        Body::Bytes(bytes) if asked.gzip && bytes.len() >= COMPRESS_BYTES_MIN => {
            let room = Vec::with_capacity(bytes.len() / 4);
            let mut encoder = GzEncoder::new(room, Compression::fast());
            let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
            // NOTE: writing to memory does not fail. If it did, the plain body would be sent.
            let Ok(packed) = packed else {
                return false;
            };
            response.body = Body::Bytes(Cow::Owned(packed));
        }
        Body::Pieces(_) if asked.gzip => {}
        _ => return false,
    }
    let coding = ("Content-Encoding".into(), "gzip".to_owned());
    response.headers.push(coding);
    true
}

fn accepts_gzip(headers: &Headers) -> bool {
    let mut codings = headers.all("accept-encoding").flat_map(|v| v.split(','));
    codings.any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = parameters.trim().strip_prefix("q=").unwrap_or("1");
        name.trim().eq_ignore_ascii_case("gzip") && quality.trim().parse::<f32>() != Ok(0.0)
    })
}

/// Writes a date (RFC 9110 5.6.7).
fn date(wall_ms: i64) -> String {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let time = OffsetDateTime::from_unix_timestamp(wall_ms.div_euclid(1000));
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(response: Response, asked: &Asked, expect: &str) {
        let encoded = encode(response, asked, &[], 784_111_777_000);
        let expect = expect.replace('\n', "\r\n");
        assert_eq!(encoded.output.text(), expect);
    }

    #[test]
    fn answers() {
        let asked = Asked {
            keep_alive: true,
            ..Asked::nothing()
        };
        let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT";
        let hi = || Response::new(200).bytes(b"hi".to_vec());
        check(
            hi(),
            &asked,
            &format!("HTTP/1.1 200 OK\n{date}\nContent-Length: 2\n\nhi"),
        );
        check(
            Response::new(204),
            &asked,
            &format!("HTTP/1.1 204 No Content\n{date}\n\n"),
        );
        let closing = format!("HTTP/1.1 404 Not Found\n{date}\nContent-Length: 0\n");
        let expect = format!("{closing}Connection: close\n\n");
        check(Response::new(404), &Asked::nothing(), &expect);
        let split = Response::new(204).header("X", "a\r\nb");
        check(
            split,
            &asked,
            &format!("HTTP/1.1 204 No Content\nX: a  b\n{date}\n\n"),
        );
        let head = Asked {
            is_head: true,
            ..asked.clone()
        };
        check(
            hi(),
            &head,
            &format!("HTTP/1.1 200 OK\n{date}\nContent-Length: 2\n\n"),
        );
        let old = Asked {
            version: Version::Http10,
            ..asked
        };
        let expect = "Content-Length: 2\nConnection: keep-alive\n\nhi";
        check(hi(), &old, &format!("HTTP/1.1 200 OK\n{date}\n{expect}"));
    }

    #[test]
    fn what_the_answer_sets_itself_stands_once() {
        let extra = ["X-Frame-Options", "X-Content-Type-Options"];
        let extra = extra.map(|name| (name.to_owned(), "configured".to_owned()));
        let response = Response::new(404).header("x-content-type-options", "nosniff");
        let encoded = encode(response, &Asked::nothing(), &extra, 0).output.text();
        let lower = encoded.to_lowercase();
        assert_eq!(
            lower.matches("x-content-type-options: nosniff\r\n").count(),
            1
        );
        assert_eq!(lower.matches("x-content-type-options").count(), 1);
        assert!(
            encoded.contains("X-Frame-Options: configured\r\n"),
            "{encoded}"
        );
    }

    #[test]
    fn gzip_is_chosen_by_the_client() {
        let check = |value: &str, expect| {
            let line = format!("Accept-Encoding: {value}\r\n");
            let headers = Headers::parse(line.as_bytes()).unwrap();
            assert_eq!(accepts_gzip(&headers), expect, "{value}");
        };
        check("gzip", true);
        check("br, GZIP ;q=0.5", true);
        check("gzip;q=0", false);
        check("gzip; q=0.0", false);
        check("identity", false);
    }
}
