//! One tile's way over the GPU: its buffers, its passes, and its pixels back.

use crate::frame::GpuFrame;
use crate::layout::{CameraParams, Params, Push};
use crate::vulkan::{Buffer, Context, Kernel, Kernels, Place, Recorder, Submission};
use crate::{RendererError, TraceJob};
use rayloom_frame::demodulate::{scaled_sample_offset, scaled_sample_pixel};
use rayloom_frame::{Extent, GBuffer, LayerKind, LayerPlane, LayerRequest, Primary, Rect, TracedTile};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Tiles that may be in flight at once.
pub const MAX_IN_FLIGHT: usize = 8;
/// Pixels along a side of a block whose rays are counted.
const BLOCK: u32 = 16;
/// Layer pixels along a side of a workgroup.
const GROUP: u32 = 8;
/// Planes of four bytes a pixel: depth, normal, base colour, material, motion, instance, geometric normal.
const PLANES: u64 = 7;

/// Where a tile's time went.
#[derive(Clone, Debug, Default)]
pub struct TraceTimings {
    /// From submission until the GPU was seen to be done (the wait for earlier tiles included).
    pub latency: Duration,
    /// What the GPU's clock says about each pass; empty where the device has no timestamps.
    pub passes: Vec<(&'static str, Duration)>,
    /// Copying pixels out of mapped memory.
    pub readback: Duration,
}

impl TraceTimings {
    /// Time of all passes.
    pub fn gpu(&self) -> Duration {
        self.passes.iter().map(|p| p.1).sum()
    }
}

/// Where things lie in a tile's output buffer, in bytes.
struct Places {
    plane_bytes: u64,
    unlit: u64,
    layers: Vec<u64>,
    scratch: u64,
    block_rays: u64,
    block_rays_bytes: u64,
    end: u64,
}

/// Buffers of a tile in flight; reused by later tiles.
pub(crate) struct Slot {
    params: Buffer,
    output: Buffer,
    /// The engine's planes, where tiles have had any.
    planes: Option<Buffer>,
    readback: Option<Buffer>,
}

impl Slot {
    pub(crate) fn new(context: &Arc<Context>, bytes: u64) -> Result<Slot, RendererError> {
        let output = Buffer::new(context, "tile", bytes, Place::Device)?;
        let readback = if output.is_readable() {
            None
        } else {
            Some(Buffer::new(context, "tile readback", bytes, Place::Readback)?)
        };
        let params = Buffer::new(context, "parameters", size_of::<Params>() as u64, Place::Upload)?;
        Ok(Slot { params, output, planes: None, readback })
    }

    /// Brings the planes where shaders find them.
    fn upload(&mut self, context: &Arc<Context>, planes: &GBuffer) -> Result<(), RendererError> {
        let plane_bytes = planes.extent.pixels() * 4;
        let bytes = (planes.planes_for_peers().count() * plane_bytes) as u64;
        if self.planes.as_ref().is_none_or(|buffer| buffer.size() < bytes) {
            self.planes = Some(Buffer::new(context, "the engine's planes", bytes, Place::Upload)?);
        }
        if let Some(buffer) = &mut self.planes {
            for (index, (_, words)) in planes.planes_for_peers().enumerate() {
                assert!(buffer.write(index * plane_bytes, bytemuck::cast_slice(words)), "upload buffers are mapped");
            }
        }
        Ok(())
    }

    pub(crate) fn holds(&self, bytes: u64) -> bool {
        self.output.size() >= bytes
    }

    fn bytes(&self) -> &[u8] {
        self.readback.as_ref().unwrap_or(&self.output).bytes()
    }
}

/// Counts a tile in flight for as long as it lives.
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    pub(crate) fn take(count: &Arc<AtomicUsize>) -> Result<InFlight, RendererError> {
        let taken = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < MAX_IN_FLIGHT).then_some(n + 1));
        taken.map_err(|_| RendererError::TooManyInFlight { limit: MAX_IN_FLIGHT })?;
        Ok(InFlight(count.clone()))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A job's plan: rectangles, places and passes.
