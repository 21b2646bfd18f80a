//! Tests of TLS, client certificates, basic authentication, and changes of the web configuration.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::stdx::clock::ManualClock;
use crate::web::web_config::WebConfig;

use super::{Fixture, echo, start};

/// Hashes at the lowest cost.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

struct Pki {
    dir: tempfile::TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    /// Writes ca.pem, server.pem and server.key into a directory.
    fn new() -> Pki {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki { dir, ca };
        fs::write(pki.path("ca.pem"), pki.ca.pem()).unwrap();
        pki.issue("server", "localhost");
        pki
    }

    fn issue(&self, file: &str, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.ca).unwrap();
        fs::write(self.path(&format!("{file}.pem")), cert.pem()).unwrap();
        fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Starts a server with this web configuration.
    fn start(&self, config: &str) -> Fixture {
        fs::write(self.path("web.yml"), config).unwrap();
        let path = self.path("web.yml");
        start(|options| options.web_config = Some(path), echo)
    }

    /// GETs over TLS with the client certificate `cert`, if any.
    fn get(&self, fixture: &Fixture, cert: Option<&str>) -> Result<String, std::io::Error> {
        let mut stream = self.connect(fixture, cert);
        stream.write_all(b"GET /tls HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    fn connect(
        &self,
        fixture: &Fixture,
        cert: Option<&str>,
    ) -> StreamOwned<ClientConnection, std::net::TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match cert {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let cert = self.path(&format!("{name}.pem"));
                let key = self.path(&format!("{name}.key"));
                let cert = CertificateDer::from_pem_file(cert).unwrap();
                let key = PrivateKeyDer::from_pem_file(key).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        let name = "localhost".try_into().unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(tls, fixture.client().stream)
    }
}

const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

#[test]
fn tls_serves_and_tells_plain_clients() {
    let pki = Pki::new();
    let fixture = pki.start(TLS);
    assert!(
        pki.get(&fixture, None)
            .unwrap()
            .ends_with("\r\n\r\nGET /tls ")
    );
    let plain = fixture.client().get("/");
    assert_eq!(plain.status, 400);
    assert_eq!(
        plain.text(),
        "Client sent an HTTP request to an HTTPS server.\n"
    );
    let mut kept = pki.connect(&fixture, None);
    for _ in 0..3 {
        kept.write_all(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            .unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"POST /a x") {
            let mut byte = [0];
            kept.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
    }
}

#[test]
fn stalled_handshakes_hold_nobody_and_end() {
    let pki = Pki::new();
    fs::write(pki.path("web.yml"), TLS).unwrap();
    let path = pki.path("web.yml");
    let fixture = start(
        |options| {
            options.web_config = Some(path);
            // LIMIT: what a busy machine takes for the handshake that does not stall.
            options.head_timeout = Duration::from_secs(3);
        },
        echo,
    );
    let mut stalled: Vec<_> = (0..20).map(|_| fixture.client()).collect();
    for client in &mut stalled {
        client.stream.write_all(&[0x16, 3, 1]).unwrap();
    }
    assert!(pki.get(&fixture, None).unwrap().ends_with("GET /tls "));
    for client in &mut stalled {
        client.rest();
    }
}

#[test]
fn large_answers_over_tls_to_slow_readers() {
    let pki = Pki::new();
    fs::write(pki.path("web.yml"), TLS).unwrap();
    let path = pki.path("web.yml");
    let fixture = start(
        |options| options.web_config = Some(path),
        |_| super::Response::new(200).bytes(vec![b'x'; 6 << 20]),
    );
    let mut slow: Vec<_> = (0..4).map(|_| pki.connect(&fixture, None)).collect();
    for stream in &mut slow {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
    }
    for stream in &mut slow {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert!(all.len() > 6 << 20);
    }
}

#[test]
fn client_certificates() {
    let pki = Pki::new();
    pki.issue("client", "client.example");
    let other = Pki::new();
    for file in ["other.pem", "other.key"] {
        fs::copy(other.path(&file.replace("other", "server")), pki.path(file)).unwrap();
    }
    let check = |settings: &str, cert: Option<&str>, expect: bool| {
        let fixture = pki.start(&format!("{TLS}{settings}"));
        let got = pki
            .get(&fixture, cert)
            .is_ok_and(|text| text.ends_with("GET /tls "));
        assert_eq!(got, expect, "{settings} {cert:?}");
    };
    let ca = "  client_ca_file: ca.pem\n";
    let required = &format!("  client_auth_type: RequireAndVerifyClientCert\n{ca}");
    check(required, None, false);
    check(required, Some("client"), true);
    check(required, Some("other"), false);
    check(
        &format!("{required}  client_allowed_sans: [client.example]\n"),
        Some("client"),
        true,
    );
    check(
        &format!("{required}  client_allowed_sans: [x.example]\n"),
        Some("client"),
        false,
    );
    let given = &format!("  client_auth_type: VerifyClientCertIfGiven\n{ca}");
    check(given, None, true);
    check(given, Some("other"), false);
    check(
        "  client_auth_type: RequireAnyClientCert\n",
        Some("other"),
        true,
    );
    check("  client_auth_type: RequireAnyClientCert\n", None, false);
    check("  client_auth_type: RequestClientCert\n", None, true);
}

#[test]
fn basic_authentication() {
    let pki = Pki::new();
    let fixture = pki.start(&format!(
        "basic_auth_users: {{ alice: '{}' }}\n\
         http_server_config: {{ headers: {{ X-Frame-Options: deny, X-Content-Type-Options: nosniff }} }}\n",
        hash("secret"),
    ));
    let check = |authorization: &str, expect: u16| {
        let mut client = fixture.client();
        for _ in 0..2 {
            client.send(&format!("GET / HTTP/1.1\r\nHost: a\r\n{authorization}\r\n"));
            let answer = client.answer();
            assert_eq!(answer.status, expect, "{authorization}");
            assert!(answer.has("X-Frame-Options: deny"));
            let own = answer.head.matches("X-Content-Type-Options: nosniff\r\n");
            assert_eq!(own.count(), 1, "{}", answer.head);
            assert_eq!(answer.has("WWW-Authenticate: Basic"), expect == 401);
        }
    };
    // alice:secret, alice:wrong, bob:secret, alice
    check("Authorization: Basic YWxpY2U6c2VjcmV0\r\n", 200);
    check("Authorization: basic YWxpY2U6c2VjcmV0\r\n", 200);
    check("Authorization: Basic YWxpY2U6d3Jvbmc=\r\n", 401);
    check("Authorization: Basic Ym9iOnNlY3JldA==\r\n", 401);
    check("Authorization: Basic YWxpY2U=\r\n", 401);
    check("Authorization: Bearer YWxpY2U6c2VjcmV0\r\n", 401);
    check("", 401);
    // Answers that no handler sees have them too.
    for (request, status) in [("NONSENSE\r\n\r\n", 400), ("GET / HTTP/3.0\r\n\r\n", 505)] {
        let answer = fixture.client().send(request).answer();
        assert_eq!(answer.status, status);
        assert!(answer.has("X-Frame-Options: deny"), "{}", answer.head);
    }
}

#[test]
fn the_rate_limit_counts_requests() {
    let pki = Pki::new();
    let fixture = pki.start("rate_limit: { burst: 2, interval: 1h }\n");
    let mut client = fixture.client();
    let statuses = [(); 4].map(|()| client.get("/").status);
    assert_eq!(statuses, [200, 200, 429, 429]);
}

#[test]
fn changes_are_picked_up_and_broken_ones_ignored() {
    let pki = Pki::new();
    let path = pki.path("web.yml");
    let clock = ManualClock::new(0);
    let access = super::super::access::Access::load;
    fs::write(&path, "").unwrap();
    let access = access(Some(path.clone()), Arc::new(clock.clone())).unwrap();
    // Looks twice, since the files are newer than this clock.
    let look = || {
        clock.advance(Duration::from_secs(1));
        access.current();
        clock.advance(Duration::from_secs(1));
        access.current()
    };
    assert!(look().users.is_empty());
    let users = format!("basic_auth_users:\n  alice: {}\n", hash("secret"));
    fs::write(&path, &users).unwrap();
    assert!(
        access.current().users.is_empty(),
        "looked at most once a second"
    );
    clock.advance(Duration::from_secs(1));
    assert!(
        access.current().users.is_empty(),
        "not taken before it has settled"
    );
    assert_eq!(look().users.len(), 1);
    fs::write(&path, "").unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(access.current().users.len(), 1, "cut short by its writer");
    fs::write(&path, &users).unwrap();
    assert_eq!(look().users.len(), 1);
    fs::write(&path, "nonsense: 1\n").unwrap();
    assert_eq!(look().users.len(), 1);
    fs::remove_file(&path).unwrap();
    assert_eq!(look().users.len(), 1);
    fs::write(&path, TLS).unwrap();
    let config = look();
    assert!(config.users.is_empty() && config.tls.is_some());
    fs::write(pki.path("server.key"), "broken").unwrap();
    assert!(look().tls.is_some());
}

#[test]
fn configurations() {
    let pki = Pki::new();
    let path: &Path = &pki.path("web.yml");
    let check = |text: &str, expect: &str| {
        fs::write(path, text).unwrap();
        let got = WebConfig::load(path)
            .map(|_| "")
            .map_err(|errors| errors.join("; "));
        match (got, expect) {
            (Ok(_), "") => {}
            (Err(text), expect) if !expect.is_empty() && text.contains(expect) => {}
            (other, _) => panic!("{text}: {other:?}"),
        }
    };
    let tls = |extra: &str, expect| check(&format!("{TLS}  {extra}\n"), expect);
    check("", "");
    check("# nothing\n", "");
    let utf16: Vec<u8> = "\u{feff}a: 1\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    fs::write(path, utf16).unwrap();
    let errors = WebConfig::load(path).map(|_| ()).unwrap_err();
    assert!(errors[0].contains("unknown field `a`"), "{errors:?}");
    check("tls_server_config:\nbasic_auth_users:\n", "");
    check("a: 1\n", "unknown field `a`");
    check("tls_server_config: { min_version: TLS12 }\n", "");
    check(
        "tls_server_config: { cert_file: x }\n",
        "missing one of key or key_file",
    );
    check(
        "tls_server_config: { key_file: x }\n",
        "missing one of cert or cert_file",
    );
    check(
        "tls_server_config: { cert_file: x, key_file: y }\n",
        "no such file or directory",
    );
    check(
        "basic_auth_users: { a: b }\n",
        "user \"a\" is not a bcrypt hash",
    );
    check("basic_auth_users: { a: b, a: c }\n", "already set");
    check(
        "rate_limit: { burst: 1, interval: 1x }",
        "rate_limit interval",
    );
    check("http_server_config: { http2: false }\n", "");
    let headers = |h: &str, expect| check(&format!("http_server_config: {{headers: {h}}}"), expect);
    headers(
        "{ X-Frame-Options: sameorigin, X-Content-Type-Options: nosniff }",
        "",
    );
    headers(
        "{ X-Frame-Options: x }",
        "Expected one of: [\"deny\" \"sameorigin\"], but got: \"x\"",
    );
    headers(
        "{ Server: x }",
        "HTTP header \"Server\" can not be configured",
    );
    tls("min_version: TLS13", "");
    tls("max_version: TLS12", "");
    tls(
        "min_version: TLS11",
        "min_version TLS11 is not supported: the lowest is TLS12",
    );
    tls("min_version: SSL3", "unknown TLS version: SSL3");
    tls(
        "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
        "",
    );
    tls(
        "cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]",
        "",
    );
    tls("cipher_suites: [ROT13]", "unknown cipher: ROT13");
    tls("curve_preferences: [X25519, CurveP521]", "");
    tls("curve_preferences: [CurveP521]", "no usable curve");
    tls("curve_preferences: [Curly]", "unknown curve: Curly");
    tls("prefer_server_cipher_suites: false", "");
    tls("client_auth_type: Never", "invalid ClientAuth: Never");
    tls(
        "client_ca_file: ca.pem",
        "client CA's have been configured without",
    );
    tls(
        "client_auth_type: VerifyClientCertIfGiven",
        "without client_ca_file",
    );
}
