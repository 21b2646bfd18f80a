//! Tests with servers that hang, drip, lie or flood, and of cancellation.

use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::{BODY_BYTES_MAX, Client, ClientSettings, Fetch, NetError};
use super::server::{Do, answer, page, raw, raw_close, serve};
use super::{connection, env, get, ok, request, when};

/// Checks the error that an answer causes, without the request around it.
fn check(wire: &'static str, expect: &str) {
    let server = serve(move |_| raw_close(wire));
    let error = get(&mut connection(), &server.url("/")).unwrap_err();
    assert_eq!(error.cause().to_string(), expect, "{wire:?}");
}

#[test]
fn broken_answers_are_refused_with_their_reason() {
    let broken = "net/http: HTTP/1.x transport connection broken: ";
    check("", "EOF");
    check("HTTP/1.1 200 OK\r\nConte", "unexpected EOF");
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "unexpected EOF",
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "unexpected EOF",
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
        "invalid byte in chunk length",
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        "malformed chunked encoding",
    );
    check(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\nnotgzipatall",
        "gzip: invalid header",
    );
    check(
        "SSH-2.0-OpenSSH_9.6\r\n",
        &format!("{broken}malformed HTTP response \"SSH-2.0-OpenSSH_9.6\""),
    );
    check(
        "HTTP/1.1 abc\r\n\r\n",
        &format!("{broken}malformed HTTP response \"HTTP/1.1 abc\""),
    );
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        &format!("{broken}message cannot contain multiple Content-Length headers"),
    );
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab",
        &format!("{broken}bad Content-Length \"-1\""),
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\nab",
        &format!("{broken}unsupported transfer encoding: \"zip\""),
    );
}

#[test]
fn head_errors_name_the_request_and_body_errors_do_not() {
    let server = serve(|_| vec![Do::Close]);
    let url = server.url("/m");
    let error = get(&mut connection(), &url).unwrap_err();
    assert_eq!(error.to_string(), format!("Get \"{url}\": EOF"));
    let server = serve(|_| raw_close("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"));
    let error = get(&mut connection(), &server.url("/m")).unwrap_err();
    assert_eq!(error.to_string(), "unexpected EOF");
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let error = get(&mut connection(), "http://127.0.0.1:1/metrics").unwrap_err();
    assert_eq!(
        error.to_string(),
        "Get \"http://127.0.0.1:1/metrics\": dial tcp 127.0.0.1:1: connect: connection refused"
    );
}

#[test]
fn heads_without_an_end_are_cut_off() {
    let head = "HTTP/1.1 200 OK\r\n";
    let flood = move |line: &'static str| {
        serve(move |_| {
            vec![
                Do::Send(head.as_bytes().to_vec()),
                Do::Flood(line.as_bytes().to_vec()),
            ]
        })
    };
    let server = flood("X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
    let error = get(&mut connection(), &server.url("/")).unwrap_err();
    let text = "net/http: server response headers exceeded 16384 bytes; aborted";
    assert_eq!(error.cause().to_string(), text);
    let server = serve(|_| vec![Do::Flood(b"HTTP/1.1 102 Processing\r\n\r\n".to_vec())]);
    let error = get(&mut connection(), &server.url("/")).unwrap_err();
    assert_eq!(error.cause().to_string(), text);
}

#[test]
fn servers_that_take_too_long_end_at_the_deadline() {
    let head = || Do::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec());
    let servers = [
        serve(|_| vec![Do::Hang]),
        serve(move |_| vec![head(), Do::Hang]),
        serve(move |_| vec![head(), Do::Drip(b'x')]),
        serve(|_| vec![Do::Send(b"HTTP/1.1 ".to_vec()), Do::Drip(b'2')]),
    ];
    for (i, server) in servers.iter().enumerate() {
        let request = request(&server.url("/")).timeout(Duration::from_millis(60));
        let error = connection().get(&request, &mut Vec::new()).unwrap_err();
        assert_eq!(*error.cause(), NetError::Deadline, "server {i}");
    }
}

#[test]
fn after_a_failure_the_next_request_has_a_new_connection() {
    let server = serve(|request| {
        if request.contains("/hang") {
            return vec![Do::Hang];
        }
        page("x")
    });
    let mut connection = connection();
    let hang = request(&server.url("/hang")).timeout(Duration::from_millis(30));
    assert!(connection.get(&hang, &mut Vec::new()).is_err());
    assert_eq!(get(&mut connection, &server.url("/")), ok("x"));
    assert_eq!(server.accepted(), 2);
}

#[test]
fn endless_redirects_end() {
    let server = serve(|_| answer("302 Found", "Location: /again\r\n", ""));
    let error = get(&mut connection(), &server.url("/")).unwrap_err();
    let text = format!(
        "Get \"{}\": stopped after 10 redirects",
        server.url("/again")
    );
    assert_eq!(error.to_string(), text);
    assert_eq!(server.requests(), 11);
}

