//! The dialler's way round a firewall that lets no UDP through: ICE over TCP, under addresses that stand in for it.
//!
//! A candidate for TCP is a remote address of its own to the ICE agent, and what it sends there goes through a connection,
//! each datagram behind its length.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
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
use super::stand_in::{StandIns, may_stand_in};

/// A connection that is not there by then will not carry frames in time either.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A dialler's connections, made when something is first sent there.
#[derive(Debug, Default)]
pub(super) struct TcpPaths(Mutex<Paths>);

#[derive(Debug, Default)]
struct Paths {
    stand_ins: StandIns,
    /// Those that something was sent to.
    used: Vec<(SocketAddr, Used)>,
}

/// A connection, and the socket that sent first; the others' datagrams to its address are dropped.
#[derive(Debug)]
struct Used {
    by: Arc<Mailbox>,
    frames: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
}

impl TcpPaths {
    /// Stands an address in for each of the remote ones, in a family that this side's sockets have.
    pub(super) fn add(&self, remotes: &[SocketAddr], ipv4: bool) -> Vec<SocketAddr> {
        let stand_ins = &mut self.0.lock().stand_ins;
        remotes.iter().map(|remote| stand_ins.add(*remote, ipv4)).collect()
    }

    /// What an address stands in for.
    pub(super) fn remote(&self, address: SocketAddr) -> Option<SocketAddr> {
        self.0.lock().stand_ins.remote(address)
    }

    /// Ends the connections that ICE did not choose.
    pub(super) fn keep(&self, chosen: Option<SocketAddr>) {
        let mut paths = self.0.lock();
        paths.used.retain(|(stands_in, _)| Some(*stands_in) == chosen);
        let others: Vec<SocketAddr> =
            paths.stand_ins.remotes().filter(|remote| paths.stand_ins.of(*remote) != chosen).collect();
        others.into_iter().for_each(|remote| paths.stand_ins.remove(remote));
    }

    /// False where the address stands in for nothing.
    fn send(&self, sent: &Transmit<'_>, by: &Arc<Mailbox>) -> bool {
        let stands_in = sent.destination;
        let mut paths = self.0.lock();
        let Some(remote) = paths.stand_ins.remote(stands_in) else { return false };
        let place = paths.used.iter().position(|(other, _)| *other == stands_in).unwrap_or_else(|| {
            let (frames, queue) = mpsc::channel(QUEUE_FRAMES);
            let task = tokio::spawn(connect(remote, stands_in, queue, by.clone())).abort_handle();
            paths.used.push((stands_in, Used { by: by.clone(), frames, task }));
            paths.used.len() - 1
        });
        let used = &paths.used[place].1;
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
