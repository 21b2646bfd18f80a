//! Tests of the manager's threads: coalescing, applying, stopping; and over real sockets.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Registry;
use crate::net::{Env, Strictness};
use crate::scrape::manager::{Handle, Options};
use crate::scrape::prepare::{Job, PrepareEnv, Prepared, prepare};
use crate::scrape::schedule::Alignment;
use crate::scrape::target::Health;
use crate::scrape::testing::{Answer, Pages, Store, TEXT, config, group, whole};
use crate::stdx::clock::{Clock, ManualClock, RealClock};
use crate::stdx::mailbox::mailbox;
use crate::stdx::testing::eventually;

fn prepared(pages: &Pages) -> Prepared {
    let pages = pages.clone();
    Prepared {
        jobs: vec![Arc::new(Job {
            config: Arc::new(config()),
            accept: String::new(),
            dial: Arc::new(move || (Box::new(pages.clone()), Box::new(|| ()))),
            failure_log: None,
        })],
        offset_seed: 0,
    }
}

#[test]
fn updates_are_taken_at_once_and_then_once_an_interval() {
    let (store, clock) = (Arc::new(Store::default()), ManualClock::new(0));
    let (poster, targets) = mailbox();
    let pages = Pages::default();
    pages.push(Answer::Page(TEXT, "a 1\n".to_owned()));
    let handle = Handle::start(Options {
        storage: store.clone(),
        targets,
        clock: Arc::new(clock.clone()),
        registry: Registry::new(),
        user_agent: "test".to_owned(),
        alignment: Alignment::default(),
        reload_interval: Duration::from_secs(5),
    })
    .unwrap();
    assert_eq!(handle.apply(prepared(&pages)).added, ["j"]);
    assert_eq!(handle.apply(prepared(&pages)).unchanged, ["j"]);
    let count = || handle.view().active(Some("j"))[0].targets.len();
    let post = |addresses: &[&str]| {
        let labels: Vec<[(&str, &str); 1]> =
            addresses.iter().map(|a| [("__address__", *a)]).collect();
        let labels: Vec<&[(&str, &str)]> = labels.iter().map(|l| &l[..]).collect();
        poster.post([("j".to_owned(), vec![group("0", &labels)])].into());
    };
    post(&["a:1"]);
    eventually("the first is taken at once", || count() == 1);
    post(&["a:1", "b:1"]);
    post(&["a:1", "b:1", "c:1"]);
    // One loop and the reloader.
    eventually("all sleep", || clock.waiting() == 2);
    assert_eq!(count(), 1);
    clock.advance(Duration::from_secs(5));
    eventually("the rest is taken at the interval's end", || count() == 3);
    clock.advance(Duration::from_secs(15));
    eventually("they are scraped", || store.commits() >= 3);
    drop(poster);
    assert!(handle.stop(Duration::from_secs(10), &clock));
}

/// Answers every request on every connection with this page.
fn serve(page: &'static str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _ = crate::stdx::thread::spawn("test-server", 64 << 10, move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|n| n > 0) {
                if line == "\r\n" {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n";
                    let answer = format!("{head}Content-Length: {}\r\n\r\n{page}", page.len());
                    stream.get_mut().write_all(answer.as_bytes()).unwrap();
                }
                line.clear();
            }
        }
    })
    // NOTE: it ends with the process.
    .map(std::mem::forget);
    address
}

#[test]
fn over_real_sockets() {
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let (store, registry) = (Arc::new(Store::default()), Registry::new());
    let (poster, targets) = mailbox();
    let handle = Handle::start(Options {
        storage: store.clone(),
        targets,
        clock: clock.clone(),
        registry: registry.clone(),
        user_agent: "test".to_owned(),
        alignment: Alignment::default(),
        reload_interval: Duration::from_secs(5),
    })
    .unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let config = whole(&format!(
        "scrape_interval: 50ms, scrape_timeout: 50ms, scrape_failure_log_file: {:?}",
        log.path()
    ));
    let env = PrepareEnv {
        net: Env::new(clock.clone(), &registry),
        host_name: "h".to_owned(),
    };
    handle.apply(prepare(&config, &env, Strictness::Strict).unwrap());
    let good = serve("a 1\n").to_string();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let labels = [
        [("__address__", good.as_str())],
        [("__address__", closed.as_str())],
    ];
    let groups = vec![group("0", &[&labels[0], &labels[1]])];
    poster.post([("j".to_owned(), groups)].into());
    eventually("both are scraped", || {
        let pools = handle.view().active(Some("j"));
        let health = pools[0]
            .targets
            .iter()
            .map(|t| (t.label("__address__").unwrap() == good, t.status().health));
        let mut health: Vec<_> = health.collect();
        health.sort_by_key(|(good, _)| *good);
        health == [(false, Health::Down), (true, Health::Up)]
    });
    let stored = store.take();
    assert!(
        stored
            .iter()
            .any(|(labels, _, v)| labels.metric_name() == "a" && *v == 1.0)
    );
    eventually("the failure is logged", || {
        let text = std::fs::read_to_string(log.path()).unwrap();
        let line: serde_json::Value = match text.lines().next().map(serde_json::from_str) {
            Some(Ok(line)) => line,
            _ => return false,
        };
        let url = format!("http://{closed}/metrics");
        let expect = format!("Get \"{url}\": dial tcp {closed}: connect: connection refused");
        assert_eq!(
            (line["msg"].as_str(), line["level"].as_str()),
            (Some(&*expect), Some("ERROR"))
        );
        assert_eq!(
            (line["job_name"].as_str(), line["target"].as_str()),
            (Some("j"), Some(&*url))
        );
        true
    });
    assert!(handle.stop(Duration::from_secs(10), &*clock));
}

#[test]
fn a_dropped_handle_stops_everything() {
    let (_poster, targets) = mailbox();
    let handle = Handle::start(Options {
        storage: Arc::new(Store::default()),
        targets,
        clock: Arc::new(ManualClock::new(0)),
        registry: Registry::new(),
        user_agent: "test".to_owned(),
        alignment: Alignment::default(),
        reload_interval: Duration::from_secs(5),
    })
    .unwrap();
    drop(handle);
}
