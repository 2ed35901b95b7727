//! What the stack takes for its UDP sockets: with large kernel buffers, as SCTP on a fast path overruns the default ones and
//! stalls; a session's part of a shared port; or, where one dials, with TCP to fall back on.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Once;
use std::time::Duration;

use ::webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};
use parking_lot::Mutex;
use socket2::SockRef;

use super::fallback::{DialSocket, TcpPaths};
use super::port::Lease;
use crate::link::SocketBuffers;

/// Linux reports twice what was asked for, as room for its own bookkeeping (socket(7)).
const KERNEL_BOOKKEEPING: usize = if cfg!(target_os = "linux") { 2 } else { 1 };

static WARNED: Once = Once::new();

/// Tokio, but for its UDP sockets. The stack keeps its runtime for as long as it has sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    tokio: TokioRuntime,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Own {
        /// Wanted size of each buffer; `None` leaves the kernel's default.
        wanted_bytes: Option<usize>,
        granted: Mutex<Option<SocketBuffers>>,
        tcp: Arc<TcpPaths>,
    },
    Shared(Lease),
}

impl Sockets {
    pub(super) fn own(wanted_bytes: Option<usize>) -> Self {
        Self { tokio: TokioRuntime, kind: Kind::Own { wanted_bytes, granted: Mutex::default(), tcp: Arc::default() } }
    }

    pub(super) fn shared(lease: Lease) -> Self {
        Self { tokio: TokioRuntime, kind: Kind::Shared(lease) }
    }

    /// True where sockets receive coalesced datagrams (UDP GRO): only then does the stack read into buffers of 64 KiB, else of
    /// 2,000 bytes. Both ends of a path through loopback have the same kernel, so one end can tell for both.
    pub(super) fn takes_long_datagrams(&self) -> bool {
        let probe = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0));
        let wrapped = probe.and_then(|socket| self.tokio.wrap_udp_socket(socket));
        wrapped.is_ok_and(|socket| socket.max_gro_segments() > 1)
    }

    /// The smallest buffers among this connection's sockets.
    pub(super) fn granted(&self) -> Option<SocketBuffers> {
        match &self.kind {
            Kind::Own { granted, .. } => *granted.lock(),
            Kind::Shared(lease) => lease.granted(),
        }
    }

    /// ICE's user name fragment and password, where the port insists on its own.
    pub(super) fn credentials(&self) -> Option<(String, String)> {
        match &self.kind {
            Kind::Own { .. } => None,
            Kind::Shared(lease) => Some(lease.credentials()),
        }
    }

    /// The relay of a shared port shall let datagrams in from these addresses.
    pub(super) fn permit(&self, ips: impl IntoIterator<Item = IpAddr>) {
        if let Kind::Shared(lease) = &self.kind {
            lease.permit(ips);
        }
    }

    /// The path that an address stands in for, for people.
    pub(super) fn stood_in_for(&self, address: SocketAddr) -> Option<String> {
        match &self.kind {
            Kind::Own { tcp, .. } => tcp.remote(address).map(|remote| format!("tcp {remote}")),
            Kind::Shared(lease) => lease.relayed(address).map(|remote| format!("relayed {remote}")),
        }
    }

    /// What there is to fall back on.
    pub(super) fn tcp(&self) -> Option<&TcpPaths> {
        match &self.kind {
            Kind::Own { tcp, .. } => Some(tcp),
            Kind::Shared(_) => None,
        }
    }
}

/// Asks for buffers of that size, and tells what there is then. Warns, once, of a kernel that grants less.
pub(super) fn set_buffers(socket: &std::net::UdpSocket, wanted_bytes: Option<usize>) -> io::Result<SocketBuffers> {
    let socket = SockRef::from(socket);
    if let Some(bytes) = wanted_bytes {
        socket.set_recv_buffer_size(bytes)?;
        socket.set_send_buffer_size(bytes)?;
    }
    let now = SocketBuffers {
        receive_bytes: socket.recv_buffer_size()? / KERNEL_BOOKKEEPING,
        send_bytes: socket.send_buffer_size()? / KERNEL_BOOKKEEPING,
    };
    if let Some(bytes) = wanted_bytes
        && now.receive_bytes.min(now.send_bytes) < bytes
    {
        WARNED.call_once(|| {
            tracing::warn!(
                wanted_bytes = bytes,
                receive_bytes = now.receive_bytes,
                send_bytes = now.send_bytes,
                "the kernel grants smaller UDP buffers than wanted, bursts may be lost; \
                 raise net.core.rmem_max and net.core.wmem_max (sysctl)"
            );
        });
    }
    Ok(now)
}

pub(super) fn smaller(before: Option<SocketBuffers>, now: SocketBuffers) -> Option<SocketBuffers> {
    Some(before.map_or(now, |before| SocketBuffers {
        receive_bytes: before.receive_bytes.min(now.receive_bytes),
        send_bytes: before.send_bytes.min(now.send_bytes),
    }))
}

impl Runtime for Sockets {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        self.tokio.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        match &self.kind {
            Kind::Own { wanted_bytes, granted, tcp } => {
                let now = set_buffers(&socket, *wanted_bytes)?;
                let mut granted = granted.lock();
                *granted = smaller(*granted, now);
                Ok(Arc::new(DialSocket::new(self.tokio.wrap_udp_socket(socket)?, tcp.clone())))
            }
            // The stack has bound a port of its own, which nobody is told of and nothing comes to.
            Kind::Shared(lease) => lease.socket_for(socket.local_addr()?),
        }
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.tokio.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote_addr: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        self.tokio.connect_tcp(remote_addr)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        self.tokio.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.tokio.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.tokio.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.tokio.block_on(future);
    }

    fn yield_now(&self) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.tokio.yield_now()
    }

    fn name(&self) -> &'static str {
        "tokio"
    }
}
