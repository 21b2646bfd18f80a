//! Judges URLs as Go's `net/url` does, which differs from browsers: a lone `proxy:3128` is a URL
//! with the scheme `proxy`, a space in a path is allowed, and `10.0.0.1:3128` is refused.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::section::Section;
use crate::net::without_password;
use crate::stdx::gofmt::quote;

/// The parts of a URL that the checks of sections need.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GoUrl<'t> {
    /// In lower case; empty where there is none.
    pub scheme: String,
    /// The host with the port, as written; empty if there is none.
    pub host: &'t str,
}

/// Parses a URL.
///
/// # Errors
/// Go's text, with the URL's password hidden.
pub(super) fn parse(text: &str) -> Result<GoUrl<'_>, String> {
    let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
    let wrong = |why: String, url: &str| {
        let url = quote(&without_password(url, "xxxxx"));
        format!("parse {url}: {why}")
    };
    let parsed = parts(url).map_err(|why| wrong(why, url))?;
    escapes(fragment).map_err(|why| wrong(why, text))?;
    Ok(parsed)
}

/// Reports a key whose URL Go refuses.
pub(super) fn check(s: &Section<'_>, key: &str, text: &str) {
    if let Err(fault) = parse(text) {
        s.error_at(key, fault);
    }
}

fn parts(url: &str) -> Result<GoUrl<'_>, String> {
    if url.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (scheme, rest) = scheme(url)?;
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    let url = |host| GoUrl {
        scheme: scheme.to_ascii_lowercase(),
        host,
    };
    if !rest.starts_with('/') {
        if !scheme.is_empty() {
            return Ok(url(""));
        }
        if rest
            .split('/')
            .next()
            .is_some_and(|first| first.contains(':'))
        {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let named = !scheme.is_empty() || !rest.starts_with("///");
    let Some(after) = rest.strip_prefix("//").filter(|_| named) else {
        return escapes(rest).map(|()| url(""));
    };
    let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => ("", authority),
    };
    check_host(host)?;
    if !user
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b))
    {
        return Err("net/url: invalid userinfo".to_owned());
    }
    escapes(user)?;
    escapes(path)?;
    Ok(url(host))
}

/// Returns the scheme, which may be absent, and what follows its colon.
fn scheme(url: &str) -> Result<(&str, &str), String> {
    for (i, b) in url.bytes().enumerate() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&url[..i], &url[i + 1..])),
            _ => break,
        }
    }
    Ok(("", url))
}

fn check_host(host: &str) -> Result<(), String> {
    let port_fault = |port: &str| {
        let digits = port.strip_prefix(':').unwrap_or("x");
        let good = port.is_empty() || digits.bytes().all(|b| b.is_ascii_digit());
        (!good).then(|| format!("invalid port {} after host", quote(port)))
    };
    let Some(open) = host.rfind('[') else {
        let port = host.rfind(':').map_or("", |i| &host[i..]);
        return port_fault(port).map_or_else(|| host_escapes(host, false), Err);
    };
    let Some(close) = host.rfind(']').filter(|_| open == 0) else {
        let missing = if open == 0 {
            "missing ']' in host"
        } else {
            "invalid IP-literal"
        };
        return Err(missing.to_owned());
    };
    if let Some(fault) = port_fault(&host[close + 1..]) {
        return Err(fault);
    }
    let inner = &host[1..close];
    let (address, zone) = inner.split_at(inner.find("%25").unwrap_or(inner.len()));
    host_escapes(address, false)?;
    host_escapes(zone, true)?;
    if address.parse::<Ipv4Addr>().is_ok() {
        return Err("invalid IP-literal".to_owned());
    }
    if address.parse::<Ipv6Addr>().is_err() || zone == "%25" {
        let shown = quote(&inner.replacen("%25", "%", 1));
        return Err(format!(
            "invalid host: ParseAddr({shown}): unable to parse IP"
        ));
    }
    Ok(())
}

fn hex(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).map(|digit| digit as u8)
}

fn invalid_escape(rest: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&rest[..rest.len().min(3)]);
    format!("invalid URL escape {}", quote(&shown))
}

/// Checks every `%` of a text.
fn escapes(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    for (i, _) in text.match_indices('%') {
        let digits = bytes.get(i + 1..i + 3).unwrap_or(&[]);
        if digits.len() < 2 || !digits.iter().all(|b| hex(*b).is_some()) {
            return Err(invalid_escape(&bytes[i..]));
        }
    }
    Ok(())
}

