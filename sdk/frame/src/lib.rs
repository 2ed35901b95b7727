//! Pixels: planes, tiles, ghost zones, codecs, merging, reprojection, composition. Pure: no I/O, no clock, no async.
//!
//! **A traced pixel is a function of (scene revision, camera, frame id, absolute pixel, sample index) and of nothing
//! else**, so rectangles here are always in absolute pixels of the view, and cutting a frame differently never changes a
//! value. Break that and seams appear.
#![deny(unsafe_code)]

// Planes are hashed and sent as they lie in memory.
const _: () = assert!(cfg!(target_endian = "little"), "planes are little-endian");

pub mod codec;
pub mod compose;
pub mod convention;
pub mod demodulate;
mod deviation;
mod digest;
mod error;
pub mod features;
pub mod filter;
pub mod gbuffer;
mod layer;
pub mod merge;
pub mod metrics;
pub mod normal;
pub mod overlay;
mod picture;
mod rect;
mod simd;
mod specular_table;
pub mod srgb;
mod tile;
mod tone_map;
mod workers;

pub use convention::Convention;
pub use deviation::{Deviation, Tolerance, deviation};
pub use digest::digest;
pub use error::FrameError;
pub use gbuffer::{EnginePlane, EnginePlaneKind, GBuffer, PlaneFormat};
pub use layer::{LayerKind, LayerRequest, PlaneKind};
pub use picture::PictureFormat;
pub use rect::{Extent, Rect};
pub use tile::{LayerPlane, Primary, SKY_DEPTH, TracedTile};
pub use workers::{Inline, Workers};
