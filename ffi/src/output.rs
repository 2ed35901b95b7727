//! Outputs: finished frames, readable until they are released.

use crate::boundary;
use crate::camera::rayloom_camera;
use crate::handles;
use crate::plane::{RAYLOOM_FORMAT_RGB10A2_UNORM, RAYLOOM_FORMAT_RGBA8_SRGB, RAYLOOM_FORMAT_RGBA16_FLOAT};
use crate::pointer::{self, descriptor};
use crate::result::rayloom_result;
use sdk::frame::{Convention, PictureFormat, PlaneKind};
use sdk::{Output, OutputPlanes, StageTimes};
use std::ffi::c_void;
use std::sync::Arc;

/// Layer of diffuse direct light: 4 half floats a pixel, scene-linear RGB, alpha 1 on surfaces and 0 on sky.
pub const RAYLOOM_PLANE_LAYER_DIRECT: u32 = 0;
/// Layer of specular light: 4 half floats a pixel, RGB, alpha = hit distance in metres (65504 = sky).
pub const RAYLOOM_PLANE_LAYER_SPECULAR: u32 = 1;
/// Layer of indirect diffuse light: 4 half floats a pixel, RGB, alpha = hit distance in metres.
pub const RAYLOOM_PLANE_LAYER_INDIRECT: u32 = 2;
/// Layer of emissive surfaces and sky: 4 half floats a pixel, RGB, alpha 1 on surfaces and 0 on sky.
pub const RAYLOOM_PLANE_LAYER_UNLIT: u32 = 3;
/// Layer of all light by paths: 4 half floats a pixel, RGB not divided, alpha = share of samples that met a surface.
pub const RAYLOOM_PLANE_LAYER_PATH: u32 = 4;
/// float: planar distance along the view axis in metres, infinity on sky.
pub const RAYLOOM_PLANE_DEPTH: u32 = 16;
/// uint32_t: octahedral shading normal in world space, two 16-bit snorm, x in the low half.
pub const RAYLOOM_PLANE_NORMAL: u32 = 17;
/// uint32_t: base colour, R in the lowest byte, sRGB-coded; alpha in the highest.
pub const RAYLOOM_PLANE_BASE_COLOR: u32 = 18;
/// uint32_t: roughness in the lowest byte, then metalness, zero, flags (bit 0: hit by a primary ray).
pub const RAYLOOM_PLANE_MATERIAL: u32 = 19;
/// uint32_t: two half floats: where the surface was in the frame before minus where it is, in pixels, +x right, +y down,
/// without jitter. 65504 both ways, out of any view: it was not seen then, and its tile is missing.
pub const RAYLOOM_PLANE_MOTION: u32 = 20;
/// uint32_t: id of the instance + 1; 0 on sky.
pub const RAYLOOM_PLANE_INSTANCE_ID: u32 = 21;
/// uint8_t: age of the pixel in frames; 0 was traced for this very frame, 255 never was.
pub const RAYLOOM_PLANE_AGE: u32 = 32;

/// Layers and picture were filtered and outliers cut (RAYLOOM_VIEW_DENOISE): they are biased.
pub const RAYLOOM_OUTPUT_DENOISED: u32 = 1;

/// struct_type of rayloom_output_info.
pub const RAYLOOM_STRUCT_OUTPUT_INFO: u32 = 8;

/// A finished frame.
pub struct rayloom_output {
    _private: [u8; 0],
}

/// What became of one tile of a frame.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_tile {
    /// Left column.
    pub x: u32,
    /// Top row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The peer it was given to: its place in the session's list, or RAYLOOM_EMBEDDED_PEER.
    pub peer: u32,
    /// 1 when it was there in time.
    pub arrived: u32,
    /// Milliseconds that the peer worked on it; 0 when it did not arrive.
    pub peer_ms: f32,
}

/// One plane of an output.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_output_plane {
    /// A RAYLOOM_PLANE_ value; it says the format.
    pub kind: u32,
    /// Bytes a pixel.
    pub pixel_size: u32,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub row_pitch: u64,
    /// First byte of the top row.
    pub data: *const c_void,
}

