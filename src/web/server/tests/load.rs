//! Tests with clients that are many, slow, or both.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crossbeam_channel::bounded;

use super::super::Response;
use super::client::Client;
use super::{echo, start};
use crate::stdx::testing::{DEADLINE, eventually};

#[test]
fn idle_and_half_open_connections_grow_no_threads() {
    let fixture = start(|_| {}, echo);
    let idle: Vec<_> = (0..200).map(|_| fixture.client()).collect();
    let mut half: Vec<_> = (0..250).map(|_| fixture.client()).collect();
    for client in &mut half {
        client.send("GET / HTTP/1.1\r\nHos");
    }
    let mut other = fixture.client();
    for _ in 0..20 {
        assert_eq!(other.get("/").status, 200);
    }
    for client in &mut half {
        assert_eq!(client.send("t: a\r\n\r\n").answer().status, 200);
    }
    drop(idle);
    // NOTE: other tests' servers run beside this one, with two workers each.
    let names = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let ours: Vec<String> = names.filter(|n| n.starts_with("http-")).collect();
    assert!(
        ours.iter()
            .all(|n| ["http-accept", "http-0", "http-1", "http-2"].contains(&n.trim()))
    );
    assert!(ours.len() < 450 / 2, "{}", ours.len());
}

#[test]
fn a_burst_of_keep_alive_connections_is_answered_whole() {
    let fixture = start(|options| options.queue_max = 200, echo);
    let mut clients: Vec<_> = (0..200).map(|_| fixture.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn idle_connections_are_closed_in_the_end() {
    let fixture = start(
        |options| options.read_timeout = Duration::from_millis(30),
        echo,
    );
    assert!(fixture.client().is_closed());
    let mut made = 1;
    // NOTE: on a busy machine a client may be too slow even for its request.
    eventually("one is answered", || {
        let mut client = fixture.client();
        made += 1;
        client.try_get("/") == Some(200) && client.is_closed()
    });
    eventually("all are counted", || {
        let closed = "net_conntrack_listener_conn_closed_total{listener_name=\"http\"}";
        fixture.registry.shown(closed) == made.to_string()
    });
}

#[test]
fn slow_bodies_hold_no_worker() {
    let fixture = start(|_| {}, echo);
    let mut slow: Vec<_> = (0..20).map(|_| fixture.client()).collect();
    for client in &mut slow {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh");
    }
    assert_eq!(fixture.client().get("/").status, 200);
    for client in &mut slow {
        assert_eq!(client.send("i").answer().text(), "POST / hi");
    }
}

#[test]
fn bodies_share_a_budget() {
    let fixture = start(|options| options.bodies_bytes_max = 1000, echo);
    let post = |n: usize| {
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{}",
            "x".repeat(n)
        )
    };
    let rest = "x".repeat(100);
    // NOTE: the client whose head is read first has the budget. It should be the first client.
    eventually("the budget is full, and the first client's", || {
        let (mut first, mut second) = (fixture.client(), fixture.client());
        first.send(&post(900));
        second.send(&post(900)).send(&rest);
        second.answer().status == 503 && first.send(&rest).answer().status == 200
    });
}

#[test]
fn slow_readers_hold_no_worker() {
    let body = vec![b'x'; 8 << 20];
    let fixture = start(
        |options| options.parked_bytes_max = 64 << 20,
        move |request| match request.path.as_str() {
            "/big" => Response::new(200).bytes(body.clone()),
            _ => echo(request),
        },
    );
    let mut slow: Vec<_> = (0..6).map(|_| fixture.client()).collect();
    for client in &mut slow {
        client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    assert_eq!(fixture.client().get("/").status, 200);
    for client in &mut slow {
        assert_eq!(client.answer().body.len(), 8 << 20);
        assert_eq!(client.get("/").status, 200);
    }
}

#[test]
fn too_many_parked_bytes_cost_the_oldest() {
    // NOTE: far more than the kernel's buffers take.
    let body = vec![b'x'; 32 << 20];
    let fixture = start(
        |options| options.parked_bytes_max = 40 << 20,
        move |_| Response::new(200).bytes(body.clone()),
    );
    let mut first = fixture.client();
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut buffer = [0; 1];
    assert_eq!(first.stream.peek(&mut buffer).unwrap(), 1);
    let mut second = fixture.client();
    second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the first is dropped", || {
        fixture.shows("net_conntrack_listener_conn_closed_total{listener_name=\"http\"} 1")
    });
    assert_eq!(second.answer().body.len(), 32 << 20);
    assert!(first.rest().len() < 32 << 20);
}

