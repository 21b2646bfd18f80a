//! Clients that misbehave: health keeps answering, and each costs only its own connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Exporter, Ferula, eventually, send_raw};

fn ferula_with_data(series: usize) -> (Ferula, Exporter) {
    let page: String = (0..series)
        .map(|i| format!("wide{{i=\"{i}\"}} {i}\n"))
        .collect();
    let exporter = Exporter::page(page);
    let ferula = Ferula::start(&format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    ));
    eventually("the data is there", || {
        (ferula.values("up") == [1.0]).then_some(())
    });
    (ferula, exporter)
}

fn connect(ferula: &Ferula) -> TcpStream {
    let stream = TcpStream::connect(ferula.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

#[test]
fn health_answers_beside_half_open_requests_slow_queries_and_clients_that_stop_reading() {
    let (ferula, _exporter) = ferula_with_data(5_000);
    let threads = ferula.threads().len();
    let half_open: Vec<TcpStream> = (0..250)
        .map(|_| {
            let mut stream = connect(&ferula);
            stream
                .write_all(b"GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\nX-Ha")
                .unwrap();
            stream
        })
        .collect();
    let query = "GET /api/v1/query_range?query=wide&start=1&end=100001&step=10 HTTP/1.1\r\n\
                 Host: x\r\nConnection: close\r\n\r\n";
    let slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = connect(&ferula);
            stream.write_all(query.as_bytes()).unwrap();
            stream
        })
        .collect();
    let raw = "GET /api/v1/query?query=wide[1h] HTTP/1.1\r\nHost: x\r\n\r\n";
    let not_reading: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = connect(&ferula);
            stream.write_all(raw.as_bytes()).unwrap();
            stream
        })
        .collect();
    // NOTE: the server's unit test `management_is_never_starved` shows without a clock that health
    // waits for none of them. Here each is answered within the client's patience.
    for _ in 0..20 {
        assert_eq!(ferula.get("/-/healthy").status, 200);
    }
    let now = ferula.threads().len();
    assert!(now <= threads + 12, "{threads} threads before, {now} now");
    drop((half_open, slow, not_reading));
    ferula.wait_until_up("up");
}

#[test]
fn large_heads_are_taken_and_many_halves_of_them_cost_bounded_memory() {
    let (ferula, _exporter) = ferula_with_data(10);
    let long = |n: usize| format!("/api/v1/query?query=up&x={}", "x".repeat(n));
    for n in [17_600, 900_000] {
        assert_eq!(ferula.get(&long(n)).status, 200, "{n}");
    }
    let before = ferula.peak_kib();
    let head = format!("GET {} HTTP/1.1\r\nHost: x\r\n", long(900_000));
    let halves: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = connect(&ferula);
            // NOTE: a client that is refused meanwhile may find the connection closed.
            let _ = stream.write_all(head.as_bytes());
            stream
        })
        .collect();
    assert_eq!(ferula.get(&long(10)).status, 200);
    assert_eq!(ferula.get(&long(900_000)).status, 200);
    let grown = ferula.peak_kib() - before;
    assert!(grown < 48 << 10, "{grown} KiB more at the peak");
    drop(halves);
}

#[test]
fn bad_requests_get_4xx_and_the_connection_is_closed() {
    let ferula = Ferula::start("global: {}\n");
    let check = |request: &str, status: u16| {
        let reply = send_raw(ferula.address, request.as_bytes())
            .unwrap_or_else(|e| panic!("{:?}: {e}", &request[..request.len().min(60)]));
        assert_eq!(
            reply.status,
            status,
            "{:?}",
            &request[..request.len().min(60)]
        );
    };
    let head = "GET /-/healthy HTTP/1.1\r\n";
    check(
        &format!("{head}Host: x\r\nX: {}\r\n\r\n", "y".repeat(1100 << 10)),
        431,
    );
    check(&format!("{head}\r\n"), 400);
    check(&format!("{head}Host: a\r\nHost: b\r\n\r\n"), 400);
    check("NONSENSE\r\n\r\n", 400);
    check("GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505);
    let post = "POST /api/v1/query HTTP/1.1\r\nHost: x\r\n";
    check(
        &format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
        400,
    );
    check(
        &format!("{post}Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
        400,
    );
    check(&format!("{post}Content-Length: 99999999999\r\n\r\n"), 413);
    check(
        &format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        400,
    );
    // An endless head is cut off after its deadline.
    let mut endless = connect(&ferula);
    endless
        .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n")
        .unwrap();
    let mut answer = String::new();
    endless.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[test]
fn it_runs_out_of_file_descriptors_and_recovers() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let exporter = Exporter::page("a 1\n");
    let ferula = Ferula::start(&format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    ));
    eventually("up", || (ferula.values("up") == [1.0]).then_some(()));
    let pid = Pid::from_raw(ferula.pid() as i32);
    let few = Some(ferula.open_files() as u64 + 4);
    prlimit(
        pid,
        Resource::Nofile,
        Rlimit {
            current: few,
            maximum: Some(4096),
        },
    )
    .unwrap();
    let taken: Vec<TcpStream> = (0..40)
        .filter_map(|_| TcpStream::connect(ferula.address).ok())
        .collect();
    // A new client is served at the cost of the oldest idle one.
    eventually("served while descriptors are short", || {
        ferula.try_get("/-/healthy").filter(|r| r.status == 200)
    });
    drop(taken);
    prlimit(
        pid,
        Resource::Nofile,
        Rlimit {
            current: Some(1024),
            maximum: Some(4096),
        },
    )
    .unwrap();
    let before = exporter.requests();
    eventually("scraped on", || {
        (exporter.requests() > before + 3).then_some(())
    });
    eventually("up again", || (ferula.values("up") == [1.0]).then_some(()));
}