/// Where a frame's time went, in milliseconds, along the way of the tile that came last.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct rayloom_stage_times {
    /// From begin until the session's thread took it up.
    pub submit_ms: f32,
    /// Cutting and assigning.
    pub plan_ms: f32,
    /// Coding and sending, until the peer had it.
    pub send_ms: f32,
    /// Waiting at the peer for its turn.
    pub queue_ms: f32,
    /// Camera and moved objects to the device.
    pub upload_ms: f32,
    /// Tracing and filtering.
    pub trace_ms: f32,
    /// Reading back and coding.
    pub encode_ms: f32,
    /// On the way back, until the last slice was decoded.
    pub return_ms: f32,
    /// Waiting for the frame's turn to be merged.
    pub wait_ms: f32,
    /// Merging.
    pub merge_ms: f32,
    /// Filtering what was merged; 0 without RAYLOOM_VIEW_DENOISE.
    pub filter_ms: f32,
    /// Composing.
    pub compose_ms: f32,
    /// Begin to finished.
    pub total_ms: f32,
    /// What each block will cost, before cutting and assigning.
    pub analyse_ms: f32,
}

impl From<StageTimes> for rayloom_stage_times {
    fn from(times: StageTimes) -> rayloom_stage_times {
        rayloom_stage_times {
            submit_ms: times.submit_ms,
            plan_ms: times.plan_ms,
            send_ms: times.send_ms,
            queue_ms: times.queue_ms,
            upload_ms: times.upload_ms,
            trace_ms: times.trace_ms,
            encode_ms: times.encode_ms,
            return_ms: times.return_ms,
            wait_ms: times.wait_ms,
            merge_ms: times.merge_ms,
            filter_ms: times.filter_ms,
            compose_ms: times.compose_ms,
            total_ms: times.total_ms,
            analyse_ms: times.analyse_ms,
        }
    }
}

/// What an output holds. Pointers are valid until it is released.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_output_info {
    /// RAYLOOM_STRUCT_OUTPUT_INFO.
    pub struct_type: u32,
    /// sizeof(rayloom_output_info).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// The frame.
    pub frame_id: u64,
    /// The engine's own time of the frame.
    pub time_ns: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The composed picture: opaque, rows from the top.
    pub color: *const u8,
    /// Bytes from one row of it to the next.
    pub color_row_pitch: u64,
    /// The camera that it is valid for.
    pub camera: rayloom_camera,
    /// Share of pixels traced for this very frame, 0 to 1.
    pub fresh: f32,
    /// Number of tiles.
    pub tile_count: u32,
    /// Tiles as planned, and what became of each.
    pub tiles: *const rayloom_tile,
    /// Layers, planes and ages; none unless the view has RAYLOOM_VIEW_OUTPUT_PLANES.
    pub planes: *const rayloom_output_plane,
    /// Number of planes.
    pub plane_count: u32,
    /// RAYLOOM_OUTPUT_ flags.
    pub flags: u32,
    /// What the composed picture's pixels are: the view's color_format.
    pub color_format: u32,
    /// What light in the layers is multiplied by.
    pub pre_exposure: f32,
    /// Where the time went.
    pub times: rayloom_stage_times,
    /// How old the pixels of each layer are in the mean, in frames, by its RAYLOOM_LAYER_ number; layers that are due later than the
    /// frame are by design. Below 0 where a layer was not asked for; a pixel that was never traced counts as 255.
    pub layer_ages: [f32; 8],
}
descriptor!(rayloom_output_info, RAYLOOM_STRUCT_OUTPUT_INFO);

/// An acquired output with its lists as C reads them.
pub(crate) struct OutputState {
    output: Arc<Output>,
    tiles: Vec<rayloom_tile>,
    planes: Vec<rayloom_output_plane>,
    /// Of the view.
    convention: Convention,
}

// SAFETY: the pointers in `planes` go into `output`, which lives as long, is not written any more and is `Sync` itself.
unsafe impl Send for OutputState {}
// SAFETY: as above.
unsafe impl Sync for OutputState {}

impl OutputState {
    pub(crate) fn new(output: Arc<Output>, convention: Convention) -> OutputState {
        let tiles = output.tiles.iter().map(|tile| rayloom_tile {
            x: tile.rect.x,
            y: tile.rect.y,
            width: tile.rect.width,
            height: tile.rect.height,
            peer: tile.peer,
            arrived: tile.arrived.into(),
            peer_ms: tile.peer_ms,
        });
        let planes =
            output.planes.as_ref().map_or(Vec::new(), |planes| list(planes, output.size.width, output.size.height));
        OutputState { tiles: tiles.collect(), planes, output, convention }
    }
}

