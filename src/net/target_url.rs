//! An `http` or `https` URL split for the wire.

use url::Url;

use super::NetError;
use crate::stdx::gofmt::quote;

/// A URL as it was given, and its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TargetUrl {
    text: String,
    pub https: bool,
    /// Lower case, without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    /// The value of `Host`: as it was given, including a default port.
    pub authority: String,
    /// Path and query, percent-encoded, never empty.
    pub path: String,
    /// The URL's own user and password, decoded.
    pub user: Option<(String, String)>,
}

impl TargetUrl {
    pub fn parse(text: &str) -> Result<TargetUrl, NetError> {
        let wrong = |reason: &str| NetError::Settings(format!("parse {}: {reason}", quote(text)));
        // A port without a host means this machine, as Go dials it.
        let local = text
            .split_once("://:")
            .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
            .map(|(scheme, rest)| format!("{scheme}://localhost:{rest}"));
        let url = Url::parse(local.as_deref().unwrap_or(text));
        let url = url.map_err(|error| wrong(&error.to_string()))?;
        TargetUrl::from_url(&url, text).ok_or_else(|| match url.scheme() {
            "http" | "https" => wrong("no host in request URL"),
            scheme => NetError::Settings(format!("unsupported protocol scheme {}", quote(scheme))),
        })
    }

    /// Resolves `location` against this URL.
    pub fn join(&self, location: &str) -> Result<TargetUrl, NetError> {
        let wrong = || {
            NetError::Protocol(format!(
                "failed to parse Location header {}",
                quote(location)
            ))
        };
        let base = Url::parse(&self.text).map_err(|_| wrong())?;
        let url = base.join(location).map_err(|_| wrong())?;
        TargetUrl::from_url(&url, url.as_str()).ok_or_else(|| {
            NetError::Settings(format!(
                "unsupported protocol scheme {}",
                quote(url.scheme())
            ))
        })
    }

    fn from_url(url: &Url, text: &str) -> Option<TargetUrl> {
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let user = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let password = url.password().unwrap_or("");
            (percent_decoded(url.username()), percent_decoded(password))
        });
        Some(TargetUrl {
            text: text.to_owned(),
            https,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default()?,
            authority: raw_authority(text, url, host),
            path,
            user,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn same_server(&self, other: &TargetUrl) -> bool {
        self.https == other.https && self.host == other.host && self.port == other.port
    }
}

/// Writes `host:port`, with brackets where they are needed.
pub(super) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Returns the authority as written, because Go sends a default port that is written out. For names
/// that are not ASCII, it returns what the URL parser made of them.
fn raw_authority(text: &str, url: &Url, host: &str) -> String {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let raw = rest.split(['/', '?', '#', '\\']).next().unwrap_or("");
    let raw = raw.rsplit_once('@').map_or(raw, |(_, host)| host);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    if !raw.is_empty() && raw.bytes().all(plain) {
        return raw.to_owned();
    }
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let pair = (ahead.next().and_then(hex), ahead.next().and_then(hex));
        match (byte, pair) {
            (b'%', (Some(high), Some(low))) => {
                out.push(high << 4 | low);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, host: &str, port: u16, authority: &str, path: &str) {
        let url = TargetUrl::parse(text).unwrap();
        assert_eq!(
            (&*url.host, url.port, &*url.authority, &*url.path),
            (host, port, authority, path),
            "{text}"
        );
    }

    #[test]
    fn urls_come_apart() {
        check("http://h", "h", 80, "h", "/");
        check("http://h:80/m?a=b", "h", 80, "h:80", "/m?a=b");
        check("https://u:p@h:9/x", "h", 9, "h:9", "/x");
        check("http://[::1]:9100/m", "::1", 9100, "[::1]:9100", "/m");
        check("http://h/m#f", "h", 80, "h", "/m");
        check("http://:9100/m", "localhost", 9100, ":9100", "/m");
        check("http://h/a b", "h", 80, "h", "/a%20b");
    }

    #[test]
    fn users_are_decoded() {
        let url = TargetUrl::parse("http://a%40b:p%3aw@h/").unwrap();
        assert_eq!(url.user, Some(("a@b".into(), "p:w".into())));
    }

    #[test]
    fn other_schemes_are_refused() {
        assert!(TargetUrl::parse("ftp://h/").is_err());
        assert!(TargetUrl::parse("h:1/x").is_err());
        assert!(TargetUrl::parse("http://").is_err());
    }
}
