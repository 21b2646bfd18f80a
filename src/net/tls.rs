//! Makes rustls configurations from a `tls_config`: at first need, and again when one of their
//! files has changed.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, OnceLock};

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;

use super::tls_verify::{Anything, Lenient};
use super::watched_file::Source;
use super::{NetError, TlsSettings, TlsVersion};
use crate::stdx::locked::locked;

/// The system's certificate bundles, in the order of trying.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// LIMIT: resumable sessions per client. One target needs one or two. With more targets than this,
/// reconnecting makes full handshakes.
const SESSIONS_KEPT: usize = 32;

/// The system's root certificates, read when the first client needs them.
#[derive(Debug, Default)]
pub(super) struct SystemRoots(OnceLock<Arc<RootCertStore>>);

#[derive(Debug)]
pub(super) struct TlsSource {
    settings: TlsSettings,
    ca: Option<Source>,
    cert: Option<Source>,
    key: Option<Source>,
    provider: Arc<CryptoProvider>,
    roots: Arc<SystemRoots>,
    made: Mutex<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    /// The texts it was made from. The same allocations mean unchanged files.
    from: [Option<Arc<str>>; 3],
    config: Arc<ClientConfig>,
}

impl TlsSource {
    pub fn new(
        settings: &TlsSettings,
        provider: &Arc<CryptoProvider>,
        roots: &Arc<SystemRoots>,
    ) -> TlsSource {
        let source = |s: &Option<_>, what| s.as_ref().map(|s| Source::new(s, what));
        TlsSource {
            ca: source(&settings.ca, "CA cert"),
            cert: source(&settings.cert, "specified client cert"),
            key: source(&settings.key, "specified client key"),
            settings: settings.clone(),
            provider: provider.clone(),
            roots: roots.clone(),
            made: Mutex::new(None),
        }
    }

    /// Whether it contains anything that could be wrong.
    pub fn needs_check(&self) -> bool {
        self.settings != TlsSettings::default()
    }

    /// Returns the current configuration. It is the same allocation as last time if nothing
    /// changed.
    pub fn config(&self) -> Result<Arc<ClientConfig>, NetError> {
        let text = |s: &Option<Source>| s.as_ref().map(Source::text).transpose();
        let from = [text(&self.ca)?, text(&self.cert)?, text(&self.key)?];
        // NOTE: replaced whole, so a panic elsewhere leaves the last configuration.
        let mut made = locked(&self.made);
        if let Some(made) = &*made
            && made
                .from
                .iter()
                .zip(&from)
                .all(|(a, b)| same(a.as_ref(), b.as_ref()))
        {
            return Ok(made.config.clone());
        }
        let config = Arc::new(self.build(&from)?);
        *made = Some(Made {
            from,
            config: config.clone(),
        });
        Ok(config)
    }

