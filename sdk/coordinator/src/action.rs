//! What the coordinator tells the session.

use crate::{ExpiryCause, PeerChange, PeerId, PeerState, TaskId};
use rayloom_frame::{LayerRequest, Rect};
use std::time::Duration;

/// Something to do. Poll after every event until there is none.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Send these tiles to this peer, in this order.
    Assign {
        /// Who traces.
        peer: PeerId,
        /// Of which frame.
        frame_id: u64,
        /// Which group of its layers.
        group: u8,
        /// Time until these are due: a peer traces what is due clearly earlier first.
        left: Duration,
        /// What; at most `rayloom_wire::limits::TASKS_PER_MESSAGE`.
        tiles: Vec<TileAssignment>,
    },
    /// These tasks are no longer wanted. An answer that comes all the same is welcome to history.
    Cancel {
        /// Who has them.
        peer: PeerId,
        /// Which.
        tasks: Vec<TaskId>,
    },
    /// Every pixel of the frame's group is there.
    FrameComplete {
        /// The frame.
        frame_id: u64,
        /// Which group of its layers.
        group: u8,
    },
    /// Finish the frame's group with what is there: its deadline passed, or nobody is left to trace the rest.
    FrameExpired {
        /// The frame.
        frame_id: u64,
        /// Which group of its layers.
        group: u8,
        /// The latest task of each tile that is missing; none when the frame never had a tile.
        missing: Vec<TaskId>,
        /// Why.
        cause: ExpiryCause,
    },
    /// A peer stands elsewhere than before.
    PeerChanged(PeerChange),
}

/// A tile that a peer is to trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileAssignment {
    /// Its task.
    pub task: TaskId,
    /// Absolute pixels of the view, without the ghost zone.
    pub rect: Rect,
    /// Width of the ghost zone in pixels.
    pub ghost_px: u32,
    /// Predicted service time on this peer in nanoseconds; a guess until the first tile of the session is done.
    pub predicted_ns: u64,
    /// True: another peer traces these pixels too, the frame does not wait for this one.
    pub redundant: bool,
}

/// How a frame was cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FramePlan {
    /// Tiles that cover the view exactly, without overlap; none when no peer holds the scene revision.
    pub tiles: Vec<PlannedTile>,
    /// Redundant tiles for suspect peers.
    pub probes: Vec<PlannedTile>,
    /// Predicted time from now to the last tile's arrival, in nanoseconds.
    pub predicted_ns: u64,
    /// Pixels traced twice for ghost zones, as a share of the view's.
    pub ghost_share: f32,
    /// What is to be asked for: the request's layers, lowered where they would be late.
    pub layers: Vec<LayerRequest>,
    /// Steps by which they are lowered; 0 = as they were asked for.
    pub lowered: u32,
    /// The frame is predicted to be late however far it is lowered: the middle of the view comes first.
    pub is_too_much: bool,
}

/// A tile of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedTile {
    /// Its task.
    pub task: TaskId,
    /// Who traces it.
    pub peer: PeerId,
    /// Absolute pixels of the view.
    pub rect: Rect,
    /// The same with its ghost zone.
    pub ghost_rect: Rect,
    /// Predicted service time on this peer in nanoseconds.
    pub predicted_ns: u64,
    /// What it is predicted not to exceed in 95 of 100 cases.
    pub p95_ns: u64,
}

/// A peer in figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerView {
    /// Who.
    pub id: PeerId,
    /// Where it stands.
    pub state: PeerState,
    /// It runs in the engine's process.
    pub is_embedded: bool,
    /// Measured speed relative to the fastest peer that is not lost, 0 to 1.
    pub speed: f32,
    /// Fixed cost of a tile in milliseconds, as estimated.
    pub tile_overhead_ms: f32,
    /// Service time of its last tile in milliseconds; 0 before the first.
    pub last_tile_ms: f32,
    /// Time beside service and transfer from assigning a tile to its arrival, in milliseconds.
    pub link_ms: f32,
    /// What its link carries of answers, in bits a second; 0 = never seen to hold one up.
    pub down_bits_per_s: f32,
    /// What its link carries of the engine's planes, in bits a second; 0 = never seen to hold a task up.
    pub up_bits_per_s: f32,
    /// Tiles answered.
    pub tiles: u64,
    /// Tiles missed.
    pub missed: u64,
    /// Tiles refused.
    pub refused: u64,
    /// Tiles whose answers could not be used.
    pub corrupt: u64,
    /// Tiles that it has now.
    pub queue: u32,
    /// Its share of the pixels of the last frame planned, in its first group, 0 to 1.
    pub share: f32,
}
