//! The server's URL, and the origins that may use it: `--web.external-url`,
//! `--web.route-prefix`, `--web.listen-address`, `--web.cors.origin`.

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::cli::Flags;
use crate::regex::Regex;
use crate::stdx::gofmt;
use crate::stdx::gourl::GoUrl;
use crate::web::Site;

/// Prometheus's port, for addresses without one.
const PORT: u16 = 9090;

/// Reads the flags for a machine of this name.
///
/// # Errors
/// A URL that Go would refuse or find no host in, or a pattern of origins that does not compile.
pub fn site(flags: &Flags, hostname: &str) -> Result<Site> {
    let listen = flags.list("web.listen-address");
    let listen_port = listen.first().and_then(|first| port_of(first));
    let listen_port = listen_port.unwrap_or(PORT);
    let url = external_url(flags.text("web.external-url"), hostname, listen_port)?;
    let cors_origin = match flags.text("web.cors.origin") {
        ".*" => None,
        pattern => Some(Regex::anchored(pattern).context("cannot read --web.cors.origin")?),
    };
    Ok(Site {
        route_prefix: route_prefix(flags.text("web.route-prefix"), &url),
        external_host: url.host,
        external_scheme: url.scheme,
        listen_port,
        cors_origin,
    })
}

fn port_of(address: &str) -> Option<u16> {
    let (_, port) = address.rsplit_once(':')?;
    port.parse().ok()
}

/// Returns the external URL, by default the host's name and the listening port.
fn external_url(given: &str, hostname: &str, port: u16) -> Result<GoUrl> {
    let refuse = |why: &str| {
        let given = gofmt::quote(given);
        anyhow!("cannot read --web.external-url: parse external URL {given}: {why}")
    };
    ensure!(
        !given.starts_with(['"', '\'']) && !given.ends_with(['"', '\'']),
        refuse("URL must not begin or end with quotes")
    );
    if given.is_empty() {
        return Ok(GoUrl {
            scheme: "http".to_owned(),
            host: format!("{hostname}:{port}"),
            ..GoUrl::default()
        });
    }
    let url = GoUrl::parse(given).map_err(|why| refuse(&why))?;
    // NOTE: Prometheus accepts it, and drops host and path.
    ensure!(
        url.opaque.is_empty(),
        refuse("no host in it; write it as http://HOST:PORT/PATH")
    );
    Ok(url)
}

/// Returns the route prefix, by default the external URL's path. It is empty, or starts with `/`
/// and does not end with one.
fn route_prefix(given: &str, external: &GoUrl) -> String {
    let prefix = if given.is_empty() {
        &external.path
    } else {
        given
    };
    match prefix.trim_matches('/') {
        "" => String::new(),
        prefix => format!("/{prefix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_prefixes() {
        let check = |url: &str, prefix: &str, host: &str, expect: &str| {
            let parsed = external_url(url, "gateway", 9091).unwrap();
            assert_eq!(parsed.host, host, "{url}");
            assert_eq!(route_prefix(prefix, &parsed), expect, "{url} {prefix}");
        };
        check("", "", "gateway:9091", "");
        check("https://x.example/prom/", "", "x.example", "/prom");
        check("https://x.example/prom/", "/", "x.example", "");
        check("http://x.example:80", "/a/b/", "x.example:80", "/a/b");
        check("http://:9090/x", "", ":9090", "/x");
        check("http://", "", "", "");
        check("/prom/", "", "", "/prom");
        check("prom", "", "", "/prom");
        for wrong in [
            "\"x\"",
            "localhost:9090/prom",
            "'",
            "127.0.0.1:9090",
            "http://h:x",
            ":9090",
        ] {
            assert!(external_url(wrong, "h", 1).is_err(), "{wrong}");
        }
        assert_eq!(port_of("0.0.0.0:9091"), Some(9091));
        assert_eq!(port_of("9091"), None);
    }
}
