//! Parses a request's head strictly: what two parsers could read in two ways is refused.
//!
//! RFC 9112 sections 2 to 7, without the leniency that it merely allows, except for empty lines
//! before a request.

use std::borrow::Cow;

use super::headers::{Headers, is_token};
use super::reject::{Reject, bad};
use super::request::{Method, Version};

/// How a request's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

#[derive(Debug, Clone)]
pub(super) struct Head {
    pub method: Method,
    pub version: Version,
    pub path: String,
    pub raw_path: String,
    pub query: String,
    pub headers: Headers,
    pub framing: Framing,
    pub keep_alive: bool,
    /// The client waits for a 100 before it sends the body.
    pub expects: bool,
}

/// LIMIT: the longest registered method has 17.
const METHOD_BYTES_MAX: usize = 32;

impl Head {
    pub fn has_body(&self) -> bool {
        self.framing != Framing::Length(0)
    }

    /// The bytes of memory.
    pub fn held(&self) -> usize {
        let texts = [&self.path, &self.raw_path, &self.query];
        self.headers.held() + texts.map(String::capacity).iter().sum::<usize>()
    }
}

/// Parses a whole head with its last empty line. Each line ends in CRLF.
pub(super) fn parse(head: &[u8], body_bytes_max: usize) -> Result<Head, Reject> {
    let head = head.strip_suffix(b"\r\n").unwrap_or(head);
    let mut parts = head.splitn(2, |b| *b == b'\n');
    let line = parts.next().unwrap_or_default();
    let lines = parts.next().unwrap_or_default();
    let (method, target, version) = request_line(line.strip_suffix(b"\r").unwrap_or(line))?;
    let (raw_path, query) = split_target(target, &method)?;
    let path = percent_decode(raw_path)?;
    let headers = Headers::parse(lines)?;
    check_host(&headers, version)?;
    let framing = framing(&headers, version, body_bytes_max)?;
    let expects = expects(&headers, version)?;
    let close = headers.has_token("connection", "close");
    let keep_alive = match version {
        Version::Http11 => !close,
        Version::Http10 => !close && headers.has_token("connection", "keep-alive"),
    };
    Ok(Head {
        method,
        version,
        path,
        raw_path: raw_path.to_owned(),
        query: query.to_owned(),
        headers,
        framing,
        keep_alive,
        expects,
    })
}

fn request_line(line: &[u8]) -> Result<(Method, &[u8], Version), Reject> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("malformed request line"));
    };
    if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.iter().all(|b| is_token(*b))
    {
        return Err(bad("invalid method"));
    }
    let method = Method::parse(std::str::from_utf8(method).map_err(|_| bad("invalid method"))?);
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Reject::new(505, "unsupported protocol version"));
        }
        _ => return Err(bad("malformed HTTP version")),
    };
    Ok((method, target, version))
}

/// Returns path and query of a target in origin form, absolute form, or `*` with OPTIONS.
fn split_target<'a>(target: &'a [u8], method: &Method) -> Result<(&'a str, &'a str), Reject> {
    let allowed = |b: &u8| *b > b' ' && *b != 0x7f;
    if target.is_empty() || !target.iter().all(allowed) {
        return Err(bad("invalid URI"));
    }
    let target = std::str::from_utf8(target).map_err(|_| bad("invalid URI"))?;
    if target == "*" && *method == Method::Options {
        return Ok(("*", ""));
    }
    let local = if target.starts_with('/') {
        target
    } else {
        let scheme = |s: &str| {
            let head = target.get(..s.len())?;
            let rest = target.get(s.len()..)?;
            head.eq_ignore_ascii_case(s).then_some(rest)
        };
        let Some(rest) = scheme("http://").or_else(|| scheme("https://")) else {
            return Err(bad("invalid URI"));
        };
        let authority = rest.find(['/', '?']).unwrap_or(rest.len());
        if authority == 0 {
            return Err(bad("invalid URI"));
        }
        rest.get(authority..).unwrap_or_default()
    };
    let (path, query) = local.split_once('?').unwrap_or((local, ""));
    Ok((if path.is_empty() { "/" } else { path }, query))
}

