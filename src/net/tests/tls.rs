//! Tests of TLS: who is trusted, who is refused and why, and that it fits a scrape loop's stack.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};

use super::super::{
    Client, ClientSettings, NetError, Secret, SecretSource, Strictness, TlsSettings, TlsVersion,
};
use super::server::{Do, Server, Stream, page, serve, serve_on};
use super::{client, env, get, ok};
use crate::stdx::limits::LOOP_STACK;
use crate::stdx::thread::spawn;

pub struct Pair {
    pub cert: String,
    pub key: String,
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(&self, name: &str) -> Pair {
        self.sign_with(CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    fn sign_with(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let issuer: &Issuer<'static, KeyPair> = &self.0;
        Pair {
            cert: params.signed_by(&key, issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

pub fn self_signed(name: &str) -> Pair {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    Pair {
        cert: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// `clients` is the authority that clients' certificates must come from.
pub fn serve_tls(
    pair: &Pair,
    clients: Option<&str>,
    versions: &[&'static SupportedProtocolVersion],
    script: impl Fn(&str) -> Vec<Do> + Send + Sync + 'static,
) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
                .unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    serve_on(script, move |mut tcp| {
        let mut tls = ServerConnection::new(config.clone()).unwrap();
        while tls.is_handshaking() {
            if tls.complete_io(&mut tcp).is_err() {
                // Lets the alert arrive before the reset.
                let _ = std::io::copy(&mut tcp, &mut std::io::sink());
                return None;
            }
        }
        Some(Box::new(StreamOwned::new(tls, tcp)) as Box<dyn Stream>)
    })
}

#[expect(clippy::unnecessary_wraps, reason = "as the settings hold it")]
fn inline(pem: &str) -> Option<SecretSource> {
    Some(SecretSource::Inline(Secret::new(pem)))
}

fn trusting(ca: &str) -> TlsSettings {
    TlsSettings {
        ca: inline(ca),
        ..TlsSettings::default()
    }
}

fn with(tls: TlsSettings) -> ClientSettings {
    ClientSettings {
        tls,
        ..ClientSettings::default()
    }
}

fn url(server: &Server) -> String {
    format!("https://127.0.0.1:{}/m", server.address.port())
}

fn check(server: &Server, tls: TlsSettings, expect: Result<(), &str>) {
    let client = client(&with(tls));
    let mut connection = client.connection();
    for _ in 0..2 {
        let got = get(&mut connection, &url(server));
        match expect {
            Ok(()) => assert_eq!(got, ok("x")),
            Err(text) => {
                let got = got.unwrap_err().to_string();
                assert!(got.contains(text), "{got} has not {text}");
            }
        }
    }
    if expect.is_ok() {
        let url = url(server);
        let fetched = client.fetch(&super::proxy::fetch_request(&url)).unwrap();
        assert_eq!(fetched.body, b"x");
    }
}

#[test]
fn servers_are_believed_by_their_authority_and_name() {
    let (ca, other) = (Authority::new(), Authority::new());
    let server = |pair: &Pair| serve_tls(pair, None, rustls::ALL_VERSIONS, |_| page("x"));
    let by_address = server(&ca.sign("127.0.0.1"));
    let by_name = server(&ca.sign("exporter.example"));
    check(&by_address, trusting(&ca.pem()), Ok(()));
    assert_eq!(by_address.accepted(), 2);
    let unknown =
        "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    check(&by_address, trusting(&other.pem()), Err(unknown));
    check(&by_address, TlsSettings::default(), Err(unknown));
    check(
        &by_name,
        trusting(&ca.pem()),
        Err("x509: certificate is valid for exporter.example, not 127.0.0.1"),
    );
    let named = TlsSettings {
        server_name: Some("exporter.example".into()),
        ..trusting(&ca.pem())
    };
    check(&by_name, named, Ok(()));
    let careless = TlsSettings {
        insecure_skip_verify: true,
        ..TlsSettings::default()
    };
    check(&by_name, careless.clone(), Ok(()));
    // Prometheus accepts an invalid name. If certificates are checked, it fits none.
    let no_name = |settings| TlsSettings {
        server_name: Some("a b".into()),
        ..settings
    };
    check(&by_name, no_name(careless), Ok(()));
    check(
        &by_name,
        no_name(trusting(&ca.pem())),
        Err("tls: invalid server name \"a b\""),
    );
}

#[test]
fn a_closed_connection_is_seen_and_replaced() {
    let ca = Authority::new();
    let pair = ca.sign("127.0.0.1");
    let server = serve_tls(&pair, None, rustls::ALL_VERSIONS, |_| {
        let mut steps = page("x");
        steps.push(Do::Close);
        steps
    });
    check(&server, trusting(&ca.pem()), Ok(()));
    assert_eq!((server.accepted(), server.requests()), (3, 3));
}

#[test]
fn a_self_signed_authority_may_serve_itself() {
    let pair = self_signed("127.0.0.1");
    let server = serve_tls(&pair, None, rustls::ALL_VERSIONS, |_| page("x"));
    check(&server, trusting(&pair.cert), Ok(()));
    let wrong = TlsSettings {
        server_name: Some("elsewhere.example".into()),
        ..trusting(&pair.cert)
    };
    check(&server, wrong, Err("x509: certificate is"));
}

#[test]
fn certificates_out_of_time_name_the_clock() {
    let ca = Authority::new();
    let mut old = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    old.not_after = date_time_ymd(2001, 2, 3);
    old.not_before = date_time_ymd(2000, 2, 3);
    let server = serve_tls(&ca.sign_with(old), None, rustls::ALL_VERSIONS, |_| {
        page("x")
    });
    check(
        &server,
        trusting(&ca.pem()),
        Err("is after 2001-02-03T00:00:00Z"),
    );
    let mut new = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    new.not_before = date_time_ymd(2300, 2, 3);
    new.not_after = date_time_ymd(2301, 2, 3);
    let server = serve_tls(&ca.sign_with(new), None, rustls::ALL_VERSIONS, |_| {
        page("x")
    });
    let text = "x509: certificate has expired or is not yet valid: current time ";
    check(&server, trusting(&ca.pem()), Err(text));
    check(
        &server,
        trusting(&ca.pem()),
        Err("is before 2300-02-03T00:00:00Z"),
    );
}

#[test]
fn versions_are_bounded() {
    let ca = Authority::new();
    let pair = ca.sign("127.0.0.1");
    let between = |min, max| TlsSettings {
        min_version: Some(min),
        max_version: Some(max),
        ..trusting(&ca.pem())
    };
    let old = serve_tls(&pair, None, &[&rustls::version::TLS12], |_| page("x"));
    let new = serve_tls(&pair, None, &[&rustls::version::TLS13], |_| page("x"));
    check(&old, between(TlsVersion::Tls12, TlsVersion::Tls13), Ok(()));
    check(&old, between(TlsVersion::Tls12, TlsVersion::Tls12), Ok(()));
    check(&new, between(TlsVersion::Tls13, TlsVersion::Tls13), Ok(()));
    let refused = Err("remote error: tls: protocol version not supported");
    check(&old, between(TlsVersion::Tls13, TlsVersion::Tls13), refused);
    check(&new, between(TlsVersion::Tls12, TlsVersion::Tls12), refused);
}

#[test]
fn clients_show_their_certificate_and_rotate_it() {
    let (ca, clients) = (Authority::new(), Authority::new());
    let pair = ca.sign("127.0.0.1");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = serve_tls(&pair, Some(&clients.pem()), &[version], |_| page("x"));
        check(
            &server,
            trusting(&ca.pem()),
            Err("remote error: tls: certificate required"),
        );
        let good = clients.sign("me");
        let own = |pair: &Pair| TlsSettings {
            cert: inline(&pair.cert),
            key: inline(&pair.key),
            ..trusting(&ca.pem())
        };
        check(&server, own(&good), Ok(()));
        rotate(&server, &ca, &good, &clients.sign("me again"));
    }
}

fn rotate(server: &Server, ca: &Authority, first: &Pair, second: &Pair) {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert"), dir.path().join("key"));
    let write = |pair: &Pair| {
        std::fs::write(&cert, &pair.cert).unwrap();
        std::fs::write(&key, &pair.key).unwrap();
    };
    write(first);
    let file = |path: &Path| Some(SecretSource::File(path.to_owned()));
    let settings = with(TlsSettings {
        cert: file(&cert),
        key: file(&key),
        ..trusting(&ca.pem())
    });
    let mut connection = client(&settings).connection();
    let before = server.accepted();
    for _ in 0..2 {
        assert_eq!(get(&mut connection, &url(server)), ok("x"));
    }
    assert_eq!(server.accepted() - before, 1);
    write(second);
    assert_eq!(get(&mut connection, &url(server)), ok("x"));
    assert_eq!(server.accepted() - before, 2);
    std::fs::write(&key, &first.key).unwrap();
    let error = get(&mut connection, &url(server)).unwrap_err().to_string();
    assert!(
        error.contains("private key does not match public key"),
        "{error}"
    );
    write(second);
    assert_eq!(get(&mut connection, &url(server)), ok("x"));
}

#[test]
fn wrong_files_are_found_when_the_client_is_made() {
    let ca = Authority::new();
    let (one, two) = (ca.sign("a"), ca.sign("b"));
    let check = |tls: TlsSettings, text: &str| {
        let settings = with(tls);
        let error = Client::new(&settings, "test", &env())
            .unwrap_err()
            .to_string();
        assert!(error.contains(text), "{error} has not {text}");
        Client::with(&settings, "test", &env(), Strictness::Lenient).unwrap();
    };
    let own = |cert: &str, key: &str| TlsSettings {
        cert: inline(cert),
        key: inline(key),
        ..TlsSettings::default()
    };
    check(
        own(&one.cert, &two.key),
        "private key does not match public key",
    );
    check(own("junk", &one.key), "failed to find certificate PEM data");
    check(own(&one.cert, "junk"), "private key: ");
    check(trusting("junk"), "unable to use specified CA cert");
    let missing = TlsSettings {
        ca: Some(SecretSource::File("/nonexistent/ca".into())),
        ..TlsSettings::default()
    };
    check(
        missing,
        "unable to read CA cert: unable to read file /nonexistent/ca: no such file or directory",
    );
}

#[test]
fn a_plain_server_is_recognised() {
    let server = serve(|_| page("x"));
    let careless = TlsSettings {
        insecure_skip_verify: true,
        ..TlsSettings::default()
    };
    // The listener takes our hello for a request that never ends, so it must answer at once.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = move || {
        let (mut tcp, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut tcp, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = std::io::copy(&mut tcp, &mut std::io::sink());
    };
    std::thread::Builder::new().spawn(answer).unwrap();
    let url = format!("https://127.0.0.1:{port}/");
    let error = get(&mut client(&with(careless)).connection(), &url).unwrap_err();
    let text = "http: server gave HTTP response to HTTPS client";
    assert_eq!(*error.cause(), NetError::Tls(text.into()));
    drop(server);
}

#[test]
fn a_handshake_with_a_client_certificate_fits_a_loops_stack() {
    let (ca, clients) = (Authority::new(), Authority::new());
    let pair = ca.sign("127.0.0.1");
    let server = serve_tls(&pair, Some(&clients.pem()), rustls::ALL_VERSIONS, |_| {
        page("x")
    });
    let own = clients.sign("me");
    let client = client(&with(TlsSettings {
        cert: inline(&own.cert),
        key: inline(&own.key),
        ..trusting(&ca.pem())
    }));
    let url = url(&server);
    let (tx, rx) = crossbeam_channel::bounded(1);
    let thread = spawn("scrape-test", LOOP_STACK, move || {
        tx.send(get(&mut client.connection(), &url)).unwrap();
    });
    assert_eq!(rx.recv().unwrap(), ok("x"));
    drop(thread);
}
