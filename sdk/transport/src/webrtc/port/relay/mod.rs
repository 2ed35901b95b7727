//! One allocation at a TURN server for all sessions of a port (RFC 8656), so that engines reach a peer that nothing gets in to.
//!
//! **A relayed remote is never taken for one that sends directly**: sessions know it under an address that stands in for it,
//! and the table of routes keeps both apart.

mod channels;
mod client;
mod connection;
mod error;
mod message;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ::webrtc::runtime::Transmit;
use tokio::sync::{mpsc, watch};

use super::Shared;
use super::routes::Remote;
use super::stun::Kind;
pub(in crate::webrtc) use client::Allocation;
use client::Client;
use connection::{Incoming, Outgoing, open};
pub use error::TurnError;
use message::CHANNEL_HEADER_BYTES;
pub use server::{TurnServer, TurnUrl};

/// Datagrams of all sessions that wait for the relay; more are lost.
const QUEUE_DATAGRAMS: usize = 4_096;
/// Longest datagram: what is longer would come in pieces, of which each may be lost. SCTP's packets have 1,191 bytes.
const DATAGRAM_BYTES: usize = 1_500;
/// Pauses between attempts: the first, and the longest. Each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The sessions' side of the relay.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) allocation: watch::Receiver<Option<Allocation>>,
    queue: mpsc::Sender<(SocketAddr, Vec<u8>)>,
}

/// The task's side.
pub(super) struct Keeper {
    server: TurnServer,
    buffer_bytes: Option<usize>,
    allocation: watch::Sender<Option<Allocation>>,
    queue: mpsc::Receiver<(SocketAddr, Vec<u8>)>,
}

/// Both sides. Nothing happens before [`Keeper::keep`].
pub(super) fn relay(server: TurnServer, buffer_bytes: Option<usize>) -> (Relay, Keeper) {
    let ((queue, queued), (allocation, known)) = (mpsc::channel(QUEUE_DATAGRAMS), watch::channel(None));
    (Relay { allocation: known, queue }, Keeper { server, buffer_bytes, allocation, queue: queued })
}

impl Relay {
    /// Sends to a remote by way of the server.
    pub(super) fn send(&self, remote: SocketAddr, sent: &Transmit<'_>) {
        for datagram in sent.contents.chunks(sent.segment_size.unwrap_or(sent.contents.len()).max(1)) {
            if datagram.len() > DATAGRAM_BYTES {
                continue;
            }
            let mut framed = Vec::with_capacity(CHANNEL_HEADER_BYTES + datagram.len().next_multiple_of(4));
            framed.resize(CHANNEL_HEADER_BYTES, 0);
            framed.extend_from_slice(datagram);
            // A full queue loses it, as a full path would: SCTP notices and slows down.
            let _ = self.queue.try_send((remote, framed));
        }
    }
}

impl TurnServer {
    /// Asks for an allocation and gives it back: what others would send to, and what the server sees this machine as.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn probe(&self) -> Result<(SocketAddr, SocketAddr), TurnError> {
        let (incoming, outgoing) = open(&self.url, None).await?;
        let mut talk = Talk::new(self, incoming, outgoing)?;
        loop {
            if let Some(Allocation { relayed, mapped }) = talk.client.allocation() {
                return Ok((relayed, mapped));
            }
            talk.step(&mut None, |_, _| ()).await?;
        }
    }
}

