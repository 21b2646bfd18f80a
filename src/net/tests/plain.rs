//! Tests of pages as good servers send them: framing, keep-alive, redirects, packing, names.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::resolver::Resolver;
use super::super::{Client, ClientSettings, Env, Fetch};
use super::server::{Do, answer, page, raw, raw_close, serve};
use super::{connection, get, ok, request, when};
use crate::metrics::Registry;
use crate::stdx::clock::RealClock;

/// Checks that the answer `wire` has this body, and leaves the connection usable or not.
fn check(wire: &'static str, body: &str, kept: bool) {
    let server = serve(move |_| raw_close(wire));
    let mut connection = connection();
    assert_eq!(get(&mut connection, &server.url("/")), ok(body), "{wire:?}");
    let server = serve(move |_| raw(wire));
    let close_delimited =
        !wire.to_lowercase().contains("content-length") && !wire.contains("chunked");
    if close_delimited {
        return;
    }
    for _ in 0..2 {
        assert_eq!(get(&mut connection, &server.url("/")), ok(body), "{wire:?}");
    }
    let expect = if kept { 1 } else { 2 };
    assert_eq!(server.accepted(), expect, "connections for {wire:?}");
}

#[test]
fn every_framing() {
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "abc",
        true,
    );
    check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true);
    check("HTTP/1.1 200 OK\r\n\r\nabc", "abc", false);
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        "abc",
        true,
    );
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        "abc",
        false,
    );
    check(
        "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "abc",
        false,
    );
    check(
        "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
        "abc",
        true,
    );
    check(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        "abc",
        true,
    );
    check("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", "x", true);
    // More bytes than announced: the body is right, the connection is not.
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz",
        "x",
        false,
    );
}

#[test]
fn answers_without_a_body_end_at_their_head() {
    for status in ["204 No Content", "304 Not Modified"] {
        let server = serve(move |_| raw(&format!("HTTP/1.1 {status}\r\n\r\n")));
        let mut connection = connection();
        for _ in 0..2 {
            let (code, body) = get(&mut connection, &server.url("/")).unwrap();
            assert_eq!((format!("{code}"), body.as_str()), (status[..3].into(), ""));
        }
        assert_eq!(server.accepted(), 1);
    }
}

#[test]
fn the_request_is_what_prometheus_sends() {
    let server = serve(|_| page("x"));
    get(&mut connection(), &server.url("/metrics?a=b")).unwrap();
    let expect = format!(
        "GET /metrics?a=b HTTP/1.1\r\nHost: {}\r\nUser-Agent: Test/1\r\n\
         Accept-Encoding: gzip\r\n\r\n",
        server.address
    );
    assert_eq!(server.request(0), expect);
}

#[test]
fn statuses_are_answers_and_their_check_an_error() {
    let server = serve(|_| answer("404 Not Found", "Content-Type: text/plain\r\n", "no"));
    let mut body = Vec::new();
    let response = connection()
        .get(&request(&server.url("/")), &mut body)
        .unwrap();
    assert_eq!(
        (response.status, response.content_type.as_str()),
        (404, "text/plain")
    );
    assert_eq!(
        response.check().unwrap_err().to_string(),
        "server returned HTTP status 404 Not Found"
    );
}

