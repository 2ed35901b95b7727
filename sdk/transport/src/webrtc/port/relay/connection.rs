//! The way to a TURN server: a UDP socket of its own, or a connection over TCP or TLS.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio_rustls::TlsConnector;

use super::super::super::sockets::set_buffers;
use super::error::TurnError;
use super::server::{Transport, TurnUrl};
use crate::tls::client::Trust;

/// Addresses of a name that are tried.
const MOST_ADDRESSES: usize = 8;
/// TCP's connection and TLS's handshake, each.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Longest message, whatever its length says.
const MESSAGE_BYTES: usize = 1 << 16;
/// Bytes that wait for the network; what comes beyond waits in the queue, which loses what it has no room for.
const WAITING_BYTES: usize = 1 << 18;
/// A socket whose errors never end is given up.
const ERRORS_IN_A_ROW: u32 = 1_000;
/// STUN's header, and that of a channel's data.
const HEADER_BYTES: [usize; 2] = [20, 4];

/// The half that receives.
pub(super) struct Incoming {
    from: From,
    buffer: Vec<u8>,
    /// Of `buffer`: what was read, and what of it was handed out.
    filled: usize,
    taken: usize,
}

enum From {
    Udp { socket: Arc<UdpSocket>, errors: u32 },
    Stream(Box<dyn AsyncRead + Send + Unpin>),
}

/// The half that sends.
pub(super) struct Outgoing {
    to: To,
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    /// Of the first that waits: what is written.
    written: usize,
    /// TLS keeps what it has sealed until it is told.
    unflushed: bool,
}

enum To {
    Udp(Arc<UdpSocket>),
    Stream(Box<dyn AsyncWrite + Send + Unpin>),
}

/// Opens the way.
pub(super) async fn open(url: &TurnUrl, buffer_bytes: Option<usize>) -> Result<(Incoming, Outgoing), TurnError> {
    let host = url.at.host.as_str();
    let unresolved = |reason: String| TurnError::Unresolved { host: host.to_owned(), reason };
    let found = lookup_host((host, url.at.port)).await.map_err(|error| unresolved(error.to_string()))?;
    let mut last = unresolved("the name has no address".to_owned());
    for server in found.take(MOST_ADDRESSES) {
        let opened = match url.transport {
            Transport::Udp => udp(server, buffer_bytes).await.map_err(unreachable),
            Transport::Tcp => tcp(server).await.map(|stream| halves(stream.into_split())),
            Transport::Tls => tls(server, host, Trust::new(None)).await,
        };
        match opened {
            Ok(opened) => return Ok(opened),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn unreachable(error: io::Error) -> TurnError {
    TurnError::Unreachable { reason: error.to_string() }
}

async fn udp(server: SocketAddr, buffer_bytes: Option<usize>) -> io::Result<(Incoming, Outgoing)> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    set_buffers(&socket, buffer_bytes)?;
    let socket = UdpSocket::from_std(socket)?;
    // Others' packets do not come in here any more.
    socket.connect(server).await?;
    let socket = Arc::new(socket);
    Ok(both(From::Udp { socket: socket.clone(), errors: 0 }, To::Udp(socket)))
}

async fn tcp(server: SocketAddr) -> Result<TcpStream, TurnError> {
    let connecting = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(server)).await;
    let stream = connecting.map_err(|_| TurnError::Silent)?.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    Ok(stream)
}

async fn tls(server: SocketAddr, host: &str, trust: Trust) -> Result<(Incoming, Outgoing), TurnError> {
    let refused = |reason: String| TurnError::Tls { reason };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| refused(error.to_string()))?;
    // RFC 7443's name for TURN is optional, and a server that does not know it would hang up.
    let connector = TlsConnector::from(Arc::new(trust.config(None)));
    let stream = tcp(server).await?;
    let shaken = tokio::time::timeout(CONNECT_WITHIN, connector.connect(name, stream)).await;
    let stream = shaken.map_err(|_| TurnError::Silent)?.map_err(|error| refused(error.to_string()))?;
    Ok(halves(tokio::io::split(stream)))
}

