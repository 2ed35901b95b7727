//! Why a connection could not be opened, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rayloom_wire::VersionRange;

use crate::tls::CertificatePin;

/// Everything that can go wrong before a [`crate::Connection`] exists. Afterwards the reason comes as
/// [`crate::LinkEvent::Closed`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The URL is not `https://host[:port][/path]`, nor the same with `http`.
    #[error("{url:?} is not a peer's URL ({reason}): write it as https://host:port")]
    BadUrl {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The pin is not `sha256:` and 64 hexadecimal digits.
    #[error(
        "{pin:?} is no certificate pin ({reason}): write sha256: and 64 hexadecimal digits, as the peer prints it at its start"
    )]
    BadPin {
        /// As given.
        pin: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Plain HTTP to another machine: token and DTLS fingerprint could be replaced on the way.
    #[error(
        "{url}: plain http beyond loopback lets anyone on the way read the token and replace the peer; write https, with the \
         pin that the peer prints at its start"
    )]
    PlainHttpRefused {
        /// As given.
        url: String,
    },
    /// The server's certificate is not the one that was asked for: another server, or one that made itself a new one.
    #[error(
        "{url} shows a certificate with the pin {found}, wanted is {wanted}; if the peer prints {found} at its start use that, \
         else somebody is in between"
    )]
    PinMismatch {
        /// The peer.
        url: String,
        /// The pin that was given.
        wanted: CertificatePin,
        /// The pin of the certificate there.
        found: CertificatePin,
    },
    /// The handshake failed: the certificate is expired, for another name, or of an unknown authority, say.
    #[error("{url} is not trusted: {reason}")]
    Tls {
        /// The peer.
        url: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// `https` was asked for, plain text answered.
    #[error(
        "{url} does not speak TLS; if it serves plain http there write http (on loopback), else start it with --tls"
    )]
    NoTlsThere {
        /// As given.
        url: String,
    },
    /// `http` was asked for, TLS is spoken there.
    #[error("{url} takes requests over TLS only: write https, with the pin that the peer prints at its start")]
    TlsThere {
        /// As given.
        url: String,
    },
    /// Whoever listens there speaks neither HTTP nor TLS.
    #[error("{url} is no rayloom-peer: it answers {first:?}; check host and port")]
    NoPeerThere {
        /// As given.
        url: String,
        /// How its answer begins, without what would draw on a terminal.
        first: String,
    },
    /// A server's certificate or key is not usable.
    #[error("the TLS certificate or its key cannot be used: {reason}")]
    BadCertificate {
        /// What is wrong with it.
        reason: String,
    },
    /// The peer answered 401.
    #[error("{url} refuses the token (401): {reason}; set the token that the peer was started with")]
    Unauthorized {
        /// The peer.
        url: String,
        /// The peer's words.
        reason: String,
    },
    /// No HTTP answer at all.
    #[error("cannot reach {url}: {source}; check that rayloom-peer runs there and that the port is open")]
    Unreachable {
        /// The peer.
        url: String,
        /// What the operating system or the HTTP client said.
        source: io::Error,
    },
    /// No protocol version in common.
    #[error("{url} speaks protocol versions {theirs}, this side speaks {ours}; update the older of the two")]
    VersionMismatch {
        /// The peer.
        url: String,
        /// This side's range.
        ours: VersionRange,
        /// The peer's range.
        theirs: VersionRange,
    },
    /// The peer holds as many sessions as it may.
    #[error("{url} has no session left: {reason}; end one, or raise its limit")]
    Capacity {
        /// The peer.
        url: String,
        /// The peer's words.
        reason: String,
    },
    /// The peer answered with another status.
    #[error("{url} refuses the session with HTTP {status}: {reason}")]
    Refused {
        /// The peer.
        url: String,
        /// HTTP status.
        status: u16,
        /// The peer's words.
        reason: String,
    },
    /// The answer is no session description that WebRTC takes.
    #[error("{url} answered with something that is no session description: {reason}; is it a rayloom-peer?")]
    BadAnswer {
        /// The peer.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The offer is no session description that WebRTC takes: the dialler's fault.
    #[error("the offer is no usable session description: {reason}")]
    BadOffer {
        /// What is wrong with it.
        reason: String,
    },
    /// Signalling went through, then ICE or DTLS did not.
    #[error(
        "signalling with {remote} worked, but no path for data was found: {reason}; check that the firewalls between both let the \
         peer's --udp-port or --tcp-port through, and that --advertise is right where it has one"
    )]
    NoPath {
        /// The peer's URL, or "a dialler".
        remote: String,
        /// What WebRTC said.
        reason: String,
    },
    /// A step took too long.
    #[error("{what} took longer than {after:?}; check the load of both sides and the network between them")]
    Timeout {
        /// The step, with the URL.
        what: String,
        /// How long it was given.
        after: Duration,
    },
    /// Another process listens there.
    #[error("{protocol} {addr} is in use: another process has it; stop it or choose another port")]
    PortInUse {
        /// TCP or UDP.
        protocol: &'static str,
        /// The address.
        addr: SocketAddr,
    },
    /// The operating system refuses the address for another reason.
    #[error("cannot listen on {addr}: {source}; choose an address of this machine and a port above 1023")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The WebRTC stack failed locally: no socket could be bound, say.
    #[error("WebRTC cannot start: {reason}")]
    Local {
        /// What it said.
        reason: String,
    },
}
