//! Under which URL the server is reached: `--web.external-url`, `--web.route-prefix`.

use anyhow::{Context as _, ensure};
use url::Url;

/// The external URL and the prefix of all paths.
#[derive(Debug, PartialEq, Eq)]
pub struct ExternalUrl {
    pub scheme: String,
    pub host: String,
    pub port: u16,
    /// Empty, or starts with `/` and does not end with one.
    pub route_prefix: String,
}

/// Reads the two flags as Prometheus does: without an external URL it is the host's name and the
/// port that is listened on; without a prefix it is the external URL's path.
pub fn external_url(
    url: &str,
    route_prefix: &str,
    hostname: &str,
    listen: &str,
) -> anyhow::Result<ExternalUrl> {
    ensure!(
        !url.starts_with(['"', '\'']) && !url.ends_with(['"', '\'']),
        "parse external URL {url:?}: URL must not begin or end with quotes"
    );
    let port = listen.rsplit_once(':').map_or("9090", |(_, port)| port);
    let whole = if url.is_empty() {
        format!("http://{hostname}:{port}/")
    } else {
        url.to_owned()
    };
    let parsed = Url::parse(&whole).with_context(|| format!("parse external URL {whole:?}"))?;
    let prefix = if route_prefix.is_empty() {
        parsed.path()
    } else {
        route_prefix
    };
    let prefix = prefix.trim_matches('/');
    Ok(ExternalUrl {
        scheme: parsed.scheme().to_owned(),
        host: parsed.host_str().unwrap_or(hostname).to_owned(),
        port: parsed.port_or_known_default().unwrap_or(9090),
        route_prefix: if prefix.is_empty() {
            String::new()
        } else {
            format!("/{prefix}")
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_prefixes() {
        let check = |url: &str, prefix: &str, host: &str, port: u16, expect: &str| {
            let got = external_url(url, prefix, "gateway", "0.0.0.0:9091").unwrap();
            assert_eq!((got.host.as_str(), got.port), (host, port), "{url}");
            assert_eq!(got.route_prefix, expect, "{url} {prefix}");
        };
        check("", "", "gateway", 9091, "");
        check("https://x.example/prom/", "", "x.example", 443, "/prom");
        check("https://x.example/prom/", "/", "x.example", 443, "");
        check("http://x.example:80", "/a/b/", "x.example", 80, "/a/b");
        assert!(external_url("\"x\"", "", "h", ":1").is_err());
    }
}
