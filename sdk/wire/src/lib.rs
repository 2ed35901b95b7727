//! Messages between the SDK and a peer: versions, limits, encoding. Pure: no I/O, no clock, no async.
//!
//! **Parse, don't validate**: [`Message::decode`] returns only what is inside every limit of [`limits`], or an error that
//! names the field, its value and the bound. Nothing is allocated before its size has been checked against the bytes
//! that are really there. Little endian throughout; the first byte of a message is its kind.
#![forbid(unsafe_code)]

mod clock;
mod cursor;
mod error;
mod handshake;
pub mod limits;
mod message;
mod pose;
mod result;
mod scene_sync;
mod task;

pub use clock::{Ping, Pong};
pub use error::WireError;
pub use handshake::{Hello, Leaving, PeerInfo, RefusalCode, Refused, Role, VERSION, VersionRange};
pub use message::Message;
pub use pose::pose_bytes;
pub use result::{TaskRefusal, TaskRefused, TileDone, TileSlice, TileTimings};
pub use scene_sync::{BlobNeed, BlobPart, SceneOffer, SceneStage, SceneStatus, StateDelta};
pub use task::{
    CancelTasks, FrameTasks, GivenPlanes, LayerSpec, OVERTAKES_BY, PreviousFrame, TILES_AT_ONCE, Task, TaskKind,
};
