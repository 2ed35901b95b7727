//! The renderer: a device, its kernels, and what goes in and out.

use crate::frame::{FrameState, GpuFrame};
use crate::scene::{self, AssetCache, GpuScene, Progress};
use crate::tile::{InFlight, MAX_IN_FLIGHT, Plan, Slot, Ticket, TraceTimings};
use crate::vulkan::{Buffer, Context, Instance, Kernels, Submitter, candidates, choose};
use crate::{Denoiser, DeviceKind, DeviceReport, FrontEnd, RayBatch, RayKind, RendererError, TraceJob, glass_table};
use parking_lot::Mutex;
use rayloom_frame::demodulate::SPECULAR_TABLE;
use rayloom_frame::srgb::srgb_to_linear;
use rayloom_frame::{Extent, GBuffer, LayerKind, LayerRequest, TracedTile};
use rayloom_scene::{Camera, Environment, Instance as Placed, Light, LightShape, Material, Mesh, MeshPart, Scene};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// What front ends are measured by: a city of so many triangles, in so many pixels, the least of so many frames.
const MEASURED_TRIANGLES: usize = 50_000;
const MEASURED_EXTENT: Extent = Extent::new(640, 360);
const MEASURED_FRAMES: u64 = 4;

/// How to open a device.
#[derive(Clone, Debug, Default)]
pub struct RendererOptions {
    /// Which device: its number in [`list_devices`] or a part of its name; `None` takes the best.
    pub device: Option<String>,
    /// Accept a CPU device.
    pub allow_cpu: bool,
    /// Load the validation layer (core and synchronization checks): slow, for tests.
    pub validation: bool,
    /// Where the driver's compiled pipelines are kept; `None` keeps none.
    pub pipeline_cache: Option<PathBuf>,
    /// How rays are traced; `None` takes compute on a CPU, and elsewhere the fastest that the device has.
    pub front_end: Option<FrontEnd>,
    /// Most bytes of GPU memory that buffers may take together; `None` takes what there is.
    pub memory_limit: Option<u64>,
}

/// All Vulkan devices of this machine, with the reason why one can't be used.
pub fn list_devices() -> Result<Vec<DeviceReport>, RendererError> {
    Ok(candidates(&Instance::new(false)?)?.into_iter().map(|c| c.report).collect())
}

/// An open device. All methods may be called from any thread.
pub struct Renderer {
    context: Arc<Context>,
    submitter: Arc<Submitter>,
    kernels: Arc<Kernels>,
    tables: Arc<Buffer>,
    cache: AssetCache,
    slots: Mutex<Vec<Slot>>,
    in_flight: Arc<AtomicUsize>,
    front_end: FrontEnd,
    choice: String,
}

impl Renderer {
    /// Opens a device and chooses the front end: where several are offered and none is asked for, each traces a small scene
    /// first. Shaders are compiled when they first run: see [`Renderer::warm_up`].
    pub fn new(options: &RendererOptions) -> Result<Renderer, RendererError> {
        let instance = Instance::new(options.validation)?;
        let found = candidates(&instance)?;
        let (candidate, reason) = choose(found, options.device.as_deref(), options.allow_cpu)?;
        let device = format!("{} ({reason})", candidate.report.name);
        let wanted = wanted_front_ends(&candidate.report, options.front_end)?;
        let context = Arc::new(Context::new(instance, candidate, &wanted, options.memory_limit)?);
        let open = |front_end| Renderer::with_front_end(context.clone(), front_end, options);
        let (mut renderer, why) = match &*wanted {
            [one] => {
                let why = if options.front_end.is_some() { "it was asked for" } else { "no other is considered here" };
                (open(*one)?, why.to_owned())
            }
            several => fastest(several, open)?,
        };
        renderer.choice = format!("{device}, front end {} ({why})", renderer.front_end);
        Ok(renderer)
    }

