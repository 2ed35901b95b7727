//! Views: what is traced at which size, what is shown, what came of it.

use crate::convention::{convention, rayloom_convention_desc};
use crate::handles::{self, Object, ViewState};
use crate::output::{rayloom_output, rayloom_stage_times};
use crate::plane::{self, RAYLOOM_FORMAT_RGB10A2_UNORM, RAYLOOM_FORMAT_RGBA8_SRGB, RAYLOOM_FORMAT_RGBA16_FLOAT};
use crate::pointer::{self, descriptor};
use crate::result::{Failure, RAYLOOM_UNSUPPORTED, rayloom_result};
use crate::session::{check_flags, rayloom_session};
use crate::{boundary, output};
use sdk::frame::{Extent, LayerKind, LayerRequest, PictureFormat};
use sdk::{
    Accumulation, CameraModel, Denoise, LayerDesc, Lowering, Overlay, PeerConstraints, Tier, ViewDesc, ViewMode,
};
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

/// Diffuse light from lights and sun with shadow rays, divided by the albedo.
pub const RAYLOOM_LAYER_DIRECT: u32 = 0;
/// Specular highlights and reflections, divided by the specular albedo.
pub const RAYLOOM_LAYER_SPECULAR: u32 = 1;
/// One-bounce diffuse global illumination and sky light, divided by the albedo.
pub const RAYLOOM_LAYER_INDIRECT: u32 = 2;
/// Emissive surfaces and the sky, not divided.
pub const RAYLOOM_LAYER_UNLIT: u32 = 3;
/// All light of the pixel by unbiased paths, not divided: the picture itself, for tier 4. It is asked for alone.
pub const RAYLOOM_LAYER_PATH: u32 = 4;

/// Input, physics, gameplay: never leaves the machine, so no layer may have it.
pub const RAYLOOM_TIER_T1: u32 = 1;
/// 16 to 50 ms: shadows, simple reflections.
pub const RAYLOOM_TIER_T2: u32 = 2;
/// 50 to 100 ms: global illumination, complex reflections.
pub const RAYLOOM_TIER_T3: u32 = 3;
/// Above 100 ms: path tracing, offline denoising.
pub const RAYLOOM_TIER_T4: u32 = 4;

/// Outputs carry layers, primary-hit planes and ages beside the composed picture; costs a copy of each.
pub const RAYLOOM_VIEW_OUTPUT_PLANES: u32 = 1;

/// G-buffer mode: frames begin when the planes of the engine's own raster are submitted, and peers light what it saw.
pub const RAYLOOM_VIEW_GBUFFER: u32 = 2;

/// Merged light is smoothed where noise is left, for pictures of one sample a pixel; history is not. Outliers are cut, which
/// makes the picture a little too dark: RAYLOOM_OUTPUT_DENOISED says so. Costs about 0.4 us a pixel of worker threads: for small
/// views, or where there is no GPU (RAYLOOM_VIEW_DENOISE_GPU).
pub const RAYLOOM_VIEW_DENOISE: u32 = 4;

/// As RAYLOOM_VIEW_DENOISE, on the GPU that the embedded peer would take instead of worker threads; RAYLOOM_UNSUPPORTED where
/// there is none. The first view that asks for it opens the device, which takes a while.
pub const RAYLOOM_VIEW_DENOISE_GPU: u32 = 8;

/// As RAYLOOM_VIEW_DENOISE, by Intel Open Image Denoise, RAYLOOM_LAYER_PATH as well: better, and slower. Its library is loaded at
/// run time, where it is installed or from where the environment's RAYLOOM_OIDN says; RAYLOOM_UNSUPPORTED without.
pub const RAYLOOM_VIEW_DENOISE_OPEN_IMAGE: u32 = 16;

/// Peers must be GPUs to trace the view. Where no peer is what a view asks for, RAYLOOM_EVENT_UNTRACEABLE says so and its frames are
/// history.
pub const RAYLOOM_VIEW_GPU_PEERS: u32 = 32;

