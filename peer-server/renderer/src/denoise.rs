//! The filter of merged light (`rayloom_frame::filter`) on the GPU: the same picture within rounding.

use crate::RendererError;
use crate::layout::Push;
use crate::vulkan::{Buffer, Kernel, Kernels, Place, Submitter};
use bytemuck::{Pod, Zeroable};
use glam::Vec2;
use rayloom_frame::filter::{FILTERED, STEPS};
use rayloom_frame::merge::MergedFrame;
use rayloom_frame::{Extent, LayerKind};
use std::sync::Arc;

/// `Merged` of denoise.glsl.
#[repr(C)]
#[derive(Clone, Copy, Default, Pod, Zeroable)]
struct MergedParams {
    depth: u64,
    normal: u64,
    material: u64,
    light: u64,
    extent: [u32; 2],
    reserved: [u32; 2],
    origin: [f32; 4],
    step_x: [f32; 4],
    step_y: [f32; 4],
}

/// Bytes of a pixel of a layer, and of a plane.
const LAYER: u64 = 8;
const PLANE: u64 = 4;
/// Pixels of a workgroup's side.
const GROUP: u32 = 8;

/// Buffers for frames of one size, and the layers of the last one: for shaders 68 bytes a pixel, and 60 more where the CPU
/// writes and reads.
pub struct Denoiser {
    submitter: Arc<Submitter>,
    kernels: Arc<Kernels>,
    room: Option<Room>,
    layers: [Vec<[u16; 4]>; FILTERED.len()],
}

struct Room {
    extent: Extent,
    upload: Arc<Buffer>,
    input: Arc<Buffer>,
    scratch: Arc<Buffer>,
    output: Arc<Buffer>,
    back: Arc<Buffer>,
    params: [Buffer; FILTERED.len()],
}

/// Where things lie: in the input three planes and then the merged layers, in the output the filtered layers.
struct Places {
    pixels: u64,
}

impl Places {
    fn new(extent: Extent) -> Places {
        // Whole lines of sixteen bytes, so that every part is aligned.
        Places { pixels: (extent.pixels() as u64).next_multiple_of(4) }
    }

    fn plane(&self, index: u64) -> u64 {
        index * PLANE * self.pixels
    }

    fn merged(&self, layer: usize) -> u64 {
        self.plane(3) + self.filtered(layer)
    }

    fn filtered(&self, layer: usize) -> u64 {
        layer as u64 * LAYER * self.pixels
    }
}

impl Denoiser {
    pub(crate) fn new(submitter: Arc<Submitter>, kernels: Arc<Kernels>) -> Denoiser {
        Denoiser { submitter, kernels, room: None, layers: Default::default() }
    }

