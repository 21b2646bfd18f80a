//! The authentication of a client.

use std::path::PathBuf;

use super::proxy::proxy;
use super::tls::tls;
use crate::config::section::Section;
use crate::config::yaml::Out;
use crate::net::{Authorization, BasicAuth, OAuth2, Secret, SecretSource};

pub(super) fn check_auth(
    s: &Section<'_>,
    token: &str,
    file: &str,
    basic: bool,
    authorization: bool,
    oauth2: bool,
) {
    let bearer = !token.is_empty() || !file.is_empty();
    let at = if token.is_empty() {
        "bearer_token_file"
    } else {
        "bearer_token"
    };
    if !token.is_empty() && !file.is_empty() {
        let text = "at most one of bearer_token & bearer_token_file must be configured";
        s.error_at("bearer_token_file", text);
    }
    if bearer && (basic || oauth2) {
        let text = "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be \
                    configured";
        s.error_at(at, text);
    }
    if bearer && authorization {
        let text = "authorization is not compatible with bearer_token & bearer_token_file";
        s.error_at(at, text);
    }
    if (basic && (authorization || oauth2)) || (authorization && oauth2) {
        let text = "at most one of basic_auth, oauth2 & authorization must be configured";
        s.error_at(if oauth2 { "oauth2" } else { "authorization" }, text);
    }
}

/// Returns the source of a value: at most one of the value itself, a file, and a reference, which
/// only Prometheus's embedders use.
fn source(
    s: &mut Section<'_>,
    keys: [&'static str; 3],
    secret: bool,
    clash: &str,
) -> Option<SecretSource> {
    let [key, file_key, ref_key] = keys;
    let (value, file, reference) = (s.string(key), s.path(file_key), s.string(ref_key));
    let given = [!value.is_empty(), !file.is_empty(), !reference.is_empty()];
    if given.iter().filter(|set| **set).count() > 1 {
        s.error_at(file_key, clash);
    } else if !reference.is_empty() {
        s.error_at(ref_key, "cannot use secret ref without manager");
    }
    if secret {
        s.put_secret(key, &value);
    } else {
        s.put_some(key, value.as_str());
    }
    s.put_some(file_key, file.as_str());
    if !file.is_empty() {
        return Some(SecretSource::File(PathBuf::from(file)));
    }
    (!value.is_empty()).then(|| SecretSource::Inline(Secret::new(value)))
}

pub(super) fn basic_auth(s: &mut Section<'_>) -> Option<(BasicAuth, Out)> {
    let mut s = s.section("basic_auth", "config.BasicAuth")?;
    let username = source(
        &mut s,
        ["username", "username_file", "username_ref"],
        false,
        "at most one of basic_auth username, username_file & username_ref must be configured",
    );
    let password = source(
        &mut s,
        ["password", "password_file", "password_ref"],
        true,
        "at most one of basic_auth password, password_file & password_ref must be configured",
    );
    let username = username.unwrap_or(SecretSource::Inline(Secret::default()));
    Some((BasicAuth { username, password }, s.finish()))
}

pub(super) fn authorization(s: &mut Section<'_>) -> Option<(Authorization, Out)> {
    let mut s = s.section("authorization", "config.Authorization")?;
    let kind = s.string("type");
    let kind = match kind.trim() {
        "" => "Bearer",
        kind => kind,
    };
    if kind.eq_ignore_ascii_case("basic") {
        let text = "authorization type cannot be set to \"basic\", use \"basic_auth\" instead";
        s.error_at("type", text);
    }
    s.put("type", kind);
    let credentials = source(
        &mut s,
        ["credentials", "credentials_file", "credentials_ref"],
        true,
        "at most one of authorization credentials & credentials_file must be configured",
    );
    let kind = kind.to_owned();
    Some((Authorization { kind, credentials }, s.finish()))
}

/// Reads `bearer_token` and `bearer_token_file`, the old way to write `authorization`.
pub(super) fn bearer_authorization(token: &str, file: String) -> Option<(Authorization, Out)> {
    let (credentials, key, shown) = match (token, file.as_str()) {
        ("", "") => return None,
        (_, "") => (
            SecretSource::Inline(Secret::new(token)),
            "credentials",
            "<secret>",
        ),
        (_, file) => (
            SecretSource::File(PathBuf::from(file)),
            "credentials_file",
            file,
        ),
    };
    let out = Out::Map(vec![
        ("type".to_owned(), "Bearer".into()),
        (key.to_owned(), shown.into()),
    ]);
    let authorization = Authorization {
        kind: "Bearer".to_owned(),
        credentials: Some(credentials),
    };
    Some((authorization, out))
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub(super) fn oauth2(s: &mut Section<'_>) -> Option<(OAuth2, Out)> {
    let mut s = s.section("oauth2", "config.plain")?;
    let client_id = s.text_some("client_id", "");
    let client_secret = source(
        &mut s,
        ["client_secret", "client_secret_file", "client_secret_ref"],
        true,
        "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be \
         configured using grant-type=client_credentials",
    );
    jwt_keys(&mut s);
    let scopes = s.strings("scopes");
    s.put_some("scopes", scopes.as_slice());
    let token_url = s.text_some("token_url", "");
    let endpoint_params = s.string_map("endpoint_params");
    s.put_map("endpoint_params", &endpoint_params);
    if client_id.is_empty() {
        s.error("oauth2 client_id must be configured");
    }
    if token_url.is_empty() {
        s.error("oauth2 token_url must be configured");
    }
    let tls = tls(&mut s);
    let proxy = proxy(&mut s);
    let oauth2 = OAuth2 {
        client_id,
        client_secret,
        scopes,
        token_url,
        endpoint_params,
        tls,
        proxy,
    };
    Some((oauth2, s.finish()))
}

/// Reads the keys of the grant with a signed assertion, which is not supported. A client without
/// its credentials must not be built.
fn jwt_keys(s: &mut Section<'_>) {
    for key in [
        "client_certificate_key_id",
        "iss",
        "audience",
        "signature_algorithm",
    ] {
        s.string(key);
    }
    for key in [
        "client_certificate_key",
        "client_certificate_key_file",
        "client_certificate_key_ref",
    ] {
        s.string(key);
    }
    s.skip("claims");
    let grant = s.text_some("grant_type", "");
    if grant == JWT_BEARER {
        s.error_at(
            "grant_type",
            "the jwt-bearer grant is not supported by Ferula",
        );
    }
}
