//! Paths that are almost those of a route: clients are redirected as by Prometheus's routers.

use super::server::{Method, Request, Response};

/// Returns the path without empty parts, `.` and `..`, if it has any. A slash at the end stays.
/// Escapes in it are left alone.
pub fn cleaned(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut clean = String::with_capacity(path.len());
    for part in &parts {
        clean.push('/');
        clean.push_str(part);
    }
    if parts.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    (clean != path).then_some(clean)
}

/// Redirects permanently to the proper name of the same place.
pub fn moved(request: &Request, path: &str) -> Response {
    let status = match request.method {
        Method::Get => 301,
        // NOTE: 308 says that the method stays.
        _ => 308,
    };
    redirect(request, status, path)
}

/// Redirects to a path of this server, with the query. `path` may be escaped.
pub fn redirect(request: &Request, status: u16, path: &str) -> Response {
    let mut to = escaped(path);
    if !request.query.is_empty() {
        to.push('?');
        to.push_str(&ascii(&request.query));
    }
    let response = Response::new(status).header("Location", to.as_str());
    match request.method {
        Method::Get => response
            .header("Content-Type", "text/html; charset=utf-8")
            .bytes(
                format!(
                    "<a href=\"{}\">{}</a>.\n\n",
                    html(&to),
                    response_text(status)
                )
                .into_bytes(),
            ),
        Method::Head => response.header("Content-Type", "text/html; charset=utf-8"),
        _ => response,
    }
}

fn response_text(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        302 => "Found",
        308 => "Permanent Redirect",
        _ => "Temporary Redirect",
    }
}

/// Writes `%XX` for what may not be in a path. That includes a backslash: browsers read it as a
/// slash, and `/\host` as another host.
fn escaped(path: &str) -> String {
    let stands = |b: u8| b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@/%".contains(&b);
    percent_encoded(path, stands)
}

/// Writes `%XX` for what is not ASCII.
fn ascii(query: &str) -> String {
    percent_encoded(query, |b| b.is_ascii())
}

fn percent_encoded(text: &str, stands: impl Fn(u8) -> bool) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stands(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        let check = |path: &str, expect: Option<&str>| {
            assert_eq!(cleaned(path).as_deref(), expect, "{path}");
        };
        check("/", None);
        check("/-/ready", None);
        check("/-/ready/", None);
        check("//", Some("/"));
        check("//-/ready", Some("/-/ready"));
        check("/-//ready//", Some("/-/ready/"));
        check("/./-/ready", Some("/-/ready"));
        check("/x/../-/ready", Some("/-/ready"));
        check("/../../..", Some("/"));
        check("/x/.", Some("/x"));
        check("/x/./", Some("/x/"));
        check("/%2e%2e/a%2Fb", None);
        check("//a%2F/%c3%b6", Some("/a%2F/%c3%b6"));
        check("/...", None);
        check("*", None);
    }

    #[test]
    fn a_location_is_on_this_server() {
        assert_eq!(escaped("/\\evil.example"), "/%5Cevil.example");
        assert_eq!(escaped("/ä\"%20"), "/%C3%A4%22%20");
        assert_eq!(ascii("a=ä&b=\"%20"), "a=%C3%A4&b=\"%20");
        assert_eq!(html("/?a='\"><b"), "/?a=&#39;&#34;&gt;&lt;b");
    }
}
