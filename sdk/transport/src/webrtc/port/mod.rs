//! One UDP port for all sessions, ICE over TCP on a port beside it, and a relayed address for those that reach neither.
//!
//! webrtc 0.21 binds a socket for each connection and has no way to share one (its `udp_network` setting is a comment); but
//! it takes the socket that its runtime makes of the one it bound. Here that is a [`wire::SessionSocket`], which sends on the
//! shared socket and receives what [`routes::Routes`] finds to be its session's.

pub(super) mod framed;
pub(super) mod mailbox;
mod reflexive;
mod relay;
mod routes;
mod server_url;
mod stream;
mod stun;
mod wire;

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ::webrtc::runtime::{AsyncUdpSocket, RecvMeta, Runtime, TokioRuntime};
use ring::rand::{SecureRandom, SystemRandom};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::sockets::{set_buffers, smaller};
use crate::error::TransportError;
use crate::link::SocketBuffers;
use crate::places::Place;
use reflexive::Reflexive;
pub use reflexive::StunServer;
pub(super) use relay::Allocation;
use relay::{Relay, relay};
pub use relay::{TurnError, TurnServer, TurnUrl};
use routes::{Remote, Routes, Session};
use stun::Kind;
use wire::{SessionSocket, Wire};

/// The most that the kernel hands over at once: 64 KiB of coalesced datagrams.
const RECEIVE_BYTES: usize = 1 << 16;
/// A socket whose errors never end is given up: each that is about one remote or a moment is followed by others' datagrams.
const ERRORS_IN_A_ROW: usize = 1_000;
/// Ports that the system chooses are free for one address; this often another is tried where it is taken at the next.
const PORT_ATTEMPTS: usize = 16;

/// A bound port. Clones are the same port; it is closed when the last one and the last session on it are gone.
#[derive(Clone, Debug)]
pub struct SharedPort(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    port: u16,
    tcp_port: Option<u16>,
    relay: Option<Arc<Relay>>,
    wires: Vec<Arc<Wire>>,
    shared: Arc<Shared>,
    granted: Option<SocketBuffers>,
    tasks: Vec<AbortHandle>,
}

/// What the port's tasks hold.
#[derive(Debug, Default)]
struct Shared {
    routes: Routes,
    reflexive: Reflexive,
    unknown: AtomicU64,
    lost: AtomicU64,
}

/// Counters of a shared port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortStats {
    /// Sessions on the port now.
    pub sessions: usize,
    /// Addresses that they are heard from by UDP, those behind the relay too.
    pub remotes: usize,
    /// The address that a TURN server relays from, while it does.
    pub relayed: Option<SocketAddr>,
    /// Datagrams of nobody: no session knows the sender, or the request is not signed with the session's password.
    pub unknown_datagrams: u64,
    /// Datagrams that a session's reader had no room for.
    pub lost_datagrams: u64,
}

impl SharedPort {
    /// Binds the port at the addresses; 0 lets the system choose one that is free at all of them. An unspecified address is
    /// every interface of its family, those that come up later too. Must be called on a tokio runtime, which then carries it.
    ///
    /// # Errors
    /// [`TransportError::PortInUse`], [`TransportError::Listen`].
    pub fn bind(addresses: &[IpAddr], port: u16, buffer_bytes: Option<usize>) -> Result<SharedPort, TransportError> {
        let sockets = bind_all(addresses, port)?;
        let listen = |source| TransportError::Listen { addr: SocketAddr::new(addresses[0], port), source };
        let (mut wires, mut granted) = (Vec::new(), None);
        for socket in sockets {
            granted = smaller(granted, set_buffers(&socket, buffer_bytes).map_err(listen)?);
            let socket = TokioRuntime.wrap_udp_socket(socket).map_err(listen)?;
            wires.push(Arc::new(Wire::new(socket).map_err(listen)?));
        }
        let port = wires.first().map_or(port, |wire| wire.bound.port());
        let shared = Arc::<Shared>::default();
        let receive = |wire: &Arc<Wire>| tokio::spawn(receive(wire.clone(), shared.clone())).abort_handle();
        let tasks = wires.iter().map(receive).collect();
        Ok(SharedPort(Arc::new(Inner { port, tcp_port: None, relay: None, wires, shared, granted, tasks })))
    }

    /// The same, and ICE over TCP on a port of its own; 0 lets the system choose.
    ///
    /// # Errors
    /// [`TransportError::PortInUse`], [`TransportError::Listen`].
    ///
    /// # Panics
    /// When the port has been cloned.
    pub fn with_tcp(self, addresses: &[IpAddr], port: u16) -> Result<SharedPort, TransportError> {
        let listeners = listen_all(addresses, port)?;
        let chosen = listeners.first().and_then(|listener| listener.local_addr().ok());
        let mut with = self.with_tcp_of_signalling(chosen.map_or(port, |addr| addr.port()));
        for listener in listeners {
            let serving = stream::serve(listener, with.0.shared.clone());
            with.inner().tasks.push(tokio::spawn(serving).abort_handle());
        }
        Ok(with)
    }

