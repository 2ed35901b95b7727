//! Why a peer could not start or listen.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a peer could not start or listen; always something its operator can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// No Vulkan device that may be used.
    #[error(transparent)]
    Device(#[from] rayloom_renderer::RendererError),
    /// The folder of the scene cache can't be used.
    #[error(
        "cannot use the scene cache {path}: {source}; choose another folder (--cache-dir), or none (--cache-dir none)"
    )]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of stored captures can't be used.
    #[error("cannot use the captures {path}: {source}; `rayloom-bench overhead` writes such a file")]
    Captures {
        /// The file.
        path: PathBuf,
        /// What the system said, or what is wrong with it.
        source: std::io::Error,
    },
    /// The system gives no more threads.
    #[error("cannot start the threads that trace: {0}")]
    Threads(std::io::Error),
    /// A port can't be had.
    #[error("{source} ({setting})")]
    Port {
        /// The flag that names it.
        setting: &'static str,
        /// What is wrong, and what to do.
        source: rayloom_transport::TransportError,
    },
    /// The certificate for TLS can't be used.
    #[error(
        "cannot use the certificate {path}: {reason}; name others (--tls-cert, --tls-key), or remove a damaged one"
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Plain HTTP beyond this machine.
    #[error(
        "{0} is not a loopback address, and signalling is plain HTTP: whoever can read or change that traffic can steal \
         the token and replace the DTLS fingerprint, and with it the peer. Serve TLS (--tls), or accept the risk on a \
         network that you trust (--insecure-http)"
    )]
    InsecureHttp(SocketAddr),
}