    fn with_front_end(
        context: Arc<Context>,
        front_end: FrontEnd,
        options: &RendererOptions,
    ) -> Result<Renderer, RendererError> {
        let submitter = Arc::new(Submitter::new(context.clone()));
        let kernels = Arc::new(Kernels::new(&submitter, front_end, options.pipeline_cache.as_deref())?);
        let tables = Arc::new(Buffer::with_bytes(&submitter, "tables", bytemuck::cast_slice(&tables()))?);
        Ok(Renderer {
            context,
            submitter,
            kernels,
            tables,
            cache: AssetCache::default(),
            slots: Mutex::default(),
            in_flight: Arc::default(),
            front_end,
            choice: String::new(),
        })
    }

    /// The device that traces.
    pub fn device(&self) -> &DeviceReport {
        &self.context.report
    }

    /// How rays are traced.
    pub fn front_end(&self) -> FrontEnd {
        self.front_end
    }

    /// Bytes of GPU memory that buffers take.
    pub fn memory_bytes(&self) -> u64 {
        self.context.memory_taken()
    }

    /// From here on the device counts as lost, as after a GPU's reset.
    #[cfg(feature = "fault-injection")]
    pub fn lose_device(&self) {
        self.context.lost.store(true, std::sync::atomic::Ordering::Release);
    }

    /// The names of device and front end and why they were taken, for a log line.
    pub fn choice(&self) -> &str {
        &self.choice
    }

    /// The first 256 messages of the validation layer; empty without it.
    pub fn validation_messages(&self) -> Vec<String> {
        self.context.instance.messages.all()
    }

    /// How many messages the validation layer had.
    pub fn validation_message_count(&self) -> u64 {
        self.context.instance.messages.count()
    }

    /// Puts a scene on the GPU. Meshes and textures (the same `Arc`s) that an earlier scene brought are not uploaded again
    /// while that scene is alive. `progress` is called from this thread.
    pub fn create_scene(&self, scene: &Scene, progress: &mut dyn FnMut(Progress)) -> Result<GpuScene, RendererError> {
        scene::create(&self.submitter, &self.kernels, self.front_end, &self.cache, scene, progress)
    }

    /// Traces a tile and waits for it.
    pub fn trace(
        &self,
        frame: &Arc<GpuFrame>,
        job: &TraceJob<'_>,
    ) -> Result<(TracedTile, TraceTimings), RendererError> {
        self.wait(self.trace_begin(frame, job)?)
    }

    /// Hands a tile to the GPU. At most [`MAX_IN_FLIGHT`] may be under way.
    pub fn trace_begin(&self, frame: &Arc<GpuFrame>, job: &TraceJob<'_>) -> Result<Ticket, RendererError> {
        job.validate()?;
        let in_flight = InFlight::take(&self.in_flight)?;
        let plan = Plan::new(job, frame.scene.is_seen_through);
        let slot = self.slot(plan.bytes())?;
        Ticket::begin(frame, &self.kernels, &self.tables, job, plan, slot, in_flight)
    }

    /// Waits for a tile.
    pub fn wait(&self, ticket: Ticket) -> Result<(TracedTile, TraceTimings), RendererError> {
        let (tile, timings, slot) = ticket.finish()?;
        let mut slots = self.slots.lock();
        if let Some(slot) = slot
            && slots.len() < MAX_IN_FLIGHT
        {
            slots.push(slot);
        }
        Ok((tile, timings))
    }

    /// Puts rays on the GPU that are traced on their own, without shading: to compare and measure front ends. At most
    /// [`crate::rays::MAX_RAYS`] of them; `t_min` is at least 0 and at most `t_max`.
    pub fn ray_batch(
        &self,
        frame: &Arc<GpuFrame>,
        rays: &[rayloom_bvh::Ray],
        kind: RayKind,
    ) -> Result<RayBatch, RendererError> {
        RayBatch::new(frame, &self.kernels, rays, kind)
    }

    /// A filter for merged frames, which keeps its buffers from frame to frame.
    pub fn denoiser(&self) -> Denoiser {
        Denoiser::new(self.submitter.clone(), self.kernels.clone())
    }

    /// A free slot of sufficient size, the smallest first, or a new one.
    fn slot(&self, bytes: u64) -> Result<Slot, RendererError> {
        let mut slots = self.slots.lock();
        match slots.iter().position(|s| s.holds(bytes)) {
            Some(i) => Ok(slots.swap_remove(i)),
            None => {
                // A smaller one makes room, or a growing window would leave every size it had behind.
                slots.pop();
                drop(slots);
                Slot::new(&self.context, bytes)
            }
        }
    }

