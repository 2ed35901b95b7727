//! Connections over WebRTC data channels: dialling a URL, and answering who dials.

mod candidates;
mod fallback;
mod link;
mod outbox;
mod peer;
mod port;
mod sockets;
mod stand_in;

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rayloom_wire::VersionRange;

use crate::error::TransportError;
use crate::link::Connection;
use crate::signalling::client;
use crate::tls::CertificatePin;
pub use candidates::Advertised;
use peer::Peer;
pub use port::{PortStats, SharedPort, StunServer, TurnError, TurnServer, TurnUrl};

/// Where data may flow.
#[derive(Clone, Debug)]
pub struct IceConfig {
    /// Local addresses to offer. An unspecified address stands for every interface but loopback.
    pub bind: Vec<IpAddr>,
    /// Kernel buffers to ask for, each way; `None` leaves the kernel's default, which stalls on fast paths.
    pub socket_buffer_bytes: Option<usize>,
    /// The port of all connections that are accepted, bound at the addresses of `bind`; `None` gives each one of its own, and
    /// that is what a dialler wants.
    pub port: Option<SharedPort>,
    /// Addresses under which others reach this machine, where a NAT translates them: offered beside the machine's own.
    pub advertise: Vec<Advertised>,
}

impl IceConfig {
    /// Kernel buffers that hold a window of SCTP with the kernel's bookkeeping.
    pub const SOCKET_BUFFER_BYTES: usize = 4 << 20;

    /// True where every path leads through loopback.
    pub(crate) fn stays_on_this_machine(&self) -> bool {
        !self.bind.is_empty() && self.bind.iter().all(IpAddr::is_loopback)
    }

    /// One address: whoever reaches it for signalling reaches it for data. An unspecified one is every interface.
    pub fn at(ip: IpAddr) -> Self {
        if ip.is_unspecified() { Self::every_interface() } else { Self { bind: vec![ip], ..Self::default() } }
    }

    /// Loopback and every other interface.
    pub fn every_interface() -> Self {
        Self {
            bind: vec![Ipv4Addr::LOCALHOST.into(), Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            ..Self::default()
        }
    }
}

impl Default for IceConfig {
    /// Loopback only: nothing leaves the machine unless it is asked for.
    fn default() -> Self {
        Self {
            bind: vec![Ipv4Addr::LOCALHOST.into()],
            socket_buffer_bytes: Some(Self::SOCKET_BUFFER_BYTES),
            port: None,
            advertise: Vec::new(),
        }
    }
}

/// How the death of the other side is noticed on an idle link.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    /// A ping goes out this often.
    pub interval: Duration,
    /// The connection is closed when nothing was heard for this long. A late tile is noticed far sooner, by its deadline.
    pub silence: Duration,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { interval: Duration::from_millis(500), silence: Duration::from_secs(6) }
    }
}

/// What [`dial`] may be told.
#[derive(Clone, Debug)]
pub struct DialOptions {
    /// Where data may flow; `None` keeps to loopback when the host is there, and uses every interface for any other.
    pub ice: Option<IceConfig>,
    /// The certificate that a server of `https` must have, and then nothing else about it matters; `None` asks the web's
    /// authorities.
    pub tls_pin: Option<CertificatePin>,
    /// For the whole of it: signalling, ICE, DTLS, channels.
    pub timeout: Duration,
    /// Allows plain HTTP to a host that is not loopback. Token and DTLS fingerprint then travel in the clear.
    pub allow_plain_http: bool,
    /// Versions to offer.
    pub versions: VersionRange,
    /// Detection of a dead peer.
    pub keep_alive: KeepAlive,
}

impl Default for DialOptions {
    fn default() -> Self {
        Self {
            ice: None,
            tls_pin: None,
            timeout: Duration::from_secs(10),
            allow_plain_http: false,
            versions: rayloom_wire::VERSION,
            keep_alive: KeepAlive::default(),
        }
    }
}

