//! The dialler's way round a firewall that lets no UDP through: ICE over TCP, under addresses that stand in for it.
//!
//! The ICE agent of webrtc 0.21 is left to believe in UDP: a candidate for TCP is a remote address of its own to it, from a
//! block that nobody can have, and what it sends there goes through a connection, each datagram behind its length.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::port::framed::{QUEUE_FRAMES, carry};
use super::port::mailbox::Mailbox;

/// Reserved for ever (RFC 1112, 4).
const RESERVED_IPV4: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 0);
/// Discarded everywhere (RFC 6666).
const DISCARDED_IPV6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0);
/// The port of addresses that stand in: discard.
const PORT: u16 = 9;
/// A connection that is not there by then will not carry frames in time either.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A dialler's connections, made when something is first sent there.
#[derive(Debug, Default)]
pub(super) struct TcpPaths(Mutex<Vec<Path>>);

#[derive(Debug)]
struct Path {
    stands_in: SocketAddr,
    remote: SocketAddr,
    /// Of the socket that sent first; the others' datagrams to this address are dropped.
    used: Option<Used>,
}

#[derive(Debug)]
struct Used {
    by: Arc<Mailbox>,
    frames: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
}

impl TcpPaths {
    /// Stands an address in for each of the remote ones, in a family that this side's sockets have.
    pub(super) fn add(&self, remotes: &[SocketAddr], ipv4: bool) -> Vec<SocketAddr> {
        let mut paths = self.0.lock();
        let stand_in = |number: u8| -> IpAddr {
            match ipv4 {
                true => Ipv4Addr::from_bits(RESERVED_IPV4.to_bits() | u32::from(number)).into(),
                false => Ipv6Addr::from_bits(DISCARDED_IPV6.to_bits() | u128::from(number)).into(),
            }
        };
        let stand_ins = (1..=u8::MAX).map(|number| SocketAddr::new(stand_in(number), PORT));
        let added = remotes.iter().zip(stand_ins).map(|(remote, stands_in)| {
            paths.push(Path { stands_in, remote: *remote, used: None });
            stands_in
        });
        added.collect()
    }

    /// What an address stands in for.
    pub(super) fn remote(&self, address: SocketAddr) -> Option<SocketAddr> {
        self.0.lock().iter().find(|path| path.stands_in == address).map(|path| path.remote)
    }

    /// Ends the connections that ICE did not choose.
    pub(super) fn keep(&self, chosen: Option<SocketAddr>) {
        self.0.lock().retain(|path| Some(path.stands_in) == chosen);
    }

    /// False where the address stands in for nothing.
    fn send(&self, sent: &Transmit<'_>, by: &Arc<Mailbox>) -> bool {
        let mut paths = self.0.lock();
        let Some(path) = paths.iter_mut().find(|path| path.stands_in == sent.destination) else { return false };
        let (remote, stands_in) = (path.remote, path.stands_in);
        let used = path.used.get_or_insert_with(|| {
            let (frames, queue) = mpsc::channel(QUEUE_FRAMES);
            let task = tokio::spawn(connect(remote, stands_in, queue, by.clone())).abort_handle();
            Used { by: by.clone(), frames, task }
        });
        if Arc::ptr_eq(&used.by, by) {
            for datagram in sent.contents.chunks(sent.segment_size.unwrap_or(sent.contents.len()).max(1)) {
                // A full queue loses it, as a full path by UDP would: SCTP notices and slows down.
                let _ = used.frames.try_send(datagram.to_vec());
            }
        }
        true
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(remote: SocketAddr, stands_in: SocketAddr, queue: mpsc::Receiver<Vec<u8>>, mailbox: Arc<Mailbox>) {
    let carried = async {
        let stream = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(remote)).await??;
        // A full box loses frames: its reader, the driver, lags.
        carry(stream, queue, |frame| _ = mailbox.put(stands_in, frame.len(), frame)).await
    };
    match carried.await {
        Ok(()) => tracing::debug!(%remote, "the connection of ICE over TCP ended"),
        Err(error) => tracing::debug!(%error, %remote, "ICE over TCP"),
    }
}

/// True for addresses that may stand in for others.
fn may_stand_in(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] == RESERVED_IPV4.octets()[0],
        IpAddr::V6(ip) => ip.segments()[..4] == DISCARDED_IPV6.segments()[..4],
    }
}

/// A UDP socket, and the connections over TCP that it was the first to use.
#[derive(Debug)]
pub(super) struct DialSocket {
    udp: Arc<dyn AsyncUdpSocket>,
    tcp: Arc<TcpPaths>,
    mailbox: Arc<Mailbox>,
}

impl DialSocket {
    pub(super) fn new(udp: Arc<dyn AsyncUdpSocket>, tcp: Arc<TcpPaths>) -> Self {
        Self { udp, tcp, mailbox: Arc::default() }
    }
}

impl AsyncUdpSocket for DialSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        if may_stand_in(transmit.destination.ip()) && self.tcp.send(transmit, &self.mailbox) {
            return Poll::Ready(Ok(transmit.contents.len()));
        }
        self.udp.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        match self.mailbox.poll_take(cx, bufs, meta) {
            Poll::Pending => self.udp.poll_recv(cx, bufs, meta),
            ready => ready,
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.udp.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.udp.max_gro_segments()
    }
}
