//! Tests of the credentials that a request carries.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::super::{
    Authorization, BasicAuth, Client, ClientSettings, HeaderSettings, NetError, OAuth2,
    ProxySettings, Secret, SecretSource, Strictness, TlsSettings,
};
use super::server::{answer, page, serve};
use super::{client, env, get, ok};

fn inline(text: &str) -> SecretSource {
    SecretSource::Inline(Secret::new(text))
}

fn basic(password: SecretSource) -> ClientSettings {
    ClientSettings {
        basic_auth: Some(BasicAuth {
            username: inline("me"),
            password: Some(password),
        }),
        ..ClientSettings::default()
    }
}

fn header(name: &str, value: &str) -> HeaderSettings {
    HeaderSettings {
        name: name.into(),
        values: vec![value.into()],
        secrets: vec![Secret::new("hidden")],
        files: Vec::new(),
    }
}

#[test]
fn inline_credentials_and_headers_are_sent() {
    let server = serve(|_| page("x"));
    let mut settings = basic(inline("pw"));
    settings.headers = vec![header("X-Tenant", "a")];
    get(&mut client(&settings).connection(), &server.url("/")).unwrap();
    let seen = server.request(0);
    assert!(seen.contains("Authorization: Basic bWU6cHc=\r\n"), "{seen}");
    assert!(
        seen.contains("X-Tenant: a\r\nX-Tenant: hidden\r\n"),
        "{seen}"
    );
    let settings = ClientSettings {
        authorization: Some(Authorization {
            kind: "Token".into(),
            credentials: Some(inline("t")),
        }),
        ..ClientSettings::default()
    };
    get(&mut client(&settings).connection(), &server.url("/")).unwrap();
    assert!(server.request(1).contains("Authorization: Token t\r\n"));
    let url = server.url("/").replace("http://", "http://u:p@");
    get(&mut client(&ClientSettings::default()).connection(), &url).unwrap();
    assert!(server.request(2).contains("Authorization: Basic dTpw\r\n"));
}

#[test]
fn secrets_never_show() {
    let mut settings = basic(inline("hush"));
    settings.headers = vec![header("X", "y")];
    let shown = format!("{:?} {settings:?}", client(&settings));
    assert!(
        !shown.contains("hush") && !shown.contains("hidden"),
        "{shown}"
    );
}

#[test]
fn files_are_read_again_when_they_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    let server = serve(|_| page("x"));
    let settings = basic(SecretSource::File(path.clone()));
    let error = Client::new(&settings, "test", &env()).unwrap_err();
    let text = format!(
        "unable to read basic auth password: unable to read file {}: no such file or directory",
        path.display()
    );
    assert_eq!(error.to_string(), text);
    let lenient = Client::with(&settings, "test", &env(), Strictness::Lenient).unwrap();
    let mut connection = lenient.connection();
    let url = server.url("/");
    let error = get(&mut connection, &url).unwrap_err();
    assert_eq!(error.to_string(), format!("Get \"{url}\": {text}"));
    std::fs::write(&path, "one\n").unwrap();
    get(&mut connection, &url).unwrap();
    std::fs::write(&path, "three\n").unwrap();
    get(&mut connection, &url).unwrap();
    let seen = (server.request(0), server.request(1));
    assert!(seen.0.contains("Basic bWU6b25l\r\n"), "{}", seen.0);
    assert!(seen.1.contains("Basic bWU6dGhyZWU=\r\n"), "{}", seen.1);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_header_that_would_break_the_request_is_refused() {
    let settings = ClientSettings {
        headers: vec![header("X", "a\r\nY: b")],
        ..ClientSettings::default()
    };
    let error = Client::new(&settings, "test", &env()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "net/http: invalid header field value for \"X\""
    );
}

#[test]
fn credentials_stay_at_home() {
    let away = serve(|_| page("away"));
    let port = away.address.port();
    let server = serve(move |request| {
        if request.starts_with("GET /near") {
            return answer("302 Found", "Location: /here\r\n", "");
        }
        // Another name of this machine is another host for the client.
        let location = format!("Location: http://localhost:{port}/\r\n");
        answer("307 Temporary Redirect", &location, "")
    });
    let mut settings = basic(inline("pw"));
    settings.headers = vec![header("X-Key", "k")];
    let mut connection = client(&settings).connection();
    assert_eq!(get(&mut connection, &server.url("/near")), ok("away"));
    assert!(server.request(1).contains("Authorization:"));
    let seen = away.request(0);
    assert!(
        !seen.contains("Authorization") && !seen.contains("X-Key"),
        "{seen}"
    );
    assert!(seen.contains("User-Agent: Test/1\r\n"), "{seen}");
}

fn oauth2(token_url: String) -> ClientSettings {
    ClientSettings {
        oauth2: Some(Box::new(OAuth2 {
            client_id: "id".into(),
            client_secret: Some(inline("s&c")),
            scopes: vec!["a".into(), "b".into()],
            token_url,
            endpoint_params: vec![("audience".into(), "x".into())],
            tls: TlsSettings::default(),
            proxy: ProxySettings::default(),
        })),
        ..ClientSettings::default()
    }
}

#[test]
fn tokens_are_fetched_kept_and_renewed() {
    let tokens = AtomicUsize::new(0);
    let token_server = serve(move |_| {
        let n = tokens.fetch_add(1, SeqCst);
        let body = format!(r#"{{"access_token":"t{n}","token_type":"bearer","expires_in":3600}}"#);
        answer("200 OK", "Content-Type: application/json\r\n", &body)
    });
    let server = serve(|request| {
        // Refuses the first token.
        if request.contains("GET /new") && request.contains("Bearer t0") {
            return answer("401 Unauthorized", "", "");
        }
        page("x")
    });
    let client = client(&oauth2(token_server.url("/token")));
    let mut connection = client.connection();
    for path in ["/a", "/b", "/new"] {
        assert_eq!(get(&mut connection, &server.url(path)), ok("x"));
    }
    assert_eq!(get(&mut client.connection(), &server.url("/c")), ok("x"));
    assert_eq!(token_server.requests(), 2);
    assert!(server.request(1).contains("Authorization: Bearer t0\r\n"));
    assert!(server.request(4).contains("Authorization: Bearer t1\r\n"));
    let asked = token_server.request(0);
    assert!(asked.starts_with("POST /token "), "{asked}");
    assert!(
        asked.contains("Authorization: Basic aWQ6cyUyNmM=\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("User-Agent: Prometheus/3.14.0 Ferula/"),
        "{asked}"
    );
    let form = "\r\n\r\ngrant_type=client_credentials&scope=a+b&audience=x";
    assert!(asked.ends_with(form), "{asked}");
}

#[test]
fn a_token_server_that_wants_the_form_gets_it() {
    let token_server = serve(|request| {
        if request.contains("client_secret=s%26c") {
            return answer("200 OK", "", r#"{"access_token":"t"}"#);
        }
        answer("400 Bad Request", "", "")
    });
    let server = serve(|_| page("x"));
    let client = client(&oauth2(token_server.url("/")));
    assert_eq!(get(&mut client.connection(), &server.url("/")), ok("x"));
    let refusing = serve(|_| answer("403 Forbidden", "", ""));
    let client = super::client(&oauth2(refusing.url("/")));
    let error = get(&mut client.connection(), &server.url("/")).unwrap_err();
    let expect = NetError::OAuth2("cannot fetch token: 403 Forbidden".into());
    assert_eq!(*error.cause(), expect);
}