/// Peers must be GPUs with ray tracing units that are in use.
pub const RAYLOOM_VIEW_RAY_TRACING_PEERS: u32 = 64;

/// Peers must be trusted (trusted_peers of rayloom_session_desc; the embedded one is): for assets that nobody else may have.
pub const RAYLOOM_VIEW_TRUSTED_PEERS: u32 = 128;

/// Where a frame is predicted to be late, fewer samples are traced, down to one a pixel.
pub const RAYLOOM_VIEW_LOWER_SAMPLES: u32 = 256;

/// As RAYLOOM_VIEW_LOWER_SAMPLES, and then layers at full resolution are traced at half of it.
pub const RAYLOOM_VIEW_LOWER_RESOLUTION: u32 = 512;

/// Outputs come at the intervals at which their frames were begun: each is held until what 19 of 20 frames of late took is over since its
/// begin, and comes at once where it took longer. An engine that waits for one output before it begins the next frame gains nothing.
pub const RAYLOOM_VIEW_PACED: u32 = 1024;

/// What the peers traced.
pub const RAYLOOM_VIEW_MODE_REMOTE: u32 = 0;
/// What the embedded peer traced.
pub const RAYLOOM_VIEW_MODE_LOCAL: u32 = 1;
/// The difference of both, amplified.
pub const RAYLOOM_VIEW_MODE_DIFFERENCE: u32 = 2;

/// The camera stays where it is.
pub const RAYLOOM_CAMERA_MODEL_HOLD: u32 = 0;
/// It goes and turns on at the speeds of its last step.
pub const RAYLOOM_CAMERA_MODEL_VELOCITY: u32 = 1;
/// As RAYLOOM_CAMERA_MODEL_VELOCITY, but the direction in which it goes turns with it.
pub const RAYLOOM_CAMERA_MODEL_ARC: u32 = 2;
/// Its speeds go on changing as they did in its last two steps, a little less so.
pub const RAYLOOM_CAMERA_MODEL_ACCELERATION: u32 = 3;
/// It goes on along a line through its last six places.
pub const RAYLOOM_CAMERA_MODEL_FIT: u32 = 4;
/// It goes where the engine says: predicted_camera of rayloom_frame_desc.
pub const RAYLOOM_CAMERA_MODEL_ENGINE: u32 = 5;

/// Nothing is drawn over the picture.
pub const RAYLOOM_OVERLAY_OFF: u32 = 0;
/// Borders of the tiles, who traced each, and in how many milliseconds.
pub const RAYLOOM_OVERLAY_TILES: u32 = 1;
/// What blocks cost: peers' times relative to the fastest, divided by the rays that they counted; dear is bright.
pub const RAYLOOM_OVERLAY_COST: u32 = 2;
/// What blocks were predicted to cost, on the same scale, and each tile's predicted milliseconds.
pub const RAYLOOM_OVERLAY_PREDICTION: u32 = 3;
/// How much longer (red) or shorter (blue) than predicted each tile took, and by how many percent.
pub const RAYLOOM_OVERLAY_ERROR: u32 = 4;

const VIEW_FLAGS: u32 = RAYLOOM_VIEW_OUTPUT_PLANES
    | RAYLOOM_VIEW_GBUFFER
    | RAYLOOM_VIEW_PACED
    | DENOISE_FLAGS
    | PEER_FLAGS
    | LOWERING_FLAGS;
const PEER_FLAGS: u32 = RAYLOOM_VIEW_GPU_PEERS | RAYLOOM_VIEW_RAY_TRACING_PEERS | RAYLOOM_VIEW_TRUSTED_PEERS;
const LOWERING_FLAGS: u32 = RAYLOOM_VIEW_LOWER_SAMPLES | RAYLOOM_VIEW_LOWER_RESOLUTION;
const DENOISE_FLAGS: u32 = RAYLOOM_VIEW_DENOISE | RAYLOOM_VIEW_DENOISE_GPU | RAYLOOM_VIEW_DENOISE_OPEN_IMAGE;

