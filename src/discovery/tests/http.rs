//! Tests of HTTP discovery against a server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bed::*;
use crate::config::{HttpSdConfig, SdConfig};
use crate::net::ClientSettings;
use crate::stdx::clock::ManualClock;
use crate::stdx::thread::spawn;

/// A server that gives every request the same answer, until a test sets another.
struct Server {
    url: String,
    answer: Arc<Mutex<String>>,
    request: Arc<Mutex<Vec<String>>>,
}

fn serve() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server {
        url: format!("http://{}/sd", listener.local_addr().unwrap()),
        answer: Arc::default(),
        request: Arc::default(),
    };
    let (answer, request) = (server.answer.clone(), server.request.clone());
    let thread = spawn("test-sd-server", 256 << 10, move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            if !head.is_empty() {
                *request.lock().unwrap() = head;
                let answer = answer.lock().unwrap().clone();
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    // The thread waits for connections until the process ends.
    std::mem::forget(thread.unwrap());
    server
}

impl Server {
    fn answers(&self, status: &str, content_type: &str, body: &str) {
        *self.answer.lock().unwrap() = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
    }

    fn config(&self, refresh_seconds: u64) -> SdConfig {
        SdConfig::Http(Box::new(HttpSdConfig {
            url: self.url.clone(),
            refresh_interval: Duration::from_secs(refresh_seconds),
            http: ClientSettings::default(),
        }))
    }
}

const JSON: &str = "application/json";

#[test]
fn a_list_is_asked_for_at_the_interval_and_kept_while_it_fails() {
    let server = serve();
    let clock = ManualClock::new(0);
    let mut bed = bed(Arc::new(clock.clone()), Duration::ZERO);
    server.answers(
        "200 OK",
        JSON,
        r#"[{"targets":["a:1"],"labels":{"k":"v"}},{"targets":["b:1"]}]"#,
    );
    bed.apply(&[("j", &[server.config(60)])]);
    bed.expect("the first at once", &[("j", &["a:1", "b:1"])]);
    let group = &bed.last["j"][0];
    assert_eq!(group.source, format!("{}:0", server.url));
    assert_eq!(group.labels["__meta_url"], server.url);
    let request = server.request.lock().unwrap().join("\n").to_lowercase();
    assert!(request.starts_with("get /sd http/1.1"), "{request}");
    for header in [
        "accept: application/json",
        "x-prometheus-refresh-interval-seconds: 60",
        "user-agent: prometheus/",
    ] {
        assert!(request.contains(header), "{request}");
    }

    logged();
    server.answers("500 Internal Server Error", JSON, "[]");
    let failures = bed.metrics.http_failures.clone();
    eventually("asleep", || clock.waiting() > 0);
    clock.advance(Duration::from_secs(60));
    eventually("a failure", || failures.get() >= 1.0);
    server.answers("200 OK", "text/html", "[]");
    eventually("asleep", || clock.waiting() > 0);
    clock.advance(Duration::from_secs(60));
    eventually("another", || failures.get() >= 2.0);
    bed.expect_no_other();
    let refreshes = "prometheus_sd_refresh_failures_total{config=\"j\",mechanism=\"http\"}";
    eventually("both are counted", || bed.metric(refreshes) == "2");
    logged_by_any(&["can't refresh target groups, keeping the last", &server.url]);

    server.answers("200 OK", JSON, &json(&["a:2"]));
    eventually("asleep", || clock.waiting() > 0);
    clock.advance(Duration::from_secs(60));
    bed.expect("fewer groups", &[("j", &["a:2"])]);
}

#[test]
fn a_changed_provider_keeps_the_old_targets_until_its_first() {
    let server = serve();
    let mut bed = quick();
    server.answers("200 OK", JSON, &json(&["a:1"]));
    bed.apply(&[("j", &[server.config(60)])]);
    bed.expect("first", &[("j", &["a:1"])]);
    server.answers("503 Busy", "text/plain", "");
    bed.apply(&[("j", &[server.config(1), static_config(&[&["s:1"]])])]);
    bed.expect("changed", &[("j", &["a:1", "s:1"])]);
    eventually("a failure", || bed.metrics.http_failures.get() >= 1.0);
    bed.expect_no_other();
    server.answers("200 OK", JSON, &json(&["b:1"]));
    bed.expect("its first", &[("j", &["b:1", "s:1"])]);
}

#[test]
fn a_server_that_hangs_holds_up_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = SdConfig::Http(Box::new(HttpSdConfig {
        url: format!("http://{}/sd", listener.local_addr().unwrap()),
        refresh_interval: Duration::from_secs(3_600),
        http: ClientSettings::default(),
    }));
    let mut bed = quick();
    bed.apply(&[("j", &[config, static_config(&[&["s:1"]])])]);
    bed.expect("the other", &[("j", &["s:1"])]);
    let _stream = listener.accept().unwrap();
    assert!(bed.handle.stop(DEADLINE));
}
