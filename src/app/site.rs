//! Under which URL the server is reached, and from which pages: `--web.external-url`,
//! `--web.route-prefix`, `--web.listen-address`, `--web.cors.origin`.

use anyhow::{Context as _, Result, ensure};
use url::Url;

use crate::cli::Flags;
use crate::regex::Regex;
use crate::web::Site;

/// Prometheus's port, where an address names none.
const PORT: u16 = 9090;

/// What the flags say of a machine of this name.
///
/// # Errors
/// A URL that is none, or a pattern of origins that does not compile.
pub fn site(flags: &Flags, hostname: &str) -> Result<Site> {
    let listen = flags.list("web.listen-address");
    let listen_port = listen.first().and_then(|first| port_of(first));
    let external = flags.text("web.external-url");
    let url = external_url(external, hostname, listen_port.unwrap_or(PORT))?;
    let prefix = flags.text("web.route-prefix");
    let cors_origin = match flags.text("web.cors.origin") {
        ".*" => None,
        pattern => Some(Regex::anchored(pattern).context("cannot read --web.cors.origin")?),
    };
    Ok(Site {
        route_prefix: route_prefix(prefix, &url),
        external_host: url.host_str().unwrap_or(hostname).to_owned(),
        external_port: url.port_or_known_default().unwrap_or(PORT),
        external_scheme: url.scheme().to_owned(),
        listen_port: listen_port.unwrap_or(PORT),
        cors_origin,
    })
}

fn port_of(address: &str) -> Option<u16> {
    let (_, port) = address.rsplit_once(':')?;
    port.parse().ok()
}

/// Without one it is the host's name and the port that is listened on; so it is with a path alone,
/// which as in Prometheus is what has no scheme.
fn external_url(given: &str, hostname: &str, port: u16) -> Result<Url> {
    let flag = "cannot read --web.external-url";
    ensure!(
        !given.starts_with(['"', '\'']) && !given.ends_with(['"', '\'']),
        "{flag}: parse external URL {given:?}: URL must not begin or end with quotes"
    );
    let parse = || format!("{flag}: parse external URL {given:?}");
    let own = Url::parse(&format!("http://{hostname}:{port}/")).with_context(parse)?;
    let url = own.join(given).with_context(parse)?;
    // NOTE: of `localhost:9090/prom` the first part is read as a scheme.
    ensure!(
        url.has_host(),
        "{}: no host in it; write it as http://HOST:PORT/PATH",
        parse()
    );
    Ok(url)
}

/// Without one it is the external URL's path. Empty, or starts with `/` and does not end with one.
fn route_prefix(given: &str, external: &Url) -> String {
    let prefix = if given.is_empty() {
        external.path()
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
        let check = |url: &str, prefix: &str, host: &str, port: u16, expect: &str| {
            let parsed = external_url(url, "gateway", 9091).unwrap();
            let got = (parsed.host_str(), parsed.port_or_known_default());
            assert_eq!(got, (Some(host), Some(port)), "{url}");
            assert_eq!(route_prefix(prefix, &parsed), expect, "{url} {prefix}");
        };
        check("", "", "gateway", 9091, "");
        check("https://x.example/prom/", "", "x.example", 443, "/prom");
        check("https://x.example/prom/", "/", "x.example", 443, "");
        check("http://x.example:80", "/a/b/", "x.example", 80, "/a/b");
        check("/prom/", "", "gateway", 9091, "/prom");
        check("prom", "", "gateway", 9091, "/prom");
        check("prom.example.com", "/", "gateway", 9091, "");
        for wrong in ["\"x\"", "localhost:9090/prom", "http://"] {
            assert!(external_url(wrong, "h", 1).is_err(), "{wrong}");
        }
        assert_eq!(port_of("0.0.0.0:9091"), Some(9091));
        assert_eq!(port_of("9091"), None);
    }
}
