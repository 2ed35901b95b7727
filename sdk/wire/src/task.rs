//! What a peer is asked to do: the state of one frame, and tiles of it to trace.

use crate::cursor::{Reader, Writer, out_of_range, unknown};
use crate::{StateDelta, WireError, limits};
use rayloom_frame::{Extent, LayerKind, LayerRequest, Rect};
use rayloom_scene::Camera;
use std::time::Duration;

/// A layer to trace, and when its result is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    /// What to trace.
    pub request: LayerRequest,
    /// Time from when this was sent until the layer is late, in milliseconds.
    pub deadline_ms: u16,
}

/// Peers trace a session's tiles in the order in which they came, but that one overtakes those that are due later by more than this.
/// A tile is due with the first of its layers.
pub const OVERTAKES_BY: Duration = Duration::from_millis(5);

/// Tiles that a peer has begun at once: while one is read back, the device has the other.
pub const TILES_AT_ONCE: usize = 2;

/// What kind of work a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TaskKind {
    /// Trace a tile.
    Trace = 0,
}

/// One tile to trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Unique in the session.
    pub id: u64,
    /// What kind of work.
    pub kind: TaskKind,
    /// The tile in absolute pixels of the view, without its ghost zone.
    pub rect: Rect,
    /// Width of the ghost zone in pixels (none at the view's edges).
    pub ghost: u8,
}

/// What the previous frame was, for motion vectors.
#[derive(Clone, Debug, PartialEq)]
pub enum PreviousFrame {
    /// The frame with this id, which this peer has received.
    Known(u64),
    /// Its camera and what stood elsewhere than in the base revision.
    Explicit(Camera, StateDelta),
}

/// What the engine's own raster saw takes the place of primary rays: each task's planes follow as [`crate::TileSlice`]s that
/// cover its rectangle with its ghost zone, grown to whole 2x2 blocks of the view. The task waits for all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GivenPlanes {
    /// Normals of the triangles come too; without them the shading normals serve.
    pub geometric_normal: bool,
    /// Emitted light comes too.
    pub emissive: bool,
    /// How far depth may be off, as a share of it: 0 to 1.
    pub depth_error: f32,
}

/// One message: the state of one frame and the tiles of it that this peer traces.
///
/// **State is complete**: it names a scene revision that the peer reported ready, and everything that differs from it.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameTasks {
    /// The session's number for the view.
    pub view: u16,
    /// The frame's id: seeds every sample.
    pub frame_id: u64,
    /// The scene.
    pub scene: u32,
    /// Base revision, reported ready by this peer.
    pub revision: u64,
    /// Size of the view in pixels.
    pub extent: Extent,
    /// The camera.
    pub camera: Camera,
    /// What differs from the base revision.
    pub delta: StateDelta,
    /// The frame before it.
    pub previous: PreviousFrame,
    /// Layers to trace.
    pub layers: Vec<LayerSpec>,
    /// Radius of the peer's stateless filter in pixels; 0 = none. At most the tasks' ghost width.
    pub filter_radius: u8,
    /// Light in the layers is to be multiplied by this; that of the engine's planes was already.
    pub pre_exposure: f32,
    /// True: planes of the primary hits come back too (state mode).
    pub primary: bool,
    /// G-buffer mode: planes of the primary hits come from the engine.
    pub planes: Option<GivenPlanes>,
    /// True: layers come back bit for bit instead of RGB9E5.
    pub lossless: bool,
    /// The tiles.
    pub tasks: Vec<Task>,
}

/// Engine to peer: these tasks are no longer wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelTasks {
    /// Their ids.
    pub ids: Vec<u64>,
}

/// Bits of a frame's flags.
const PRIMARY: u8 = 1;
const LOSSLESS: u8 = 2;
const PLANES: u8 = 4;
const GEOMETRIC_NORMAL: u8 = 8;
const EMISSIVE: u8 = 16;

