//! Where a peer stands, and why that changes.

use crate::{PeerId, TaskId};
use std::fmt;
use std::time::Duration;

/// Where a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// Connected, without a scene revision.
    Joining,
    /// Gets its share.
    Ready,
    /// Gets probes.
    Suspect,
    /// Gets nothing for a while, for faults again and again; for good where it lied.
    Blocked,
    /// Will go: finishes what it has begun and gets nothing more.
    Draining,
    /// Gone.
    Lost,
}

/// A peer stands elsewhere than before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerChange {
    /// Who.
    pub peer: PeerId,
    /// Where it stood.
    pub from: PeerState,
    /// Where it stands now.
    pub to: PeerState,
    /// Why.
    pub cause: ChangeCause,
    /// How long it stood in `from`.
    pub after: Duration,
    /// How long it gets nothing, unless nobody else is left: zero but for [`PeerState::Blocked`], [`Duration::MAX`] for good.
    pub pause: Duration,
}

/// Why a peer stands elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeCause {
    /// It holds a scene revision.
    SceneReady,
    /// It did not answer a tile in time.
    MissedDeadline {
        /// The tile.
        task: TaskId,
        /// How long it has been waited for.
        waited: Duration,
    },
    /// It refused tiles.
    Refused {
        /// How many in a row.
        in_a_row: u32,
        /// What it said of the last one.
        refusal: Refusal,
    },
    /// Its answer could not be used.
    Corrupt {
        /// The tile.
        task: TaskId,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// Its answer was compared with what another peer traced, and it was not traced.
    Lied,
    /// It was blocked before it came back, and still is.
    FailedBefore,
    /// It answered tiles in time, this many in a row.
    Held {
        /// How many.
        tiles: u32,
    },
    /// It was blocked for as long as it was to be.
    PauseOver,
    /// It says that it will go.
    Draining,
    /// Its link is closed.
    Disconnected,
}

/// Why a peer will not trace a tile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It gave a reason that is none of the others.
    #[default]
    Other,
    /// No memory is left for it.
    OutOfMemory,
    /// Its device is gone: it will trace nothing until it has another. One such refusal is enough to be suspect.
    DeviceLost,
    /// It has as many tiles as it takes at once, also of other views. That is no fault of it; where it goes on for so long that nothing
    /// comes of it, others get its share.
    NoRoom,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// Values that are not finite.
    NotFinite,
    /// Pixels of another size than the tile's, or slices that can't be decoded.
    WrongSize,
    /// Pixels that its digest is not of.
    DigestMismatch,
}

impl fmt::Display for ChangeCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeCause::SceneReady => f.write_str("it holds a scene revision"),
            ChangeCause::MissedDeadline { waited, .. } => {
                write!(f, "it has not answered a tile within {:.0} ms", waited.as_secs_f64() * 1e3)
            }
            ChangeCause::Refused { in_a_row, refusal: Refusal::Other } => {
                write!(f, "it refused {in_a_row} tiles in a row")
            }
            ChangeCause::Refused { in_a_row, refusal: Refusal::OutOfMemory } => {
                write!(f, "it refused {in_a_row} tiles in a row, the last one for want of memory")
            }
            ChangeCause::Refused { in_a_row, refusal: Refusal::NoRoom } => {
                write!(f, "it refused {in_a_row} tiles in a row, the last one since it has as many as it takes at once")
            }
            ChangeCause::Refused { refusal: Refusal::DeviceLost, .. } => f.write_str("it has lost its device"),
            ChangeCause::Corrupt { flaw, .. } => write!(f, "it answered a tile with {flaw}"),
            ChangeCause::Lied => f.write_str("it answered a tile that it had not traced"),
            ChangeCause::FailedBefore => f.write_str("it failed too often before it came back"),
            ChangeCause::Held { tiles } => write!(f, "it answered {tiles} tiles in a row in time"),
            ChangeCause::PauseOver => f.write_str("it has been left alone for long enough"),
            ChangeCause::Draining => f.write_str("it will go"),
            ChangeCause::Disconnected => f.write_str("its link is closed"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::NotFinite => "values that are not finite",
            Flaw::WrongSize => "pixels of another size",
            Flaw::DigestMismatch => "pixels of another digest",
        })
    }
}
