//! A real socket that many sessions send on, and each session's own view of it.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use ::webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};
use parking_lot::Mutex;

use super::super::stand_in::may_stand_in;
use super::mailbox::Mailbox;
use super::relay::Relay;
use super::routes::Session;

/// A bound socket.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) socket: Arc<dyn AsyncUdpSocket>,
    pub(super) bound: SocketAddr,
    writers: Arc<Writers>,
    /// Wakes all of `writers`: a socket remembers but one waker, that of the last who asked.
    wake_writers: Waker,
}

#[derive(Debug, Default)]
struct Writers(Mutex<Vec<Waker>>);

impl Wake for Writers {
    fn wake(self: Arc<Self>) {
        let waiting = std::mem::take(&mut *self.0.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Wire {
    pub(super) fn new(socket: Arc<dyn AsyncUdpSocket>) -> io::Result<Wire> {
        let bound = socket.local_addr()?;
        let writers = Arc::<Writers>::default();
        Ok(Wire { socket, bound, wake_writers: writers.clone().into(), writers })
    }

    /// True where packets for that address of this machine come in here.
    pub(super) fn serves(&self, ip: IpAddr) -> bool {
        self.bound.ip() == ip || self.bound.ip().is_unspecified() && self.bound.is_ipv4() == ip.is_ipv4()
    }

    /// Sends from an address of this machine. Ready, or everybody who waits is woken when the socket takes more.
    pub(super) fn poll_send(&self, from: IpAddr, cx: &Context<'_>, sent: &Transmit<'_>) -> Poll<io::Result<usize>> {
        // Where the socket is bound to one address that is the only one there is.
        let source = (self.bound.ip().is_unspecified() && !from.is_unspecified()).then_some(from);
        let sent = Transmit { src_ip: source, ..sent.clone() };
        let mut all = Context::from_waker(&self.wake_writers);
        if let Poll::Ready(done) = self.socket.poll_send(&mut all, &sent) {
            return Poll::Ready(done);
        }
        {
            let mut waiting = self.writers.0.lock();
            if !waiting.iter().any(|other| other.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
        }
        // Once more: it may have become writable before this writer was in the list.
        self.socket.poll_send(&mut all, &sent)
    }
}

/// What a session's driver takes for a UDP socket of its own.
#[derive(Debug)]
pub(super) struct SessionSocket {
    pub(super) wire: Arc<Wire>,
    pub(super) session: Arc<Session>,
    pub(super) relay: Option<Arc<Relay>>,
    pub(super) mailbox: Arc<Mailbox>,
    /// Under which the driver knows it; packets leave from its address and the shared port.
    pub(super) local: SocketAddr,
}

impl AsyncUdpSocket for SessionSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        if let Some(relay) = &self.relay
            && may_stand_in(transmit.destination.ip())
            && let Some(remote) = self.session.relayed(transmit.destination)
        {
            relay.send(remote, transmit);
            return Poll::Ready(Ok(transmit.contents.len()));
        }
        if let Some(frames) = self.session.stream(transmit.destination) {
            let length = transmit.contents.len();
            for datagram in transmit.contents.chunks(transmit.segment_size.unwrap_or(length).max(1)) {
                // A full queue loses it, as a full path by UDP would: SCTP notices and slows down.
                let _ = frames.try_send(datagram.to_vec());
            }
            return Poll::Ready(Ok(length));
        }
        self.wire.poll_send(self.local.ip(), cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.mailbox.poll_take(cx, bufs, meta)
    }

    fn max_gso_segments(&self) -> usize {
        self.wire.socket.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.wire.socket.max_gro_segments()
    }
}
