//! A peer in this process that is dialled like a remote one: signalling over HTTP, data over WebRTC.

use crate::embedded::PATIENCE;
use rayloom::PeerAddress;
use rayloom_peer::{ListenConfig, Listening, PeerConfig, PeerServer, RendererOptions};
use tokio::runtime::Runtime;

const TOKEN: &str = "a-token-for-tests";

pub(crate) struct Served {
    server: PeerServer,
    listening: Listening,
    runtime: Runtime,
}

impl Served {
    /// On a free port of loopback.
    pub(crate) fn start() -> Served {
        let renderer = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
        Served::with(PeerServer::new(PeerConfig { renderer, ..PeerConfig::default() }).unwrap())
    }

    /// The same with a peer of any kind.
    pub(crate) fn with(server: PeerServer) -> Served {
        let runtime = Runtime::new().unwrap();
        let config = ListenConfig::new("127.0.0.1:0".parse().unwrap(), TOKEN.into());
        let listening = runtime.block_on(server.listen(config)).unwrap();
        Served { server, listening, runtime }
    }

    pub(crate) fn address(&self) -> PeerAddress {
        let url = format!("http://{}", self.listening.addr());
        PeerAddress { url, token: Some(TOKEN.into()), ..PeerAddress::default() }
    }

    /// Engines whose sessions it holds.
    pub(crate) fn sessions(&self) -> usize {
        self.server.session_count()
    }

    /// Waits until it holds no session.
    pub(crate) fn wait_until_unused(&self) {
        let unused = self.server.idle(|| std::future::ready(()));
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, unused).await }).expect("sessions end");
    }
}