/// Refuses addresses that [`dial`] never reaches anybody at; plain HTTP beyond loopback is one of them.
///
/// # Errors
/// [`TransportError::BadUrl`] or [`TransportError::PlainHttpRefused`] say what is wrong, and how to write it.
pub fn check_url(url: &str) -> Result<(), TransportError> {
    client::Endpoint::parse(url, false).map(drop)
}

/// Opens a connection to whoever answers at `url` (`https://host:port`, on loopback also
/// `http`), by an offer to `{url}/v1/sessions`. Ready when
/// all three channels are open. Boxed, so that the WebRTC stack is compiled once, here.
pub fn dial<'a>(
    url: &'a str,
    token: Option<&'a str>,
    options: &'a DialOptions,
) -> BoxFuture<'a, Result<Connection, TransportError>> {
    Box::pin(async move {
        let endpoint = client::Endpoint::parse(url, options.allow_plain_http)?;
        let ice = options.ice.clone().unwrap_or_else(|| match endpoint.is_loopback {
            true => IceConfig::default(),
            false => IceConfig::every_interface(),
        });
        let attempt = async {
            let mut peer = Peer::new(&ice).await?;
            let (channels, offer) = peer.offer().await?;
            let answer = client::exchange(&endpoint, token, options.tls_pin, options.versions, offer).await?;
            peer.take_answer(answer)
                .await
                .map_err(|reason| TransportError::BadAnswer { url: url.to_owned(), reason })?;
            peer.opened(&channels, url).await?;
            Ok(link::start(peer, channels, options.keep_alive, &endpoint.authority, Box::new(())).await)
        };
        tokio::time::timeout(options.timeout, attempt).await.unwrap_or_else(|_| {
            Err(TransportError::Timeout {
                what: format!("opening a session with {url} (is it a rayloom-peer?)"),
                after: options.timeout,
            })
        })
    })
}

/// The answer to an offer, and the connection that it leads to.
pub type Accepted = (String, BoxFuture<'static, Result<Connection, TransportError>>);

/// Answers offers.
#[derive(Clone, Debug)]
pub struct Acceptor {
    /// Where data may flow.
    pub ice: IceConfig,
    /// From the answer until all three channels are open.
    pub timeout: Duration,
    /// Detection of a dead dialler.
    pub keep_alive: KeepAlive,
}

impl Default for Acceptor {
    fn default() -> Self {
        Self { ice: IceConfig::default(), timeout: Duration::from_secs(10), keep_alive: KeepAlive::default() }
    }
}

impl Acceptor {
    /// Answers an offer. Send the answer, then await the connection; dropping the future gives the attempt up.
    pub fn accept<'a>(&'a self, offer_sdp: &'a str) -> BoxFuture<'a, Result<Accepted, TransportError>> {
        self.accept_with(offer_sdp, None, Box::new(()))
    }

    /// As [`Acceptor::accept`]. A relay lets the dialler in from the addresses that its offer names, and from `from`, where the
    /// offer itself came from. `guard` is dropped when the connection is gone for good, or the attempt has failed.
    pub fn accept_with<'a>(
        &'a self,
        offer_sdp: &'a str,
        from: Option<IpAddr>,
        guard: Box<dyn Any + Send>,
    ) -> BoxFuture<'a, Result<Accepted, TransportError>> {
        Box::pin(async move {
            let mut peer = Peer::new(&self.ice).await?;
            let answer =
                tokio::time::timeout(self.timeout, peer.answer(offer_sdp, from)).await.unwrap_or_else(|_| {
                    Err(TransportError::Timeout { what: "answering an offer".to_owned(), after: self.timeout })
                })?;
            let (timeout, keep_alive) = (self.timeout, self.keep_alive);
            let open = async move {
                let attempt = async {
                    let channels = peer.accepted("a dialler").await?;
                    Ok(link::start(peer, channels, keep_alive, "a dialler", guard).await)
                };
                tokio::time::timeout(timeout, attempt).await.unwrap_or_else(|_| {
                    Err(TransportError::Timeout { what: "waiting for a dialler's channels".to_owned(), after: timeout })
                })
            };
            let open: BoxFuture<'static, _> = Box::pin(open);
            Ok((answer, open))
        })
    }
}
