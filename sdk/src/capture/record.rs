//! What a capture consists of.

use crate::config::{FrameDesc, ViewDesc};
use crate::planes::Plane;
use bytes::Bytes;
use rayloom_frame::{EnginePlaneKind, Extent, PlaneFormat, PlaneKind, Rect};
use rayloom_wire::StateDelta;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

#[expect(clippy::large_enum_variant, reason = "records are few, and moved once or twice")]
/// One record. Their order is that in which the director's thread took them up; planes come before their frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Record {
    Session(SessionRecord),
    View {
        view: u16,
        desc: ViewDesc,
    },
    ViewEnd {
        view: u16,
    },
    TilesDrawn {
        view: u16,
        drawn: bool,
    },
    /// Content of a scene, named by its BLAKE3.
    Blob(#[serde(with = "shared_bytes")] Bytes),
    /// A revision that peers fetch: its tables and what they refer to, all of them recorded before.
    Base {
        scene: u32,
        revision: u64,
        root: [u8; 32],
        blobs: Vec<[u8; 32]>,
    },
    SceneEnd {
        scene: u32,
    },
    Planes {
        view: u16,
        frame_id: u64,
        planes: Vec<PlaneRecord>,
    },
    Frame(FrameRecord),
    Made(MadeRecord),
    /// For people: what the engine was told, and calls that were refused.
    Note(String),
}

/// The kind of a record, which can be told without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum RecordKind {
    Session = 0,
    View = 1,
    ViewEnd = 2,
    TilesDrawn = 3,
    Blob = 4,
    Base = 5,
    SceneEnd = 6,
    Planes = 7,
    Frame = 8,
    Made = 9,
    Note = 10,
}

impl RecordKind {
    const ALL: [RecordKind; 11] = [
        RecordKind::Session,
        RecordKind::View,
        RecordKind::ViewEnd,
        RecordKind::TilesDrawn,
        RecordKind::Blob,
        RecordKind::Base,
        RecordKind::SceneEnd,
        RecordKind::Planes,
        RecordKind::Frame,
        RecordKind::Made,
        RecordKind::Note,
    ];

    pub(crate) fn from_u32(number: u32) -> Option<RecordKind> {
        RecordKind::ALL.get(number as usize).copied()
    }
}

impl Record {
    pub(crate) fn kind(&self) -> RecordKind {
        match self {
            Record::Session(_) => RecordKind::Session,
            Record::View { .. } => RecordKind::View,
            Record::ViewEnd { .. } => RecordKind::ViewEnd,
            Record::TilesDrawn { .. } => RecordKind::TilesDrawn,
            Record::Blob(_) => RecordKind::Blob,
            Record::Base { .. } => RecordKind::Base,
            Record::SceneEnd { .. } => RecordKind::SceneEnd,
            Record::Planes { .. } => RecordKind::Planes,
            Record::Frame(_) => RecordKind::Frame,
            Record::Made(_) => RecordKind::Made,
            Record::Note(_) => RecordKind::Note,
        }
    }

    /// Bytes of memory that its content takes, about.
    pub(crate) fn weight(&self) -> usize {
        let content = match self {
            // Blobs are the session's own, not copies.
            Record::Planes { planes, .. } => planes.iter().map(|plane| plane.bytes.len()).sum(),
            _ => 0,
        };
        content + 1024
    }
}

/// Bytes that are shared in memory.
mod shared_bytes {
    use super::{ByteBuf, Bytes};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        Ok(ByteBuf::deserialize(from)?.into_vec().into())
    }
}

/// The session's own settings. Addresses and tokens of peers are none of a capture's business.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    /// Rayloom's version.
    pub(crate) version: String,
    pub(crate) lossless: bool,
    pub(crate) peers: u32,
    /// Seconds since 1970.
    pub(crate) began_unix_s: u64,
}

/// A plane as the engine submitted it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlaneRecord {
    pub(crate) kind: EnginePlaneKind,
    pub(crate) format: PlaneFormat,
    pub(crate) extent: Extent,
    pub(crate) view_rect: Rect,
    pub(crate) row_pitch: u64,
    pub(crate) bytes: ByteBuf,
}

impl PlaneRecord {
    pub(crate) fn new(plane: &Plane) -> PlaneRecord {
        let Plane { kind, format, extent, view_rect, row_pitch, ref bytes } = *plane;
        let bytes = ByteBuf::from(bytes.to_vec());
        PlaneRecord { kind, format, extent, view_rect, row_pitch: row_pitch as u64, bytes }
    }

    pub(crate) fn into_plane(self) -> Plane {
        let PlaneRecord { kind, format, extent, view_rect, row_pitch, bytes } = self;
        // A pitch that no memory has is refused with the plane.
        let row_pitch = usize::try_from(row_pitch).unwrap_or(usize::MAX);
        Plane { kind, format, extent, view_rect, row_pitch, bytes: Bytes::from(bytes.into_vec()) }
    }
}

/// A frame that began: its cameras in the scene, and what each pipeline that made it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FrameRecord {
    pub(crate) view: u16,
    pub(crate) desc: FrameDesc,
    /// It came with the engine's planes.
    pub(crate) has_planes: bool,
    /// None: the pipeline did not make it. Without a state nobody could trace it.
    pub(crate) remote: Option<Option<StateRecord>>,
    pub(crate) local: Option<Option<StateRecord>>,
}

/// A scene revision as peers are told it: what they hold, and what moved since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StateRecord {
    pub(crate) scene: u32,
    pub(crate) base: u64,
    pub(crate) delta: StateDelta,
}

/// What a pipeline made of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MadeRecord {
    pub(crate) view: u16,
    pub(crate) frame_id: u64,
    pub(crate) is_local: bool,
    /// How it was cut, without ghost zones.
    pub(crate) tiles: Vec<Rect>,
    /// What was there in time.
    pub(crate) merged: Vec<MergedSlice>,
    /// See [`rayloom_frame::merge::MergedFrame::digest`].
    pub(crate) digest: [u8; 32],
    /// Share of pixels traced for this very frame.
    pub(crate) fresh: f32,
}

/// A slice that became part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MergedSlice {
    /// Index in the frame's tiles.
    pub(crate) tile: u32,
    pub(crate) plane: PlaneKind,
    /// Pixels of the plane, at its scale.
    pub(crate) rect: (u32, u32, u32, u32),
}

impl MergedSlice {
    pub(crate) fn new(tile: u32, plane: PlaneKind, rect: Rect) -> MergedSlice {
        MergedSlice { tile, plane, rect: (rect.x, rect.y, rect.width, rect.height) }
    }
}