#[test]
fn management_is_never_starved() {
    let (release, wait) = bounded::<()>(0);
    let (entered, inside) = bounded::<()>(2);
    let fixture = start(
        |options| options.queue_max = 3,
        move |request| {
            if request.path == "/slow" {
                let _ = entered.try_send(());
                let _ = wait.recv_timeout(DEADLINE);
            }
            echo(request)
        },
    );
    let mut slow: Vec<_> = (0..9).map(|_| fixture.client()).collect();
    let get = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    // Two at work, two in the channel, three in the queue; and two too many.
    let mut refused = Vec::new();
    for (i, client) in slow.iter_mut().enumerate() {
        client.send(get);
        if i < 2 {
            inside.recv_timeout(DEADLINE).unwrap();
        }
    }
    eventually("two are refused", || {
        fixture.shows("ferula_http_requests_refused_total{code=\"503\"} 2")
    });
    assert_eq!(fixture.client().get("/-/healthy").text(), "GET /-/healthy ");
    let mut posting = fixture.client();
    posting.send("POST /-/healthy HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    eventually("a piece of its body alone", || {
        posting.stream.write(b"x").is_ok()
    });
    assert_eq!(posting.send("y").answer().text(), "POST /-/healthy xy");
    drop(release);
    for client in &mut slow {
        let answer = client.answer();
        match answer.status {
            503 => refused.push(answer.has("Retry-After: 1")),
            status => assert_eq!(status, 200),
        }
    }
    assert_eq!(refused, [true, true]);
}

#[test]
fn waiting_for_a_worker_has_an_end() {
    let (release, wait) = bounded::<()>(0);
    let (entered, inside) = bounded::<()>(2);
    let fixture = start(
        // LIMIT: what a busy machine takes to wake a worker that is free.
        |options| options.queue_timeout = Duration::from_secs(1),
        move |request| {
            let _ = entered.try_send(());
            let _ = wait.recv_timeout(DEADLINE);
            echo(request)
        },
    );
    let mut clients: Vec<_> = (0..6).map(|_| fixture.client()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        if i < 2 {
            inside.recv_timeout(DEADLINE).unwrap();
        }
    }
    eventually("two waited too long", || {
        fixture.shows("ferula_http_requests_refused_total{code=\"503\"} 2")
    });
    drop(release);
    let statuses = clients.iter_mut().map(|c| c.answer().status);
    assert_eq!(statuses.filter(|s| *s == 503).count(), 2);
}

#[test]
fn hanging_up_cancels_the_request() {
    let canceled = Arc::new(AtomicUsize::new(0));
    let counter = canceled.clone();
    let fixture = start(
        |_| {},
        move |request| {
            eventually("it is canceled", || request.is_canceled());
            counter.fetch_add(1, SeqCst);
            echo(request)
        },
    );
    let mut client = fixture.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    drop(client);
    eventually("the handler saw it", || canceled.load(SeqCst) == 1);
}

#[test]
fn at_the_limit_the_oldest_idle_connection_goes() {
    // NOTE: a client may have its answer before the poller has the connection back. Until then it
    // is not idle and cannot be closed.
    eventually("it is the second client's", || {
        let fixture = start(|options| options.max_connections = 5, echo);
        let mut clients: Vec<_> = (0..5).map(|_| fixture.client()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
        assert_eq!(clients[0].get("/").status, 200);
        assert_eq!(fixture.client().get("/").status, 200);
        let gone: Vec<bool> = clients.iter().map(Client::is_gone).collect();
        gone == [false, true, false, false, false] && clients[0].get("/").status == 200
    });
}

#[test]
fn at_the_limit_the_busy_are_waited_for() {
    let (release, wait) = bounded::<()>(0);
    let fixture = start(
        |options| options.max_connections = 2,
        move |request| {
            if request.path == "/slow" {
                let _ = wait.recv_timeout(DEADLINE);
            }
            echo(request)
        },
    );
    let mut slow = [fixture.client(), fixture.client()];
    for client in &mut slow {
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let accepted = "net_conntrack_listener_conn_accepted_total{listener_name=\"http\"} 2";
    eventually("both are taken", || fixture.shows(accepted));
    let mut third = fixture.client();
    third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    drop(release);
    assert_eq!(third.answer().status, 200);
}

/// Set in the process that has few descriptors.
const CHILD: &str = "FERULA_TEST_FEW_DESCRIPTORS";

/// The server of the next test, in a process of its own, so that its limit binds nobody else.
#[test]
fn few_descriptors_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let limit = rustix::process::Rlimit {
        current: Some(40),
        maximum: Some(40),
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let fixture = start(
        |options| options.head_timeout = Duration::from_secs(1),
        echo,
    );
    println!("\nlistening {}", fixture.server.addresses()[0]);
    // Waits until the parent has closed its end.
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program)
        .args([
            "--exact",
            "--nocapture",
            "web::server::tests::load::few_descriptors_child",
        ])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().strip_prefix("listening ")?.parse().ok());
    let address = address.unwrap();
    let mut idle: Vec<_> = (0..100).map(|_| Client::connect(address)).collect();
    // Each new connection pushes out an idle one.
    for _ in 0..20 {
        assert_eq!(Client::connect(address).get("/").status, 200);
    }
    assert!(idle[0].is_closed());
    drop(idle);
    // If nobody is idle, clients are told to come again. Once there is room they are served.
    let mut half: Vec<_> = (0..60).map(|_| Client::connect(address)).collect();
    for client in &mut half {
        let _ = client.stream.write_all(b"GET / HTTP/1.1\r\nHost");
    }
    assert!(
        half.iter_mut()
            .any(|client| client.rest().starts_with(b"HTTP/1.1 "))
    );
    drop(half);
    eventually("it serves again", || {
        Client::connect(address).try_get("/") == Some(200)
    });
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
