//! TLS errors in Go's words. They name the time where the clock may be at fault.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::NetError;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Translates an error. `wall_ms` is this machine's time, which may be wrong.
pub(super) fn tls_error(error: &Error, wall_ms: i64) -> NetError {
    NetError::Tls(match error {
        Error::InvalidCertificate(certificate) => format!(
            "tls: failed to verify certificate: {}",
            certificate_error(certificate, wall_ms)
        ),
        Error::AlertReceived(alert) => format!("remote error: tls: {}", alert_text(*alert)),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "tls: first record does not look like a TLS handshake".to_owned()
        }
        Error::PeerIncompatible(reason) => {
            format!("tls: no common protocol version or cipher suite: {reason:?}")
        }
        other => format!("tls: {other}"),
    })
}

fn certificate_error(error: &CertificateError, wall_ms: i64) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "x509: certificate signed by unknown authority".to_owned()
        }
        // NOTE: an authority of the same name with another key, as in a CA file from before a
        // renewal.
        CertificateError::BadSignature => "x509: certificate signed by unknown authority \
             (an authority of the same name has another key)"
            .to_owned(),
        CertificateError::Expired | CertificateError::NotValidYet => format!(
            "x509: certificate has expired or is not yet valid: current time {}",
            time_text(wall_ms / 1_000)
        ),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "x509: certificate has expired or is not yet valid: current time {} is after {}",
            time_text(time.as_secs() as i64),
            time_text(not_after.as_secs() as i64)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "x509: certificate has expired or is not yet valid: current time {} is before {}",
            time_text(time.as_secs() as i64),
            time_text(not_before.as_secs() as i64)
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let expected = expected.to_str();
            if presented.is_empty() {
                return format!(
                    "x509: certificate is not valid for any names, but wanted to match {expected}"
                );
            }
            let names: Vec<&str> = presented.iter().map(|name| plain_name(name)).collect();
            format!(
                "x509: certificate is valid for {}, not {expected}",
                names.join(", ")
            )
        }
        other => format!("x509: {other}"),
    }
}

/// Takes the name out of a presented `DnsName("a")`.
fn plain_name(presented: &str) -> &str {
    let inner = presented
        .split_once('(')
        .map_or(presented, |(_, rest)| rest);
    inner.trim_end_matches(')').trim_matches('"')
}

fn time_text(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} s"))
}

fn alert_text(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::BadCertificate => "bad certificate",
        AlertDescription::CertificateRequired => "certificate required",
        AlertDescription::CertificateExpired => "expired certificate",
        AlertDescription::CertificateUnknown => "unknown certificate",
        AlertDescription::UnsupportedCertificate => "unsupported certificate",
        AlertDescription::CertificateRevoked => "revoked certificate",
        AlertDescription::UnknownCA => "unknown certificate authority",
        AlertDescription::HandshakeFailure => "handshake failure",
        AlertDescription::ProtocolVersion => "protocol version not supported",
        AlertDescription::UnrecognisedName => "unrecognized name",
        AlertDescription::InternalError => "internal error",
        AlertDescription::AccessDenied => "access denied",
        other => return format!("alert {}", u8::from(other)),
    };
    text.to_owned()
}
