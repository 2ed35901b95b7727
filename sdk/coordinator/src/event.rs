//! What the session tells the coordinator.

use crate::{Constraints, Lowering, PeerTraits, Time};
use rayloom_frame::{Extent, LayerRequest, Rect};

/// The session's number for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// Number of a task, unique in the session, ascending in the order of assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

/// What is known of a peer before its first tile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeerPrior {
    /// Its own benchmark in rays a second; 0 = unknown.
    pub rays_per_second: f32,
    /// It runs in the engine's process: no link.
    pub is_embedded: bool,
    /// It is asked only where no other peer that is ready can be.
    pub is_standby: bool,
    /// What it is.
    pub traits: PeerTraits,
}

/// Cost of every 16x16 block of a view, estimated before it is traced; the unit is free, only ratios matter.
#[derive(Clone, Debug, PartialEq)]
pub struct CostMap {
    /// `width.div_ceil(16)`.
    pub blocks_x: u32,
    /// `height.div_ceil(16)`.
    pub blocks_y: u32,
    /// `blocks_x * blocks_y` values, rows from the top: the cost of the block's pixels that lie in the view. What is
    /// negative or not finite counts as unknown.
    pub cost: Vec<f32>,
}

/// Most groups of layers that a frame is asked for in.
pub const GROUPS: usize = 4;

/// A frame to plan, or one group of its layers: those that are due at the same time.
///
/// Groups are planned, traced and ended each for itself, by the same peers. The one that is due first is begun first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameRequest {
    /// The session's number for the frame; with `group`, not that of a frame in flight.
    pub frame_id: u64,
    /// Which of the frame's groups, below [`GROUPS`]; another expires at once. 0 where all layers are due at the same time.
    pub group: u8,
    /// The scene.
    pub scene: u32,
    /// Base revision: only peers that reported it ready are given tiles.
    pub revision: u64,
    /// Size of the view in pixels, at most `rayloom_wire::limits::VIEW_SIDE` a side.
    pub extent: Extent,
    /// Width of the ghost zone in pixels (none at the view's edges); above 255 counts as 255, the most a task can say.
    pub ghost_px: u32,
    /// When the frame ends whatever is missing.
    pub deadline: Time,
    /// Estimate of the cost of each block in this frame, from features; one of another size than the view is ignored.
    pub cost: Option<CostMap>,
    /// Bytes that a task brings for each of its pixels, ghost zone included: the engine's planes, coded. 0 in state mode.
    pub up_bytes_per_px: f32,
    /// What its peers must be. Nobody else is sent anything of it.
    pub constraints: Constraints,
    /// The group's layers as they are asked for; none = unknown, and nothing of them is lowered.
    pub layers: Vec<LayerRequest>,
    /// What may be left out of them where the frame is predicted to be late.
    pub lowering: Lowering,
}

/// How a tile's work went, as its peer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileReport<'a> {
    /// The peer's own time from starting the tile to having coded it, in nanoseconds; 0 = unknown.
    pub service_ns: u64,
    /// Rays traced per 16x16 block that `rect` touches, rows from the top; of another length = unknown.
    pub block_rays: &'a [u32],
    /// What was traced, ghost zone included.
    pub rect: Rect,
    /// Coded bytes of its slices; 0 = unknown.
    pub bytes: u64,
    /// Nanoseconds for which `bytes` kept the link busy, as far as can be told: from the first slice's arrival to the last's,
    /// 0 where coding them took no less. `None` = unknown.
    pub transfer_ns: Option<u64>,
    /// Nanoseconds from the task's assignment to when its peer began with it, by clocks that were compared; 0 = unknown.
    pub begun_ns: u64,
}

impl TileReport<'_> {
    /// A tile of which nothing is known but its time.
    pub const fn new(service_ns: u64, rect: Rect) -> TileReport<'static> {
        TileReport { service_ns, block_rays: &[], rect, bytes: 0, transfer_ns: None, begun_ns: 0 }
    }
}
