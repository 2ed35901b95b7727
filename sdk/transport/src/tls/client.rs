//! The dialler's half: nothing is said to a server before its certificate is the right one.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{CertificatePin, provider};
use crate::error::TransportError;

/// Whom to believe.
pub(crate) enum Trust {
    /// Exactly this certificate, whatever names and dates it has.
    Pin(CertificatePin),
    /// Certificates for the host's name that these authorities signed.
    Roots(RootCertStore),
}

impl Trust {
    /// The pin where there is one, else the authorities that browsers trust. Mozilla's list is compiled in: an engine then
    /// depends on no file of the system that it runs on.
    pub(crate) fn new(pin: Option<CertificatePin>) -> Self {
        match pin {
            Some(pin) => Self::Pin(pin),
            None => Self::Roots(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }),
        }
    }

    /// For a protocol, by its name in ALPN (RFC 7301); a server refuses a name that it does not know.
    pub(crate) fn config(self, protocol: Option<&[u8]>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring has cipher suites of TLS 1.3");
        let mut config = match self {
            Self::Pin(pin) => {
                let algorithms = provider().signature_verification_algorithms;
                let verifier = Arc::new(PinVerifier { pin, algorithms });
                builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
            }
            Self::Roots(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
        };
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        config
    }
}

/// The handshake, and what is wrong where it fails. `url` is for errors.
pub(crate) async fn connect<S>(
    stream: S,
    url: &str,
    name: ServerName<'static>,
    trust: Trust,
) -> Result<TlsStream<S>, TransportError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connector = TlsConnector::from(Arc::new(trust.config(Some(b"http/1.1"))));
    connector.connect(name, stream).await.map_err(|error| explain(url, error))
}

fn explain(url: &str, error: io::Error) -> TransportError {
    let url = url.to_owned();
    let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                TransportError::Tls { url, reason: "the connection ended in the midst of the handshake".to_owned() }
            }
            _ => TransportError::Unreachable { url, source: error },
        };
    };
    let certificate = |reason: String| TransportError::Tls { url: url.clone(), reason };
    match cause {
        rustls::Error::InvalidMessage(_) => TransportError::NoTlsThere { url },
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause)))
            if cause.downcast_ref::<Mismatch>().is_some() =>
        {
            let Mismatch { wanted, found } = *cause.downcast_ref::<Mismatch>().expect("the guard says so");
            TransportError::PinMismatch { url, wanted, found }
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => certificate(
            "no authority that the web trusts has signed its certificate; give the pin (sha256:...) that the peer prints at \
             its start"
                .to_owned(),
        ),
        // The verifier's own words, which rustls would show with the types around them.
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => {
            certificate(format!("its certificate is refused ({cause}); renew it, or give the pin that the peer prints at its start"))
        }
        rustls::Error::InvalidCertificate(cause) => {
            certificate(format!("{cause}; renew its certificate, or give the pin that the peer prints at its start"))
        }
        cause => certificate(cause.to_string()),
    }
}

/// Another certificate than the pinned one.
#[derive(Clone, Copy, Debug)]
struct Mismatch {
    wanted: CertificatePin,
    found: CertificatePin,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the certificate has the pin {}, not {}", self.found, self.wanted)
    }
}

impl std::error::Error for Mismatch {}

/// Compares the whole certificate; that the server holds its key is still shown by the handshake's signature.
#[derive(Debug)]
struct PinVerifier {
    pin: CertificatePin,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = CertificatePin::of(certificate);
        if found == self.pin {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(Mismatch { wanted: self.pin, found }))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::ServerConfig;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio_rustls::TlsAcceptor;

    const URL: &str = "https://peer.example:4700";

    /// An authority, and a server with a certificate of it.
    struct Authority {
        roots: RootCertStore,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        fn new() -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let mut roots = RootCertStore::empty();
            roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
            Self { roots, issuer: Issuer::new(params, key) }
        }

        fn signs(&self, change: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, KeyPair) {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["peer.example".to_owned()]).unwrap();
            change(&mut params);
            (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key)
        }
    }

    /// Dials a server with this certificate and key; the server's key need not belong to its certificate.
    async fn dial(
        (certificate, key): &(CertificateDer<'static>, KeyPair),
        trust: Trust,
    ) -> Result<String, TransportError> {
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = provider().key_provider.load_private_key(key).unwrap();
        let resolver = SingleCertAndKey::from(CertifiedKey::new(vec![certificate.clone()], key));
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        let (near, far) = duplex(64 * 1024);
        let server = tokio::spawn(async move {
            let mut heard = String::new();
            if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(far).await {
                stream.read_to_string(&mut heard).await.unwrap();
            }
            heard
        });
        let mut stream = connect(near, URL, ServerName::try_from("peer.example").unwrap(), trust).await?;
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        Ok(server.await.unwrap())
    }

    #[tokio::test]
    async fn the_authority_s_certificate_is_accepted_for_its_name_and_time() {
        let authority = Authority::new();
        let good = authority.signs(|_| {});
        assert_eq!(dial(&good, Trust::Roots(authority.roots.clone())).await.unwrap(), "hello");
        let expired = authority.signs(|params| params.not_after = date_time_ymd(2020, 1, 1));
        let early = authority.signs(|params| params.not_before = date_time_ymd(4000, 1, 1));
        let other = authority.signs(|params| {
            *params = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
        });
        for (bad, words) in [(expired, "expired"), (early, "not valid yet"), (other, "other.example")] {
            let error = dial(&bad, Trust::Roots(authority.roots.clone())).await.unwrap_err();
            assert!(matches!(error, TransportError::Tls { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(URL) && text.contains(words), "{text}");
        }
    }

    #[tokio::test]
    async fn an_unknown_authority_is_told_with_the_way_out() {
        let stranger = Authority::new().signs(|_| {});
        let text = dial(&stranger, Trust::new(None)).await.unwrap_err().to_string();
        assert!(text.contains(URL) && text.contains("no authority") && text.contains("pin"), "{text}");
    }

    #[tokio::test]
    async fn a_pinned_certificate_needs_neither_name_nor_date() {
        let expired = Authority::new().signs(|params| {
            *params = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
            params.not_after = date_time_ymd(2020, 1, 1);
        });
        let pin = CertificatePin::of(&expired.0);
        assert_eq!(dial(&expired, Trust::new(Some(pin))).await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn another_certificate_than_the_pinned_one_is_told_with_both_pins() {
        let authority = Authority::new();
        let (there, elsewhere) = (authority.signs(|_| {}), authority.signs(|_| {}));
        let (found, wanted) = (CertificatePin::of(&there.0), CertificatePin::of(&elsewhere.0));
        let error = dial(&there, Trust::new(Some(wanted))).await.unwrap_err();
        assert!(matches!(error, TransportError::PinMismatch { .. }), "{error}");
        let text = error.to_string();
        assert!([URL, &found.to_string(), &wanted.to_string()].iter().all(|part| text.contains(part)), "{text}");
    }

    #[tokio::test]
    async fn the_pinned_certificate_without_its_key_is_refused() {
        let authority = Authority::new();
        let (certificate, _) = authority.signs(|_| {});
        let pin = CertificatePin::of(&certificate);
        let thief = (certificate, KeyPair::generate().unwrap());
        let error = dial(&thief, Trust::new(Some(pin))).await.unwrap_err();
        assert!(matches!(error, TransportError::Tls { .. }), "{error}");
    }
}
