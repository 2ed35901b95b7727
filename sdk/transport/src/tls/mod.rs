//! TLS for signalling: what a dialler accepts, what a listener serves, and the pin that ties both together.
//!
//! TLS 1.3 only, by rustls with ring, which the WebRTC stack brings along.

pub(crate) mod client;
mod server;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use crate::error::TransportError;
pub(crate) use server::HANDSHAKE_TIMEOUT;
pub use server::{ServerTls, Validity, self_signed};

const PREFIX: &str = "sha256:";

/// SHA-256 of a server's certificate in DER, the whole certificate: written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificatePin([u8; 32]);

impl CertificatePin {
    /// The pin of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl FromStr for CertificatePin {
    type Err = TransportError;

    fn from_str(text: &str) -> Result<Self, TransportError> {
        let bad = |reason| TransportError::BadPin { pin: text.to_owned(), reason };
        let hex = text.strip_prefix(PREFIX).ok_or_else(|| bad("it does not begin with sha256:"))?;
        if hex.len() != 64 {
            return Err(bad("it has not 64 digits"));
        }
        let mut pin = [0; 32];
        for (byte, pair) in pin.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or_else(|| bad("a digit is not hexadecimal"));
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Self(pin))
    }
}

impl fmt::Display for CertificatePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CertificatePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Named, so that it does not depend on what else in the process chose a default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_written_as_it_is_read() {
        // FIPS 180-2, appendix B.1: SHA-256 of "abc".
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let pin = CertificatePin::of(b"abc");
        assert_eq!(pin.to_string(), text);
        assert_eq!(text.parse::<CertificatePin>().unwrap(), pin);
        assert_eq!(text.replace("ba78", "BA78").parse::<CertificatePin>().unwrap(), pin);
    }

    #[test]
    fn a_malformed_pin_is_refused_by_name() {
        let good = CertificatePin::of(b"abc").to_string();
        for (bad, reason) in [
            ("", "begin"),
            (&good[7..], "begin"),
            (&good[..70], "64 digits"),
            (&format!("{good}0"), "64 digits"),
            (&good.replace("ba78", "ga78"), "hexadecimal"),
            (&good.replace("ba78", "é78"), "hexadecimal"),
            (&good.replace("ba78", "+a78"), "hexadecimal"),
        ] {
            let error = bad.parse::<CertificatePin>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