#[test]
fn a_connection_serves_until_the_server_closes_it_and_then_another_does() {
    let count = AtomicUsize::new(0);
    let server = serve(move |_| {
        let mut steps = page("x");
        if count.fetch_add(1, SeqCst) == 2 {
            steps.push(Do::Close);
        }
        steps
    });
    let mut connection = connection();
    for _ in 0..5 {
        assert_eq!(get(&mut connection, &server.url("/")), ok("x"));
    }
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_connection_that_goes_stale_under_the_request_is_tried_once_more() {
    // Closes once the second request of a connection has been sent, so no probe can see it before.
    let count = AtomicUsize::new(0);
    let server = serve(move |_| match count.fetch_add(1, SeqCst) {
        1 => vec![Do::Close],
        _ => page("x"),
    });
    let mut connection = connection();
    assert_eq!(get(&mut connection, &server.url("/")), ok("x"));
    assert_eq!(get(&mut connection, &server.url("/")), ok("x"));
    assert_eq!((server.accepted(), server.requests()), (2, 3));
}

#[test]
fn a_turn_needs_little_stack() {
    // Unoptimised code needs more than the 16 KiB of a release build, but far less than ureq or
    // making a decoder.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"x").unwrap();
    let packed = encoder.finish().unwrap();
    let server = serve(move |_| {
        let length = packed.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
        );
        vec![Do::Send(head.into_bytes()), Do::Send(packed.clone())]
    });
    let mut connection = connection();
    let url = server.url("/");
    let (tx, rx) = crossbeam_channel::bounded(1);
    let turn = move || tx.send(get(&mut connection, &url)).unwrap();
    let _thread = crate::stdx::thread::spawn("little", 48 << 10, turn).unwrap();
    assert_eq!(rx.recv().unwrap(), ok("x"));
}

#[test]
fn gzip_is_unpacked() {
    let text = "ferula_total 1\n".repeat(10_000);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let length = packed.len();
    let mut plain =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n")
            .into_bytes();
    plain.extend(&packed);
    let mut chunked =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in packed.chunks(100) {
        write!(chunked, "{:x}\r\n", chunk.len()).unwrap();
        chunked.extend(chunk);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    for wire in [plain, chunked] {
        let server = serve(move |_| vec![Do::Send(wire.clone())]);
        let mut connection = connection();
        let mut body = Vec::new();
        for _ in 0..2 {
            let response = connection
                .get(&request(&server.url("/")), &mut body)
                .unwrap();
            assert_eq!(response.bytes_read, length as u64);
            assert!(body == text.as_bytes());
        }
        assert_eq!(server.accepted(), 1);
    }
}

/// An empty body that claims to be packed once counted as a good and empty page.
#[test]
fn gzip_of_less_than_a_member_is_no_page() {
    let check = |framing: &str, body: &'static [u8], expect: &str| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n{framing}\r\n\r\n");
        let wire = [head.as_bytes(), body].concat();
        let server = serve(move |_| vec![Do::Send(wire.clone()), Do::Close]);
        let result = connection().get(&request(&server.url("/")), &mut Vec::new());
        assert_eq!(result.unwrap_err().to_string(), expect, "{framing}");
    };
    check("Content-Length: 0", b"", "EOF");
    check("Transfer-Encoding: chunked", b"0\r\n\r\n", "EOF");
    check("Connection: close", b"", "EOF");
    check("Content-Length: 2", b"\x1f\x8b", "unexpected EOF");
    let header = b"\x1f\x8b\x08\0\0\0\0\0\0\0";
    check("Content-Length: 10", header, "unexpected EOF");
    check("Content-Length: 3", b"a 1", "unexpected EOF");
    check("Content-Length: 11", b"abcdefg 123", "gzip: invalid header");
}

#[test]
fn large_pages_come_whole_and_packing_can_be_declined() {
    let text = "0123456789abcdef".repeat(1 << 16);
    let sent = text.clone();
    let server = serve(move |_| page(&sent));
    let mut connection = connection();
    let mut body = Vec::new();
    let request = request(&server.url("/")).gzip(false);
    for _ in 0..2 {
        connection.get(&request, &mut body).unwrap();
        assert!(body == text.as_bytes());
    }
    assert!(server.request(0).contains("Accept-Encoding: identity\r\n"));
}

#[test]
fn redirects_are_followed_when_they_may_be() {
    let server = serve(|request| match request.split(' ').nth(1) {
        Some("/a") => answer("302 Found", "Location: /b?c=d\r\n", "moved"),
        Some("/nowhere") => answer("301 Moved Permanently", "", ""),
        _ => page("here"),
    });
    let mut following = connection();
    assert_eq!(get(&mut following, &server.url("/a")), ok("here"));
    assert!(server.request(1).starts_with("GET /b?c=d "));
    assert_eq!(server.accepted(), 1);
    assert_eq!(get(&mut following, &server.url("/nowhere")).unwrap().0, 301);
    let settings = ClientSettings {
        follow_redirects: false,
        ..ClientSettings::default()
    };
    let mut staying = super::client(&settings).connection();
    assert_eq!(get(&mut staying, &server.url("/a")).unwrap().0, 302);
}

