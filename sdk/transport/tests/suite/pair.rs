//! Two connected ends of each implementation, and messages whose content follows from their number.

use std::time::Duration;

use bytes::Bytes;
use rayloom_transport::signalling::{SignallingConfig, listen, router, serve_router};
use rayloom_transport::tls::ServerTls;
use rayloom_transport::webrtc::{DialOptions, KeepAlive, dial};
use rayloom_transport::{Connection, LinkEvent, loopback};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Far more than any step needs, so that a hang fails with its place instead of blocking the run.
pub(crate) const HANG: Duration = Duration::from_secs(60);

pub(crate) async fn in_process() -> (Connection, Connection) {
    loopback()
}

pub(crate) async fn over_webrtc() -> (Connection, Connection) {
    let mut server = Server::start(SignallingConfig::new(Some("token".into()), 4)).await;
    let dialled = dial(&server.url, Some("token"), &DialOptions::default()).await.expect("a session opens");
    let accepted = server.accepted().await;
    (dialled, accepted)
}

/// A listener on a free port of loopback, gone when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    connections: mpsc::UnboundedReceiver<Connection>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(config: SignallingConfig) -> Server {
        Server::start_with(config, None).await
    }

    pub(crate) async fn start_with(config: SignallingConfig, tls: Option<&ServerTls>) -> Server {
        Server::start_at(listen("127.0.0.1:0".parse().unwrap()).await.unwrap(), config, tls)
    }

    pub(crate) fn start_at(listener: TcpListener, config: SignallingConfig, tls: Option<&ServerTls>) -> Server {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (sender, connections) = mpsc::unbounded_channel();
        let port = config.acceptor.ice.port.clone();
        let router = router(config, move |connection| {
            let _ = sender.send(connection);
        });
        let serving = serve_router(listener, tls, port.as_ref(), router);
        let task = tokio::spawn(async move { serving.await.expect("the server runs until it is aborted") });
        Server { url, connections, task }
    }

    pub(crate) async fn accepted(&mut self) -> Connection {
        within(self.connections.recv()).await.expect("the other side was accepted")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.expect("no step hangs")
}

pub(crate) async fn next(connection: &mut Connection) -> LinkEvent {
    within(connection.events.next()).await.expect("an event before the end")
}

/// The reason of the end, after whatever was still on the way.
pub(crate) async fn closed(connection: &mut Connection) -> String {
    loop {
        if let LinkEvent::Closed { reason } = next(connection).await {
            assert_eq!(within(connection.events.next()).await, None, "Closed comes once and last");
            return reason;
        }
    }
}

/// Message `number`: its number, then bytes that follow from it (splitmix64).
pub(crate) fn message(number: u64, bytes: usize) -> Bytes {
    let mut content = number.to_le_bytes().to_vec();
    let mut state = number;
    while content.len() < bytes {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        content.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    content.truncate(bytes.max(8));
    content.into()
}

/// The number of a message, its content checked.
pub(crate) fn number(content: &Bytes) -> u64 {
    let number = u64::from_le_bytes(content[..8].try_into().expect("a number comes first"));
    assert_eq!(*content, message(number, content.len()), "message {number} arrives as it was sent");
    number
}

pub(crate) fn quick_to_notice() -> KeepAlive {
    KeepAlive { interval: Duration::from_millis(50), silence: Duration::from_millis(600) }
}
