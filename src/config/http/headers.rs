//! Headers that the client sends, and those that must not be set.

use std::path::PathBuf;

use crate::config::section::Section;
use crate::config::yaml::Out;
use crate::net::{HeaderSettings, Secret};
use crate::stdx::sort::sort_by;

/// Headers that the client itself sets, or that change the connection.
const RESERVED: [&str; 18] = [
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
];

pub(super) fn headers(s: &mut Section<'_>) -> Vec<HeaderSettings> {
    let Some(item) = s.get("http_headers").filter(|item| !item.is_null()) else {
        return Vec::new();
    };
    let mut headers = Vec::new();
    let mut shown = Vec::new();
    for (name, item) in item.inline_map("config.Headers") {
        if let Some(reserved) = RESERVED.iter().find(|r| r.eq_ignore_ascii_case(name)) {
            item.error(format!("setting header \"{reserved}\" is not allowed"));
        }
        let Some(mut h) = item.section("config.Header") else {
            continue;
        };
        let values = h.strings("values");
        h.put_some("values", values.as_slice());
        let secrets = h.strings("secrets");
        h.put_some(
            "secrets",
            Out::Seq(secrets.iter().map(|_| "<secret>".into()).collect()),
        );
        let files: Vec<String> = h.strings("files").iter().map(|f| h.cx.join(f)).collect();
        h.put_some("files", files.as_slice());
        shown.push((name.to_owned(), h.finish()));
        headers.push(HeaderSettings {
            name: name.to_owned(),
            values,
            secrets: secrets.into_iter().map(Secret::new).collect(),
            files: files.into_iter().map(PathBuf::from).collect(),
        });
    }
    sort_by(&mut headers, |a, b| a.name.cmp(&b.name));
    sort_by(&mut shown, |a, b| a.0.cmp(&b.0));
    s.put("http_headers", Out::Map(shown));
    headers
}

/// Checks the `headers` of remote write, remote read and tracing.
pub(in crate::config) fn check_plain_headers(
    s: &Section<'_>,
    headers: &[(String, String)],
    own: &str,
) {
    for (name, _) in headers {
        let name_lower = name.to_ascii_lowercase();
        if name_lower == "authorization" {
            s.error_at("headers", own);
        } else if name_lower != "x-prometheus-scrape-timeout-seconds"
            && RESERVED.iter().any(|r| r.eq_ignore_ascii_case(name))
        {
            s.error_at(
                "headers",
                format!("{name} is a reserved header. It must not be changed"),
            );
        }
    }
}
