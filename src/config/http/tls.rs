//! `tls_config`.

use std::path::PathBuf;

use crate::config::section::Section;
use crate::config::yaml::Out;
use crate::net::{Secret, SecretSource, TlsSettings, TlsVersion};

pub(in crate::config) fn tls(s: &mut Section<'_>) -> TlsSettings {
    let Some(mut s_tls) = s.section("tls_config", "config.plain") else {
        return TlsSettings::default();
    };
    let (settings, out) = tls_section(&mut s_tls);
    s_tls.finish();
    if settings != TlsSettings::default() || out.len() > 1 {
        s.put("tls_config", Out::Map(out));
    }
    settings
}

/// The inline values, then the files in the same order.
const KEYS: [&str; 6] = ["ca", "cert", "key", "ca_file", "cert_file", "key_file"];

fn tls_section(s: &mut Section<'_>) -> (TlsSettings, Vec<(String, Out)>) {
    let values = KEYS.map(|key| {
        if key.ends_with("_file") {
            s.path(key)
        } else {
            s.string(key)
        }
    });
    let [ca, cert, key] = sources(s, &values);
    if cert.is_some() && key.is_none() {
        s.error(
            "exactly one of key or key_file must be configured when a client certificate is \
             configured",
        );
    } else if key.is_some() && cert.is_none() {
        s.error(
            "exactly one of cert or cert_file must be configured when a client key is configured",
        );
    }
    let server_name = s.string("server_name");
    let insecure_skip_verify = s.bool("insecure_skip_verify").unwrap_or(false);
    let (min, max) = (tls_version(s, "min_version"), tls_version(s, "max_version"));
    let mut out: Vec<(String, Out)> = Vec::new();
    for (key, value) in KEYS.into_iter().zip(&values) {
        let shown = if key == "key" { "<secret>" } else { value };
        if !value.is_empty() {
            out.push((key.to_owned(), shown.into()));
        }
    }
    if !server_name.is_empty() {
        out.push(("server_name".to_owned(), server_name.as_str().into()));
    }
    let skips = insecure_skip_verify.into();
    out.push(("insecure_skip_verify".to_owned(), skips));
    for (key, version) in [("min_version", min), ("max_version", max)] {
        out.extend(version.map(|version| (key.to_owned(), format!("TLS{version}").into())));
    }
    let (min_version, max_version) = check_versions(s, min, max);
    let settings = TlsSettings {
        ca,
        cert,
        key,
        server_name: Some(server_name).filter(|name| !name.is_empty()),
        insecure_skip_verify,
        min_version,
        max_version,
    };
    (settings, out)
}

/// Returns the sources of the authority, the certificate and the key: inline or a file.
fn sources(s: &mut Section<'_>, values: &[String; 6]) -> [Option<SecretSource>; 3] {
    [0, 1, 2].map(|i| {
        let (inline, file) = (&values[i], &values[i + 3]);
        if !inline.is_empty() && !file.is_empty() {
            let text = match KEYS[i] {
                "key" => "at most one of key and key_file must be configured".to_owned(),
                name => {
                    format!("at most one of {name}, {name}_file & {name}_ref must be configured")
                }
            };
            s.error_at(KEYS[i + 3], text);
        }
        let ref_key = ["ca_ref", "cert_ref", "key_ref"][i];
        if !s.string(ref_key).is_empty() {
            s.error_at(ref_key, "cannot use secret ref without manager");
        }
        if file.is_empty() {
            (!inline.is_empty()).then(|| SecretSource::Inline(Secret::new(inline.as_str())))
        } else {
            Some(SecretSource::File(PathBuf::from(file)))
        }
    })
}

/// Returns 10 to 13.
fn tls_version(s: &mut Section<'_>, key: &'static str) -> Option<u8> {
    let item = s.get(key).filter(|item| !item.is_null())?;
    let text = item.string();
    let version = match text.as_str() {
        "TLS10" => 10,
        "TLS11" => 11,
        "TLS12" => 12,
        "TLS13" => 13,
        _ => {
            item.error(format!("unknown TLS version: {text}"));
            return None;
        }
    };
    Some(version)
}

fn check_versions(
    s: &Section<'_>,
    min: Option<u8>,
    max: Option<u8>,
) -> (Option<TlsVersion>, Option<TlsVersion>) {
    let known = |version: u8| {
        if version == 13 {
            TlsVersion::Tls13
        } else {
            TlsVersion::Tls12
        }
    };
    if let Some(version) = min.filter(|version| *version < 12) {
        let text = format!("TLS{version} is not spoken by Ferula; TLS12 is the least that is");
        s.warn_at("min_version", text);
    }
    if let Some(version) = max.filter(|version| *version < 12) {
        let text =
            format!("TLS{version} is not spoken by Ferula; max_version must be at least TLS12");
        s.error_at("max_version", text);
    }
    if min.zip(max).is_some_and(|(min, max)| max < min) {
        let text = "tls_config.max_version must be greater than or equal to \
                    tls_config.min_version if both are specified";
        s.error_at("max_version", text);
    }
    (min.map(known), max.map(known))
}
