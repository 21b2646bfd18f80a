//! Paths that are almost a route's: clients are redirected as by Prometheus.

use crate::support::{Ferula, Reply, send_raw};

fn ask(ferula: &Ferula, method: &str, path: &str) -> Reply {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    send_raw(ferula.address, request.as_bytes()).unwrap()
}

/// Checks the status and, for a redirect, its target.
fn check(ferula: &Ferula, method: &str, path: &str, status: u16, location: &str) {
    let reply = ask(ferula, method, path);
    let got = (reply.status, reply.header("location").unwrap_or_default());
    assert_eq!(got, (status, location), "{method} {path}");
}

#[test]
fn unclean_paths_lead_to_clean_ones() {
    let ferula = Ferula::start("global: {}\n");
    for method in ["GET", "HEAD", "POST", "PUT"] {
        for path in ["//-/ready", "/./-/ready", "/x/../-/ready", "/-//ready"] {
            check(&ferula, method, path, 307, "/-/ready");
        }
        check(
            &ferula,
            method,
            "//api/v1/query?query=up%2B1&x=%20",
            307,
            "/api/v1/query?query=up%2B1&x=%20",
        );
        check(&ferula, method, "//nope//", 307, "/nope/");
        check(&ferula, method, "/api/v1", 307, "/api/v1/");
    }
    // A backslash would name another host in a browser.
    check(&ferula, "GET", "//\\x.example", 307, "/%5Cx.example");
    check(&ferula, "GET", "/-/ready/", 301, "/-/ready");
    check(&ferula, "GET", "/%2e%2e/-/ready", 301, "/-/ready");
    check(&ferula, "GET", "/METRICS", 301, "/metrics");
    check(
        &ferula,
        "GET",
        "/api/v1/query/?query=up",
        301,
        "/api/v1/query?query=up",
    );
    check(&ferula, "POST", "/api/v1/query/", 308, "/api/v1/query");
    check(&ferula, "GET", "/-/read%79", 200, "");
    check(&ferula, "GET", "/api%2Fv1/status/flags", 404, "");
    check(&ferula, "GET", "/api/v1/label/a%2Fb/values", 404, "");
    check(&ferula, "GET", "/api/v1/", 404, "");
    check(&ferula, "GET", "/nope", 404, "");
    let page = ask(&ferula, "GET", "//-/ready");
    assert_eq!(
        page.body,
        "<a href=\"/-/ready\">Temporary Redirect</a>.\n\n"
    );
    assert_eq!(ask(&ferula, "POST", "//-/ready").body, "");
}

#[test]
fn a_prefix_is_found_from_the_root() {
    let ferula = Ferula::start_below(
        "/prometheus",
        "global: {}\n",
        &["--web.external-url=https://h/prometheus/"],
    );
    check(&ferula, "GET", "/", 302, "/prometheus");
    check(&ferula, "GET", "/prometheus", 301, "/prometheus/");
    check(&ferula, "GET", "/prometheus/", 200, "");
    check(&ferula, "GET", "/prometheus?a=b", 301, "/prometheus/?a=b");
    check(
        &ferula,
        "GET",
        "//prometheus/-/ready",
        307,
        "/prometheus/-/ready",
    );
    check(
        &ferula,
        "GET",
        "/prometheus/-/ready/",
        301,
        "/prometheus/-/ready",
    );
    check(
        &ferula,
        "GET",
        "/prometheus/api/v1",
        307,
        "/prometheus/api/v1/",
    );
    check(&ferula, "GET", "/prometheus/api/v1/status/flags", 200, "");
    check(&ferula, "GET", "/-/ready", 404, "");
    check(&ferula, "GET", "/prometheusx", 404, "");
}

#[test]
fn an_external_url_needs_no_host_and_no_prefix() {
    let ferula = Ferula::start_below("/x", "global: {}\n", &["--web.external-url=http://:9090/x"]);
    check(&ferula, "GET", "/x/-/ready", 200, "");
    let ferula = Ferula::start_with(
        "global: {}\n",
        &[
            "--web.external-url=https://h/prometheus",
            "--web.route-prefix=/",
        ],
    );
    check(&ferula, "GET", "/-/ready", 200, "");
    check(&ferula, "GET", "/", 200, "");
    check(&ferula, "GET", "/prometheus", 404, "");
}
