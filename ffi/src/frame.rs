//! Frames: begun with a camera, given planes where there are any.

use crate::boundary;
use crate::camera::rayloom_camera;
use crate::handles::{self, FrameState, Object};
use crate::plane::{self, rayloom_plane_desc};
use crate::pointer::{self, descriptor};
use crate::result::{Failure, RAYLOOM_INVALID_STATE, rayloom_result};
use crate::session::check_flags;
use crate::view::{check_reserved, layers, rayloom_layer, rayloom_view};
use glam::Vec3;
use sdk::frame::Convention;
use sdk::{FrameDesc, ToneMap};
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Nothing of the frame before is to be seen in this one: a cut, a teleport.
pub const RAYLOOM_FRAME_CUT: u32 = 1;

/// Light as it is: formats of whole numbers clamp it to 0..1, RAYLOOM_FORMAT_RGBA16_FLOAT keeps it.
pub const RAYLOOM_TONE_MAP_LINEAR: u32 = 0;
/// A fit of the ACES filmic curve.
pub const RAYLOOM_TONE_MAP_ACES: u32 = 1;
/// AgX without a look: bright colours turn white instead of clipping.
pub const RAYLOOM_TONE_MAP_AGX: u32 = 2;

/// struct_type of rayloom_frame_desc.
pub const RAYLOOM_STRUCT_FRAME_DESC: u32 = 6;

/// Frames of a view that may wait for their planes.
const OPEN_FRAMES_LIMIT: u32 = 64;

/// A frame that was begun and waits for rayloom_frame_submit.
pub struct rayloom_frame {
    _private: [u8; 0],
}

/// One frame of a view.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_frame_desc {
    /// RAYLOOM_STRUCT_FRAME_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_frame_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// Grows from frame to frame, UINT64_MAX - 1 at most; seeds the samples.
    pub frame_id: u64,
    /// A revision from rayloom_scene_commit, of a scene that was not destroyed: the newest of its scene, or one of the session's last
    /// 512. Another one is refused. Until a peer is ready for it the last ready one is shown.
    pub revision: u64,
    /// The engine's own time of the frame; comes back with its output.
    pub time_ns: u64,
    /// The point of the world that the cameras are relative to, in the convention's axes and units: added in double
    /// precision. Zero where they are relative to the scene itself.
    pub world_origin: [f64; 3],
    /// The camera.
    pub camera: rayloom_camera,
    /// The camera of the frame before; NULL = the last begun frame's.
    pub previous_camera: *const rayloom_camera,
    /// Radiance is multiplied by this before the tone map of the composed picture; above 0.
    pub exposure: f32,
    /// What layers hold is radiance times this, and so is what the engine's plane of emitted light holds; above 0. It keeps
    /// half floats in range; the composed picture does not depend on it.
    pub pre_exposure: f32,
    /// A RAYLOOM_TONE_MAP_ value, of the composed picture.
    pub tone_map: u32,
    /// RAYLOOM_FRAME_ flags.
    pub flags: u32,
    /// Number of layers.
    pub layer_count: u32,
    /// 0.
    pub reserved: u32,
    /// Other layers than the view's for this frame; none = the view's.
    pub layers: *const rayloom_layer,
    /// The camera that the engine expects frames_ahead (of rayloom_view_desc) frames after this one; NULL = Rayloom predicts it. Counts
    /// for nothing where no frames are traced ahead.
    pub predicted_camera: *const rayloom_camera,
}
descriptor!(rayloom_frame_desc, RAYLOOM_STRUCT_FRAME_DESC);

/// Begins a frame; peers start at once. It will be finished at its deadline at the latest, with what is there.
/// RAYLOOM_BUSY when max_frames_in_flight frames of this view are not finished yet.
/// `frame` may be NULL where no planes will be submitted (state mode). With RAYLOOM_VIEW_GBUFFER it may not: the frame is
/// opened and begins with rayloom_frame_submit; it counts as in flight until it is finished or discarded.
///
/// Threads: any, a render thread among them; one at a time for a view. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_frame_begin(
    view: *mut rayloom_view,
    desc: *const rayloom_frame_desc,
    frame: *mut *mut rayloom_frame,
) -> rayloom_result {
    boundary::call("rayloom_frame_begin", || {
        let state = handles::find(view)?;
        // SAFETY: the header's contract.
        let desc = unsafe { pointer::read("desc", desc) }?;
        // SAFETY: the header's contract.
        let out = if frame.is_null() { None } else { Some(unsafe { pointer::out("frame", frame) }?) };
        let size = state.view.size();
        // SAFETY: the header's contract.
        let begun = unsafe { description(&desc, &state.convention, size.width as f32 / size.height as f32) }?;
        if state.view.is_gbuffer() {
            let Some(out) = out else {
                return Err(Failure::argument(
                    "frame is NULL: the view has RAYLOOM_VIEW_GBUFFER, planes follow with it",
                ));
            };
            let open = FrameState::Open { frame: state.view.open_frame(begun)?, size };
            out.write(handles::add(view, Object::Frame(Arc::new(open)))?);
            return Ok(());
        }
        let Some(out) = out else { return Ok(state.view.begin_frame(begun)?) };
        // Counted first: the frame's drop takes it back.
        let open = state.open_frames.fetch_add(1, Ordering::AcqRel);
        let waiting = FrameState::Begun { open_frames: Arc::clone(&state.open_frames) };
        if open >= OPEN_FRAMES_LIMIT {
            let text = format!(
                "{open} frames of this view were begun and never submitted: submit each, or pass NULL for frame"
            );
            return Err(Failure::new(RAYLOOM_INVALID_STATE, text));
        }
        state.view.begin_frame(begun)?;
        out.write(handles::add(view, Object::Frame(Arc::new(waiting)))?);
        Ok(())
    })
}

