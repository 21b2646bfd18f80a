//! Tests of starting, stopping, and accidents.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;

use crate::metrics::Registry;
use crate::stdx::clock::RealClock;
use crate::stdx::testing::{DEADLINE, eventually};

use super::super::{Options, Server, ServerError};
use super::{echo, start};

#[test]
fn panics_become_500() {
    let handler = |request: super::Request| match request.path.as_str() {
        "/panic" => panic!("as the test wants"),
        _ => echo(request),
    };
    let fixture = start(|_| {}, handler);
    let mut client = fixture.client();
    for _ in 0..5 {
        assert_eq!(client.get("/panic").status, 500);
    }
    assert!(fixture.shows("ferula_http_handler_panics_total 5"));
    assert_eq!(fixture.client().get("/").status, 200);
}

#[test]
fn errors_of_listening_are_go_s() {
    let fixture = start(|_| {}, echo);
    let check = |address: String, expect: &str| {
        let mut options = Options::new(Arc::new(RealClock::new()), Registry::new());
        options.listen = vec!["127.0.0.1:0".to_owned(), address];
        match Server::start(options, Arc::new(echo)) {
            Err(ServerError::Listen(text)) => assert_eq!(text, expect),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it listens"),
        }
    };
    let taken = fixture.server.addresses()[0].to_string();
    check(
        taken.clone(),
        &format!("listen tcp {taken}: bind: address already in use"),
    );
    let foreign = "listen tcp 192.0.2.1:0: bind: cannot assign requested address";
    check("192.0.2.1:0".to_owned(), foreign);
    check(
        "x".to_owned(),
        "listen tcp x: address x: missing port in address",
    );
    check(
        "::1:80".to_owned(),
        "listen tcp ::1:80: address ::1:80: too many colons in address",
    );
}

#[test]
fn a_wildcard_is_all_addresses() {
    let fixture = start(
        |options| options.listen = vec![":0".into(), "0.0.0.0:0".into()],
        echo,
    );
    for address in fixture.server.addresses() {
        let port = address.port();
        assert_eq!(
            super::Client::connect(([127, 0, 0, 1], port).into())
                .get("/")
                .status,
            200
        );
        if address.is_ipv6() && TcpStream::connect(("::1", port)).is_ok() {
            let v6 = (std::net::Ipv6Addr::LOCALHOST, port).into();
            assert_eq!(super::Client::connect(v6).get("/").status, 200);
        }
    }
}

#[test]
fn stopping_finishes_what_is_in_flight() {
    let (release, wait) = bounded::<()>(0);
    let (entered, inside) = bounded::<()>(1);
    let fixture = start(
        |_| {},
        move |request| {
            if request.path == "/slow" {
                let _ = entered.send(());
                let _ = wait.recv_timeout(DEADLINE);
            }
            echo(request)
        },
    );
    let address = fixture.server.addresses()[0];
    let mut idle = fixture.client();
    assert_eq!(idle.get("/").status, 200);
    let mut busy = fixture.client();
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    inside.recv_timeout(DEADLINE).unwrap();
    let server = fixture.server;
    let stopping = crate::stdx::thread::spawn("stops", 64 << 10, move || {
        server.stop(DEADLINE);
    });
    assert!(idle.is_closed());
    eventually("it does not listen", || {
        TcpStream::connect(address).is_err()
    });
    drop(release);
    let answer = busy.answer();
    assert_eq!(answer.text(), "GET /slow ");
    assert!(answer.has("Connection: close") && busy.is_closed());
    drop(busy);
    assert!(stopping.unwrap().join_within(DEADLINE));
}

#[test]
fn stopping_cancels_what_takes_too_long() {
    let (entered, inside) = bounded::<()>(1);
    let fixture = start(
        |_| {},
        move |request| {
            let _ = entered.send(());
            eventually("it is canceled", || request.is_canceled());
            echo(request)
        },
    );
    let mut client = fixture.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    inside.recv_timeout(DEADLINE).unwrap();
    fixture.server.stop(Duration::from_millis(10));
    assert!(client.is_closed());
}
