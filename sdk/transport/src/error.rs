//! Why a connection could not be opened, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rayloom_wire::VersionRange;

/// Everything that can go wrong before a [`crate::Connection`] exists. Afterwards the reason comes as
/// [`crate::LinkEvent::Closed`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The URL is not `http://host[:port][/path]`.
    #[error("{url:?} is not a peer's URL ({reason}): write it as http://host:port")]
    BadUrl {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `https://` was asked for.
    #[error(
        "{url}: signalling over TLS is not part of this build; use http on loopback or through an SSH or VPN tunnel"
    )]
    TlsUnsupported {
        /// As given.
        url: String,
    },
    /// Plain HTTP to another machine: token and DTLS fingerprint could be replaced on the way.
    #[error(
        "{url}: plain http beyond loopback lets anyone on the way read the token and replace the peer; tunnel it, or set \
         allow_plain_http if the network is trusted"
    )]
    PlainHttpRefused {
        /// As given.
        url: String,
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
        "signalling with {remote} worked, but no path for data was found: {reason}; check that UDP may pass between both"
    )]
    NoPath {
        /// The peer's URL, or "a dialler".
        remote: String,
        /// What WebRTC said.
        reason: String,
    },
    /// A step took too long.
    #[error("{what} took longer than {after:?}; check load and network, or raise the timeout")]
    Timeout {
        /// The step, with the URL.
        what: String,
        /// How long it was given.
        after: Duration,
    },
    /// Another process listens there.
    #[error("{addr} is in use: another process listens there; stop it or choose another port")]
    PortInUse {
        /// The address.
        addr: SocketAddr,
    },
    /// The operating system refuses the address for another reason.
    #[error("cannot listen on {addr}: {source}")]
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
