//! Tests of requests through proxies.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::Builder;

use super::super::{ClientSettings, FetchRequest, ProxySettings, Secret, TlsSettings};
use super::server::{page, serve};
use super::{client, get, ok};

fn through(url: String) -> ClientSettings {
    ClientSettings {
        proxy: ProxySettings {
            url: Some(url),
            connect_headers: vec![("X-Route".into(), Secret::new("r"))],
            ..ProxySettings::default()
        },
        tls: TlsSettings {
            insecure_skip_verify: true,
            ..TlsSettings::default()
        },
        ..ClientSettings::default()
    }
}

pub fn fetch_request(url: &str) -> FetchRequest<'_> {
    FetchRequest {
        method: "GET",
        url,
        headers: &[],
        body: None,
        timeout: std::time::Duration::from_secs(10),
        body_limit: 1 << 20,
    }
}

#[test]
fn plain_targets_are_asked_for_by_their_whole_url() {
    let proxy = serve(|_| page("by proxy"));
    let url = format!("http://u:p@{}", proxy.address);
    let client = client(&through(url));
    let target = "http://target.example:81/m?a=b";
    let mut connection = client.connection();
    for _ in 0..2 {
        assert_eq!(get(&mut connection, target), ok("by proxy"));
    }
    assert_eq!(proxy.accepted(), 1);
    for _ in 0..2 {
        let fetched = client.fetch(&fetch_request(target)).unwrap();
        assert_eq!(fetched.body, b"by proxy");
    }
    for i in 0..4 {
        let seen = proxy.request(i).to_lowercase();
        assert!(
            seen.starts_with("get http://target.example:81/m?a=b http/1.1\r\n"),
            "{seen}"
        );
        assert!(seen.contains("\r\nhost: target.example:81\r\n"), "{seen}");
        assert!(
            seen.contains("\r\nproxy-authorization: basic dtpw\r\n"),
            "{seen}"
        );
    }
}

/// A proxy that knows CONNECT and leads everything to `to`.
fn tunnel_to(to: std::net::SocketAddr, seen: Arc<Mutex<String>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        for mut near in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && near.read(&mut byte).unwrap() > 0 {
                head.push(byte[0]);
            }
            *seen.lock().unwrap() = String::from_utf8(head).unwrap();
            near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .unwrap();
            let far = TcpStream::connect(to).unwrap();
            let pairs = [
                (near.try_clone().unwrap(), far.try_clone().unwrap()),
                (far, near),
            ];
            for (mut from, mut into) in pairs {
                let copy = move || {
                    let _ = std::io::copy(&mut from, &mut into);
                    let _ = into.shutdown(Shutdown::Write);
                };
                Builder::new().spawn(copy).unwrap();
            }
        }
    };
    Builder::new().spawn(serve).unwrap();
    address
}

#[test]
fn secure_targets_are_reached_through_a_tunnel() {
    let certificate = super::tls::self_signed("target.example");
    let server = super::tls::serve_tls(&certificate, None, rustls::ALL_VERSIONS, |_| page("x"));
    let seen = Arc::new(Mutex::new(String::new()));
    let proxy = tunnel_to(server.address, seen.clone());
    let client = client(&through(format!("http://{proxy}")));
    let target = "https://target.example/m";
    assert_eq!(get(&mut client.connection(), target), ok("x"));
    assert_eq!(
        *seen.lock().unwrap(),
        "CONNECT target.example:443 HTTP/1.1\r\nHost: target.example:443\r\nX-Route: r\r\n\r\n"
    );
    assert!(
        server
            .request(0)
            .starts_with("GET /m HTTP/1.1\r\nHost: target.example\r\n")
    );
    assert_eq!(client.fetch(&fetch_request(target)).unwrap().body, b"x");
}

#[test]
fn a_proxy_that_refuses_is_told_of() {
    let proxy = serve(|_| super::server::answer("403 Forbidden", "", ""));
    let client = client(&through(proxy.url("")));
    let error = get(&mut client.connection(), "https://target.example/m").unwrap_err();
    assert_eq!(
        error.to_string(),
        "Get \"https://target.example/m\": Forbidden"
    );
}