/// struct_type of rayloom_view_desc.
pub const RAYLOOM_STRUCT_VIEW_DESC: u32 = 3;
/// struct_type of rayloom_view_requirements_info.
pub const RAYLOOM_STRUCT_VIEW_REQUIREMENTS_INFO: u32 = 4;
/// struct_type of rayloom_view_stats_info.
pub const RAYLOOM_STRUCT_VIEW_STATS_INFO: u32 = 5;

/// A camera's picture of a scene: split screens, eyes and editor viewports are views of one session.
pub struct rayloom_view {
    _private: [u8; 0],
}

/// What to trace of one layer.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_layer {
    /// A RAYLOOM_LAYER_ value; each at most once.
    pub kind: u32,
    /// RAYLOOM_TIER_T2, _T3 or _T4.
    pub tier: u32,
    /// Time from rayloom_frame_begin to when its result is late; 0 = the tier's (50, 100, 250 ms). 1 ms to 60 s.
    pub deadline_ns: u64,
    /// Samples a traced pixel: 1 to 64.
    pub samples: u32,
    /// One traced pixel per scale x scale block: 1 or 2.
    pub scale: u32,
    /// Surfaces after the camera's at which light is gathered, 1 to 64; 0 = 4. Walks end by chance once they can bring little
    /// more. Direct light has none.
    pub bounces: u32,
    /// 0.
    pub reserved: u32,
}

/// What a view is.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_view_desc {
    /// RAYLOOM_STRUCT_VIEW_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_view_desc).
    pub struct_size: u32,
    /// NULL, or a rayloom_convention_desc with RAYLOOM_CONVENTION_EXPLICIT.
    pub next: *const c_void,
    /// A RAYLOOM_CONVENTION_ value: what cameras and planes are in.
    pub convention: u32,
    /// Width of the picture in pixels: 1 to 16384.
    pub width: u32,
    /// Height of the picture in pixels: 1 to 16384.
    pub height: u32,
    /// RAYLOOM_VIEW_ flags.
    pub flags: u32,
    /// Layers to trace; without any all four at one sample a pixel.
    pub layers: *const rayloom_layer,
    /// Number of layers.
    pub layer_count: u32,
    /// Frames of reprojected history that a pixel is averaged over: 0 (each frame stands alone) to 255.
    pub accumulation_frames: u32,
    /// Radius of the peers' filter in pixels: 0 to 8.
    pub filter_radius: u32,
    /// Tiles a peer, at least: 1 to 16.
    pub tiles_per_peer_min: u32,
    /// Tiles a peer, at most: tiles_per_peer_min to 16.
    pub tiles_per_peer_max: u32,
    /// What the composed picture's pixels are: RAYLOOM_FORMAT_RGBA8_SRGB (0 too), RAYLOOM_FORMAT_RGB10A2_UNORM (sRGB-coded) or
    /// RAYLOOM_FORMAT_RGBA16_FLOAT (linear light).
    pub color_format: u32,
    /// How many frames ahead peers trace, from predicted cameras: 0 (not at all) to 3. It hides so many frames of network and tracing;
    /// wrong predictions cost quality, never a frame. Not with RAYLOOM_VIEW_GBUFFER, nor with accumulation_frames 0; nothing is
    /// predicted in captured sessions.
    pub frames_ahead: u32,
    /// How long the embedded peer may work for each frame on what nothing is known of, in microseconds, at most 1000000: what came into
    /// view while its tile was missing is lit as its neighbours are, and by what that peer traces of it from the next frame on. Only where
    /// it has nothing else to do. 0 = never. Nothing is in captured sessions, in replays and where two pictures are compared.
    pub fill_budget_us: u32,
}
descriptor!(rayloom_view_desc, RAYLOOM_STRUCT_VIEW_DESC);

