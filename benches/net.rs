//! The cost of a kept-alive scrape in `net`: CPU of the client's thread, including the kernel's
//! part.
//!
//! `cargo bench --bench net`. Loopback, plain HTTP, a server that answers from memory.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ferula::metrics::Registry;
use ferula::net::{Client, ClientSettings, Env, Fetch, ScrapeRequest};
use ferula::stdx::clock::RealClock;
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: u32 = 20_000;

fn main() {
    println!("page, framing, µs of CPU a request");
    for bytes in [12_000, 118_000] {
        for (framing, chunk) in [("length", None), ("chunked 4 KiB", Some(4 << 10))] {
            let address = serve(page(bytes, chunk));
            println!("{bytes}, {framing}, {:.1}", measure(&address, bytes));
        }
    }
}

fn measure(address: &str, bytes: usize) -> f64 {
    let env = Env::new(Arc::new(RealClock::new()), &Registry::new());
    let client = Client::new(&ClientSettings::default(), "bench", &env).expect("client");
    let mut connection = client.connection();
    let headers = [
        ("User-Agent", "Prometheus/3.14.0"),
        ("Accept", "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"),
        ("X-Prometheus-Scrape-Timeout-Seconds", "10"),
    ];
    let request = ScrapeRequest::new(&format!("http://{address}/metrics"), &headers);
    let request = request.expect("request").gzip(false);
    let mut body = Vec::new();
    let mut get = || {
        connection.get(&request, &mut body).expect("answer");
        assert_eq!(body.len(), bytes);
    };
    (0..100).for_each(|_| get());
    let before = cpu();
    (0..ROUNDS).for_each(|_| get());
    cpu().saturating_sub(before).as_secs_f64() * 1e6 / f64::from(ROUNDS)
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn page(bytes: usize, chunk: Option<usize>) -> Vec<u8> {
    let body = vec![b'x'; bytes];
    let Some(chunk) = chunk else {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
        return [head.into_bytes(), body].concat();
    };
    let mut wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for part in body.chunks(chunk) {
        wire.extend(format!("{:x}\r\n", part.len()).bytes());
        wire.extend(part);
        wire.extend(b"\r\n");
    }
    wire.extend(b"0\r\n\r\n");
    wire
}

fn serve(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
    let address = listener.local_addr().expect("address").to_string();
    let run = move || {
        let (mut stream, _) = listener.accept().expect("connection");
        stream.set_nodelay(true).expect("nodelay");
        let mut request = [0; 4 << 10];
        while stream.read(&mut request).is_ok_and(|n| n > 0) {
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().spawn(run).expect("thread");
    address
}
