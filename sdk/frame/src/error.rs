//! What can be wrong with pixels from elsewhere, and whose fault it is.

use crate::{Extent, PlaneKind, Rect};

/// Why a slice, a tile or a frame's plan was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A slice names a codec that this version does not know, or one that does not fit its plane; the sender is newer or broken.
    #[error("slice of {plane:?}: codec {codec} is unknown or not for this plane; use a peer of this SDK's version")]
    UnknownCodec {
        /// The plane.
        plane: PlaneKind,
        /// The number that came.
        codec: u8,
    },
    /// A slice's rectangle is empty, too large, or leaves the view; the sender is at fault.
    #[error(
        "slice of {plane:?} at scale {scale}: {rect:?} is empty, over {max_pixels} pixels or outside of the view of {extent:?}"
    )]
    SliceOutside {
        /// The plane.
        plane: PlaneKind,
        /// Its scale.
        scale: u8,
        /// The rectangle that came.
        rect: Rect,
        /// Size of the view.
        extent: Extent,
        /// The most pixels a slice may have.
        max_pixels: usize,
    },
    /// A payload is longer or shorter than its rectangle allows, or does not decompress; the sender is at fault.
    #[error("slice of {plane:?} {rect:?}: payload of {payload_bytes} bytes does not decode: {reason}")]
    Payload {
        /// The plane.
        plane: PlaneKind,
        /// The rectangle.
        rect: Rect,
        /// Length of the payload.
        payload_bytes: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A slice or tile is not part of what this frame planned; the sender is at fault.
    #[error("tile {tile}: {what} is not part of this frame's plan")]
    NotPlanned {
        /// Index of the tile in the plan.
        tile: u32,
        /// What came.
        what: String,
    },
    /// A frame's plan is unusable; the caller is at fault.
    #[error("frame plan: {0}")]
    Plan(String),
    /// A plane of the engine's G-buffer is unusable; the engine is at fault.
    #[error("{plane} plane: {problem}")]
    EnginePlane {
        /// Its name.
        plane: &'static str,
        /// What is wrong, with the value, and what to do.
        problem: String,
    },
    /// A convention, or a camera or matrix that is stated to be in it, means nothing; the engine is at fault.
    #[error("convention: {0}")]
    Convention(String),
}
