//! Makes a rustls configuration of the web configuration's TLS settings.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DistinguishedName, Error, RootCertStore, ServerConfig,
    SupportedProtocolVersion, version,
};

use super::san::alternative_names;
use crate::net::checks_signatures_with;

/// `tls_server_config`, with the files' contents.
#[derive(Debug, Clone)]
pub(in crate::web) struct TlsSettings {
    /// In PEM.
    pub certificates: Vec<u8>,
    pub key: Vec<u8>,
    pub client_auth: ClientAuth,
    pub client_cas: Option<Vec<u8>>,
    pub client_allowed_sans: Option<Vec<String>>,
    pub tls12: bool,
    pub tls13: bool,
    /// Go's names; empty means all.
    pub cipher_suites: Vec<String>,
    pub curves: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum ClientAuth {
    None,
    /// The certificate is requested, and accepted unverified.
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

/// Makes the configuration. The error is a text for the operator.
pub(in crate::web) fn server_config(settings: &TlsSettings) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(provider(settings)?);
    let certificates = pem_all(&settings.certificates)
        .map_err(|e| format!("failed to load X509KeyPair: certificate: {e}"))?;
    if certificates.is_empty() {
        return Err("failed to load X509KeyPair: no certificate in the file".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(&settings.key)
        .map_err(|e| format!("failed to load X509KeyPair: key: {e}"))?;
    let versions = versions(settings)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|e| format!("the cipher suites do not fit the TLS versions: {e}"))?;
    let builder = match client_verifier(settings, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|e| format!("failed to load X509KeyPair: {e}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    Ok(Arc::new(config))
}

/// Whether it is a suite that can be chosen in TLS 1.2, or one of 1.3, which are always on.
pub(in crate::web) fn is_known_cipher(name: &str) -> bool {
    let mut suites = ring::ALL_CIPHER_SUITES.iter();
    suites.any(|suite| suite_name(suite.suite()) == name) || is_go_only_cipher(name)
}

/// Whether Go knows the suite and rustls refuses it as weak. It is accepted in a list and left out
/// of it.
fn is_go_only_cipher(name: &str) -> bool {
    [
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    ]
    .contains(&name)
}

pub(in crate::web) fn is_known_curve(name: &str) -> bool {
    ["CurveP256", "CurveP384", "CurveP521", "X25519"].contains(&name)
}

/// Returns Go's name of a suite. rustls calls TLS 1.3's suites `TLS13_…`, Go and the registry
/// `TLS_…`; Go also says
/// `…_POLY1305_SHA256`.
fn suite_name(suite: rustls::CipherSuite) -> String {
    let name = suite.as_str().unwrap_or_default();
    name.replace("TLS13_", "TLS_")
}

fn provider(settings: &TlsSettings) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    let wanted = &settings.cipher_suites;
    if !wanted.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let is_13 = suite.version().version == rustls::ProtocolVersion::TLSv1_3;
            is_13 || wanted.contains(&suite_name(suite.suite()))
        });
    }
    let curves = &settings.curves;
    if !curves.is_empty() {
        provider.kx_groups.retain(|group| {
            let name = match group.name() {
                rustls::NamedGroup::X25519 => "X25519",
                rustls::NamedGroup::secp256r1 => "CurveP256",
                rustls::NamedGroup::secp384r1 => "CurveP384",
                _ => "",
            };
            curves.iter().any(|curve| curve == name)
        });
        if provider.kx_groups.is_empty() {
            return Err(format!("no usable curve in curve_preferences {curves:?}"));
        }
    }
    Ok(provider)
}

fn versions(settings: &TlsSettings) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let mut versions = Vec::new();
    versions.extend(settings.tls13.then_some(&version::TLS13));
    versions.extend(settings.tls12.then_some(&version::TLS12));
    if versions.is_empty() {
        return Err("max_version is below min_version".to_owned());
    }
    Ok(versions)
}

fn pem_all(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>();
    certificates.map_err(|e| e.to_string())
}

fn client_verifier(
    settings: &TlsSettings,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let algorithms = provider.signature_verification_algorithms;
    let inner = match settings.client_auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::Request | ClientAuth::RequireAny => None,
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {
            Some(verifying(settings, provider)?)
        }
    };
    Ok(Some(Arc::new(ClientVerifier {
        inner,
        algorithms,
        is_mandatory: matches!(
            settings.client_auth,
            ClientAuth::RequireAny | ClientAuth::RequireAndVerify
        ),
        allowed_sans: settings.client_allowed_sans.clone(),
    })))
}

fn verifying(
    settings: &TlsSettings,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let Some(cas) = &settings.client_cas else {
        return Err("client certificates can't be verified without client_ca_file".to_owned());
    };
    let mut roots = RootCertStore::empty();
    for ca in pem_all(cas).map_err(|e| format!("client_ca_file: {e}"))? {
        roots.add(ca).map_err(|e| format!("client_ca_file: {e}"))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|e| format!("client_ca_file: {e}"))
}

/// Go's policies for client certificates, over rustls's single one.
#[derive(Debug)]
struct ClientVerifier {
    /// Checks the chain. `None` accepts every certificate whose key the client has.
    inner: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    is_mandatory: bool,
    allowed_sans: Option<Vec<String>>,
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner
            .as_ref()
            .map_or(&[], |inner| inner.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(inner) = &self.inner {
            inner.verify_client_cert(end_entity, intermediates, now)?;
        }
        if let Some(allowed) = &self.allowed_sans {
            let names = alternative_names(end_entity);
            if !names.iter().any(|name| allowed.contains(name)) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    checks_signatures_with!(algorithms);
}