pub(crate) struct Plan {
    frame_id: u64,
    extent: Extent,
    rect: Rect,
    padded: Rect,
    layers: Vec<LayerRequest>,
    filter_radius: u32,
    is_seen_through: bool,
    primary: bool,
    /// Bits of passes/planes.glsl for what the engine gave.
    planes: Option<u32>,
    blocks: Rect,
    places: Places,
}

impl Plan {
    /// Of a validated job, in a scene in which surfaces may be seen through or not.
    pub(crate) fn new(job: &TraceJob<'_>, is_seen_through: bool) -> Plan {
        let padded = job.padded();
        let blocks = job.rect.scaled(BLOCK);
        let aligned = |bytes: u64| bytes.next_multiple_of(256);
        let pixels = padded.pixels() as u64;
        let plane_bytes = aligned(pixels * 4);
        let mut end = plane_bytes * PLANES;
        let mut take = |bytes: u64| {
            let at = end;
            end += aligned(bytes);
            at
        };
        let unlit = take(pixels * 8);
        let layers = job.layers.iter().map(|l| take(padded.scaled(l.scale.into()).pixels() as u64 * 8)).collect();
        let scratch = take(if job.filter_radius > 0 { pixels * 8 } else { 0 });
        let block_rays_bytes = blocks.pixels() as u64 * 4;
        let block_rays = take(block_rays_bytes);
        Plan {
            frame_id: job.frame_id,
            extent: job.extent,
            rect: job.rect,
            padded,
            layers: job.layers.to_vec(),
            filter_radius: job.filter_radius,
            is_seen_through,
            primary: job.primary,
            planes: job.planes.map(|planes| {
                u32::from(!planes.geometric_normal.is_empty()) | u32::from(!planes.emissive.is_empty()) << 1
            }),
            blocks,
            places: Places { plane_bytes, unlit, layers, scratch, block_rays, block_rays_bytes, end },
        }
    }

    /// Bytes of output buffer that it needs.
    pub(crate) fn bytes(&self) -> u64 {
        self.places.end
    }

    fn params(&self, job: &TraceJob<'_>, frame: &GpuFrame, tables: u64, output: u64) -> Params {
        let plane = |i: u64| output + i * self.places.plane_bytes;
        let scene = &frame.scene;
        let sky = scene.environment;
        let wants_unlit = self.layers.iter().any(|l| l.kind == LayerKind::Unlit);
        Params {
            tlas: frame.placement.tree.address(),
            instances: frame.placement.instances.address(),
            materials: scene.materials.address(),
            textures: scene.texture_table.address(),
            lights: frame.lights.address(),
            light_tree: frame.lights.tree_address(),
            sun_luminance: frame.lights.sun_luminance,
            tree_lights: frame.lights.tree_lights,
            tables,
            depth: plane(0),
            normal: plane(1),
            base_color: plane(2),
            material: plane(3),
            motion: plane(4),
            instance_id: plane(5),
            geometric_normal: plane(6),
            unlit: if wants_unlit { output + self.places.unlit } else { 0 },
            block_rays: output + self.places.block_rays,
            punctual_end: frame.lights.punctual_count,
            depth_error: job.planes.map_or(0.0, |planes| planes.depth_error),
            rect: [self.padded.x, self.padded.y, self.padded.width, self.padded.height],
            view: [self.extent.width, self.extent.height, self.frame_id as u32, frame.lights.directional_count],
            blocks: [self.blocks.x, self.blocks.y, self.blocks.width, frame.lights.count],
            camera: CameraParams::new(
                &job.camera,
                &job.previous_camera,
                [self.extent.width, self.extent.height],
                job.pre_exposure,
            ),
            zenith: sky.zenith.extend(0.0).to_array(),
            horizon: sky.horizon.extend(0.0).to_array(),
            ground: sky.ground.extend(0.0).to_array(),
        }
    }

