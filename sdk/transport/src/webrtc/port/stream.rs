//! The passive side of ICE over TCP: a connection belongs to the session that its first frame is signed for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Shared;
use super::framed::{QUEUE_FRAMES, carry, read_frame};
use super::stun::Kind;
use crate::places::{Place, Places};

/// From the connection's begin until its first frame is there.
const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(5);
/// Connections that have not said yet whose they are.
const STRANGERS: usize = 64;

/// Serves until it is aborted, and its connections with it.
pub(super) async fn serve(mut listener: TcpListener, shared: Arc<Shared>) {
    let (mut connections, places) = (JoinSet::new(), Places::new(STRANGERS));
    loop {
        tokio::select! {
            // The trait's own, which waits a moment when the process has no file descriptors left.
            (stream, remote) = Listener::accept(&mut listener) => {
                let place = places.enter(remote.ip());
                connections.spawn(serve_one(stream, remote, shared.clone(), place));
            }
            Some(_) = connections.join_next() => (),
        }
    }
}

pub(super) async fn serve_one(stream: TcpStream, remote: SocketAddr, shared: Arc<Shared>, place: Place) {
    if let Err(error) = try_serve_one(stream, remote, &shared, place).await {
        tracing::debug!(%error, %remote, "a connection of ICE over TCP ended");
    }
}

async fn try_serve_one(mut stream: TcpStream, remote: SocketAddr, shared: &Shared, mut place: Place) -> io::Result<()> {
    let stranger = || io::Error::new(io::ErrorKind::InvalidData, "the first frame is of no session");
    let local = stream.local_addr()?.ip();
    let first = tokio::select! {
        first = tokio::time::timeout(FIRST_FRAME_WITHIN, read_frame(&mut stream)) => first??.ok_or_else(stranger)?,
        () = place.cut() => return Err(io::ErrorKind::TimedOut.into()),
    };
    let session = match Kind::of(&first) {
        Kind::Request { ufrag, request } => shared.routes.signed(&ufrag, *request),
        _ => None,
    };
    let Some(session) = session else {
        shared.unknown.fetch_add(1, Relaxed);
        return Err(stranger());
    };
    drop(place);
    let (queue, frames) = mpsc::channel(QUEUE_FRAMES);
    if !session.add_stream(remote, queue) {
        return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the session has enough connections"));
    }
    let deliver = |frame: &[u8]| {
        if !session.deliver(Some(local), remote, frame.len(), frame) {
            shared.lost.fetch_add(1, Relaxed);
        }
    };
    deliver(&first);
    let ended = carry(stream, frames, deliver).await;
    session.remove_stream(remote);
    ended
}
