//! Tests of requests and answers on one connection.

use std::io::Read;
use std::time::Duration;

use super::super::{Options, Response};
use super::{echo, start};
use crate::stdx::testing::{logged, logged_by_any};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn keep_alive_and_pipelining() {
    let fixture = start(|_| {}, echo);
    let mut client = fixture.client();
    assert_eq!(client.get("/x%20y").text(), "GET /x y ");
    assert_eq!(client.get("/z").text(), "GET /z ");
    let many: Vec<String> = (0..50)
        .map(|i| format!("POST /{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"))
        .collect();
    client.send(&many.concat());
    for i in 0..50 {
        assert_eq!(client.answer().text(), format!("POST /{i} hi"));
    }
    assert!(fixture.shows("net_conntrack_listener_conn_accepted_total{listener_name=\"http\"} 1"));
    let counted = "prometheus_http_requests_total{code=\"200\",handler=\"/echo\"} 52";
    assert!(fixture.shows(counted));
}

#[test]
fn connections_that_close() {
    let fixture = start(|_| {}, echo);
    let check = |request: &str, closes: bool, header: &str| {
        let mut client = fixture.client();
        let answer = client.send(request).answer();
        assert_eq!(answer.status, 200, "{request:?}");
        assert!(
            header.is_empty() || answer.has(header),
            "{request:?} {}",
            answer.head
        );
        if closes {
            assert!(client.is_closed(), "{request:?}");
        } else {
            assert_eq!(client.get("/").status, 200, "{request:?}");
        }
    };
    check(GET, false, "");
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
        true,
        "Connection: close",
    );
    check("GET / HTTP/1.0\r\n\r\n", true, "Connection: close");
    let kept = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    check(kept, false, "Connection: keep-alive");
}

#[test]
fn head_has_the_length_but_not_the_body() {
    let fixture = start(|_| {}, echo);
    let mut client = fixture.client();
    client.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
    let (status, head) = client.head();
    assert_eq!(status, 200);
    assert!(head.contains("Content-Length: 8\r\n"), "{head}");
    assert_eq!(client.get("/b").text(), "GET /b ");
}

#[test]
fn bodies_come_in_pieces() {
    let fixture = start(|_| {}, echo);
    let mut client = fixture.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in ["3", "\r\nab", "c\r", "\n2\r\nde\r\n0\r\nX: y\r\n", "\r\n"] {
        client.send(piece);
    }
    assert_eq!(client.answer().text(), "POST / abcde");
    let big = "x".repeat(3_000_000);
    client.send(&format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        big.len()
    ));
    client.send(&big);
    assert_eq!(client.answer().body.len(), big.len() + 7);
}

#[test]
fn expect_100_continue() {
    let fixture = start(|options| options.body_bytes_max = 10, echo);
    let mut client = fixture.client();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ";
    client.send(&format!("{post}2\r\n\r\n"));
    assert_eq!(client.head().0, 100);
    assert_eq!(client.send("hi").answer().text(), "POST / hi");
    client.send(&format!("{post}11\r\n\r\n"));
    assert_eq!(client.answer().status, 413);
    assert!(client.is_closed());
}

#[test]
fn refused_requests_close_the_connection() {
    logged();
    let limited = |options: &mut Options| {
        options.body_bytes_max = 10;
        options.head_bytes_max = 16 << 10;
    };
    let fixture = start(limited, echo);
    // NOTE: on a busy machine it would be too slow for any other answer.
    let hurried = start(
        |options| {
            options.head_timeout = Duration::from_millis(50);
            options.body_timeout = Duration::from_millis(50);
        },
        echo,
    );
    let check = |request: &str, status: u16| {
        let is_slow = status == 408;
        let mut client = if is_slow { &hurried } else { &fixture }.client();
        let answer = client.send(request).answer();
        assert_eq!(answer.status, status, "{request:?}");
        assert!(answer.has("Connection: close"), "{}", answer.head);
        assert!(client.is_closed(), "{request:?}");
    };
    let long = "x".repeat(16 << 10);
    check("GET / HTTP/1.1\r\n\r\n", 400);
    check(
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: zip\r\n\r\n",
        501,
    );
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    check(
        &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        431,
    );
    check(&long, 431);
    check("GET / HT", 408);
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n",
        413,
    );
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(&format!("{chunked}b\r\nhello world\r\n0\r\n\r\n"), 413);
    check(&format!("{chunked}z\r\n"), 400);
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh",
        408,
    );
    assert!(hurried.shows("ferula_http_requests_refused_total{code=\"408\"} 2"));
    assert!(fixture.shows("ferula_http_requests_refused_total{code=\"413\"} 2"));
    logged_by_any(&["HTTP request refused status=400", "not_told_since_last=0"]);
}

#[test]
fn half_closed_clients_get_their_answer() {
    let fixture = start(|_| {}, echo);
    let mut client = fixture.client();
    client.send(GET);
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.answer().text(), "GET /a ");
    assert!(client.is_closed());
}

#[test]
fn large_bodies_are_compressed_on_request() {
    let text = "abc ".repeat(1000);
    let fixture = start(|_| {}, move |_| Response::json(200, text.clone()));
    let mut client = fixture.client();
    assert_eq!(client.get("/").body.len(), 4000);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let answer = client.answer();
    assert!(answer.has("Content-Encoding: gzip") && answer.has("Vary: Accept-Encoding"));
    let mut plain = String::new();
    let mut decoder = flate2::read::GzDecoder::new(answer.body.as_slice());
    decoder.read_to_string(&mut plain).unwrap();
    assert_eq!(plain.len(), 4000);
}

#[test]
fn forms_have_the_body_first() {
    let handler = |request: super::Request| {
        let form = request.form().unwrap();
        let all: Vec<&str> = form.all("q").collect();
        Response::text(200, all.join(","))
    };
    let fixture = start(|_| {}, handler);
    let mut client = fixture.client();
    client.send(
        "POST /?q=c%2B HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\
         Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\r\nq=a+1&q=b",
    );
    assert_eq!(client.answer().text(), "a 1,b,c+");
}