    /// Returns the name that is sent and that the certificate must have. A proxy goes by its own.
    pub fn server_name(&self, host: &str, proxy: bool) -> Result<ServerName<'static>, NetError> {
        let name = self.settings.server_name.as_deref();
        let name = name.filter(|name| !name.is_empty() && !proxy);
        let name = name.unwrap_or(host);
        match ServerName::try_from(name.to_owned()) {
            Ok(name) => Ok(name),
            // No name is checked, and an invalid one cannot be sent.
            Err(_) if self.settings.insecure_skip_verify => {
                Ok(ServerName::from(IpAddr::from(Ipv4Addr::UNSPECIFIED)))
            }
            Err(_) => Err(NetError::Tls(format!("tls: invalid server name {name:?}"))),
        }
    }

    fn build(&self, from: &[Option<Arc<str>>; 3]) -> Result<ClientConfig, NetError> {
        let [ca, cert, key] = from;
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&self.versions()?)
            .map_err(|error| NetError::Settings(format!("tls: {error}")))?
            .dangerous();
        let builder = if self.settings.insecure_skip_verify {
            let algorithms = self.provider.signature_verification_algorithms;
            builder.with_custom_certificate_verifier(Arc::new(Anything(algorithms)))
        } else {
            let (roots, own) = match ca {
                Some(pem) => own_roots(pem)?,
                None => (self.roots.get(), Vec::new()),
            };
            let verifier = Lenient::new(roots, own, &self.provider)?;
            builder.with_custom_certificate_verifier(Arc::new(verifier))
        };
        let mut config = match (cert, key) {
            (Some(cert), Some(key)) => {
                let (chain, key) = certified_key(cert, key, &self.provider)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| NetError::Settings(format!("tls: {error}")))?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => {
                let text = "exactly one of key or key_file must be configured when a client \
                            certificate is configured";
                return Err(NetError::Settings(text.to_owned()));
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS_KEPT);
        Ok(config)
    }

    fn versions(&self) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, NetError> {
        let min = self.settings.min_version.unwrap_or(TlsVersion::Tls12);
        let max = self.settings.max_version.unwrap_or(TlsVersion::Tls13);
        let all = [
            (TlsVersion::Tls13, &rustls::version::TLS13),
            (TlsVersion::Tls12, &rustls::version::TLS12),
        ];
        let wanted = all.into_iter().filter(|(v, _)| (min..=max).contains(v));
        let versions: Vec<_> = wanted.map(|(_, version)| version).collect();
        if versions.is_empty() {
            let text = "tls_config.max_version must be greater than or equal to \
                        tls_config.min_version if both are specified";
            return Err(NetError::Settings(text.to_owned()));
        }
        Ok(versions)
    }
}

fn same(a: Option<&Arc<str>>, b: Option<&Arc<str>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

impl SystemRoots {
    /// Returns the roots. They are empty if the system has none; then every authority is unknown.
    fn get(&self) -> Arc<RootCertStore> {
        self.0.get_or_init(|| Arc::new(read_system())).clone()
    }
}

fn read_system() -> RootCertStore {
    let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let candidates = match named {
        Some(path) => vec![path],
        None => SYSTEM_BUNDLES.iter().map(Into::into).collect(),
    };
    let mut roots = RootCertStore::empty();
    for path in &candidates {
        let Ok(certificates) = CertificateDer::pem_file_iter(path) else {
            continue;
        };
        let (added, ignored) = roots.add_parsable_certificates(certificates.filter_map(Result::ok));
        log::debug!(path:% = path.display(), added, ignored; "read the system's certificates");
        if added > 0 {
            return roots;
        }
    }
    log::warn!("no certificates of the system found; https needs a ca_file");
    roots
}

/// The store, and its certificates as they stand in the file.
type Roots = (Arc<RootCertStore>, Vec<CertificateDer<'static>>);

fn own_roots(pem: &str) -> Result<Roots, NetError> {
    let wrong = || NetError::Settings("unable to use specified CA cert".to_owned());
    let own: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| wrong())?;
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(own.iter().cloned());
    if added == 0 {
        return Err(wrong());
    }
    if ignored > 0 {
        log::warn!(ignored; "CA file has certificates that can't be used");
    }
    Ok((Arc::new(roots), own))
}

type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Returns a chain and its key, and checks that they match, which rustls finds out too late.
fn certified_key(
    cert: &str,
    key: &str,
    provider: &CryptoProvider,
) -> Result<ChainAndKey, NetError> {
    let pair = "unable to use specified client cert and key: tls:";
    let wrong = |text: String| NetError::Settings(format!("{pair} {text}"));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(format!("certificate: {error}")))?;
    if chain.is_empty() {
        return Err(wrong("failed to find certificate PEM data".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| wrong(format!("private key: {error}")))?;
    let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), provider);
    match certified.and_then(|certified| certified.keys_match()) {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(wrong("private key does not match public key".to_owned()))
        }
        // NOTE: a key whose public half is unknown may still be the right one.
        Ok(()) | Err(rustls::Error::InconsistentKeys(_)) => Ok((chain, key)),
        Err(error) => Err(wrong(error.to_string())),
    }
}