#[test]
fn a_unix_socket_serves_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let accept = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 1024];
        std::io::Read::read(&mut stream, &mut buffer).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
            .unwrap();
    };
    std::thread::Builder::new().spawn(accept).unwrap();
    let mut body = Vec::new();
    let request = request("http://nosuchname/m").unix_socket(Some(&path));
    connection().get(&request, &mut body).unwrap();
    assert_eq!(body, b"x");
    let request = request.unix_socket(Some(&dir.path().join("none")));
    let error = connection().get(&request, &mut body).unwrap_err();
    let reason = "none: connect: no such file or directory";
    assert!(error.to_string().ends_with(reason), "{error}");
}

#[test]
fn names_are_looked_up_remembered_and_counted() {
    let server = serve(|_| page("x"));
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let lookup = move |host: &str| {
        counted.fetch_add(1, SeqCst);
        match host {
            // The first of its addresses refuses.
            "good" => Ok(vec![
                "127.0.0.9".parse().unwrap(),
                "127.0.0.1".parse().unwrap(),
            ]),
            _ => Err("no such host".to_owned()),
        }
    };
    let clock = Arc::new(RealClock::new());
    let registry = Registry::new();
    let resolver = Arc::new(Resolver::with_lookup(clock.clone(), Box::new(lookup)));
    let env = Env::with_resolver(clock, &registry, resolver);
    let client = Client::new(&ClientSettings::default(), "job", &env).unwrap();
    let url = format!("http://good:{}/", server.address.port());
    for _ in 0..2 {
        assert_eq!(get(&mut client.connection(), &url), ok("x"));
        let error = get(&mut client.connection(), "http://bad/m").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Get \"http://bad/m\": dial tcp: lookup bad: no such host"
        );
    }
    assert_eq!(asked.load(SeqCst), 2);
    get(&mut client.connection(), "http://127.0.0.1:1/m").unwrap_err();
    drop(client);
    let mut text = String::new();
    registry.encode(&mut text);
    for (line, count) in [
        ("attempted_total{dialer_name=\"job\"}", 5),
        ("established_total{dialer_name=\"job\"}", 2),
        ("closed_total{dialer_name=\"job\"}", 2),
        ("failed_total{dialer_name=\"job\",reason=\"resolution\"}", 2),
        ("failed_total{dialer_name=\"job\",reason=\"refused\"}", 1),
        ("failed_total{dialer_name=\"job\",reason=\"timeout\"}", 0),
    ] {
        let line = format!("net_conntrack_dialer_conn_{line} {count}\n");
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[test]
fn a_name_that_does_not_resolve_in_time_costs_its_request_only() {
    let clock = Arc::new(RealClock::new());
    let (release, held) = crossbeam_channel::bounded::<()>(0);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let lookup = move |_: &str| {
        counted.fetch_add(1, SeqCst);
        let _ = held.recv();
        Err("no such host".to_owned())
    };
    let resolver = Arc::new(Resolver::with_lookup(clock.clone(), Box::new(lookup)));
    let env = Env::with_resolver(clock, &Registry::new(), resolver);
    let client = Client::new(&ClientSettings::default(), "job", &env).unwrap();
    let request = request("http://slow/").timeout(Duration::from_millis(30));
    let error = client.connection().get(&request, &mut Vec::new());
    assert!(error.unwrap_err().is_timeout());
    let mut connection = client.connection();
    let canceller = connection.canceller();
    when(move || asked.load(SeqCst) > 1, move || canceller.cancel());
    assert!(
        get(&mut connection, "http://slow/")
            .unwrap_err()
            .is_canceled()
    );
    drop(release);
}
