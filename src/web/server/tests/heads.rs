//! Tests of request heads: the limit for one, and for all together.

use std::time::Duration;

use super::super::{Request, Response};
use super::client::Client;
use super::{Fixture, echo, start};

/// Answers with the lengths of the query and of the last header.
fn lengths(request: Request) -> Response {
    let last = request.header("last").unwrap_or_default();
    Response::text(200, format!("{} {}", request.query.len(), last.len()))
}

fn get(query: usize, headers: usize) -> String {
    let query = "q".repeat(query);
    let headers: String = (0..headers).map(|i| format!("X-{i}: v\r\n")).collect();
    format!("GET /?{query} HTTP/1.1\r\nHost: a\r\n{headers}Last: abc\r\n\r\n")
}

#[test]
fn long_request_lines_and_many_headers_are_taken() {
    let fixture = start(|_| {}, lengths);
    let mut client = fixture.client();
    for (query, headers) in [(17_600, 0), (900_000, 0), (1, 300), (100_000, 20_000)] {
        let answer = client.send(&get(query, headers)).answer();
        assert_eq!(answer.text(), format!("{query} 3"));
    }
    let answer = client.send(&get(1 << 20, 0)).answer();
    assert_eq!(answer.status, 431);
    let text = answer.text();
    assert!(
        text.contains("1MiB (--web.max-request-head-size)"),
        "{text}"
    );
    assert!(client.is_closed());
}

#[test]
fn large_heads_behind_one_another_are_all_answered() {
    let fixture = start(|_| {}, lengths);
    let mut client = fixture.client();
    client.send(&get(200_000, 0).repeat(4));
    for _ in 0..4 {
        assert_eq!(client.answer().text(), "200000 3");
    }
}

#[test]
fn a_large_head_has_time_by_its_size() {
    let head_timeout = Duration::from_millis(300);
    let fixture = start(|options| options.head_timeout = head_timeout, lengths);
    let mut client = fixture.client();
    let text = get(160_000, 0);
    let (most, rest) = text.split_at(text.len() - 1);
    client.send(most);
    // NOTE: another client's whole deadline passes meanwhile.
    assert_eq!(fixture.client().send("GET / HT").answer().status, 408);
    assert_eq!(client.send(rest).answer().text(), "160000 3");
}

/// Makes clients that have sent most of a head.
fn halves(fixture: &Fixture, n: usize, bytes: usize) -> Vec<Client> {
    let one = |_| {
        let mut client = fixture.client();
        let head = get(bytes, 0);
        client.send(&head[..bytes]);
        client
    };
    (0..n).map(one).collect()
}

#[test]
fn heads_share_a_budget_and_the_oldest_half_goes() {
    // Room for 16 heads of 64 KiB.
    let fixture = start(|options| options.limit_heads(64 << 10), echo);
    let mut half = halves(&fixture, 30, 60 << 10);
    assert_eq!(half[0].answer().status, 503);
    let newest = half.last_mut().unwrap();
    let rest = &get(60 << 10, 0)[60 << 10..];
    assert_eq!(newest.send(rest).answer().status, 200);
    // Small heads need no room, and answered ones have given theirs back.
    assert_eq!(fixture.client().get("/").status, 200);
    drop(half);
    for _ in 0..40 {
        let answer = fixture.client().send(&get(60 << 10, 0)).answer();
        assert_eq!(answer.status, 200);
    }
}
