//! Tests of requests over ureq.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use super::super::{ClientSettings, FetchRequest, NetError};
use super::proxy::fetch_request;
use super::server::{Do, answer, page, raw, serve};
use super::{client, when};

#[test]
fn requests_are_answered_whole() {
    let server = serve(|_| answer("404 Not Found", "X-Y: z\r\n", "no"));
    let client = client(&ClientSettings::default());
    let url = server.url("/a?b=c");
    let fetched = client
        .fetch(&FetchRequest {
            method: "POST",
            headers: &[("Content-Type", "text/x"), ("X-A", "1")],
            body: Some(b"payload"),
            ..fetch_request(&url)
        })
        .unwrap();
    assert_eq!(fetched.status_line(), "404 Not Found");
    assert_eq!(
        (fetched.header("x-y"), fetched.body.as_slice()),
        (Some("z"), &b"no"[..])
    );
    let seen = server.request(0).to_lowercase();
    assert!(seen.starts_with("post /a?b=c http/1.1\r\n"), "{seen}");
    for line in [
        "content-type: text/x\r\n",
        "x-a: 1\r\n",
        "content-length: 7\r\n",
    ] {
        assert!(seen.contains(line), "{line} in {seen}");
    }
    assert!(seen.ends_with("\r\n\r\npayload"), "{seen}");
    client.fetch(&fetch_request(&url)).unwrap();
    assert_eq!(server.accepted(), 1);
}

#[test]
fn failures_read_as_those_of_scrapes() {
    let client = client(&ClientSettings::default());
    let error = client.fetch(&fetch_request("http://127.0.0.1:1/x"));
    assert_eq!(
        error.unwrap_err().to_string(),
        "Get \"http://127.0.0.1:1/x\": dial tcp 127.0.0.1:1: connect: connection refused"
    );
    let server = serve(|_| vec![Do::Hang]);
    let url = server.url("/");
    let request = FetchRequest {
        timeout: Duration::from_millis(50),
        ..fetch_request(&url)
    };
    let error = client.fetch(&request).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Get \"{url}\": context deadline exceeded")
    );
    let server = serve(|_| page("0123456789"));
    let url = server.url("/");
    let request = |limit| FetchRequest {
        body_limit: limit,
        ..fetch_request(&url)
    };
    assert_eq!(client.fetch(&request(10)).unwrap().body.len(), 10);
    let error = client.fetch(&request(9)).unwrap_err();
    assert_eq!(*error.cause(), NetError::BodyTooBig);
}

#[test]
fn a_stale_connection_is_tried_once_more() {
    let count = AtomicUsize::new(0);
    let server = serve(move |_| match count.fetch_add(1, SeqCst) {
        1 => vec![Do::Close],
        _ => page("x"),
    });
    let client = client(&ClientSettings::default());
    let url = server.url("/");
    for _ in 0..2 {
        assert_eq!(client.fetch(&fetch_request(&url)).unwrap().body, b"x");
    }
}

#[test]
fn redirects_are_followed_by_our_rules() {
    let server = serve(|request| match request.split(' ').nth(1) {
        Some("/303") => answer("303 See Other", "Location: /end\r\n", ""),
        Some("/307") => answer("307 Temporary Redirect", "Location: /end\r\n", ""),
        Some("/loop") => answer("302 Found", "Location: /loop\r\n", ""),
        _ => page("x"),
    });
    let client = client(&ClientSettings::default());
    for (path, second) in [("/303", "GET /end "), ("/307", "POST /end ")] {
        let url = server.url(path);
        let request = FetchRequest {
            method: "POST",
            body: Some(b"p"),
            ..fetch_request(&url)
        };
        assert_eq!(client.fetch(&request).unwrap().body, b"x");
        assert!(server.request(server.requests() - 1).starts_with(second));
    }
    let url = server.url("/loop");
    let error = client.fetch(&fetch_request(&url)).unwrap_err();
    assert_eq!(*error.cause(), NetError::TooManyRedirects);
}

#[test]
fn a_body_under_way_is_ended_from_outside() {
    let server = serve(|_| {
        let mut steps = raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        steps.push(Do::Hang);
        steps
    });
    let client = client(&ClientSettings::default());
    let url = server.url("/hangs");
    let (other, asked) = (client.clone(), server.seen.clone());
    when(
        move || !asked.lock().unwrap().is_empty(),
        move || other.shutdown(),
    );
    let fetch = || client.fetch(&fetch_request(&url)).unwrap_err();
    assert!(fetch().is_canceled());
    assert!(fetch().is_canceled(), "a new one is refused");
}
