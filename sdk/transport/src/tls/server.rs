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
        let pin = CertificatePin::of(chain.first().ok_or_else(|| bad("there is no certificate in it".to_owned()))?);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| bad(format!("there is no key in it: {error}")))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring has cipher suites of TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| bad(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), pin })
    }

    /// What diallers may insist on: SHA-256 of the server's certificate in DER.
    pub fn pin(&self) -> CertificatePin {
        self.pin
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
    fn the_plain_answer_says_its_own_length() {
        let (head, body) = PLAIN_ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