impl FrameTasks {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u16(self.view);
        w.u64(self.frame_id);
        w.u32(self.scene);
        w.u64(self.revision);
        w.extent(self.extent);
        w.u8(self.filter_radius);
        w.f32(self.pre_exposure);
        let planes = self.planes.map_or(0, |planes| {
            PLANES | (u8::from(planes.geometric_normal) * GEOMETRIC_NORMAL) | (u8::from(planes.emissive) * EMISSIVE)
        });
        w.u8((u8::from(self.primary) * PRIMARY) | (u8::from(self.lossless) * LOSSLESS) | planes);
        if let Some(planes) = self.planes {
            w.f32(planes.depth_error);
        }
        w.camera(&self.camera);
        self.delta.write(w);
        match &self.previous {
            PreviousFrame::Known(frame_id) => {
                w.u8(0);
                w.u64(*frame_id);
            }
            PreviousFrame::Explicit(camera, delta) => {
                w.u8(1);
                w.camera(camera);
                delta.write(w);
            }
        }
        w.count(self.layers.len());
        for layer in &self.layers {
            w.u8(layer.request.kind as u8);
            w.u8(layer.request.samples);
            w.u8(layer.request.scale);
            w.u8(layer.request.bounces);
            w.u16(layer.deadline_ms);
        }
        w.count(self.tasks.len());
        for task in &self.tasks {
            w.u64(task.id);
            w.u8(task.kind as u8);
            w.rect(task.rect);
            w.u8(task.ghost);
        }
    }

    pub(crate) fn read(r: &mut Reader) -> Result<FrameTasks, WireError> {
        let (view, frame_id) = (r.u16("tasks.view")?, r.u64("tasks.frame_id")?);
        let (scene, revision) = (r.u32("tasks.scene")?, r.u64("tasks.revision")?);
        let extent = r.extent("tasks.extent")?;
        let filter_radius = r.u8("tasks.filter_radius")?;
        if filter_radius > limits::FILTER_RADIUS {
            return Err(out_of_range("tasks.filter_radius", filter_radius, "at most 8"));
        }
        let pre_exposure = r.finite("tasks.pre_exposure")?;
        if pre_exposure <= 0.0 {
            return Err(out_of_range("tasks.pre_exposure", pre_exposure, "above 0"));
        }
        let flags = r.u8("tasks.flags")?;
        if flags >= EMISSIVE << 1 {
            return Err(out_of_range("tasks.flags", flags, "below 32"));
        }
        let planes = if flags & PLANES != 0 { Some(read_planes(r, flags)?) } else { None };
        let camera = r.camera("tasks.camera")?;
        let delta = StateDelta::read(r)?;
        let previous = match r.u8("tasks.previous")? {
            0 => PreviousFrame::Known(r.u64("tasks.previous.frame_id")?),
            1 => PreviousFrame::Explicit(r.camera("tasks.previous.camera")?, StateDelta::read(r)?),
            value => return Err(unknown("kind of previous frame", value)),
        };
        let count = r.count("tasks.layers", limits::LAYERS, 6)?;
        let layers = (0..count).map(|_| read_layer(r)).collect::<Result<Vec<_>, _>>()?;
        let count = r.count("tasks.tasks", limits::TASKS_PER_MESSAGE, 18)?;
        let tasks = (0..count).map(|_| read_task(r, extent)).collect::<Result<Vec<_>, _>>()?;
        let (primary, lossless) = (flags & PRIMARY != 0, flags & LOSSLESS != 0);
        Ok(FrameTasks {
            view,
            frame_id,
            scene,
            revision,
            extent,
            camera,
            delta,
            previous,
            layers,
            filter_radius,
            pre_exposure,
            primary,
            planes,
            lossless,
            tasks,
        })
    }
}

fn read_planes(r: &mut Reader, flags: u8) -> Result<GivenPlanes, WireError> {
    let depth_error = r.finite("tasks.planes.depth_error")?;
    if !(0.0..=1.0).contains(&depth_error) {
        return Err(out_of_range("tasks.planes.depth_error", depth_error, "0 to 1"));
    }
    let (geometric_normal, emissive) = (flags & GEOMETRIC_NORMAL != 0, flags & EMISSIVE != 0);
    Ok(GivenPlanes { geometric_normal, emissive, depth_error })
}

fn read_layer(r: &mut Reader) -> Result<LayerSpec, WireError> {
    let kind = r.u8("layer.kind")?;
    let kind = LayerKind::from_u8(kind).ok_or_else(|| unknown("layer", kind))?;
    let (samples, scale) = (r.u8("layer.samples")?, r.u8("layer.scale")?);
    if samples == 0 || samples > limits::SAMPLES {
        return Err(out_of_range("layer.samples", samples, "1 to 64"));
    }
    if scale != 1 && scale != 2 {
        return Err(out_of_range("layer.scale", scale, "1 or 2"));
    }
    let bounces = r.u8("layer.bounces")?;
    if bounces > limits::BOUNCES {
        return Err(out_of_range("layer.bounces", bounces, "at most 64"));
    }
    Ok(LayerSpec { request: LayerRequest { kind, samples, scale, bounces }, deadline_ms: r.u16("layer.deadline_ms")? })
}

fn read_task(r: &mut Reader, extent: Extent) -> Result<Task, WireError> {
    let id = r.u64("task.id")?;
    let kind = match r.u8("task.kind")? {
        0 => TaskKind::Trace,
        value => return Err(unknown("kind of task", value)),
    };
    let rect = r.rect("task.rect")?;
    if !extent.rect().contains_rect(rect) {
        let allowed = format!("within {}x{}", extent.width, extent.height);
        return Err(out_of_range("task.rect", format!("{rect:?}"), allowed));
    }
    Ok(Task { id, kind, rect, ghost: r.u8("task.ghost")? })
}

impl CancelTasks {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.count(self.ids.len());
        self.ids.iter().for_each(|id| w.u64(*id));
    }

    pub(crate) fn read(r: &mut Reader) -> Result<CancelTasks, WireError> {
        let count = r.count("cancel.ids", 1024, 8)?;
        let ids = (0..count).map(|_| r.u64("cancel.id")).collect::<Result<Vec<_>, _>>()?;
        Ok(CancelTasks { ids })
    }
}
