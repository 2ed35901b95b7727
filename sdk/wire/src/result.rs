//! Slices of a tile: the engine's planes on their way to a peer, what it traced on the way back; then how the work went.

use crate::cursor::{Reader, Writer, out_of_range, unknown};
use crate::{WireError, limits};
use bytes::Bytes;
use rayloom_frame::{PlaneKind, Rect};

/// Some rows of one plane of a tile, decodable alone. Peer to engine: what was traced. Engine to peer: what the engine's
/// own raster saw, for a task of a frame with [`crate::GivenPlanes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileSlice {
    /// The task.
    pub task: u64,
    /// The frame.
    pub frame_id: u64,
    /// This slice's number, below `count`.
    pub index: u16,
    /// Slices of the whole tile.
    pub count: u16,
    /// Which plane.
    pub plane: PlaneKind,
    /// The plane has one pixel per `scale` x `scale` block.
    pub scale: u8,
    /// How the payload is coded (see `rayloom_frame::codec`).
    pub codec: u8,
    /// Absolute in the plane's own pixels.
    pub rect: Rect,
    /// The coded pixels.
    pub payload: Bytes,
}

/// Stamps of a tile on its peer, in nanoseconds of the peer's own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TileTimings {
    /// The task's message arrived.
    pub received_ns: u64,
    /// Its turn came.
    pub started_ns: u64,
    /// Scene state and camera are on the device.
    pub uploaded_ns: u64,
    /// Traced and filtered.
    pub traced_ns: u64,
    /// Read back and coded, less the time for which coding waited for the link.
    pub encoded_ns: u64,
}

/// Peer to engine: a tile's slices have all been handed to the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileDone {
    /// The task.
    pub task: u64,
    /// The frame.
    pub frame_id: u64,
    /// Slices of the whole tile.
    pub slices: u16,
    /// The rectangle that was traced, ghost zone included.
    pub rect: Rect,
    /// When what happened.
    pub timings: TileTimings,
    /// BLAKE3 of the raw traced tile: a commitment that can be checked later.
    pub digest: [u8; 32],
    /// Rays traced per 16x16 block that `rect` touches, rows from the top.
    pub block_rays: Vec<u32>,
}

/// What a peer lacks for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TaskRefusal {
    /// Something else; the reason says what.
    Other = 0,
    /// Memory on its device.
    Memory = 1,
    /// Its device, for good.
    Device = 2,
    /// Room: it has as many tasks of this session as it takes at once.
    Room = 3,
}

/// Peer to engine: a task will not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRefused {
    /// The task.
    pub task: u64,
    /// The frame.
    pub frame_id: u64,
    /// What it lacks.
    pub lacks: TaskRefusal,
    /// Why, and what to do.
    pub reason: String,
}

impl TileSlice {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u64(self.task);
        w.u64(self.frame_id);
        w.u16(self.index);
        w.u16(self.count);
        w.u8(self.plane.to_u8());
        w.u8(self.scale);
        w.u8(self.codec);
        w.rect(self.rect);
        w.raw(&self.payload);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<TileSlice, WireError> {
        let (task, frame_id) = (r.u64("slice.task")?, r.u64("slice.frame_id")?);
        let (index, count) = (r.u16("slice.index")?, r.u16("slice.count")?);
        if count == 0 || count > limits::SLICES_PER_TILE || index >= count {
            return Err(out_of_range("slice.index", format!("{index} of {count}"), "index < count <= 8192"));
        }
        let plane = r.u8("slice.plane")?;
        let plane = PlaneKind::from_u8(plane).ok_or_else(|| unknown("plane", plane))?;
        let scale = r.u8("slice.scale")?;
        if scale != 1 && scale != 2 {
            return Err(out_of_range("slice.scale", scale, "1 or 2"));
        }
        let (codec, rect) = (r.u8("slice.codec")?, r.rect("slice.rect")?);
        let payload = r.rest("slice.payload", limits::SLICE_PAYLOAD_BYTES)?;
        Ok(TileSlice { task, frame_id, index, count, plane, scale, codec, rect, payload })
    }
}

impl TileDone {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u64(self.task);
        w.u64(self.frame_id);
        w.u16(self.slices);
        w.rect(self.rect);
        let t = &self.timings;
        [t.received_ns, t.started_ns, t.uploaded_ns, t.traced_ns, t.encoded_ns].into_iter().for_each(|ns| w.u64(ns));
        w.raw(&self.digest);
        w.count(self.block_rays.len());
        self.block_rays.iter().for_each(|rays| w.u32(*rays));
    }

    pub(crate) fn read(r: &mut Reader) -> Result<TileDone, WireError> {
        let (task, frame_id) = (r.u64("done.task")?, r.u64("done.frame_id")?);
        let (slices, rect) = (r.u16("done.slices")?, r.rect("done.rect")?);
        let timings = TileTimings {
            received_ns: r.u64("done.received_ns")?,
            started_ns: r.u64("done.started_ns")?,
            uploaded_ns: r.u64("done.uploaded_ns")?,
            traced_ns: r.u64("done.traced_ns")?,
            encoded_ns: r.u64("done.encoded_ns")?,
        };
        let digest = r.hash("done.digest")?;
        let count = r.count("done.block_rays", limits::BLOCKS_PER_TILE, 4)?;
        let block_rays = (0..count).map(|_| r.u32("done.block_rays")).collect::<Result<Vec<_>, _>>()?;
        Ok(TileDone { task, frame_id, slices, rect, timings, digest, block_rays })
    }
}

impl TaskRefused {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u64(self.task);
        w.u64(self.frame_id);
        w.u8(self.lacks as u8);
        w.text(&self.reason);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<TaskRefused, WireError> {
        Ok(TaskRefused {
            task: r.u64("task_refused.task")?,
            frame_id: r.u64("task_refused.frame_id")?,
            lacks: match r.u8("task_refused.lacks")? {
                0 => TaskRefusal::Other,
                1 => TaskRefusal::Memory,
                2 => TaskRefusal::Device,
                3 => TaskRefusal::Room,
                value => return Err(unknown("task refusal", value)),
            },
            reason: r.text("task_refused.reason")?,
        })
    }
}
