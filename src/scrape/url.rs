//! Builds a target's URL from its labels, escaped as Go's `net/url` does, since users see and
//! compare it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// `params` are in order of names.
pub(super) fn build(
    scheme: &str,
    host: &str,
    path: &str,
    params: &BTreeMap<&str, Vec<&str>>,
) -> String {
    let mut url = String::new();
    if !scheme.is_empty() {
        let _ = write!(url, "{scheme}:");
    }
    url.push_str("//");
    escape(&mut url, host, b"!$&'()*+,;=:[]<>\"");
    if !path.is_empty() && !path.starts_with('/') {
        url.push('/');
    }
    escape(&mut url, path, b"$&+,/:;=@");
    let mut separator = '?';
    for (name, values) in params {
        for value in values {
            url.push(separator);
            escape_query(&mut url, name);
            url.push('=');
            escape_query(&mut url, value);
            separator = '&';
        }
    }
    url
}

fn escape_query(out: &mut String, text: &str) {
    for (i, part) in text.split(' ').enumerate() {
        if i > 0 {
            out.push('+');
        }
        escape(out, part, b"");
    }
}

fn escape(out: &mut String, text: &str, also: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check =
            |host: &str, path: &str, params: &[(&'static str, &'static str)], expect: &str| {
                let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                for (name, value) in params {
                    by_name.entry(name).or_default().push(value);
                }
                assert_eq!(build("http", host, path, &by_name), expect);
            };
        check("h:80", "/metrics", &[], "http://h:80/metrics");
        check("[::1]:80", "metrics", &[], "http://[::1]:80/metrics");
        check("h", "/a?b c", &[], "http://h/a%3Fb%20c");
        check(
            "h",
            "",
            &[("b", "x y"), ("a", "1"), ("a", "&=é")],
            "http://h?a=1&a=%26%3D%C3%A9&b=x+y",
        );
    }
}
