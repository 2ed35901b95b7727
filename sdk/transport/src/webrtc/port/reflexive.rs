//! How the shared port looks from outside: a STUN server is asked from it (RFC 5389), and the answer offered to diallers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ::webrtc::runtime::Transmit;
use parking_lot::Mutex;
use rtc::stun::message::{BINDING_REQUEST, Getter, Message, TransactionId};
use rtc::stun::xoraddr::XorMappedAddress;
use tokio::sync::{oneshot, watch};

use super::Shared;
use super::server_url::HostPort;
use super::wire::Wire;

/// RFC 5389, 7.2.1: the first wait, the requests, and the last wait in units of the first.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const REQUESTS: u32 = 7;
const LAST_WAITS: u32 = 16;
/// NATs forget what is not used; RFC 4787 demands two minutes of them, many keep 30 s.
const ASK_EVERY: Duration = Duration::from_secs(25);
/// STUN's own port.
const STUN_PORT: u16 = 3478;

/// A STUN server: `stun:host` or `stun:host:port` (RFC 7064).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunServer(HostPort);

impl FromStr for StunServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is no STUN server ({why}): write stun:HOST or stun:HOST:PORT"));
        let Some((scheme, rest)) = text.split_once(':') else { return wrong("it has no scheme") };
        match scheme {
            "stun" => (),
            "stuns" => return wrong("STUN over TLS is not spoken here"),
            "turn" | "turns" => return wrong("that is the URL of a relay (--turn)"),
            _ => return wrong("another scheme"),
        }
        HostPort::parse(rest, STUN_PORT).map(StunServer).or_else(wrong)
    }
}

impl std::fmt::Display for StunServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stun:{}", self.0)
    }
}

/// What is known of the port's outside, and the request that is under way.
#[derive(Debug)]
pub(super) struct Reflexive {
    pub(super) known: watch::Sender<Option<SocketAddr>>,
    asked: Mutex<Option<Asked>>,
}

#[derive(Debug)]
struct Asked {
    transaction: TransactionId,
    server: SocketAddr,
    answer: oneshot::Sender<SocketAddr>,
}

impl Default for Reflexive {
    fn default() -> Self {
        Self { known: watch::Sender::new(None), asked: Mutex::default() }
    }
}

impl Reflexive {
    /// True where the response is to the request that is under way, from where it went.
    pub(super) fn answered(&self, from: SocketAddr, transaction: TransactionId, response: &Message) -> bool {
        let mut asked = self.asked.lock();
        if !asked.as_ref().is_some_and(|asked| asked.transaction == transaction && asked.server == from) {
            return false;
        }
        let mut address = XorMappedAddress::default();
        // Without an address in it, or as an error, it is as good as none: the next request may have more luck.
        if address.get_from(response).is_ok()
            && let Some(asked) = asked.take()
        {
            let _ = asked.answer.send(SocketAddr::new(address.ip, address.port));
        }
        true
    }
}

/// Asks again and again, until it is aborted.
pub(super) async fn keep_asking(server: StunServer, wires: Vec<Arc<Wire>>, shared: Arc<Shared>) {
    let mut silent = false;
    loop {
        match ask(&server, &wires, &shared).await {
            Ok(address) => {
                silent = false;
                if shared.reflexive.known.send_if_modified(|known| known.replace(address) != Some(address)) {
                    tracing::info!(%server, %address, "engines are told of this address too");
                }
            }
            Err(error) if !silent => {
                silent = true;
                tracing::warn!(%server, %error, "the STUN server (--stun) does not tell this machine's address; asking on");
            }
            Err(error) => tracing::debug!(%server, %error, "the STUN server still does not tell"),
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn ask(server: &StunServer, wires: &[Arc<Wire>], shared: &Shared) -> io::Result<SocketAddr> {
    let mut found = tokio::net::lookup_host((server.0.host.as_str(), server.0.port)).await?;
    let with_wire = |server: SocketAddr| Some((server, wires.iter().find(|w| w.bound.is_ipv4() == server.is_ipv4())?));
    let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "it has no address of a family that is bound here");
    let (server, wire) = found.find_map(with_wire).ok_or_else(none)?;
    let mut request = Message::new();
    request
        .build(&[Box::<TransactionId>::default(), Box::new(BINDING_REQUEST)])
        .map_err(|error| io::Error::other(error.to_string()))?;
    let (answer, mut answered) = oneshot::channel();
    *shared.reflexive.asked.lock() = Some(Asked { transaction: request.transaction_id, server, answer });
    for number in 0..REQUESTS {
        send(wire, server, &request.raw).await?;
        let wait = if number + 1 == REQUESTS { FIRST_WAIT * LAST_WAITS } else { FIRST_WAIT * (1 << number) };
        match tokio::time::timeout(wait, &mut answered).await {
            Ok(Ok(address)) => return Ok(address),
            Ok(Err(_)) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Err(_) => (),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))
}

async fn send(wire: &Wire, to: SocketAddr, datagram: &[u8]) -> io::Result<usize> {
    let sent = Transmit { destination: to, ecn: None, contents: datagram, segment_size: None, src_ip: None };
    // The system chooses the source, as it does for a socket bound to every address.
    std::future::poll_fn(|cx| wire.poll_send(IpAddr::V4(Ipv4Addr::UNSPECIFIED), cx, &sent)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_written_as_urls() {
        let written = |text: &str| text.parse::<StunServer>().map(|server| server.to_string());
        assert_eq!(written("stun:stun.example.org").as_deref(), Ok("stun:stun.example.org:3478"));
        assert_eq!(written("stun:192.0.2.1:19302").as_deref(), Ok("stun:192.0.2.1:19302"));
        assert_eq!(written("stun:[2001:db8::1]").as_deref(), Ok("stun:[2001:db8::1]:3478"));
        assert_eq!(written("stun:[2001:db8::1]:7").as_deref(), Ok("stun:[2001:db8::1]:7"));
        for bad in
            ["", "stun:", "stun:host:0", "stun:host:99999", "stun://host", "host:3478", "stuns:host", "turn:host"]
        {
            assert!(written(bad).is_err(), "{bad}");
        }
    }
}
