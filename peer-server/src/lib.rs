//! A Rayloom peer: takes scenes and frames from engines, traces tiles of them, answers with lighting layers.
//!
//! [`PeerServer`] is the whole: one device, one cache of scenes, any number of sessions over any
//! [`rayloom_transport::Connection`]. The binary `rayloom-peer` serves it over the network; the SDK may run one inside
//! the engine's process over a loopback connection, without HTTP and without disk.
//!
//! **Every queue is bounded and nothing from outside is trusted**: messages are parsed whole or refused, blobs are known
//! by their hash, deltas are held against the revision that they name. Break that and one engine takes down the others.
#![forbid(unsafe_code)]

mod cache;
mod certificate;
mod clock;
mod config;
mod error;
mod frames;
mod outbound;
mod planes;
mod quota;
mod render;
mod results;
mod scenes;
mod server;
mod session;
#[cfg(unix)]
mod stored;
mod tracer;
mod transfer;
mod vulkan;

pub use cache::CacheConfig;
pub use certificate::{kept_certificate, kept_certificate_file, own_certificate};
#[doc(hidden)]
pub use config::InsertedTime;
pub use config::{ListenConfig, PeerConfig, ServiceConfig};
pub use error::PeerError;
pub use rayloom_renderer::{
    Denoiser, DeviceKind, DeviceReport, FrontEnd, Renderer, RendererError, RendererOptions, list_devices,
};
pub use rayloom_transport::tls::ServerTls;
pub use rayloom_transport::webrtc::{Advertised, SharedPort, StunServer, TurnError, TurnServer, TurnUrl};
pub use server::{Listening, PeerServer};
#[cfg(unix)]
pub use stored::{CaptureWriter, StoredTracer};
pub use tracer::{Frame, TraceError, Traced, Tracer};
pub use vulkan::VulkanTracer;