    /// The frame with its direct, specular and indirect light filtered, as `rayloom_frame::filter::Filter::run` gives it.
    ///
    /// # Errors
    /// A lost device, or memory that is not there; the frame is as it was then.
    pub fn run<'a>(&'a mut self, frame: &MergedFrame<'a>) -> Result<MergedFrame<'a>, RendererError> {
        if FILTERED.iter().all(|kind| frame.layer(*kind).is_none()) {
            return Ok(*frame);
        }
        let places = Places::new(frame.extent);
        if self.room.as_ref().is_none_or(|room| room.extent != frame.extent) {
            self.room = None;
            self.room = Some(Room::new(&self.submitter, frame.extent, &places)?);
        }
        let room = self.room.as_mut().expect("it was made just now");
        room.write(frame, &places);
        let mut recorder = self.submitter.record()?;
        recorder.copy(&room.upload, &room.input, places.merged(FILTERED.len()));
        recorder.barrier();
        let groups = (frame.extent.width.div_ceil(GROUP), frame.extent.height.div_ceil(GROUP));
        for (i, kind) in FILTERED.into_iter().enumerate().filter(|(_, kind)| frame.layer(*kind).is_some()) {
            let mut pass = |step: usize, from: u64, to: u64, is_last: bool| {
                let push = Push {
                    params: room.params[i].address(),
                    source: from,
                    target: to,
                    samples: step as u32,
                    radius: is_last.into(),
                    kind: (kind == LayerKind::Specular).into(),
                    ..Push::default()
                };
                recorder.dispatch(&self.kernels, Kernel::Denoise, groups, bytemuck::bytes_of(&push));
                recorder.barrier();
            };
            // To and fro between two buffers; the last pass writes the result.
            let (mut from, mut to) = (room.scratch.address(), room.output.address() + places.filtered(i));
            pass(0, room.input.address() + places.merged(i), from, false);
            for (index, step) in STEPS.into_iter().enumerate() {
                pass(step, from, to, index + 1 == STEPS.len());
                std::mem::swap(&mut from, &mut to);
            }
        }
        recorder.copy(&room.output, &room.back, places.filtered(FILTERED.len()));
        recorder.barrier();
        let buffers = [&room.upload, &room.input, &room.scratch, &room.output, &room.back].map(Arc::clone);
        let keeps = (self.kernels.clone(), buffers);
        recorder.submit(Box::new(keeps))?.wait()?;
        let pixels = frame.extent.pixels();
        for (i, (kind, layer)) in FILTERED.into_iter().zip(&mut self.layers).enumerate() {
            layer.clear();
            if frame.layer(kind).is_some() {
                let start = places.filtered(i) as usize;
                let bytes = &room.back.bytes()[start..start + pixels * LAYER as usize];
                layer.extend_from_slice(bytemuck::cast_slice(bytes));
            }
        }
        Ok(FILTERED.into_iter().zip(&self.layers).fold(*frame, |frame, (kind, layer)| frame.with_layer(kind, layer)))
    }
}

impl Room {
    fn new(submitter: &Submitter, extent: Extent, places: &Places) -> Result<Room, RendererError> {
        let context = submitter.context();
        let buffer = |name, bytes, place| Buffer::new(context, name, bytes, place).map(Arc::new);
        let params = || Buffer::uploaded(context, "filter parameters", bytemuck::bytes_of(&MergedParams::default()));
        Ok(Room {
            extent,
            upload: buffer("merged frame", places.merged(FILTERED.len()), Place::Upload)?,
            input: buffer("merged frame on the device", places.merged(FILTERED.len()), Place::Device)?,
            scratch: buffer("a pass of the filter", places.filtered(1), Place::Device)?,
            output: buffer("filtered layers on the device", places.filtered(FILTERED.len()), Place::Device)?,
            back: buffer("filtered layers", places.filtered(FILTERED.len()), Place::Readback)?,
            params: [params()?, params()?, params()?],
        })
    }

    fn write(&mut self, frame: &MergedFrame<'_>, places: &Places) {
        let upload = Arc::get_mut(&mut self.upload).expect("a submission is waited for before the next");
        let mut put = |place: u64, bytes: &[u8]| {
            assert!(upload.write(place as usize, bytes), "upload buffers are mapped");
        };
        put(places.plane(0), bytemuck::cast_slice(&frame.planes.depth));
        put(places.plane(1), bytemuck::cast_slice(&frame.planes.normal));
        put(places.plane(2), bytemuck::cast_slice(&frame.planes.material));
        let at = |place: u64| self.input.address() + place;
        let size = Vec2::new(frame.extent.width as f32, frame.extent.height as f32);
        let ray = |x, y| frame.camera.ray(Vec2::new(x, y), size);
        let origin = ray(0.5, 0.5);
        let (step_x, step_y) = (ray(1.5, 0.5) - origin, ray(0.5, 1.5) - origin);
        for (i, kind) in FILTERED.into_iter().enumerate() {
            let Some(layer) = frame.layer(kind) else { continue };
            put(places.merged(i), bytemuck::cast_slice(layer));
            let params = MergedParams {
                depth: at(places.plane(0)),
                normal: at(places.plane(1)),
                material: at(places.plane(2)),
                light: at(places.merged(i)),
                extent: [frame.extent.width, frame.extent.height],
                reserved: [0; 2],
                origin: origin.extend(step_x.length().max(step_y.length())).to_array(),
                step_x: step_x.extend(0.0).to_array(),
                step_y: step_y.extend(0.0).to_array(),
            };
            assert!(self.params[i].write(0, bytemuck::bytes_of(&params)), "upload buffers are mapped");
        }
    }
}