    /// The same, and ICE over TCP on the port that signalling listens on: [`crate::signalling::serve_router`] tells them apart
    /// by the first byte.
    ///
    /// # Panics
    /// When the port has been cloned.
    pub fn with_tcp_of_signalling(mut self, port: u16) -> SharedPort {
        self.inner().tcp_port = Some(port);
        self
    }

    /// The same, and a STUN server is asked what the port looks like from outside, now and every 25 s.
    ///
    /// # Panics
    /// When the port has been cloned.
    pub fn with_stun(mut self, server: StunServer) -> SharedPort {
        let asking = reflexive::keep_asking(server, self.0.wires.clone(), self.0.shared.clone());
        self.inner().tasks.push(tokio::spawn(asking).abort_handle());
        self
    }

    /// The same, and a TURN server relays what the port itself does not reach, for as long as it can be had.
    ///
    /// # Panics
    /// When the port has been cloned.
    pub fn with_turn(mut self, server: TurnServer) -> SharedPort {
        let (relay, keeper) = relay(server, self.0.granted.map(|granted| granted.receive_bytes));
        let keeping = keeper.keep(self.0.shared.clone());
        let inner = self.inner();
        inner.relay = Some(Arc::new(relay));
        inner.tasks.push(tokio::spawn(keeping).abort_handle());
        self
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::get_mut(&mut self.0).expect("a port is finished before it is cloned")
    }

    /// What a STUN server has said, waiting for the first answer.
    pub async fn reflexive_address(&self) -> Option<SocketAddr> {
        let mut known = self.0.shared.reflexive.known.subscribe();
        known.wait_for(Option::is_some).await.ok().and_then(|known| *known)
    }

    /// What a TURN server relays to here, waiting for the allocation; `None` where none was asked for.
    pub async fn relayed_address(&self) -> Option<SocketAddr> {
        let mut allocation = self.0.relay.as_ref()?.allocation.clone();
        let known = allocation.wait_for(Option::is_some).await.ok()?;
        known.map(|allocation| allocation.relayed)
    }

    pub(super) fn has_relay(&self) -> bool {
        self.0.relay.is_some()
    }

    pub(super) fn allocation(&self) -> Option<Allocation> {
        *self.0.relay.as_ref()?.allocation.borrow()
    }

    pub(super) fn reflexive(&self) -> Option<SocketAddr> {
        *self.0.shared.reflexive.known.borrow()
    }

    /// Serves a connection of ICE over TCP that another listener has accepted.
    pub(crate) async fn serve_stream(&self, stream: TcpStream, remote: SocketAddr, place: Place) {
        stream::serve_one(stream, remote, self.0.shared.clone(), place).await;
    }

    /// UDP's number.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The number that ICE over TCP is offered on.
    pub fn tcp_port(&self) -> Option<u16> {
        self.0.tcp_port
    }

    /// Its counters.
    pub fn stats(&self) -> PortStats {
        let shared = &self.0.shared;
        let (sessions, remotes) = shared.routes.counts();
        let (unknown_datagrams, lost_datagrams) = (shared.unknown.load(Relaxed), shared.lost.load(Relaxed));
        let relayed = self.allocation().map(|allocation| allocation.relayed);
        PortStats { sessions, remotes, relayed, unknown_datagrams, lost_datagrams }
    }

