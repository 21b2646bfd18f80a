//! The part of rustls's verifiers that decides nothing: it checks a handshake's signature.

/// The signature checks of a `ServerCertVerifier` or a `ClientCertVerifier`, by the algorithms in
/// the named field, a [`WebPkiSupportedAlgorithms`].
///
/// NOTE: a macro, because the two traits share these methods but no supertrait.
///
/// [`WebPkiSupportedAlgorithms`]: rustls::crypto::WebPkiSupportedAlgorithms
macro_rules! checks_signatures_with {
    ($algorithms:tt) => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &rustls::pki_types::CertificateDer<'_>,
            dss: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls12_signature(message, cert, dss, &self.$algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &rustls::pki_types::CertificateDer<'_>,
            dss: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls13_signature(message, cert, dss, &self.$algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            self.$algorithms.supported_schemes()
        }
    };
}

pub(crate) use checks_signatures_with;
