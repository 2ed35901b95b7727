//! The frame that tests ask for where nothing of it matters.

use rayloom_coordinator::{FrameRequest, Time};
use rayloom_frame::Extent;

/// Of scene 1, revision 1, with ghost zones of 8 pixels.
pub(crate) fn request(frame_id: u64, extent: Extent, deadline: Time) -> FrameRequest {
    FrameRequest { frame_id, scene: 1, revision: 1, extent, ghost_px: 8, deadline, ..FrameRequest::default() }
}
