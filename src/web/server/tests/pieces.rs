//! Tests of bodies that are made while the client takes them.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Fixture, echo, start};
use crate::stdx::gofmt;
use crate::stdx::testing::eventually;
use crate::web::server::{Pieces, Request, Response};

const PIECE_BYTES: usize = 64 << 10;
/// NOTE: far more than the kernel's buffers take.
const PIECES: usize = 256;

/// Pieces of one letter each.
struct Letters {
    made: usize,
    /// The piece before which it panics.
    panics_at: usize,
    /// The number of bodies that are alive.
    alive: Arc<AtomicUsize>,
}

impl Pieces for Letters {
    fn next(&mut self) -> (Vec<u8>, bool) {
        assert!(self.made != self.panics_at, "as the test wants it");
        let piece = vec![letter(self.made); PIECE_BYTES];
        self.made += 1;
        (piece, self.made < PIECES)
    }

    fn held(&self) -> usize {
        (PIECES - self.made) * PIECE_BYTES / 2
    }
}

impl Drop for Letters {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Relaxed);
    }
}

fn letter(piece: usize) -> u8 {
    b'a' + (piece % 26) as u8
}

fn letters() -> Vec<u8> {
    (0..PIECES)
        .flat_map(|at| vec![letter(at); PIECE_BYTES])
        .collect()
}

fn fixture() -> (Fixture, Arc<AtomicUsize>) {
    let alive = Arc::new(AtomicUsize::new(0));
    let counted = alive.clone();
    let handler = move |request: Request| {
        let panics_at = match request.path.as_str() {
            "/letters" => usize::MAX,
            "/breaks" => 100,
            _ => return echo(request),
        };
        counted.fetch_add(1, Relaxed);
        let pieces = Letters {
            made: 0,
            panics_at,
            alive: counted.clone(),
        };
        Response::pieces(200, pieces).handler("/letters")
    };
    (start(|_| {}, handler), alive)
}

const GET: &str = "GET /letters HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn they_arrive_whole() {
    let (fixture, alive) = fixture();
    let mut client = fixture.client();
    assert!(client.get("/letters").body == letters());
    client.send("GET /letters HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let answer = client.answer();
    assert!(answer.has("Content-Encoding: gzip"), "{}", answer.head);
    assert!(answer.body.len() < PIECES * PIECE_BYTES / 10);
    let mut plain = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(answer.body.as_slice());
    decoder.read_to_end(&mut plain).unwrap();
    assert!(plain == letters());
    let head = client
        .send("HEAD /letters HTTP/1.1\r\nHost: a\r\n\r\n")
        .head();
    assert_eq!(head.0, 200);
    assert_eq!(client.get("/").status, 200);
    let old = fixture
        .client()
        .send("GET /letters HTTP/1.0\r\n\r\n")
        .answer();
    assert!(old.body == letters());
    eventually("all are gone", || alive.load(Relaxed) == 0);
    let bytes = gofmt::v((2 * PIECES * PIECE_BYTES + answer.body.len()) as f64);
    let sum = format!("prometheus_http_response_size_bytes_sum{{handler=\"/letters\"}} {bytes}");
    assert!(fixture.shows(&sum), "{sum}");
}

#[test]
fn slow_readers_hold_no_worker() {
    let (fixture, alive) = fixture();
    let mut slow: Vec<_> = (0..6).map(|_| fixture.client()).collect();
    for client in &mut slow {
        client.send(GET);
    }
    assert_eq!(fixture.client().get("/").status, 200);
    // A client that goes takes its answer along.
    drop(slow.pop());
    eventually("one is gone", || alive.load(Relaxed) == 5);
    for client in &mut slow {
        assert!(client.answer().body == letters());
        assert_eq!(client.get("/").status, 200);
    }
}

#[test]
fn what_breaks_off_is_seen_to_be_incomplete() {
    let (fixture, alive) = fixture();
    let mut client = fixture.client();
    client.send("GET /breaks HTTP/1.1\r\nHost: a\r\n\r\n");
    let got = client.rest();
    assert!(got.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(got.len() > 90 * PIECE_BYTES && !got.ends_with(b"0\r\n\r\n"));
    eventually("it is gone", || alive.load(Relaxed) == 0);
    assert!(fixture.client().get("/letters").body == letters());
}