fn halves(
    (from, to): (impl AsyncRead + Send + Unpin + 'static, impl AsyncWrite + Send + Unpin + 'static),
) -> (Incoming, Outgoing) {
    both(From::Stream(Box::new(from)), To::Stream(Box::new(to)))
}

fn both(from: From, to: To) -> (Incoming, Outgoing) {
    let incoming = Incoming { from, buffer: vec![0; 2 * MESSAGE_BYTES], filled: 0, taken: 0 };
    (incoming, Outgoing { to, waiting: VecDeque::new(), waiting_bytes: 0, written: 0, unflushed: false })
}

impl Incoming {
    /// The next message. May be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<&[u8], TurnError> {
        match &mut self.from {
            From::Udp { socket, errors } => loop {
                match socket.recv(&mut self.buffer).await {
                    Ok(length) => {
                        *errors = 0;
                        return Ok(&self.buffer[..length]);
                    }
                    // What a router says of one datagram; that nobody listens there is the server's own word.
                    Err(error) if error.kind() != io::ErrorKind::ConnectionRefused && *errors < ERRORS_IN_A_ROW => {
                        *errors += 1;
                    }
                    Err(error) => return Err(unreachable(error)),
                }
            },
            From::Stream(stream) => loop {
                if let Some(length) = framed_length(&self.buffer[self.taken..self.filled])? {
                    let message = self.taken..self.taken + length.whole;
                    self.taken += length.padded;
                    return Ok(&self.buffer[message]);
                }
                self.buffer.copy_within(self.taken..self.filled, 0);
                self.filled -= self.taken;
                self.taken = 0;
                match stream.read(&mut self.buffer[self.filled..]).await.map_err(unreachable)? {
                    0 => return Err(TurnError::Unreachable { reason: "it has closed the connection".to_owned() }),
                    read => self.filled += read,
                }
            },
        }
    }
}

/// Bytes of a message in a stream, without the padding behind it and with it.
#[derive(Debug, PartialEq, Eq)]
struct Framed {
    whole: usize,
    padded: usize,
}

/// `None` where the message is not whole yet.
fn framed_length(stream: &[u8]) -> Result<Option<Framed>, TurnError> {
    let [first, _, high, low, ..] = *stream else { return Ok(None) };
    // RFC 8656, 12.5: the first two bits tell a channel's data from a message of STUN.
    let header = match first >> 6 {
        0 => HEADER_BYTES[0],
        1 => HEADER_BYTES[1],
        _ => {
            return Err(TurnError::Protocol {
                reason: "its stream holds neither STUN nor a channel's data".to_owned(),
            });
        }
    };
    let whole = header + usize::from(u16::from_be_bytes([high, low]));
    let padded = whole.next_multiple_of(4);
    Ok((stream.len() >= padded).then_some(Framed { whole, padded }))
}

impl Outgoing {
    /// True where nothing is lost on the way.
    pub(super) fn is_reliable(&self) -> bool {
        matches!(self.to, To::Stream(_))
    }

    /// True where more may wait.
    pub(super) fn has_room(&self) -> bool {
        self.waiting_bytes < WAITING_BYTES
    }

    pub(super) fn push(&mut self, message: Vec<u8>) {
        self.waiting_bytes += message.len();
        self.waiting.push_back(message);
    }

    /// Sends what waits; for ever where that is nothing. May be dropped while it waits: nothing is lost or sent twice.
    pub(super) async fn flush(&mut self) -> Result<(), TurnError> {
        if self.waiting.is_empty() && !self.unflushed {
            return pending().await;
        }
        while let Some(message) = self.waiting.front() {
            match &mut self.to {
                To::Udp(socket) => match socket.send(message).await {
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(unreachable(error)),
                    // Too long for the path, or no buffer: lost, as it may be on the way.
                    _ => self.written = message.len(),
                },
                To::Stream(stream) => {
                    self.written += match stream.write(&message[self.written..]).await.map_err(unreachable)? {
                        0 => return Err(unreachable(io::ErrorKind::WriteZero.into())),
                        written => written,
                    };
                    self.unflushed = true;
                }
            }
            if self.written >= message.len() {
                self.waiting_bytes -= message.len();
                self.written = 0;
                self.waiting.pop_front();
            }
        }
        if let To::Stream(stream) = &mut self.to {
            stream.flush().await.map_err(unreachable)?;
        }
        self.unflushed = false;
        Ok(())
    }