#[test]
fn redirects_elsewhere_are_refused() {
    let server = serve(|_| answer("302 Found", "Location: file:///etc/passwd\r\n", ""));
    let error = get(&mut connection(), &server.url("/")).unwrap_err();
    assert_eq!(
        error.cause().to_string(),
        "unsupported protocol scheme \"file\""
    );
}

/// Once the guard was reported, and counted, as a limit that nobody had set.
#[test]
fn the_built_in_guard_says_so_itself() {
    let length = BODY_BYTES_MAX;
    let server = serve(move |_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        vec![Do::Send(head.into_bytes())]
    });
    for limit in [0, BODY_BYTES_MAX + 1, u64::MAX] {
        let request = request(&server.url("/")).body_limit(limit);
        let error = connection().get(&request, &mut Vec::new()).unwrap_err();
        let expect = NetError::BodyGuard {
            form: "",
            bytes: length,
        };
        assert_eq!(*error.cause(), expect);
        assert!(error.to_string().contains("built-in guard"), "{error}");
    }
}

/// Checks that the answer is too big for this limit, and that the buffer did not grow far beyond
/// it.
fn check_too_big(steps: impl Fn() -> Vec<Do> + Send + Sync + 'static, limit: u64) {
    let server = serve(move |_| steps());
    let mut body = Vec::new();
    let request = request(&server.url("/")).body_limit(limit);
    let error = connection().get(&request, &mut body).unwrap_err();
    assert_eq!(error.to_string(), "body size limit exceeded");
    assert!(
        body.capacity() as u64 <= 2 * limit + (64 << 10),
        "{}",
        body.capacity()
    );
}

#[test]
fn bodies_have_limits() {
    let exact = || raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
    check_too_big(exact, 10);
    let server = serve(move |_| exact());
    let request = request(&server.url("/")).body_limit(11);
    connection().get(&request, &mut Vec::new()).unwrap();
    check_too_big(
        || raw("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"),
        1 << 20,
    );
    check_too_big(
        || {
            vec![
                Do::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
                Do::Flood(vec![b'x'; 10_000]),
            ]
        },
        1 << 20,
    );
    let chunk = [b"2000\r\n".as_slice(), &[b'x'; 0x2000], b"\r\n"].concat();
    check_too_big(
        move || {
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            vec![Do::Send(head), Do::Flood(chunk.clone())]
        },
        1 << 20,
    );
}

#[test]
fn a_gzip_bomb_is_cut_off_by_what_it_unpacks_to() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    check_too_big(
        move || {
            let length = bomb.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
            );
            vec![Do::Send(head.into_bytes()), Do::Send(bomb.clone())]
        },
        1 << 20,
    );
}

#[test]
fn lies_about_the_length_cost_no_memory() {
    // NOTE: as much as a body may have on 32 bits too.
    let wire = "HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\nx";
    let server = serve(move |_| raw_close(wire));
    let mut body = Vec::new();
    let error = connection().get(&request(&server.url("/")), &mut body);
    assert_eq!(error.unwrap_err(), NetError::UnexpectedEof);
    assert!(body.capacity() <= 8 << 20);
}

/// Checks that cancelling ends the request, wherever it is. Its deadline is far away.
fn check_cancel(url: &str, seen: impl Fn() -> bool + Send + 'static) {
    let env = env();
    let client = Client::new(&ClientSettings::default(), "test", &env).unwrap();
    let mut connection = client.connection();
    let canceller = connection.canceller();
    let attempted = env.metrics.of("test").attempted;
    when(
        move || attempted.get() > 0.0 && seen(),
        move || canceller.cancel(),
    );
    let request = request(url).timeout(Duration::from_secs(600));
    let error = connection.get(&request, &mut Vec::new()).unwrap_err();
    assert_eq!(*error.cause(), NetError::Canceled, "{url}");
    let error = connection.get(&request, &mut Vec::new()).unwrap_err();
    assert_eq!(*error.cause(), NetError::Canceled, "{url} again");
}

#[test]
fn cancelling_ends_a_request_wherever_it_is() {
    let head = || Do::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec());
    let servers = [
        serve(|_| vec![Do::Hang]),
        serve(move |_| vec![head(), Do::Hang]),
        serve(move |_| vec![head(), Do::Drip(b'x')]),
    ];
    for server in servers {
        let seen = server.seen.clone();
        check_cancel(&server.url("/"), move || !seen.lock().unwrap().is_empty());
    }
    let server = serve(|_| vec![Do::Hang]);
    let accepted = server.accepted.clone();
    let url = server.url("/tls").replace("http:", "https:");
    check_cancel(&url, move || accepted.load(SeqCst) > 0);
}

#[test]
fn cancelling_ends_a_connect_that_hangs() {
    // A listener whose queue is full answers no connection at all.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let filler = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50));
    let _fillers: Vec<_> = std::iter::from_fn(|| filler().ok()).take(8).collect();
    check_cancel(&format!("http://{address}/connect"), || true);
    let request = request(&format!("http://{address}/")).timeout(Duration::from_millis(50));
    let error = connection().get(&request, &mut Vec::new()).unwrap_err();
    let text = format!("Get \"http://{address}/\": context deadline exceeded");
    assert_eq!(error.to_string(), text);
}