/// Creates a view.
///
/// Threads: any. The descriptor and everything it points to is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_view_create(
    session: *mut rayloom_session,
    desc: *const rayloom_view_desc,
    view: *mut *mut rayloom_view,
) -> rayloom_result {
    boundary::call("rayloom_view_create", || {
        let state = handles::find(session)?;
        // SAFETY: the header's contract.
        let ((desc, extension), out) = unsafe {
            (pointer::read_extended::<_, rayloom_convention_desc>("desc", desc)?, pointer::out("view", view)?)
        };
        let convention = convention(desc.convention, extension.as_ref())?;
        check_flags("desc->flags", desc.flags, VIEW_FLAGS)?;
        let mut view = ViewDesc::new(Extent::new(desc.width, desc.height));
        // SAFETY: the header's contract.
        let layers = unsafe { layers("desc->layers", desc.layers, desc.layer_count) }?;
        if !layers.is_empty() {
            view.layers = layers;
        }
        view.filter_radius = narrow("desc->filter_radius", desc.filter_radius, 8)?;
        view.accumulation = match narrow("desc->accumulation_frames", desc.accumulation_frames, 255)? {
            0 => Accumulation::Off,
            frames => Accumulation::Frames(frames),
        };
        view.tiles_per_peer = (desc.tiles_per_peer_min, desc.tiles_per_peer_max);
        view.paced = desc.flags & RAYLOOM_VIEW_PACED != 0;
        view.output_planes = desc.flags & RAYLOOM_VIEW_OUTPUT_PLANES != 0;
        view.denoise = match desc.flags & DENOISE_FLAGS {
            0 => Denoise::Off,
            RAYLOOM_VIEW_DENOISE => Denoise::Cpu,
            RAYLOOM_VIEW_DENOISE_GPU => Denoise::Gpu,
            RAYLOOM_VIEW_DENOISE_OPEN_IMAGE => Denoise::OpenImage,
            several => {
                let text = "has several of RAYLOOM_VIEW_DENOISE, _DENOISE_GPU and _DENOISE_OPEN_IMAGE: choose one";
                return Err(Failure::argument(format!("desc->flags {several:#x} {text}")));
            }
        };
        view.picture = picture_format(desc.color_format)?;
        view.frames_ahead = narrow("desc->frames_ahead", desc.frames_ahead, 3)?;
        view.fill_budget = Duration::from_micros(desc.fill_budget_us.into());
        view.gbuffer = desc.flags & RAYLOOM_VIEW_GBUFFER != 0;
        view.constraints = PeerConstraints {
            gpu: desc.flags & RAYLOOM_VIEW_GPU_PEERS != 0,
            ray_tracing: desc.flags & RAYLOOM_VIEW_RAY_TRACING_PEERS != 0,
            trusted: desc.flags & RAYLOOM_VIEW_TRUSTED_PEERS != 0,
        };
        view.lowering = match desc.flags & LOWERING_FLAGS {
            0 => Lowering::Never,
            RAYLOOM_VIEW_LOWER_SAMPLES => Lowering::Samples,
            _ => Lowering::SamplesAndResolution,
        };
        view.convention = convention;
        let view = ViewState { view: state.session.create_view(view)?, convention, open_frames: Arc::default() };
        out.write(handles::add(session, Object::View(Arc::new(view)))?);
        Ok(())
    })
}

/// Ends the view and its frames; outputs that were acquired stay until they are released. NULL does nothing.
///
/// Threads: any, but no other call on the view may be in progress.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_view_destroy(view: *mut rayloom_view) -> rayloom_result {
    boundary::call("rayloom_view_destroy", || if view.is_null() { Ok(()) } else { handles::remove(view) })
}

/// Chooses what outputs show from the next begun frame on: RAYLOOM_VIEW_MODE_REMOTE, _LOCAL or _DIFFERENCE.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_view_set_mode(view: *mut rayloom_view, mode: u32) -> rayloom_result {
    boundary::call("rayloom_view_set_mode", || {
        let mode = match mode {
            RAYLOOM_VIEW_MODE_REMOTE => ViewMode::Remote,
            RAYLOOM_VIEW_MODE_LOCAL => ViewMode::Local,
            RAYLOOM_VIEW_MODE_DIFFERENCE => ViewMode::Difference,
            other => {
                let text = format!("mode is {other}: use RAYLOOM_VIEW_MODE_REMOTE, _LOCAL or _DIFFERENCE");
                return Err(Failure::argument(text));
            }
        };
        Ok(handles::find(view)?.view.set_mode(mode)?)
    })
}