    /// Records primary hits, layers, filters; gives the names of the stamped passes.
    fn record(&self, recorder: &mut Recorder, kernels: &Kernels, slot: &Slot) -> Vec<&'static str> {
        let output = slot.output.address();
        let push = |scale: u8, samples: u8, target: u64| {
            let (x, y) = scaled_sample_offset(self.frame_id, scale.into());
            let params = slot.params.address();
            Push {
                params,
                target,
                samples: samples.into(),
                scale: scale.into(),
                sample_offset: [x, y],
                ..Push::default()
            }
        };
        recorder.clear(&slot.output, self.places.block_rays, self.places.block_rays_bytes);
        recorder.barrier();
        recorder.stamp();
        let (name, kernel, push_first) = match (self.planes, &slot.planes) {
            (Some(kind), Some(given)) => {
                ("planes", Kernel::Planes, Push { source: given.address(), kind, ..push(1, 1, 0) })
            }
            _ => ("primary", Kernel::Primary, push(1, 1, 0)),
        };
        let mut names = vec![name];
        recorder.dispatch(kernels, kernel, self.groups(1), bytemuck::bytes_of(&push_first));
        recorder.barrier();
        recorder.stamp();
        for (layer, place) in self.layers.iter().zip(&self.places.layers) {
            let kernel = match layer.kind {
                LayerKind::Direct => Kernel::Direct,
                LayerKind::Specular => Kernel::Specular,
                LayerKind::Indirect => Kernel::Indirect,
                LayerKind::Path => Kernel::Path,
                // Emission and the sky came with the primary hits.
                LayerKind::Unlit if self.is_seen_through => Kernel::Transmission,
                LayerKind::Unlit => continue,
            };
            let scale = if layer.kind == LayerKind::Unlit { 1 } else { layer.scale };
            let push = Push { bounces: layer.bounces.into(), ..push(scale, layer.samples, output + place) };
            recorder.dispatch(kernels, kernel, self.groups(scale), bytemuck::bytes_of(&push));
            names.push(layer.kind.name());
            recorder.stamp();
        }
        recorder.barrier();
        for (layer, place) in self.layers.iter().zip(&self.places.layers) {
            let radius = self.filter_radius / u32::from(layer.scale);
            let kind = match layer.kind {
                LayerKind::Specular => 1,
                LayerKind::Indirect => 2,
                LayerKind::Direct | LayerKind::Unlit | LayerKind::Path => continue,
            };
            if radius == 0 {
                continue;
            }
            let (layer_at, scratch) = (output + place, output + self.places.scratch);
            for (axis, source, target) in [(0, layer_at, scratch), (1, scratch, layer_at)] {
                let push = Push { source, axis, radius, kind, ..push(layer.scale, 1, target) };
                recorder.dispatch(kernels, Kernel::Filter, self.groups(layer.scale), bytemuck::bytes_of(&push));
                recorder.barrier();
            }
            names.push("filter");
            recorder.stamp();
        }
        if let Some(readback) = &slot.readback {
            recorder.copy(&slot.output, readback, self.places.end);
            recorder.barrier();
            names.push("copy");
            recorder.stamp();
        }
        names
    }

    /// Workgroups that cover the padded rectangle, anchored at multiples of a group of the whole view.
    fn groups(&self, scale: u8) -> (u32, u32) {
        let r = self.padded.scaled(scale.into());
        let along = |first: u32, end: u32| end.div_ceil(GROUP) - first / GROUP;
        (along(r.x, r.right()), along(r.y, r.bottom()))
    }

    fn read(&self, bytes: &[u8]) -> TracedTile {
        let plane = |i: u64| -> Vec<u32> { self.crop(bytes, i * self.places.plane_bytes) };
        let layers = self.layers.iter().zip(&self.places.layers).map(|(layer, place)| {
            let rect = self.rect.scaled(layer.scale.into());
            let pixels = match (layer.kind, layer.scale) {
                (LayerKind::Unlit, 1) => self.crop(bytes, self.places.unlit),
                (LayerKind::Unlit, _) => self.coarse_unlit(bytes, layer.scale.into()),
                (_, 1) => self.crop(bytes, *place),
                _ => bytemuck::pod_collect_to_vec(&bytes[*place as usize..][..rect.pixels() * 8]),
            };
            LayerPlane { kind: layer.kind, scale: layer.scale, rect, pixels }
        });
        let layers = layers.collect();
        let primary = self.primary.then(|| Primary {
            depth: plane(0).into_iter().map(f32::from_bits).collect(),
            normal: plane(1),
            base_color: plane(2),
            material: plane(3),
            motion: plane(4),
            instance_id: plane(5),
        });
        let block_rays = &bytes[self.places.block_rays as usize..][..self.places.block_rays_bytes as usize];
        TracedTile { rect: self.rect, layers, primary, block_rays: bytemuck::pod_collect_to_vec(block_rays) }
    }

    /// The asked-for rectangle out of a plane over the padded one.
    fn crop<T: bytemuck::Pod>(&self, bytes: &[u8], place: u64) -> Vec<T> {
        let (r, p) = (self.rect, self.padded);
        let row_bytes = p.width as usize * size_of::<T>();
        let skip = (r.x - p.x) as usize * size_of::<T>();
        let mut out: Vec<T> = vec![T::zeroed(); r.pixels()];
        for (row, out) in out.chunks_exact_mut(r.width as usize).enumerate() {
            let from = place as usize + (row + (r.y - p.y) as usize) * row_bytes + skip;
            let out: &mut [u8] = bytemuck::cast_slice_mut(out);
            out.copy_from_slice(&bytes[from..from + out.len()]);
        }
        out
    }

    /// The unlit layer comes with the primary hits; of a coarse one, the pixel that each block stands for is taken.
    fn coarse_unlit(&self, bytes: &[u8], scale: u32) -> Vec<[u16; 4]> {
        let rect = self.rect.scaled(scale);
        let mut out = Vec::with_capacity(rect.pixels());
        for y in rect.y..rect.bottom() {
            for x in rect.x..rect.right() {
                let (x, y) = scaled_sample_pixel(x, y, self.frame_id, scale, self.extent);
                let index = (y - self.padded.y) as usize * self.padded.width as usize + (x - self.padded.x) as usize;
                let from = self.places.unlit as usize + index * 8;
                out.push(bytemuck::pod_read_unaligned(&bytes[from..from + 8]));
            }
        }
        out
    }
}

