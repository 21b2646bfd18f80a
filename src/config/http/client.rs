//! `<http_config>`, which is inlined in many sections (reference section 2.4).

use super::auth::{authorization, basic_auth, bearer_authorization, check_auth, oauth2};
use super::headers::headers;
use super::proxy::proxy;
use super::tls::tls;
use crate::config::section::Section;
use crate::config::yaml::Out;
use crate::net::ClientSettings;

/// The settings, and what other checks need to know about them.
pub(in crate::config) struct Http {
    pub settings: ClientSettings,
    /// Whether a bearer token is set, which Prometheus counts apart from `authorization`.
    pub bearer: bool,
}

impl Http {
    pub fn is_default(&self) -> bool {
        self.settings == ClientSettings::default()
    }

    /// Returns the configured ways of authentication, as Prometheus lists them.
    pub fn auths(&self) -> Vec<&'static str> {
        let s = &self.settings;
        let all = [
            ("basic_auth", s.basic_auth.is_some()),
            ("authorization", s.authorization.is_some()),
            ("oauth2", s.oauth2.is_some()),
        ];
        all.iter()
            .filter(|(_, set)| *set)
            .map(|(name, _)| *name)
            .collect()
    }
}

/// Reads and notes the keys of an inlined HTTP client, in Prometheus's order.
pub(in crate::config) fn http(s: &mut Section<'_>, http2: bool) -> Http {
    let basic_auth = basic_auth(s);
    let authorization = authorization(s);
    let oauth2 = oauth2(s);
    let (token, token_file) = (s.string("bearer_token"), s.path("bearer_token_file"));
    let bearer = !token.is_empty() || !token_file.is_empty();
    check_auth(
        s,
        &token,
        &token_file,
        basic_auth.is_some(),
        authorization.is_some(),
        oauth2.is_some(),
    );
    let authorization = authorization.or_else(|| bearer_authorization(&token, token_file));
    note(
        s,
        basic_auth.as_ref().map(|(_, out)| out.clone()),
        "basic_auth",
    );
    note(
        s,
        authorization.as_ref().map(|(_, out)| out.clone()),
        "authorization",
    );
    note(s, oauth2.as_ref().map(|(_, out)| out.clone()), "oauth2");
    let tls = tls(s);
    let follow_redirects = s.flag("follow_redirects", true);
    let enable_http2 = s.flag("enable_http2", http2);
    let proxy = proxy(s);
    let headers = headers(s);
    Http {
        bearer,
        settings: ClientSettings {
            basic_auth: basic_auth.map(|(value, _)| value),
            authorization: authorization.map(|(value, _)| value),
            oauth2: oauth2.map(|(value, _)| Box::new(value)),
            tls,
            follow_redirects,
            enable_http2,
            proxy,
            headers,
        },
    }
}

fn note(s: &mut Section<'_>, out: Option<Out>, key: &str) {
    if let Some(out) = out {
        s.put(key, out);
    }
}