/// Checks the escapes of a host: only characters that are not ASCII may be escaped, but more in a
/// zone.
fn host_escapes(text: &str, zone: bool) -> Result<(), String> {
    escapes(text)?;
    let plain =
        |b: u8| b >= 0x80 || b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&b);
    let bytes = text.as_bytes();
    let mut i = 0;
    while let Some(b) = bytes.get(i) {
        if *b != b'%' {
            if !plain(*b) {
                let shown = quote(&char::from(*b).to_string());
                return Err(format!("invalid character {shown} in host name"));
            }
            i += 1;
            continue;
        }
        let [high, low] = [1, 2].map(|at| bytes.get(i + at).and_then(|b| hex(*b)).unwrap_or(0));
        let value = high << 4 | low;
        let good = if zone {
            value == b' ' || plain(value)
        } else {
            value >= 0x80
        };
        if !good && value != b'%' {
            return Err(invalid_escape(&bytes[i..]));
        }
        i += 3;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each verdict is that of Go 1.26 on the same text: the host, or what follows `parse "...": `.
    #[test]
    fn verdicts_are_gos() {
        let check = |text: &str, expect: Result<(&str, &str), &str>| {
            let got = parse(text);
            let got = got.as_ref().map(|url| (url.scheme.as_str(), url.host));
            match (got, expect) {
                (Err(got), Err(expect)) => {
                    assert!(
                        got.starts_with("parse \"") && got.ends_with(expect),
                        "{text}: {got}"
                    );
                }
                (got, expect) => assert_eq!(got.map_err(String::as_str), expect, "{text}"),
            }
        };
        let colon = Err("\": first path segment in URL cannot contain colon");
        check("proxy:3128", Ok(("proxy", "")));
        check("a-b:80", Ok(("a-b", "")));
        check("127.0.0.1:3128", colon);
        check("10.0.0.1:3128/x", colon);
        check("a_b:3128", colon);
        check("1http://h", colon);
        check(" http://h/", colon);
        check(":3128", Err("\": missing protocol scheme"));
        check("//h:80", Ok(("", "h:80")));
        for text in ["", "/x", "x", "x/y:z", "x?a:b", "x#a:b", "*"] {
            check(text, Ok(("", "")));
        }
        for text in ["http://", "http:///x", "HTTP:h", "http:/h", "http://h@"] {
            check(text, Ok(("http", "")));
        }
        check("http://h:port", Err(": invalid port \":port\" after host"));
        check("http://h:99999", Ok(("http", "h:99999")));
        check("http://h:", Ok(("http", "h:")));
        check("http://:80", Ok(("http", ":80")));
        check("http://h:80:90", Ok(("http", "h:80:90")));
        check("http://[::1", Err(": missing ']' in host"));
        check("http://[::1]:80", Ok(("http", "[::1]:80")));
        check("http://[::1]80", Err(": invalid port \"80\" after host"));
        check("http://[fe80::1%25en0]/", Ok(("http", "[fe80::1%25en0]")));
        check("http://[fe80::1%en0]/", Err(": invalid URL escape \"%en\""));
        check("http://[1.2.3.4]/", Err(": invalid IP-literal"));
        check("http://a[b/", Err(": invalid IP-literal"));
        check("http://a]b/", Ok(("http", "a]b")));
        check(
            "http://[zz]/",
            Err(": invalid host: ParseAddr(\"zz\"): unable to parse IP"),
        );
        check("http://h h/", Err(": invalid character \" \" in host name"));
        check(
            "http://h\\x/",
            Err(": invalid character \"\\\\\" in host name"),
        );
        check("http://h<x>\"/", Ok(("http", "h<x>\"")));
        check("http://h/a b?c d", Ok(("http", "h")));
        check("http://h/%zz", Err(": invalid URL escape \"%zz\""));
        check("http://h/%2", Err(": invalid URL escape \"%2\""));
        check("http://h?%zz", Ok(("http", "h")));
        check("http://h#%zz", Err("#%zz\": invalid URL escape \"%zz\""));
        check("http://h%20x/", Err(": invalid URL escape \"%20\""));
        check("http://a b@h/", Err(": net/url: invalid userinfo"));
        check("http://u%zz@h/", Err(": invalid URL escape \"%zz\""));
        check("http://u:p@@h/", Ok(("http", "h")));
        check(
            "http://h\u{1}/",
            Err(": net/url: invalid control character in URL"),
        );
        check("http://é/ü", Ok(("http", "é")));
        check("ht+tp://h", Ok(("ht+tp", "h")));
        let secret = parse("http://u:s3cret@h:port/").unwrap_err();
        assert!(!secret.contains("s3cret"), "{secret}");
    }
}
