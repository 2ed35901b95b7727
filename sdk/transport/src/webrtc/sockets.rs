//! UDP sockets with large kernel buffers: with the default ones, SCTP on a fast path overruns them and stalls.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Once;
use std::time::Duration;

use ::webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};
use parking_lot::Mutex;
use socket2::SockRef;

use super::ports::PortLease;
use crate::link::SocketBuffers;

/// Linux reports twice what was asked for, as room for its own bookkeeping (socket(7)).
const KERNEL_BOOKKEEPING: usize = if cfg!(target_os = "linux") { 2 } else { 1 };

static WARNED: Once = Once::new();

/// Tokio, with every UDP socket's buffers set on the way.
#[derive(Debug)]
pub(super) struct BufferedSockets {
    tokio: TokioRuntime,
    /// Wanted size of each buffer; `None` leaves the kernel's default.
    wanted_bytes: Option<usize>,
    granted: Mutex<Option<SocketBuffers>>,
    /// The port of the sockets: the stack keeps its runtime for as long as it has sockets.
    _port: Option<PortLease>,
}

impl BufferedSockets {
    pub(super) fn new(wanted_bytes: Option<usize>, port: Option<PortLease>) -> Self {
        Self { tokio: TokioRuntime, wanted_bytes, granted: Mutex::new(None), _port: port }
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
        *self.granted.lock()
    }

    fn set_buffers(&self, socket: &std::net::UdpSocket) -> io::Result<()> {
        let socket = SockRef::from(socket);
        if let Some(bytes) = self.wanted_bytes {
            socket.set_recv_buffer_size(bytes)?;
            socket.set_send_buffer_size(bytes)?;
        }
        let now = SocketBuffers {
            receive_bytes: socket.recv_buffer_size()? / KERNEL_BOOKKEEPING,
            send_bytes: socket.send_buffer_size()? / KERNEL_BOOKKEEPING,
        };
        if let Some(bytes) = self.wanted_bytes
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
        let mut granted = self.granted.lock();
        *granted = Some(granted.map_or(now, |before| SocketBuffers {
            receive_bytes: before.receive_bytes.min(now.receive_bytes),
            send_bytes: before.send_bytes.min(now.send_bytes),
        }));
        Ok(())
    }
}

impl Runtime for BufferedSockets {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        self.tokio.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        self.set_buffers(&socket)?;
        self.tokio.wrap_udp_socket(socket)
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