/// Draws tiles, or maps of what blocks of 16 x 16 pixels cost, over the composed picture: a RAYLOOM_OVERLAY_ value, from the next
/// frame on.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_view_set_overlay(view: *mut rayloom_view, overlay: u32) -> rayloom_result {
    boundary::call("rayloom_view_set_overlay", || {
        let overlay = match overlay {
            RAYLOOM_OVERLAY_OFF => Overlay::Off,
            RAYLOOM_OVERLAY_TILES => Overlay::Tiles,
            RAYLOOM_OVERLAY_COST => Overlay::Cost,
            RAYLOOM_OVERLAY_PREDICTION => Overlay::Prediction,
            RAYLOOM_OVERLAY_ERROR => Overlay::Error,
            other => {
                let text = format!("overlay is {other}: use RAYLOOM_OVERLAY_OFF, _TILES, _COST, _PREDICTION or _ERROR");
                return Err(Failure::argument(text));
            }
        };
        Ok(handles::find(view)?.view.set_overlay(overlay)?)
    })
}

/// Which planes rayloom_frame_submit needs and can use for the view's layers: bits 1 << RAYLOOM_PLANE_.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_view_requirements_info {
    /// RAYLOOM_STRUCT_VIEW_REQUIREMENTS_INFO.
    pub struct_type: u32,
    /// sizeof(rayloom_view_requirements_info).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// Planes without which the layers can't be traced.
    pub required_planes: u64,
    /// Planes that make results better.
    pub optional_planes: u64,
}
descriptor!(rayloom_view_requirements_info, RAYLOOM_STRUCT_VIEW_REQUIREMENTS_INFO);

/// Which planes to submit. In state mode (no RAYLOOM_VIEW_GBUFFER) peers trace primary visibility themselves: none.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_view_requirements(
    view: *mut rayloom_view,
    requirements: *mut rayloom_view_requirements_info,
) -> rayloom_result {
    boundary::call("rayloom_view_requirements", || {
        let is_gbuffer = handles::find(view)?.view.is_gbuffer();
        let (required_planes, optional_planes) = if is_gbuffer { plane::requirements() } else { (0, 0) };
        // SAFETY: the header's contract.
        unsafe { pointer::out_struct("requirements", requirements) }?.write(rayloom_view_requirements_info {
            struct_type: RAYLOOM_STRUCT_VIEW_REQUIREMENTS_INFO,
            struct_size: size_of::<rayloom_view_requirements_info>() as u32,
            next: std::ptr::null(),
            required_planes,
            optional_planes,
        });
        Ok(())
    })
}

/// Figures of a view over the last second.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_view_stats_info {
    /// RAYLOOM_STRUCT_VIEW_STATS_INFO.
    pub struct_type: u32,
    /// sizeof(rayloom_view_stats_info).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// Frames finished since the view was created.
    pub frames: u64,
    /// Results that came after their frame was finished.
    pub late_tiles: u64,
    /// Tiles that were missing when their frame was finished.
    pub missing_tiles: u64,
    /// Frames a second of which at least 90 % of the pixels were traced for that frame.
    pub fresh_fps: f32,
    /// Frames a second that were finished, fresh or not.
    pub shown_fps: f32,
    /// Bytes a second to all peers.
    pub sent_bytes_per_s: f32,
    /// Bytes a second from all peers.
    pub received_bytes_per_s: f32,
    /// The last frame's way.
    pub times: rayloom_stage_times,
    /// Peers that are connected.
    pub peer_count: u32,
    /// Tiles of the last finished frame that all peers answered.
    pub tiles: u32,
    /// Frames that were begun with what had been traced ahead (frames_ahead of rayloom_view_desc), since the view was created.
    pub predicted_frames: u64,
    /// Frames that were asked for anew, since what had been asked ahead was not what they show.
    pub missed_predictions: u64,
    /// Whose prediction was taken for the last frame that was asked ahead: a RAYLOOM_CAMERA_MODEL_ value.
    pub camera_model: u32,
    /// How far the last prediction that was taken was off, in pixels: the mean of nine points in the view.
    pub camera_error_px: f32,
    /// Median of the last 64.
    pub camera_error_median_px: f32,
    /// Milliseconds for which the last output was held after its frame was made (RAYLOOM_VIEW_PACED).
    pub held_ms: f32,
    /// Parts of frames that the embedded peer traced since nothing was known of them (fill_budget_us of rayloom_view_desc).
    pub filled_parts: u64,
    /// Their pixels.
    pub filled_pixels: u64,
}
descriptor!(rayloom_view_stats_info, RAYLOOM_STRUCT_VIEW_STATS_INFO);