    /// Sends a last message, if the socket takes it at once. The end of a stream says as much by itself.
    pub(super) fn send_last(&self, message: &[u8]) {
        if let To::Udp(socket) = &self.to {
            // Lost, it costs the server memory until the allocation's lifetime is over.
            let _ = socket.try_send(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::ServerTls;

    #[tokio::test]
    async fn messages_in_a_stream_come_out_whole_however_they_are_cut() {
        let stun = [&[0, 1, 0, 4][..], &[7; 20]].concat();
        let sent = [&[0x40, 1, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0][..], &stun, &[0x40, 2, 0, 0]].concat();
        for cut in 1..sent.len() {
            let (near, mut far) = tokio::io::duplex(64);
            let (mut incoming, _) = halves(tokio::io::split(near));
            far.write_all(&sent[..cut]).await.unwrap();
            let rest = sent[cut..].to_vec();
            let writing = tokio::spawn(async move { far.write_all(&rest).await });
            assert_eq!(incoming.next().await.unwrap(), &[0x40, 1, 0, 5, 1, 2, 3, 4, 5]);
            assert_eq!(incoming.next().await.unwrap(), stun);
            assert_eq!(incoming.next().await.unwrap(), &[0x40, 2, 0, 0]);
            writing.await.unwrap().unwrap();
            let end = incoming.next().await.unwrap_err();
            assert!(end.to_string().contains("closed"), "{end}");
        }
        assert!(matches!(framed_length(b"HTTP/1.1 400"), Ok(None)), "0x48 is a channel's: more would have to come");
        assert!(matches!(framed_length(&[0x80, 0, 0, 0]), Err(TurnError::Protocol { .. })));
    }

    #[tokio::test]
    async fn messages_go_both_ways_over_tls() {
        let pem = crate::tls::self_signed().unwrap();
        let certificate = ServerTls::from_pem(pem.as_bytes(), pem.as_bytes()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, pin) = (listener.local_addr().unwrap(), certificate.pin());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = certificate.accept(stream, CONNECT_WITHIN).await {
                    let (mut from, mut to) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                }
            }
        });
        let Err(TurnError::Tls { reason }) = tls(at, "localhost", Trust::new(None)).await else {
            panic!("of no authority")
        };
        assert!(reason.contains("UnknownIssuer"), "{reason}");
        let (mut incoming, mut outgoing) = tls(at, "localhost", Trust::new(Some(pin))).await.unwrap();
        let message = |number: u8| [&[0x40, number, 0x10, 0][..], &[number; 0x1000]].concat();
        (0..9).for_each(|number| outgoing.push(message(number)));
        for number in 0..9 {
            let heard = async {
                tokio::select! {
                    heard = incoming.next() => heard.unwrap().to_vec(),
                    failed = async { loop { if let Err(error) = outgoing.flush().await { break error } } } => panic!("{failed}"),
                }
            };
            assert_eq!(tokio::time::timeout(CONNECT_WITHIN, heard).await.unwrap(), message(number));
        }
        assert!(outgoing.has_room() && outgoing.waiting.is_empty() && outgoing.is_reliable());
    }

    #[tokio::test]
    async fn the_longest_message_fits() {
        let (near, mut far) = tokio::io::duplex(MESSAGE_BYTES);
        let (mut incoming, _) = halves(tokio::io::split(near));
        let longest = [&[0, 1, 0xff, 0xff][..], &vec![7; 16 + 0xffff + 1]].concat();
        let writing = tokio::spawn(async move { far.write_all(&longest.repeat(2)).await });
        for _ in 0..2 {
            assert_eq!(incoming.next().await.unwrap().len(), 20 + 0xffff);
        }
        writing.await.unwrap().unwrap();
    }
}