    /// The least time of a frame of a small city once warm: all layers at a sample a pixel.
    fn time_of_small_frame(&self) -> Result<Duration, RendererError> {
        let scene = rayloom_scene::city(MEASURED_TRIANGLES, 1);
        let camera = scene.cameras.first().map_or(Camera::with_fov(1.0, 16.0 / 9.0), |named| named.camera);
        let on_gpu = self.create_scene(&scene, &mut |_| ())?;
        let frame = Arc::new(on_gpu.frame(&FrameState::default())?);
        let layers = LayerKind::REAL_TIME.map(|kind| LayerRequest {
            kind,
            samples: 1,
            scale: 1,
            bounces: LayerRequest::BOUNCES,
        });
        let job = TraceJob::whole_view(MEASURED_EXTENT, camera, &layers);
        let mut least = Duration::MAX;
        for frame_id in 0..=MEASURED_FRAMES {
            let (_, timings) = self.trace(&frame, &TraceJob { frame_id, ..job })?;
            let time = if timings.passes.is_empty() { timings.latency } else { timings.gpu() };
            // The first compiles.
            if frame_id > 0 {
                least = least.min(time);
            }
        }
        Ok(least)
    }

    /// Compiles everything by running it once, so that the first real tile is not late, and stores the pipeline cache.
    pub fn warm_up(&self) -> Result<(), RendererError> {
        let scene = self.create_scene(&warm_up_scene(), &mut |_| ())?;
        let frame = Arc::new(scene.frame(&FrameState::default())?);
        let layers =
            LayerKind::ALL.map(|kind| LayerRequest { kind, samples: 1, scale: 2, bounces: LayerRequest::BOUNCES });
        let job = TraceJob::whole_view(Extent::new(16, 16), Camera::with_fov(1.0, 1.0), &layers);
        self.trace(&frame, &TraceJob { filter_radius: 2, ..job })?;
        let planes = GBuffer::sky(job.extent, false, false);
        self.trace(&frame, &TraceJob { planes: Some(&planes), ..job })?;
        self.kernels.store_cache();
        Ok(())
    }
}

/// The front ends to choose from.
fn wanted_front_ends(device: &DeviceReport, asked: Option<FrontEnd>) -> Result<Vec<FrontEnd>, RendererError> {
    match asked {
        Some(front_end) if device.front_ends.contains(&front_end) => Ok(vec![front_end]),
        Some(front_end) => {
            let lacks = |name: &&&str| !device.extensions.iter().any(|e| e == **name);
            let missing: Vec<&str> = front_end.extensions().iter().filter(lacks).copied().collect();
            let missing = match &*missing {
                [] => "a feature of its extensions".into(),
                names => names.join(", "),
            };
            Err(RendererError::NoFrontEnd { device: device.name.clone(), front_end, missing })
        }
        // A CPU's ray tracing walks its own trees, and does it slower than ours (docs/renderer.md has figures).
        None if device.kind == DeviceKind::Cpu => Ok(vec![FrontEnd::Compute]),
        None => Ok(device.front_ends.clone()),
    }
}

/// Opens all, keeps the fastest, and says how fast each was. One that fails is not taken, unless the device is lost.
fn fastest(
    front_ends: &[FrontEnd],
    open: impl Fn(FrontEnd) -> Result<Renderer, RendererError>,
) -> Result<(Renderer, String), RendererError> {
    let mut best: Option<(Duration, Renderer)> = None;
    let mut told = Vec::new();
    for &front_end in front_ends {
        let measured = open(front_end).and_then(|renderer| Ok((renderer.time_of_small_frame()?, renderer)));
        match measured {
            Ok((time, renderer)) => {
                told.push(format!("{front_end} {:.2} ms", time.as_secs_f64() * 1e3));
                if best.as_ref().is_none_or(|(least, _)| time < *least) {
                    best = Some((time, renderer));
                }
            }
            Err(e @ RendererError::DeviceLost { .. }) => return Err(e),
            Err(e) if front_end == front_ends[front_ends.len() - 1] && best.is_none() => return Err(e),
            Err(e) => told.push(format!("{front_end} failed: {e}")),
        }
    }
    let (_, renderer) = best.expect("the last one's failure is returned where all failed");
    Ok((renderer, format!("fastest of {}", told.join(", "))))
}