/// Figures of the last second.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_view_stats(
    view: *mut rayloom_view,
    stats: *mut rayloom_view_stats_info,
) -> rayloom_result {
    boundary::call("rayloom_view_stats", || {
        let state = handles::find(view)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out_struct("stats", stats) }?;
        let stats = state.view.stats();
        out.write(rayloom_view_stats_info {
            struct_type: RAYLOOM_STRUCT_VIEW_STATS_INFO,
            struct_size: size_of::<rayloom_view_stats_info>() as u32,
            next: std::ptr::null(),
            frames: stats.frames,
            late_tiles: stats.late_tiles,
            missing_tiles: stats.missing_tiles,
            fresh_fps: stats.fresh_fps,
            shown_fps: stats.shown_fps,
            sent_bytes_per_s: stats.sent_bytes_per_s,
            received_bytes_per_s: stats.received_bytes_per_s,
            times: stats.times.into(),
            peer_count: stats.peers.len() as u32,
            tiles: stats.peers.iter().map(|peer| peer.tiles).sum(),
            predicted_frames: stats.prediction.predicted_frames,
            missed_predictions: stats.prediction.missed_frames,
            camera_model: camera_model(stats.prediction.model),
            camera_error_px: stats.prediction.errors.last_px,
            camera_error_median_px: stats.prediction.errors.median_px,
            held_ms: stats.held_ms,
            filled_parts: stats.filled_parts,
            filled_pixels: stats.filled_pixels,
        });
        Ok(())
    })
}

fn camera_model(model: CameraModel) -> u32 {
    match model {
        CameraModel::Hold => RAYLOOM_CAMERA_MODEL_HOLD,
        CameraModel::Velocity => RAYLOOM_CAMERA_MODEL_VELOCITY,
        CameraModel::Arc => RAYLOOM_CAMERA_MODEL_ARC,
        CameraModel::Acceleration => RAYLOOM_CAMERA_MODEL_ACCELERATION,
        CameraModel::Fit => RAYLOOM_CAMERA_MODEL_FIT,
        CameraModel::Engine => RAYLOOM_CAMERA_MODEL_ENGINE,
    }
}

/// The figures as one line for people: rates, stages, peers, traffic. Writes at most `capacity` bytes with the NUL, cut to
/// fit; `length` (may be NULL) becomes the whole length without the NUL.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_view_stats_text(
    view: *mut rayloom_view,
    capacity: usize,
    text: *mut c_char,
    length: *mut usize,
) -> rayloom_result {
    boundary::call("rayloom_view_stats_text", || {
        let line = handles::find(view)?.view.stats().to_string();
        // SAFETY: the header's contract.
        unsafe { pointer::write_text(&line, capacity, text, length) }
    })
}

/// The newest finished frame if it is `min_frame_id` or later; waits at most `timeout_ns` for one, 0 never blocks.
/// RAYLOOM_NOT_READY when there is none in time. Release the output by rayloom_output_release.
///
/// Threads: any, a render thread with timeout 0 among them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_view_acquire(
    view: *mut rayloom_view,
    min_frame_id: u64,
    timeout_ns: u64,
    output: *mut *mut rayloom_output,
) -> rayloom_result {
    boundary::call("rayloom_view_acquire", || {
        let state = handles::find(view)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out("output", output) }?;
        let finished = state.view.acquire(min_frame_id, Duration::from_nanos(timeout_ns))?;
        out.write(handles::add(view, Object::Output(Arc::new(output::OutputState::new(finished, state.convention))))?);
        Ok(())
    })
}