    /// A place for a session, under a name and a password of its own.
    pub(super) fn lease(&self) -> Result<Lease, TransportError> {
        let (ufrag, password) = (random_hex(8)?, random_hex(16)?);
        let session = Arc::new(Session::new(ufrag, password));
        self.0.shared.routes.add(session.clone());
        Ok(Lease { port: self.clone(), session })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// A session's place on the port; its addresses and streams go with it.
#[derive(Debug)]
pub(super) struct Lease {
    port: SharedPort,
    session: Arc<Session>,
}

impl Lease {
    /// ICE's user name fragment and password, which the session must use.
    pub(super) fn credentials(&self) -> (String, String) {
        (self.session.ufrag.clone(), self.session.password.clone())
    }

    pub(super) fn granted(&self) -> Option<SocketBuffers> {
        self.port.0.granted
    }

    /// What stands in for a socket that the stack has bound, at the same address.
    pub(super) fn socket_for(&self, local: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let mut wires = self.port.0.wires.iter();
        let wire = wires.find(|wire| wire.serves(local.ip())).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mailbox = self.session.add_mailbox(local.ip());
        let (wire, session, relay) = (wire.clone(), self.session.clone(), self.port.0.relay.clone());
        Ok(Arc::new(SessionSocket { wire, session, relay, mailbox, local }))
    }

    /// The relay, where there is one, shall let datagrams in from these addresses.
    pub(super) fn permit(&self, ips: impl IntoIterator<Item = IpAddr>) {
        if self.port.has_relay() {
            self.port.0.shared.routes.permit(&self.session, ips);
        }
    }

    /// The relayed remote that an address stands in for.
    pub(super) fn relayed(&self, stands_in: SocketAddr) -> Option<SocketAddr> {
        self.session.relayed(stands_in)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.port.0.shared.routes.remove(&self.session);
    }
}

/// Hands out what arrives, until it is aborted.
async fn receive(wire: Arc<Wire>, shared: Arc<Shared>) {
    let mut buffer = vec![0; RECEIVE_BYTES];
    let mut errors = 0;
    while errors < ERRORS_IN_A_ROW {
        let mut meta = [RecvMeta::default()];
        let arrived =
            std::future::poll_fn(|cx| wire.socket.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta));
        if let Err(error) = arrived.await {
            errors += 1;
            tracing::debug!(%error, bound = %wire.bound, "receiving from the shared UDP port");
            continue;
        }
        errors = 0;
        let [RecvMeta { addr, len, stride, dst_ip, .. }] = meta;
        let data = &buffer[..len];
        // What the kernel coalesced is of one sender.
        let kind = Kind::of(&data[..stride.min(len)]);
        if let Kind::Response { transaction, message } = &kind
            && shared.reflexive.answered(addr, *transaction, message)
        {
            continue;
        }
        let Some(session) = shared.routes.find(Remote::Direct(addr), kind) else {
            shared.unknown.fetch_add(1, Relaxed);
            continue;
        };
        if !session.deliver(dst_ip, addr, stride, data) {
            shared.lost.fetch_add(1, Relaxed);
        }
    }
    tracing::error!(bound = %wire.bound, "the shared UDP port fails again and again; no session hears from there any more");
}

/// The addresses without those that an unspecified one of the family stands for.
fn distinct(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let everywhere = |ip: &IpAddr| match ip {
        IpAddr::V4(_) => addresses.contains(&Ipv4Addr::UNSPECIFIED.into()),
        IpAddr::V6(_) => addresses.contains(&Ipv6Addr::UNSPECIFIED.into()),
    };
    addresses.iter().copied().filter(|ip| ip.is_unspecified() || !everywhere(ip)).collect()
}

fn bind_all(addresses: &[IpAddr], port: u16) -> Result<Vec<UdpSocket>, TransportError> {
    at_all(
        addresses,
        port,
        "UDP",
        |addr| socket(addr, Type::DGRAM, Protocol::UDP).map(UdpSocket::from),
        |socket| socket.local_addr().map(|addr| addr.port()),
    )
}

fn listen_all(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, TransportError> {
    let open = |addr| {
        let socket = socket(addr, Type::STREAM, Protocol::TCP)?;
        socket.listen(1024)?;
        TcpListener::from_std(socket.into())
    };
    at_all(addresses, port, "TCP", open, |listener| listener.local_addr().map(|addr| addr.port()))
}

fn socket(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if cfg!(unix) && kind == Type::STREAM {
        // Connections that have just ended hold nothing up (TIME_WAIT).
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// Opens one port at all addresses; families that this system lacks are passed over.
fn at_all<T>(
    addresses: &[IpAddr],
    port: u16,
    protocol: &'static str,
    open: impl Fn(SocketAddr) -> io::Result<T>,
    number: impl Fn(&T) -> io::Result<u16>,
) -> Result<Vec<T>, TransportError> {
    let mut attempt = 0;
    'again: loop {
        attempt += 1;
        let (mut opened, mut chosen, mut last) = (Vec::new(), port, None);
        for ip in distinct(addresses) {
            let addr = SocketAddr::new(ip, chosen);
            match open(addr).and_then(|one| Ok((number(&one)?, one))) {
                Ok((bound, one)) => {
                    chosen = bound;
                    opened.push(one);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    if port == 0 && attempt < PORT_ATTEMPTS {
                        continue 'again;
                    }
                    return Err(TransportError::PortInUse { protocol, addr });
                }
                Err(source) if ip.is_unspecified() => last = Some(TransportError::Listen { addr, source }),
                Err(source) => return Err(TransportError::Listen { addr, source }),
            }
        }
        return match last {
            Some(error) if opened.is_empty() => Err(error),
            _ => Ok(opened),
        };
    }
}

fn random_hex(bytes: usize) -> Result<String, TransportError> {
    let mut random = vec![0; bytes];
    let failed = |_| TransportError::Local { reason: "the system gives no random bytes".to_owned() };
    SystemRandom::new().fill(&mut random).map_err(failed)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
