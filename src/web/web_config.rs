//! `--web.config.file`: TLS, client certificates, basic authentication and fixed headers of the web
//! server, as in the exporter toolkit.
//!
//! Owns nothing. The server reads it again when its files change.
//! **Invariant:** knows no connection.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::config::decode_yaml;
use crate::model::duration;
use crate::stdx::gofmt::quote;
use crate::stdx::limits::CONFIG_FILE_BYTES_MAX;

use super::server::{ClientAuth, TlsSettings, is_known_cipher, is_known_curve, server_config};

/// A checked web configuration. The default is no TLS and no authentication.
#[derive(Debug, Clone, Default)]
pub struct WebConfig {
    pub tls: Option<Arc<ServerConfig>>,
    /// Set in every answer.
    pub headers: Vec<(String, String)>,
    /// bcrypt hashes by user.
    pub users: BTreeMap<String, String>,
    pub rate_limit: Option<RateLimit>,
    /// The files that it names.
    pub files: Vec<PathBuf>,
}

/// `rate_limit`: one request per interval, and a burst.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    pub burst: u32,
    /// Never zero.
    pub interval: Duration,
}

impl WebConfig {
    /// Reads and checks the file and the files that it names. The errors are all that were found,
    /// as texts for the operator.
    pub fn load(path: &Path) -> Result<WebConfig, Vec<String>> {
        let text = read(path).map_err(|e| vec![e])?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let wrong = |what: String| vec![format!("{}: {what}", path.display())];
        let text = decode_yaml(text).map_err(wrong)?;
        let raw: Option<Raw> = if text.trim().is_empty() {
            None
        } else {
            serde_yaml::from_str(&text).map_err(|e| wrong(e.to_string()))?
        };
        raw.unwrap_or_default().check(directory)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    tls_server_config: Option<RawTls>,
    http_server_config: Option<RawHttp>,
    rate_limit: Option<RawRateLimit>,
    basic_auth_users: Option<Unique>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawRateLimit {
    burst: u32,
    interval: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawTls {
    cert: Option<String>,
    cert_file: Option<String>,
    key: Option<String>,
    key_file: Option<String>,
    client_auth_type: Option<String>,
    client_ca: Option<String>,
    client_ca_file: Option<String>,
    client_allowed_sans: Option<Vec<String>>,
    min_version: Option<String>,
    max_version: Option<String>,
    cipher_suites: Option<Vec<String>>,
    curve_preferences: Option<Vec<String>>,
    /// The server's order is always preferred.
    #[serde(rename = "prefer_server_cipher_suites")]
    _prefer_server_cipher_suites: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawHttp {
    /// HTTP/2 is never spoken. A client cannot distinguish that from false.
    #[serde(rename = "http2")]
    _http2: Option<bool>,
    headers: Option<Unique>,
}

/// A mapping in which a repeated key is an error.
#[derive(Debug, Default)]
struct Unique(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut entries: Vec<(String, String)> = Vec::new();
                while let Some((key, value)) = map.next_entry()? {
                    if entries.iter().any(|(other, _)| *other == key) {
                        return Err(A::Error::custom(format!("key {key:?} already set in map")));
                    }
                    entries.push((key, value));
                }
                Ok(Unique(entries))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

impl Raw {
    fn check(self, directory: &Path) -> Result<WebConfig, Vec<String>> {
        let mut errors = Vec::new();
        let headers = self.http_server_config.and_then(|http| http.headers);
        let headers = headers.unwrap_or_default().0;
        errors.extend(
            headers
                .iter()
                .filter_map(|(name, value)| check_header(name, value)),
        );
        let users = self.basic_auth_users.unwrap_or_default().0;
        errors.extend(
            users
                .iter()
                .filter_map(|(user, hash)| check_hash(user, hash)),
        );
        let rate_limit = self.rate_limit.and_then(|limit| match limit.check() {
            Ok(limit) => limit,
            Err(e) => {
                errors.push(e);
                None
            }
        });
        let mut files = Vec::new();
        let tls = match self.tls_server_config {
            Some(tls) if tls.is_present() => tls.build(directory, &mut files, &mut errors),
            _ => None,
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(WebConfig {
            tls,
            headers,
            users: users.into_iter().collect(),
            rate_limit,
            files,
        })
    }
}

impl RawRateLimit {
    /// Without an interval there is no limit.
    fn check(&self) -> Result<Option<RateLimit>, String> {
        let text = self.interval.as_deref().unwrap_or("0");
        let interval = duration::parse(text).map_err(|e| format!("rate_limit interval: {e}"))?;
        let burst = self.burst;
        Ok((!interval.is_zero()).then_some(RateLimit { burst, interval }))
    }
}

fn check_header(name: &str, value: &str) -> Option<String> {
    let allowed: &[&str] = match name {
        "Strict-Transport-Security" | "X-XSS-Protection" | "Content-Security-Policy" => &[],
        "X-Content-Type-Options" => &["nosniff"],
        "X-Frame-Options" => &["deny", "sameorigin"],
        _ => return Some(format!("HTTP header {} can not be configured", quote(name))),
    };
    if allowed.is_empty() || allowed.contains(&value) {
        return None;
    }
    let allowed: Vec<String> = allowed.iter().map(|v| quote(v)).collect();
    let (allowed, got) = (allowed.join(" "), quote(value));
    Some(format!(
        "invalid value for {name}. Expected one of: [{allowed}], but got: {got}"
    ))
}

fn check_hash(user: &str, hash: &str) -> Option<String> {
    let parsed = hash.parse::<bcrypt::HashParts>();
    let user = quote(user);
    parsed
        .err()
        .map(|e| format!("the password of user {user} is not a bcrypt hash: {e}"))
}

impl RawTls {
    /// Without any of these there is no TLS, whatever else is set.
    fn is_present(&self) -> bool {
        let keys = [
            &self.cert,
            &self.cert_file,
            &self.key,
            &self.key_file,
            &self.client_ca,
            &self.client_ca_file,
            &self.client_auth_type,
        ];
        keys.into_iter().any(|key| !is_empty(key.as_ref()))
    }

    fn build(
        &self,
        directory: &Path,
        files: &mut Vec<PathBuf>,
        errors: &mut Vec<String>,
    ) -> Option<Arc<ServerConfig>> {
        let mut pem = |what: &str, file: Option<&String>, inline: Option<&String>| {
            if is_empty(file) {
                return Ok(inline
                    .filter(|text| !text.is_empty())
                    .map(|t| t.clone().into_bytes()));
            }
            let path = directory.join(file.map_or("", String::as_str));
            files.push(path.clone());
            read(&path)
                .map(Some)
                .map_err(|e| format!("failed to read {what}: {e}"))
        };
        let mut keep = |read: Result<Option<Vec<u8>>, String>, missing: &str| match read {
            Ok(None) if !missing.is_empty() => {
                errors.push(missing.to_owned());
                None
            }
            Ok(pem) => pem,
            Err(e) => {
                errors.push(e);
                None
            }
        };
        let cert = pem("cert_file", self.cert_file.as_ref(), self.cert.as_ref());
        let cert = keep(cert, "missing one of cert or cert_file");
        let key = pem("key_file", self.key_file.as_ref(), self.key.as_ref());
        let key = keep(key, "missing one of key or key_file");
        let ca = pem(
            "client_ca_file",
            self.client_ca_file.as_ref(),
            self.client_ca.as_ref(),
        );
        let client_cas = keep(ca, "");
        let client_auth = self.client_auth(errors);
        let names = |names: Option<&Vec<String>>| names.cloned().unwrap_or_default();
        let (cipher_suites, curves) = (
            names(self.cipher_suites.as_ref()),
            names(self.curve_preferences.as_ref()),
        );
        let unknown = cipher_suites.iter().filter(|name| !is_known_cipher(name));
        errors.extend(unknown.map(|name| format!("unknown cipher: {name}")));
        let unknown = curves.iter().filter(|name| !is_known_curve(name));
        errors.extend(unknown.map(|name| format!("unknown curve: {name}")));
        let min = version("min_version", self.min_version.as_ref(), 12, errors);
        let max = version("max_version", self.max_version.as_ref(), 13, errors);
        if !errors.is_empty() {
            return None;
        }
        let settings = TlsSettings {
            certificates: cert?,
            key: key?,
            client_auth,
            client_cas,
            client_allowed_sans: self.client_allowed_sans.clone(),
            tls12: min <= 12 && max >= 12,
            tls13: min <= 13 && max >= 13,
            cipher_suites,
            curves,
        };
        server_config(&settings).map_err(|e| errors.push(e)).ok()
    }

    fn client_auth(&self, errors: &mut Vec<String>) -> ClientAuth {
        let kind = self.client_auth_type.as_deref().unwrap_or_default();
        let client_auth = match kind {
            "" | "NoClientCert" => ClientAuth::None,
            "RequestClientCert" => ClientAuth::Request,
            "RequireAnyClientCert" | "RequireClientCert" => ClientAuth::RequireAny,
            "VerifyClientCertIfGiven" => ClientAuth::VerifyIfGiven,
            "RequireAndVerifyClientCert" => ClientAuth::RequireAndVerify,
            other => {
                errors.push(format!("invalid ClientAuth: {other}"));
                return ClientAuth::None;
            }
        };
        let has_ca = !is_empty(self.client_ca_file.as_ref()) || !is_empty(self.client_ca.as_ref());
        if has_ca && client_auth == ClientAuth::None {
            let text = "client CA's have been configured without a Client Auth Policy";
            errors.push(text.to_owned());
        }
        client_auth
    }
}

/// Returns 12 or 13.
fn version(key: &str, text: Option<&String>, default: u8, errors: &mut Vec<String>) -> u8 {
    match text.map(String::as_str) {
        None => default,
        Some("TLS13") => 13,
        Some("TLS12") => 12,
        Some(old @ ("TLS10" | "TLS11")) => {
            errors.push(format!("{key} {old} is not supported: the lowest is TLS12"));
            default
        }
        Some(other) => {
            errors.push(format!("unknown TLS version: {other}"));
            default
        }
    }
}

fn is_empty(text: Option<&String>) -> bool {
    text.is_none_or(String::is_empty)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let text = |e: std::io::Error| {
        let e = e.to_string();
        let e = e
            .split(" (os error")
            .next()
            .unwrap_or_default()
            .to_lowercase();
        format!("open {}: {e}", path.display())
    };
    let bytes = fs::metadata(path).map_err(text)?.len();
    if bytes > CONFIG_FILE_BYTES_MAX {
        let max = CONFIG_FILE_BYTES_MAX;
        return Err(format!(
            "open {}: {bytes} bytes, at most {max} are read",
            path.display()
        ));
    }
    fs::read(path).map_err(text)
}
