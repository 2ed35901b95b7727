//! The listener's half: a certificate, and handshakes that are bounded in time.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

use super::{CertificatePin, provider};
use crate::error::TransportError;

/// From the connection's begin until requests may come.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a plain HTTP request that are read away, so that the answer arrives before the connection's end.
const PLAIN_REQUEST_BYTES: u64 = 128 * 1024;
/// What a plain HTTP client gets to read.
const PLAIN_ANSWER: &str = concat!(
    "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 80\r\n\r\n",
    r#"{"error":"https","reason":"this port takes requests over TLS only: write https"}"#,
);

/// A certificate with its key, ready to be served.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    pin: CertificatePin,
    validity: Validity,
}

impl ServerTls {
    /// From PEM: the server's certificate first, then those between it and its authority; PKCS#8, SEC1 or PKCS#1 for the
    /// key. Each reader passes over the other's parts, so both may be the same text.
    ///
    /// # Errors
    /// [`TransportError::BadCertificate`] says what is wrong.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TransportError> {
        let bad = |reason: String| TransportError::BadCertificate { reason };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| bad(format!("the certificate is no PEM: {error}")))?;
        let own = chain.first().ok_or_else(|| bad("there is no certificate in it".to_owned()))?;
        let (pin, validity) = (CertificatePin::of(own), Validity::of(own).map_err(bad)?);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| bad(format!("there is no key in it: {error}")))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring has cipher suites of TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| bad(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), pin, validity })
    }

    /// When the certificate may be used. Diallers that pin it don't ask.
    pub fn validity(&self) -> &Validity {
        &self.validity
    }

    /// What diallers may insist on: SHA-256 of the server's certificate in DER.
    pub fn pin(&self) -> CertificatePin {
        self.pin
    }
}

/// The dates of a certificate.
#[derive(Clone, Debug)]
pub struct Validity {
    not_before: ASN1Time,
    not_after: ASN1Time,
}

impl Validity {
    fn of(certificate: &CertificateDer<'_>) -> Result<Validity, String> {
        let (_, certificate) =
            parse_x509_certificate(certificate).map_err(|error| format!("it does not parse: {error}"))?;
        let validity = certificate.validity();
        Ok(Validity { not_before: validity.not_before, not_after: validity.not_after })
    }

    /// The last day, in words.
    pub fn ends(&self) -> String {
        self.not_after.to_string()
    }

    /// Why a dialler that goes by dates refuses the certificate now, with the date.
    pub fn fault(&self) -> Option<String> {
        let now = ASN1Time::now();
        if now > self.not_after {
            return Some(format!("it expired on {}", self.not_after));
        }
        (now < self.not_before)
            .then(|| format!("it is not valid before {}; is this machine's clock right?", self.not_before))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("pin", &self.pin).finish_non_exhaustive()
    }
}

/// A new self-signed certificate (ECDSA on P-256, no end date that matters) and its key, as one PEM text: a secret. It is
/// meant to be pinned, so its names mean nothing.
///
/// # Errors
/// [`TransportError::BadCertificate`] where the system gives no random bytes.
pub fn self_signed() -> Result<String, TransportError> {
    let made = rcgen::generate_simple_self_signed(vec!["rayloom-peer".to_owned()])
        .map_err(|error| TransportError::BadCertificate { reason: error.to_string() })?;
    Ok(format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()))
}

impl ServerTls {
    /// The handshake, which may take so long and no longer.
    pub(crate) async fn accept(&self, stream: TcpStream, timeout: Duration) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.config.clone());
        tokio::time::timeout(timeout, handshake(acceptor, stream)).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    }
}

async fn handshake(acceptor: TlsAcceptor, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    // The first byte of TLS is 22, a record of type handshake (RFC 8446, 5.1); that of HTTP is a method's.
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        stream.write_all(PLAIN_ANSWER.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(PLAIN_REQUEST_BYTES), &mut tokio::io::sink()).await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a plain HTTP request"));
    }
    acceptor.accept(stream).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_told() {
        let pem = self_signed().unwrap();
        let (other, cut) = (self_signed().unwrap(), &pem[..pem.len() / 3]);
        let key_only = &pem[pem.find("-----BEGIN PRIVATE").unwrap()..];
        for (chain, key, words) in [
            ("", pem.as_str(), "no certificate"),
            (key_only, key_only, "no certificate"),
            (cut, &pem, "no PEM"),
            (&pem, "", "no key"),
            (&pem, &other, "key"),
        ] {
            let error = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
            assert!(matches!(error, TransportError::BadCertificate { .. }), "{error}");
            assert!(error.to_string().contains(words), "{error} instead of {words}");
        }
    }

    #[test]
    fn dates_that_are_over_or_to_come_are_named() {
        let made = |change: fn(&mut rcgen::CertificateParams)| {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::default();
            change(&mut params);
            let pem = params.self_signed(&key).unwrap().pem();
            ServerTls::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap().validity().clone()
        };
        assert_eq!(made(|_| ()).fault(), None);
        let expired = made(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 2)).fault().unwrap();
        assert!(expired.contains("expired") && expired.contains("Jan") && expired.contains("2020"), "{expired}");
        let early = made(|params| params.not_before = rcgen::date_time_ymd(4000, 1, 2)).fault().unwrap();
        assert!(early.contains("not valid before") && early.contains("4000"), "{early}");
    }

    #[test]
    fn the_plain_answer_says_its_own_length() {
        let (head, body) = PLAIN_ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
