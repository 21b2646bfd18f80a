//! The plain values that `config` makes of an `<http_config>`.

use std::fmt;
use std::path::PathBuf;

/// A text that is never shown: its `Debug` and `Display` are `<secret>`.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// Returns the text itself, for the wire only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A secret in the configuration, or the file that holds it. The file is read again when it
/// changes; surrounding white space does not count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    Inline(Secret),
    File(PathBuf),
}

/// One `<http_config>`. Equal settings behave equally, so a holder of one need not be disturbed for
/// the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientSettings {
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub oauth2: Option<Box<OAuth2>>,
    pub tls: TlsSettings,
    pub follow_redirects: bool,
    /// Accepted without effect, since there is no HTTP/2 here.
    pub enable_http2: bool,
    pub proxy: ProxySettings,
    pub headers: Vec<HeaderSettings>,
}

impl Default for ClientSettings {
    fn default() -> ClientSettings {
        ClientSettings {
            basic_auth: None,
            authorization: None,
            oauth2: None,
            tls: TlsSettings::default(),
            follow_redirects: true,
            enable_http2: true,
            proxy: ProxySettings::default(),
            headers: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BasicAuth {
    /// Not a secret, but it may come from a file too.
    pub username: SecretSource,
    pub password: Option<SecretSource>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authorization {
    /// The scheme, by default `Bearer`.
    pub kind: String,
    pub credentials: Option<SecretSource>,
}

/// The client credentials grant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OAuth2 {
    pub client_id: String,
    pub client_secret: Option<SecretSource>,
    pub scopes: Vec<String>,
    pub token_url: String,
    pub endpoint_params: Vec<(String, String)>,
    pub tls: TlsSettings,
    pub proxy: ProxySettings,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsSettings {
    /// PEM. Without it the system's roots apply.
    pub ca: Option<SecretSource>,
    /// The PEM chain of the client's certificate.
    pub cert: Option<SecretSource>,
    pub key: Option<SecretSource>,
    /// Checked instead of the host's name, and sent as SNI.
    pub server_name: Option<String>,
    pub insecure_skip_verify: bool,
    pub min_version: Option<TlsVersion>,
    pub max_version: Option<TlsVersion>,
}

/// The versions that Ferula speaks. `config` refuses a maximum below 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ProxySettings {
    pub url: Option<String>,
    /// Comma-separated hosts, domains, addresses and CIDR ranges, with or without a port.
    pub no_proxy: Option<String>,
    pub from_environment: bool,
    /// Sent with CONNECT.
    pub connect_headers: Vec<(String, Secret)>,
}

/// One header of `http_headers`, with its values from all three sources in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderSettings {
    pub name: String,
    pub values: Vec<String>,
    pub secrets: Vec<Secret>,
    pub files: Vec<PathBuf>,
}