/// Decodes `%XX`. Bytes that are then not UTF-8 become U+FFFD.
fn percent_decode(text: &str) -> Result<String, Reject> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(bad("invalid URL escape"));
        };
        bytes.push((high * 16 + low) as u8);
    }
    if bytes.contains(&0) {
        return Err(bad("NUL byte"));
    }
    Ok(match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    })
}

fn check_host(headers: &Headers, version: Version) -> Result<(), Reject> {
    let mut hosts = headers.all("host");
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("too many Host headers"));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_~%!$&'()*+,;=:[]".contains(&b);
    match host {
        None if version == Version::Http11 => Err(bad("missing required Host header")),
        Some(host) if !host.bytes().all(allowed) => Err(bad("malformed Host header")),
        _ => Ok(()),
    }
}

fn framing(headers: &Headers, version: Version, body_bytes_max: usize) -> Result<Framing, Reject> {
    let mut codings = headers.all("transfer-encoding");
    let mut lengths = headers.all("content-length");
    let (coding, length) = (codings.next(), lengths.next());
    if let Some(coding) = coding {
        if length.is_some() {
            return Err(bad("both Transfer-Encoding and Content-Length"));
        }
        if version == Version::Http10 {
            return Err(bad("Transfer-Encoding in HTTP/1.0"));
        }
        if codings.next().is_some() || !coding.eq_ignore_ascii_case("chunked") {
            return Err(Reject::new(501, "unsupported transfer encoding"));
        }
        return Ok(Framing::Chunked);
    }
    let Some(length) = length else {
        return Ok(Framing::Length(0));
    };
    if lengths.any(|other| other != length) {
        return Err(bad("differing Content-Length headers"));
    }
    if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad("bad Content-Length"));
    }
    match length.parse::<u64>() {
        Ok(length) if length <= body_bytes_max as u64 => Ok(Framing::Length(length)),
        _ => Err(Reject::too_large(body_bytes_max)),
    }
}

fn expects(headers: &Headers, version: Version) -> Result<bool, Reject> {
    match headers.get("expect") {
        Some(what) if what.eq_ignore_ascii_case("100-continue") => Ok(version == Version::Http11),
        Some(_) => Err(Reject::new(417, "unknown expectation")),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expect: u16) {
        let status = match parse(head.as_bytes(), 100) {
            Ok(_) => 200,
            Err(reject) => reject.status,
        };
        assert_eq!(status, expect, "{head:?}");
    }

    #[test]
    fn heads() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200);
        check("GET / HTTP/1.0\r\n\r\n", 200);
        check("GET http://a:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n", 200);
        check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200);
        check("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        check("BREW /é HTTP/1.1\r\nHost: [::1]:9090\r\n\r\n", 200);
        check("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
        check("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505);
        check("GET / http/1.1\r\nHost: a\r\n\r\n", 400);
        check("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        check("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        check("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        check("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        check("GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        check("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        check("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400);
        check("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400);
    }

    #[test]
    fn lengths() {
        let with = |extra: &str, expect| {
            check(
                &format!("POST / HTTP/1.1\r\nHost: a\r\n{extra}\r\n"),
                expect,
            );
        };
        with("Content-Length: 100\r\n", 200);
        with("Content-Length: 101\r\n", 413);
        with("Content-Length: 99999999999999999999\r\n", 413);
        with("Content-Length: +1\r\n", 400);
        with("Content-Length: 1, 1\r\n", 400);
        with("Content-Length: \r\n", 400);
        with("Content-Length: 1\r\nContent-Length: 1\r\n", 200);
        with("Content-Length: 1\r\nContent-Length: 2\r\n", 400);
        with("Transfer-Encoding: Chunked\r\n", 200);
        with("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400);
        with("Transfer-Encoding: gzip, chunked\r\n", 501);
        with(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            501,
        );
        with("Expect: 100-Continue\r\n", 200);
        with("Expect: tea\r\n", 417);
        check("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    }

    #[test]
    fn parts() {
        let text = b"GET /a%20b?q=1%20 HTTP/1.1\r\nHost: a\r\nX-y:  v\t\r\n\r\n";
        let head = parse(text, 0).unwrap();
        assert_eq!(
            (head.path.as_str(), head.raw_path.as_str()),
            ("/a b", "/a%20b")
        );
        assert_eq!(head.query, "q=1%20");
        assert_eq!(head.headers.get("x-Y"), Some("v"));
        assert!(head.keep_alive && !head.has_body());
    }
}
