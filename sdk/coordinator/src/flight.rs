//! Frames in flight, their cells, and tasks.

use crate::peer::Peer;
use crate::{Constraints, PeerId, TaskId, Time};
use rayloom_frame::{Extent, Rect};
use std::time::Duration;

/// Most times that a task is waited for longer since the caller stood still.
const LATE_LOOKS: u8 = 8;

/// A frame that has begun and not ended.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Unique, unlike the session's number.
    pub(crate) serial: u64,
    pub(crate) id: u64,
    pub(crate) group: u8,
    pub(crate) scene: u32,
    pub(crate) revision: u64,
    pub(crate) extent: Extent,
    pub(crate) ghost_px: u32,
    /// What tasks bring along.
    pub(crate) up_bytes_per_px: f64,
    pub(crate) constraints: Constraints,
    pub(crate) deadline: Time,
    pub(crate) cells: Vec<Cell>,
}

impl Frame {
    /// Whether a peer holds the scene revision and is what the frame asks for.
    pub(crate) fn may_be_traced_by(&self, peer: &Peer) -> bool {
        peer.holds(self.scene, self.revision) && self.constraints.unmet(&peer.prior.traits).is_none()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.cells.iter().all(|cell| cell.is_done)
    }

    pub(crate) fn missing(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| !cell.is_done)
    }
}

/// A rectangle of a frame that some task is to fill; cells cover the view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) rect: Rect,
    pub(crate) is_done: bool,
    /// The task that it was given to last.
    pub(crate) latest: TaskId,
}

/// How a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// In its peer's queue.
    Outstanding,
    /// No longer waited for, an answer is welcome.
    Released,
    /// Its peer was told not to.
    Cancelled,
}

/// A tile that was given to a peer.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) peer: PeerId,
    pub(crate) serial: u64,
    /// The group of layers that it is of.
    pub(crate) group: u8,
    /// Which cell of the frame; none for a redundant tile.
    pub(crate) cell: Option<usize>,
    /// Size of the frame's view.
    pub(crate) extent: Extent,
    pub(crate) ghost_rect: Rect,
    pub(crate) units: f64,
    /// Relative variance of `units`.
    pub(crate) map_variance: f64,
    pub(crate) predicted_ns: f64,
    /// Bytes that the task is sent with, and what they are predicted to take on the link.
    pub(crate) up_bytes: f64,
    pub(crate) up_ns: f64,
    /// What the answer is predicted to take on the link.
    pub(crate) down_ns: f64,
    pub(crate) assigned: Time,
    /// When a backup is due, if backups are wanted.
    pub(crate) hedge_at: Option<Time>,
    /// How long a peer that is well may be at it.
    pub(crate) patience: Duration,
    /// When it counts as missed.
    pub(crate) due: Time,
    /// By when its frame wants it: its peer's tiles come in this order, see [`crate::turns`].
    pub(crate) turn: Time,
    /// What another thread of its peer may be at before it.
    pub(crate) behind_ns: f64,
    /// It has been waited for longer than until it was due, since its peer has just answered another.
    pub(crate) is_extended: bool,
    /// Tiles that its peer was given after it and has answered, since it is waited for no more.
    pub(crate) overtaken: u8,
    /// How often it has been waited for longer since the caller stood still.
    pub(crate) late_looks: u8,
    /// Nothing was in the peer's queue before it.
    pub(crate) waited_for_none: bool,
    pub(crate) state: TaskState,
}

impl Task {
    pub(crate) fn is_outstanding(&self) -> bool {
        self.state == TaskState::Outstanding
    }

    /// The caller did not look for so long; who never looks in time must notice a loss all the same.
    pub(crate) fn wait_longer(&mut self, late: Duration) {
        if self.late_looks < LATE_LOOKS {
            self.late_looks += 1;
            self.comes_later(late);
        }
    }

    /// Another one comes before it.
    pub(crate) fn comes_later(&mut self, by: Duration) {
        self.due = self.due + by;
        self.hedge_at = self.hedge_at.map(|at| at + by);
    }

    /// How long it holds up the tile behind it: one is traced while the other's answer is on the link.
    pub(crate) fn stage_ns(&self) -> f64 {
        self.predicted_ns.max(self.down_ns)
    }
}