/// # Safety
/// The header's contract for the pointers inside.
unsafe fn description(
    desc: &rayloom_frame_desc,
    convention: &Convention,
    view_aspect: f32,
) -> Result<FrameDesc, Failure> {
    check_flags("desc->flags", desc.flags, RAYLOOM_FRAME_CUT)?;
    check_reserved("desc->reserved", desc.reserved)?;
    let camera = desc.camera.to_camera(convention, "desc->camera", view_aspect)?;
    let other = |what: &str, camera: *const rayloom_camera| {
        if camera.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL; the caller vouches for the memory; any bits are valid floats.
        let other = unsafe { pointer::slice(what, camera, 1) }?;
        other[0].to_camera(convention, what, view_aspect).map(Some)
    };
    let previous_camera = other("desc->previous_camera", desc.previous_camera)?;
    let predicted_camera = other("desc->predicted_camera", desc.predicted_camera)?;
    let tone_map = match desc.tone_map {
        RAYLOOM_TONE_MAP_LINEAR => ToneMap::Linear,
        RAYLOOM_TONE_MAP_ACES => ToneMap::Aces,
        RAYLOOM_TONE_MAP_AGX => ToneMap::Agx,
        other => {
            let text = format!("desc->tone_map is {other}: use RAYLOOM_TONE_MAP_LINEAR, _ACES or _AGX");
            return Err(Failure::argument(text));
        }
    };
    let [x, y, z] = desc.world_origin;
    // In the scene's axes it would be another one.
    if ![x, y, z].into_iter().all(f64::is_finite) {
        return Err(Failure::argument(format!("desc->world_origin is [{x}, {y}, {z}], it must be finite")));
    }
    let axes = [Vec3::X, Vec3::Y, Vec3::Z].map(|axis| convention.point(axis).as_dvec3());
    Ok(FrameDesc {
        time_ns: desc.time_ns,
        world_origin: axes[0] * x + axes[1] * y + axes[2] * z,
        previous_camera,
        predicted_camera,
        cut: desc.flags & RAYLOOM_FRAME_CUT != 0,
        exposure: desc.exposure,
        pre_exposure: desc.pre_exposure,
        tone_map,
        // SAFETY: the caller vouches for it.
        layers: unsafe { layers("desc->layers", desc.layers, desc.layer_count) }?,
        ..FrameDesc::new(desc.frame_id, desc.revision, camera)
    })
}

/// Submits the planes of a frame and ends its handle. `count` 0 is state mode: peers trace primary visibility themselves.
/// A frame of a view with RAYLOOM_VIEW_GBUFFER begins here, and its deadlines count from here; frames are submitted in the
/// order in which they were begun. On failure the frame stays, and nothing of the planes is kept.
///
/// Lent planes (RAYLOOM_LIFETIME_BORROW) are read on another thread: RAYLOOM_EVENT_PLANES_RELEASED says when it is done.
///
/// Threads: any, a render thread among them. Never blocks; copies what asks for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_frame_submit(
    frame: *mut rayloom_frame,
    planes: *const rayloom_plane_desc,
    count: u32,
) -> rayloom_result {
    boundary::call("rayloom_frame_submit", || {
        let state = handles::find(frame)?;
        match &*state {
            FrameState::Open { frame, size } => {
                // SAFETY: the header's contract.
                let planes = unsafe { plane::read(planes, count, *size) }?;
                frame.submit(planes)?;
            }
            FrameState::Begun { .. } if count > 0 => {
                let text = format!("{count} planes for a view without RAYLOOM_VIEW_GBUFFER: create it with that flag");
                return Err(Failure::new(RAYLOOM_INVALID_STATE, text));
            }
            FrameState::Begun { .. } => {}
        }
        handles::remove(frame)
    })
}

/// Gives a frame up that will not be submitted, for example because its readback was dropped. NULL does nothing.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_frame_discard(frame: *mut rayloom_frame) -> rayloom_result {
    boundary::call("rayloom_frame_discard", || if frame.is_null() { Ok(()) } else { handles::remove(frame) })
}