fn picture_format(format: u32) -> Result<PictureFormat, Failure> {
    match format {
        0 | RAYLOOM_FORMAT_RGBA8_SRGB => Ok(PictureFormat::Rgba8Srgb),
        RAYLOOM_FORMAT_RGB10A2_UNORM => Ok(PictureFormat::Rgb10a2Srgb),
        RAYLOOM_FORMAT_RGBA16_FLOAT => Ok(PictureFormat::Rgba16Float),
        other => {
            let formats = "RAYLOOM_FORMAT_RGBA8_SRGB, _RGB10A2_UNORM or _RGBA16_FLOAT";
            Err(Failure::argument(format!("desc->color_format is {other}: use {formats}")))
        }
    }
}

/// Layers from C; none gives an empty list.
///
/// # Safety
/// The header's contract for the array.
pub(crate) unsafe fn layers(what: &str, layers: *const rayloom_layer, count: u32) -> Result<Vec<LayerDesc>, Failure> {
    if count as usize > LayerKind::ALL.len() {
        return Err(Failure::argument(format!("{what} has {count} layers, there are {}", LayerKind::ALL.len())));
    }
    // SAFETY: the caller vouches for it; any bits are valid numbers.
    let layers = unsafe { pointer::slice(what, layers, count as usize) }?;
    layers.iter().enumerate().map(|(i, layer)| layer_desc(&format!("{what}[{i}]"), layer)).collect()
}

fn layer_desc(what: &str, layer: &rayloom_layer) -> Result<LayerDesc, Failure> {
    check_reserved(&format!("{what}.reserved"), layer.reserved)?;
    let kind = u8::try_from(layer.kind).ok().and_then(LayerKind::from_u8);
    let kind = kind.ok_or_else(|| Failure::argument(format!("{what}.kind is {}, which is no layer", layer.kind)))?;
    let tier = match layer.tier {
        RAYLOOM_TIER_T1 => {
            let text =
                format!("{what}.tier is T1: what input and gameplay need never leaves the machine; use T2, T3 or T4");
            return Err(Failure::argument(text));
        }
        RAYLOOM_TIER_T2 => Tier::T2,
        RAYLOOM_TIER_T3 => Tier::T3,
        RAYLOOM_TIER_T4 => Tier::T4,
        other => return Err(Failure::argument(format!("{what}.tier is {other}: use RAYLOOM_TIER_T2, _T3 or _T4"))),
    };
    let request = LayerRequest {
        kind,
        samples: narrow(&format!("{what}.samples"), layer.samples, 64)?,
        scale: narrow(&format!("{what}.scale"), layer.scale, 2)?,
        bounces: match layer.bounces {
            0 => LayerRequest::BOUNCES,
            bounces => narrow(&format!("{what}.bounces"), bounces, 64)?,
        },
    };
    let deadline = match layer.deadline_ns {
        0 => tier.default_deadline(),
        deadline_ns @ 1_000_000..=60_000_000_000 => Duration::from_nanos(deadline_ns),
        other => {
            let text =
                format!("{what}.deadline_ns is {other}, allowed is 1000000 to 60000000000, or 0: the tier's own");
            return Err(Failure::argument(text));
        }
    };
    Ok(LayerDesc { request, tier, deadline })
}

fn narrow(what: &str, value: u32, most: u8) -> Result<u8, Failure> {
    let narrowed = u8::try_from(value).ok().filter(|value| *value <= most);
    narrowed.ok_or_else(|| Failure::argument(format!("{what} is {value}, it may be at most {most}")))
}

/// Refuses a value in a field that has no meaning yet, so that it may get one.
pub(crate) fn check_reserved(what: &str, value: u32) -> Result<(), Failure> {
    if value == 0 { Ok(()) } else { Err(Failure::new(RAYLOOM_UNSUPPORTED, format!("{what} is {value}, it must be 0"))) }
}
