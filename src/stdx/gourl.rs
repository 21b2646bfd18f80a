//! Splits a URL as Go's `net/url` does: as leniently (`http://:9090/x` has no host, `prom` is a
//! path), and with its errors.

use super::gofmt;

/// The parts of a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoUrl {
    /// In lower case; empty where there is none.
    pub scheme: String,
    /// What follows the scheme if no slash does, as in `localhost:9090/prom`.
    pub opaque: String,
    /// Host and port as written; empty if there is none.
    pub host: String,
    /// Unescaped.
    pub path: String,
}

impl GoUrl {
    /// Splits a URL. User, query and fragment are left out.
    ///
    /// # Errors
    /// Go's text, without the URL: `invalid port ":x" after host`.
    pub fn parse(text: &str) -> Result<GoUrl, String> {
        let text = text.split('#').next().unwrap_or_default();
        if text.bytes().any(|b| b.is_ascii_control()) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let (scheme, rest) = split_scheme(text)?;
        let rest = rest.split('?').next().unwrap_or_default();
        let mut url = GoUrl {
            scheme: scheme.to_ascii_lowercase(),
            ..GoUrl::default()
        };
        if !rest.starts_with('/') {
            if !scheme.is_empty() {
                rest.clone_into(&mut url.opaque);
                return Ok(url);
            }
            if rest
                .split('/')
                .next()
                .is_some_and(|part| part.contains(':'))
            {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        let is_path = scheme.is_empty() && rest.starts_with("///");
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) if !is_path => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            _ => ("", rest),
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        check_host(host)?;
        url.host = unescaped(host)?;
        url.path = unescaped(path)?;
        Ok(url)
    }
}

/// Splits host and port as Go's `SplitHostPort` does. Without a port the second is `None`.
pub fn split_host_port(host: &str) -> (&str, Option<&str>) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let inner = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    (inner.unwrap_or(name), port)
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    let end = text.bytes().take_while(|b| is_part(*b)).count();
    let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    match text.split_at(end) {
        ("", rest) if rest.starts_with(':') => Err("missing protocol scheme".to_owned()),
        (scheme, rest) if starts_well && rest.starts_with(':') => {
            Ok((scheme, rest.get(1..).unwrap_or_default()))
        }
        _ => Ok(("", text)),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let port = if host.starts_with('[') {
        let Some((_, port)) = host.rsplit_once(']') else {
            return Err("missing ']' in host".to_owned());
        };
        port
    } else {
        host.find(':').map_or("", |at| host.get(at..).unwrap_or(""))
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if (port.starts_with(':') || port.is_empty()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        let strange = |c: &char| c.is_ascii() && !c.is_ascii_alphanumeric();
        let known = |c: &char| "-_.~!$&'()*+,;=:[]<>\"%".contains(*c);
        return match host.chars().filter(strange).find(|c| !known(c)) {
            None => Ok(()),
            Some(c) => Err(format!("invalid character {} in host name", quoted(c))),
        };
    }
    Err(format!("invalid port {} after host", gofmt::quote(port)))
}

fn quoted(c: char) -> String {
    gofmt::quote(c.encode_utf8(&mut [0; 4]))
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        if *byte != b'%' {
            bytes.push(*byte);
            rest = tail;
            continue;
        }
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            let shown = String::from_utf8_lossy(rest.get(..3).unwrap_or(rest));
            return Err(format!("invalid URL escape {}", gofmt::quote(&shown)));
        };
        bytes.push((high * 16 + low) as u8);
        rest = tail.get(2..).unwrap_or_default();
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_as_by_go() {
        let check = |text: &str, scheme: &str, opaque: &str, host: &str, path: &str| {
            let url = GoUrl::parse(text).unwrap();
            let got = (&*url.scheme, &*url.opaque, &*url.host, &*url.path);
            assert_eq!(got, (scheme, opaque, host, path), "{text}");
        };
        check("", "", "", "", "");
        check("HTTPS://h/prom?x#y", "https", "", "h", "/prom");
        check("http://:9090/x", "http", "", ":9090", "/x");
        check("http://", "http", "", "", "");
        check("http:///x", "http", "", "", "/x");
        check("///x", "", "", "", "///x");
        check("//h:1/x", "", "", "h:1", "/x");
        check("prom", "", "", "", "prom");
        check("/a%20b", "", "", "", "/a b");
        check("localhost:9090/prom", "localhost", "9090/prom", "", "");
        check("http://u:p@[::1]:80/x", "http", "", "[::1]:80", "/x");
        check("http://ho%73t/", "http", "", "host", "/");
        let refuse = |text: &str, why: &str| {
            assert_eq!(GoUrl::parse(text).unwrap_err(), why, "{text}");
        };
        refuse(":9090", "missing protocol scheme");
        refuse(
            "127.0.0.1:9090",
            "first path segment in URL cannot contain colon",
        );
        refuse("http://h:x/", "invalid port \":x\" after host");
        refuse("http://[::1/", "missing ']' in host");
        refuse("http://a b/", "invalid character \" \" in host name");
        refuse("/%zz", "invalid URL escape \"%zz\"");
        refuse("/a\n", "net/url: invalid control character in URL");
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(split_host_port("h:1"), ("h", Some("1")));
        assert_eq!(split_host_port("[::1]:9090"), ("::1", Some("9090")));
        assert_eq!(split_host_port("[::1]"), ("::1", None));
        assert_eq!(split_host_port(":9090"), ("", Some("9090")));
        assert_eq!(split_host_port("h"), ("h", None));
    }
}
