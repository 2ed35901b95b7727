//! What a peer may be told at start.

use crate::cache::CacheConfig;
use rayloom_renderer::RendererOptions;
use rayloom_transport::tls::ServerTls;
use rayloom_transport::webrtc::{Advertised, IceConfig, StunServer, TurnServer};
use std::net::SocketAddr;
use std::time::Duration;

/// What a peer may be told at start; the default suits a peer inside the engine's own process.
#[derive(Clone, Debug, Default)]
pub struct PeerConfig {
    /// The device to trace on.
    pub renderer: RendererOptions,
    /// Trace a small scene at start to learn the device's speed.
    pub measure: bool,
    /// Bounds of the service itself.
    pub service: ServiceConfig,
}

/// Bounds of the service, whatever traces.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Where blobs of scenes are kept.
    pub cache: CacheConfig,
    /// Engines at a time; more are told that there is no room.
    pub max_sessions: usize,
    /// Tiles that one session may have queued, traced but not sent, or half sent; more are refused.
    pub tasks_per_session: usize,
    /// The same in pixels.
    pub pixels_per_session: usize,
    /// Scenes that stay on the device though no session uses them.
    pub idle_scenes: usize,
    /// Time that is spent for nothing, to see that it is told where it is.
    #[doc(hidden)]
    pub inserted: InsertedTime,
}

/// Where a peer spends time for nothing; what the tracer does it can do itself.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct InsertedTime {
    /// Between a task's arrival and its turn.
    pub queue: Duration,
    /// While a tile is coded.
    pub encode: Duration,
    /// Before a coded tile's report is sent.
    pub answer: Duration,
}

impl Default for ServiceConfig {
    fn default() -> ServiceConfig {
        ServiceConfig {
            cache: CacheConfig::default(),
            max_sessions: 8,
            tasks_per_session: 256,
            pixels_per_session: 4 * 3840 * 2160,
            idle_scenes: 2,
            inserted: InsertedTime::default(),
        }
    }
}

/// How to serve engines that dial.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// Where to listen for signalling.
    pub addr: SocketAddr,
    /// What engines must present.
    pub token: String,
    /// What to serve TLS with; `None` is plain HTTP.
    pub tls: Option<ServerTls>,
    /// Plain HTTP on an address that is not loopback is refused without this.
    pub insecure_http: bool,
    /// The UDP port of all sessions; `None` is the number of `addr`.
    pub udp_port: Option<u16>,
    /// The TCP port of sessions that UDP does not reach; `None` is the number of the UDP port. Where signalling has it too,
    /// both share it.
    pub tcp_port: Option<u16>,
    /// Where engines find this machine when a NAT translates its address; data may then come in by every interface.
    pub advertise: Option<Advertised>,
    /// Asked what the UDP port looks like from outside; data may then come in by every interface.
    pub stun: Option<StunServer>,
    /// Relays data of engines that reach the ports above neither by UDP nor by TCP.
    pub turn: Option<TurnServer>,
}

impl ListenConfig {
    /// Plain HTTP, and the data's ports beside it.
    pub fn new(addr: SocketAddr, token: String) -> ListenConfig {
        ListenConfig {
            addr,
            token,
            tls: None,
            insecure_http: false,
            udp_port: None,
            tcp_port: None,
            advertise: None,
            stun: None,
            turn: None,
        }
    }

    /// Where data comes in: by every interface where signalling may be behind something that data does not pass through.
    pub(crate) fn ice(&self) -> IceConfig {
        match self.advertise.is_some() || self.stun.is_some() {
            true => IceConfig::every_interface(),
            false => IceConfig::at(self.addr.ip()),
        }
    }
}
