//! The renderer: a device, its kernels, and what goes in and out.

use crate::frame::{FrameState, GpuFrame};
use crate::scene::{self, AssetCache, GpuScene, Progress};
use crate::tile::{InFlight, MAX_IN_FLIGHT, Plan, Slot, Ticket, TraceTimings};
use crate::vulkan::{Buffer, Context, Instance, Kernels, Submitter, candidates, choose};
use crate::{DeviceReport, RendererError, TraceJob};
use parking_lot::Mutex;
use rayloom_frame::demodulate::SPECULAR_TABLE;
use rayloom_frame::srgb::srgb_to_linear;
use rayloom_frame::{Extent, LayerKind, LayerRequest, TracedTile};
use rayloom_scene::{Camera, Environment, Instance as Placed, Light, LightShape, Material, Mesh, MeshPart, Scene};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

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
    choice: String,
}

impl Renderer {
    /// Opens a device. Shaders are compiled when they first run: see [`Renderer::warm_up`].
    pub fn new(options: &RendererOptions) -> Result<Renderer, RendererError> {
        let instance = Instance::new(options.validation)?;
        let found = candidates(&instance)?;
        let (candidate, reason) = choose(found, options.device.as_deref(), options.allow_cpu)?;
        let choice = format!("{} ({reason})", candidate.report.name);
        let context = Arc::new(Context::new(instance, candidate)?);
        let submitter = Arc::new(Submitter::new(context.clone()));
        let kernels = Arc::new(Kernels::new(&context, options.pipeline_cache.as_deref())?);
        let tables = Arc::new(Buffer::with_bytes(&submitter, "tables", bytemuck::cast_slice(&tables()))?);
        Ok(Renderer {
            context,
            submitter,
            kernels,
            tables,
            cache: AssetCache::default(),
            slots: Mutex::default(),
            in_flight: Arc::default(),
            choice,
        })
    }

    /// The device that traces.
    pub fn device(&self) -> &DeviceReport {
        &self.context.report
    }

    /// The device's name and why it was taken, for a log line.
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
        scene::create(&self.submitter, &self.cache, scene, progress)
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
        let plan = Plan::new(job);
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

    /// Compiles everything by running it once, so that the first real tile is not late, and stores the pipeline cache.
    pub fn warm_up(&self) -> Result<(), RendererError> {
        let scene = self.create_scene(&warm_up_scene(), &mut |_| ())?;
        let frame = Arc::new(scene.frame(&FrameState::default())?);
        let layers = LayerKind::ALL.map(|kind| LayerRequest { kind, samples: 1, scale: 2 });
        let job = TraceJob::whole_view(Extent::new(16, 16), Camera::with_fov(1.0, 1.0), &layers);
        self.trace(&frame, &TraceJob { filter_radius: 2, ..job })?;
        self.kernels.store_cache();
        Ok(())
    }
}

/// What `gbuffer.glsl` reads: the sRGB curve, then the specular table.
fn tables() -> Vec<f32> {
    let curve = (0..=255u8).map(srgb_to_linear);
    curve.chain(SPECULAR_TABLE.iter().flatten().copied()).collect()
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
        materials: vec![Material::default()],
        textures: Vec::new(),
        instances: vec![Placed { mesh: 0, transform: Affine3A::IDENTITY, user_id: 0 }],
        lights: vec![sun, lamp],
        environment: Environment::constant(Vec3::ONE),
        cameras: Vec::new(),
    }
}