fn list(planes: &OutputPlanes, width: u32, height: u32) -> Vec<rayloom_output_plane> {
    fn plane<T>(kind: u32, (width, height): (u32, u32), data: &[T]) -> rayloom_output_plane {
        let pixel_size = size_of::<T>() as u32;
        let row_pitch = u64::from(width) * u64::from(pixel_size);
        rayloom_output_plane { kind, pixel_size, width, height, row_pitch, data: data.as_ptr().cast() }
    }
    let size = (width, height);
    let layers = planes.layers.iter().map(|(kind, pixels)| plane(PlaneKind::Layer(*kind).to_u8().into(), size, pixels));
    let primary = &planes.primary;
    layers
        .chain([
            plane(RAYLOOM_PLANE_DEPTH, size, &primary.depth),
            plane(RAYLOOM_PLANE_NORMAL, size, &primary.normal),
            plane(RAYLOOM_PLANE_BASE_COLOR, size, &primary.base_color),
            plane(RAYLOOM_PLANE_MATERIAL, size, &primary.material),
            plane(RAYLOOM_PLANE_MOTION, size, &primary.motion),
            plane(RAYLOOM_PLANE_INSTANCE_ID, size, &primary.instance_id),
            plane(RAYLOOM_PLANE_AGE, size, &planes.ages),
        ])
        .collect()
}

/// What the output holds.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_output_describe(
    output: *mut rayloom_output,
    info: *mut rayloom_output_info,
) -> rayloom_result {
    boundary::call("rayloom_output_describe", || {
        let state = handles::find(output)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out_struct("info", info) }?;
        let output = &*state.output;
        let mut layer_ages = [-1.0; 8];
        output.layer_ages.iter().for_each(|(kind, age)| layer_ages[*kind as usize] = age.mean);
        out.write(rayloom_output_info {
            struct_type: RAYLOOM_STRUCT_OUTPUT_INFO,
            struct_size: size_of::<rayloom_output_info>() as u32,
            next: std::ptr::null(),
            frame_id: output.frame_id,
            time_ns: output.time_ns,
            width: output.size.width,
            height: output.size.height,
            color: output.color.as_ptr(),
            color_row_pitch: u64::from(output.size.width) * output.format.bytes_per_pixel() as u64,
            camera: rayloom_camera::from_camera(&state.convention, &output.camera),
            fresh: output.fresh,
            tile_count: state.tiles.len() as u32,
            tiles: state.tiles.as_ptr(),
            planes: state.planes.as_ptr(),
            plane_count: state.planes.len() as u32,
            flags: if output.is_denoised { RAYLOOM_OUTPUT_DENOISED } else { 0 },
            color_format: match output.format {
                PictureFormat::Rgba8Srgb => RAYLOOM_FORMAT_RGBA8_SRGB,
                PictureFormat::Rgb10a2Srgb => RAYLOOM_FORMAT_RGB10A2_UNORM,
                PictureFormat::Rgba16Float => RAYLOOM_FORMAT_RGBA16_FLOAT,
            },
            pre_exposure: output.pre_exposure,
            times: output.times.into(),
            layer_ages,
        });
        Ok(())
    })
}

/// Ends the output and every pointer into it. NULL does nothing.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_output_release(output: *mut rayloom_output) -> rayloom_result {
    boundary::call("rayloom_output_release", || if output.is_null() { Ok(()) } else { handles::remove(output) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plane_numbers_are_those_of_the_wire() {
        let numbers = [
            RAYLOOM_PLANE_DEPTH,
            RAYLOOM_PLANE_NORMAL,
            RAYLOOM_PLANE_BASE_COLOR,
            RAYLOOM_PLANE_MATERIAL,
            RAYLOOM_PLANE_MOTION,
            RAYLOOM_PLANE_INSTANCE_ID,
        ];
        assert_eq!(PlaneKind::PRIMARY.map(|kind| u32::from(kind.to_u8())), numbers);
    }
}