/// A tile that the GPU works on. Dropping it waits for the GPU and throws the tile away.
pub struct Ticket {
    submission: Submission,
    slot: Arc<Slot>,
    plan: Plan,
    names: Vec<&'static str>,
    submitted: Instant,
    _in_flight: InFlight,
}

impl Ticket {
    pub(crate) fn begin(
        frame: &Arc<GpuFrame>,
        kernels: &Arc<Kernels>,
        tables: &Arc<Buffer>,
        job: &TraceJob<'_>,
        plan: Plan,
        mut slot: Slot,
        in_flight: InFlight,
    ) -> Result<Ticket, RendererError> {
        let params = plan.params(job, frame, tables.address(), slot.output.address());
        assert!(slot.params.write(0, bytemuck::bytes_of(&params)), "upload buffers are mapped");
        if let Some(planes) = job.planes {
            slot.upload(frame.scene.submitter.context(), planes)?;
        }
        let mut recorder = frame.scene.submitter.record()?;
        let names = plan.record(&mut recorder, kernels, &slot);
        let slot = Arc::new(slot);
        let submitted = Instant::now();
        let keeps = Box::new((frame.clone(), kernels.clone(), tables.clone(), slot.clone()));
        let submission = recorder.submit(keeps)?;
        Ok(Ticket { submission, slot, plan, names, submitted, _in_flight: in_flight })
    }

    /// True when [`Ticket::wait`] would not block.
    pub fn poll(&self) -> Result<bool, RendererError> {
        self.submission.poll()
    }

    /// Waits for the GPU and reads the tile; the slot is for the next tile.
    pub(crate) fn finish(self) -> Result<(TracedTile, TraceTimings, Option<Slot>), RendererError> {
        self.submission.wait()?;
        let latency = self.submitted.elapsed();
        let reading = Instant::now();
        let tile = self.plan.read(self.slot.bytes());
        let readback = reading.elapsed();
        let passes = self.names.iter().copied().zip(self.submission.intervals()).collect();
        drop(self.submission);
        Ok((tile, TraceTimings { latency, passes, readback }, Arc::into_inner(self.slot)))
    }
}
