//! Connections between the SDK and a peer: three channels of opaque messages over WebRTC, or in process.
//!
//! A [`Connection`] is a [`Link`] to send on and [`Events`] to read. Both ends are equal; whoever has a URL dials. The
//! room moves byte messages of at most [`rayloom_wire::limits::MESSAGE_BYTES`] and knows nothing of what they mean.
//!
//! **A link never blocks its sender and never queues without bound**: [`Link::send`] answers [`SendError::Full`] when a
//! channel holds [`Channel::send_limit_bytes`], so that stale work is dropped where it is known to be stale, at the sender.
#![forbid(unsafe_code)]

mod error;
mod inbox;
mod link;
mod loopback;
mod places;
pub mod signalling;
pub mod tls;
pub mod webrtc;

pub use error::TransportError;
pub use link::{Channel, ChannelStats, Connection, Events, Link, LinkEvent, LinkStats, SendError, SocketBuffers};
pub use loopback::loopback;
pub use tls::CertificatePin;