/// What `gbuffer.glsl` and `scatter.glsl` read: the sRGB curve, the specular table, that of rough glass.
fn tables() -> Vec<f32> {
    let curve = (0..=255u8).map(srgb_to_linear);
    curve.chain(SPECULAR_TABLE.iter().flatten().copied()).chain(glass_table::shares()).collect()
}

/// A triangle before the camera, a sun and a lamp: enough to run through every branch.
fn warm_up_scene() -> Scene {
    use glam::{Affine3A, Vec3};
    let mesh = Mesh {
        positions: vec![Vec3::new(-1.0, -1.0, -2.0), Vec3::new(1.0, -1.0, -2.0), Vec3::new(0.0, 1.0, -2.0)],
        normals: vec![Vec3::Z; 3],
        indices: vec![0, 1, 2],
        parts: vec![MeshPart { first_index: 0, index_count: 3, material: 0 }],
        ..Mesh::default()
    };
    let lamp = Light {
        shape: LightShape::Point,
        color: Vec3::ONE,
        position: Vec3::ZERO,
        direction: Vec3::NEG_Z,
        range: 0.0,
        user_id: 0,
    };
    let sun = Light { shape: LightShape::Directional { angle: 0.01 }, ..lamp };
    Scene {
        meshes: vec![Arc::new(mesh)],
        materials: vec![Material { transmission: 0.5, thickness: 1.0, ..Material::default() }],
        instances: vec![Placed { mesh: 0, transform: Affine3A::IDENTITY, user_id: 0 }],
        lights: vec![sun, lamp],
        environment: Environment::constant(Vec3::ONE),
        ..Scene::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_lost_device_is_an_error_wherever_it_shows() {
        let renderer = Renderer::new(&RendererOptions { allow_cpu: true, ..Default::default() })
            .expect("tests need a Vulkan device");
        let on_gpu = renderer.create_scene(&warm_up_scene(), &mut |_| ()).expect("there is room");
        let frame = Arc::new(on_gpu.frame(&FrameState::default()).expect("the state is valid"));
        let layers = [LayerRequest { kind: LayerKind::Direct, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES }];
        let job = TraceJob::whole_view(Extent::new(16, 16), Camera::with_fov(1.0, 1.0), &layers);
        let under_way = renderer.trace_begin(&frame, &job).expect("there is room");
        renderer.context.lost.store(true, Ordering::Release);
        assert!(matches!(renderer.wait(under_way), Err(RendererError::DeviceLost { .. })));
        assert!(matches!(renderer.trace(&frame, &job), Err(RendererError::DeviceLost { .. })));
    }

    #[test]
    fn memory_comes_back_from_what_is_dropped_and_from_what_failed() {
        for front_end in FrontEnd::ALL {
            let options = RendererOptions {
                allow_cpu: true,
                memory_limit: Some(8 << 20),
                front_end: Some(front_end),
                ..Default::default()
            };
            let renderer = match Renderer::new(&options) {
                Err(RendererError::NoFrontEnd { .. }) => continue,
                made => made.expect("tests need a Vulkan device"),
            };
            let before = renderer.memory_bytes();
            let failed = renderer.create_scene(&rayloom_scene::city(100_000, 1), &mut |_| ()).err();
            let text = failed.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(matches!(failed, Some(RendererError::MemoryLimit { .. })), "{text}");
            assert!(text.contains("triangles in") && text.contains("limit of 8388608 bytes"), "{text}");
            assert_eq!(renderer.memory_bytes(), before);
            let scene = renderer.create_scene(&warm_up_scene(), &mut |_| ()).expect("there is room");
            assert!(renderer.memory_bytes() > before);
            drop(scene);
            assert_eq!(renderer.memory_bytes(), before);
        }
    }
}
