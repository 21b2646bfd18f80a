//! Decides which certificates are trusted: by rustls's verifier with one exception, or all.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, OtherError, RootCertStore};

use super::NetError;
use super::tls_signatures::checks_signatures_with;

/// rustls's verifier with one exception. A certificate that itself stands in the CA file is valid
/// for its names even if it says that it is an authority. `openssl req -x509` makes such files;
/// they are served and trusted everywhere, and Go accepts them.
#[derive(Debug)]
pub(super) struct Lenient {
    /// `None` when there are no roots at all, which rustls's verifier refuses.
    strict: Option<Arc<WebPkiServerVerifier>>,
    own: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Lenient {
    pub fn new(
        roots: Arc<RootCertStore>,
        own: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Lenient, NetError> {
        let strict = if roots.is_empty() {
            None
        } else {
            let built = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
            Some(
                built
                    .build()
                    .map_err(|e| NetError::Tls(format!("tls: {e}")))?,
            )
        };
        Ok(Lenient {
            strict,
            own,
            algorithms: provider.signature_verification_algorithms,
        })
    }
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(strict) = &self.strict else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        match strict.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            // NOTE: rustls checks the validity period before it finds this.
            Err(error) if is_authority(&error) && self.own.iter().any(|own| own == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    checks_signatures_with!(algorithms);
}

/// Recognises the error by its text, since rustls has no variant for it.
fn is_authority(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            format!("{other:?}").contains("CaUsedAsEndEntity")
        }
        _ => false,
    }
}

/// `insecure_skip_verify`: accepts any certificate whose key the other side holds.
#[derive(Debug)]
pub(super) struct Anything(pub WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    checks_signatures_with!(0);
}