impl Keeper {
    /// Keeps an allocation, a new one where it is lost, until it is aborted.
    pub(super) async fn keep(mut self, shared: Arc<Shared>) {
        let (mut pause, mut silent) = (FIRST_PAUSE, false);
        loop {
            let begun = Instant::now();
            let Err(error) = self.keep_one(&shared).await;
            // One that was lost at once is another failure of the same kind.
            if self.allocation.send_replace(None).is_some() && begun.elapsed() > LONGEST_PAUSE {
                (pause, silent) = (FIRST_PAUSE, false);
            }
            let (server, fix) = (&self.server, error.fix());
            if silent {
                tracing::debug!(%server, %error, "the TURN server still does not relay");
            } else {
                silent = true;
                tracing::warn!(%server, %error, fix, "the TURN server (--turn) does not relay; asking on");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Makes an allocation and keeps it for as long as that can be done.
    async fn keep_one(&mut self, shared: &Shared) -> Result<std::convert::Infallible, TurnError> {
        let (incoming, outgoing) = open(&self.server.url, self.buffer_bytes).await?;
        let mut talk = Talk::new(&self.server, incoming, outgoing)?;
        // What waited for another allocation is too late.
        while self.queue.try_recv().is_ok() {}
        loop {
            let wanted = shared.routes.relayed_changed.notified();
            let mut queue = Some(&mut self.queue);
            tokio::select! {
                stepped = talk.step(&mut queue, |remote, datagram| deliver(shared, remote, datagram)) => stepped?,
                () = wanted => talk.want(shared)?,
            }
            let allocation = talk.client.allocation();
            if self.allocation.send_if_modified(|known| std::mem::replace(known, allocation) != allocation)
                && let Some(Allocation { relayed, mapped }) = allocation
            {
                tracing::info!(server = %self.server, %relayed, seen_as = %mapped, "engines are told of a relayed address too");
                talk.want(shared)?;
            }
        }
    }
}

/// Hands a datagram to the session that it is for.
fn deliver(shared: &Shared, remote: SocketAddr, datagram: &[u8]) {
    let from = Remote::Relayed(remote);
    let Some(session) = shared.routes.find(from, Kind::of(datagram)) else {
        shared.unknown.fetch_add(1, Relaxed);
        return;
    };
    let stands_in = session.stands_in_for(remote);
    if !stands_in.is_some_and(|stands_in| session.deliver(None, stands_in, datagram.len(), datagram)) {
        shared.lost.fetch_add(1, Relaxed);
    }
}

/// A client and its way to the server. Gives the allocation back when it is dropped.
struct Talk {
    client: Client,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl Talk {
    fn new(server: &TurnServer, incoming: Incoming, outgoing: Outgoing) -> Result<Talk, TurnError> {
        let client = Client::new(server.clone(), outgoing.is_reliable(), Instant::now())?;
        Ok(Talk { client, incoming, outgoing })
    }

    /// Does the next thing that there is to do. May be dropped while it waits.
    async fn step(
        &mut self,
        queue: &mut Option<&mut mpsc::Receiver<(SocketAddr, Vec<u8>)>>,
        mut deliver: impl FnMut(SocketAddr, &[u8]),
    ) -> Result<(), TurnError> {
        let Talk { client, incoming, outgoing } = self;
        while let Some(message) = client.poll_transmit() {
            outgoing.push(message);
        }
        let due = client.poll_timeout();
        let timeout = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        let has_room = outgoing.has_room();
        let queued = async {
            match queue {
                Some(queue) if has_room => match queue.recv().await {
                    Some(first) => (first, queue),
                    None => std::future::pending().await,
                },
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            message = incoming.next() => {
                if let Some((remote, datagram)) = client.handle_message(Instant::now(), message?)? {
                    deliver(remote, &datagram);
                }
            }
            sent = outgoing.flush() => sent?,
            (first, queue) = queued => {
                let (now, mut next) = (Instant::now(), Some(first));
                while let Some((remote, datagram)) = next {
                    client.framed(now, remote, datagram).into_iter().for_each(|framed| outgoing.push(framed));
                    next = if outgoing.has_room() { queue.try_recv().ok() } else { None };
                }
            }
            () = timeout => client.handle_timeout(Instant::now())?,
        }
        Ok(())
    }

    /// Takes over what the sessions want of the relay now.
    fn want(&mut self, shared: &Shared) -> Result<(), TurnError> {
        let (ips, remotes) = shared.routes.relayed();
        self.client.handle_wanted(Instant::now(), &ips, &remotes)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        if let Some(release) = self.client.release() {
            self.outgoing.send_last(&release);
        }
    }
}
