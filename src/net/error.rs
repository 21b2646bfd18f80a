//! What can go wrong between a request and its answer, in the words that Prometheus's users know.

use std::io;
use std::path::PathBuf;

use crate::stdx::gofmt::quote;

/// The room's error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// A request that got no usable answer. `method` is written as in Go (`Get`).
    #[error("{method} {}: {source}", quote(url))]
    Request {
        method: String,
        url: String,
        source: Box<NetError>,
    },
    #[error("context deadline exceeded")]
    Deadline,
    #[error("context canceled")]
    Canceled,
    /// Code and reason, such as `404 Not Found`.
    #[error("server returned HTTP status {0}")]
    Status(String),
    #[error("body size limit exceeded")]
    BodyTooBig,
    /// The body is larger than is ever accepted, whatever limit was asked for.
    #[error(
        "{form}body of {bytes} bytes or more: the built-in guard takes none, body_size_limit or not"
    )]
    BodyGuard {
        /// `packed `, or nothing.
        form: &'static str,
        bytes: u64,
    },
    #[error("dial {network} {address}: connect: {reason}")]
    Dial {
        network: &'static str,
        address: String,
        reason: String,
    },
    #[error("dial tcp {address}: i/o timeout")]
    DialTimeout { address: String },
    #[error("dial tcp: lookup {host}: {reason}")]
    Lookup { host: String, reason: String },
    /// `operation` is `read` or `write`.
    #[error("{operation} {address}: {operation}: {reason}")]
    Socket {
        operation: &'static str,
        address: String,
        reason: String,
    },
    /// The other side closed before any byte of an answer.
    #[error("EOF")]
    Eof,
    #[error("unexpected EOF")]
    UnexpectedEof,
    #[error("net/http: HTTP/1.x transport connection broken: {0}")]
    Protocol(String),
    #[error("{0}")]
    Body(String),
    #[error("{0}")]
    Tls(String),
    #[error("stopped after 10 redirects")]
    TooManyRedirects,
    #[error("{0}")]
    Proxy(String),
    #[error("oauth2: {0}")]
    OAuth2(String),
    /// A file that the settings name, at the time when it is needed.
    #[error("unable to read {what}: unable to read file {}: {reason}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        reason: String,
    },
    /// Settings or a URL that can never work.
    #[error("{0}")]
    Settings(String),
}

impl NetError {
    /// Wraps the error as Go's client does: `Get "http://…": cause`.
    pub(super) fn of_request(self, method: &str, url: &str) -> NetError {
        let mut shown = method.to_ascii_lowercase();
        if let Some(first) = shown.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        NetError::Request {
            method: shown,
            url: without_password(url, "***"),
            source: Box::new(self),
        }
    }

    /// Returns the innermost error, without the request around it.
    pub fn cause(&self) -> &NetError {
        match self {
            NetError::Request { source, .. } => source.cause(),
            other => other,
        }
    }

    pub fn is_timeout(&self) -> bool {
        matches!(
            self.cause(),
            NetError::Deadline | NetError::DialTimeout { .. }
        )
    }

    pub fn is_canceled(&self) -> bool {
        matches!(self.cause(), NetError::Canceled)
    }
}

/// Returns the system's reason as Go shows it: `connection refused`.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = match text.rfind(" (os error ") {
        Some(at) => text.get(..at).unwrap_or(&text),
        None => &text,
    };
    // NOTE: names such as "I/O" keep their capitals; sentences begin in lower case.
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(a), Some(b)) if b.is_lowercase() || b == ' ' => {
            let rest = text.get(a.len_utf8()..).unwrap_or("");
            format!("{}{rest}", a.to_lowercase())
        }
        _ => text.to_owned(),
    }
}

/// Replaces the password in a URL by `mark`, which is `***` in Go's errors and `xxxxx` elsewhere.
pub fn without_password(url: &str, mark: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, host) = authority.rsplit_once('@').unwrap_or_default();
    match user.split_once(':') {
        Some((name, _)) => format!("{scheme}://{name}:{mark}@{host}{tail}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_error_reads_like_gos() {
        let refused = NetError::Dial {
            network: "tcp",
            address: "127.0.0.1:1".into(),
            reason: reason(&io::Error::from_raw_os_error(libc::ECONNREFUSED)),
        };
        let shown = refused.of_request("GET", "http://127.0.0.1:1/metrics");
        assert_eq!(
            shown.to_string(),
            "Get \"http://127.0.0.1:1/metrics\": dial tcp 127.0.0.1:1: connect: connection refused"
        );
    }

    #[test]
    fn passwords_do_not_show() {
        let shown = NetError::Eof.of_request("GET", "http://me:pw@host/x?y=@z");
        assert_eq!(shown.to_string(), "Get \"http://me:***@host/x?y=@z\": EOF");
    }
}
