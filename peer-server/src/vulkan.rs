//! The renderer as the server's tracer: device choice, warm-up and measurement, one device state per frame.

use crate::tracer::{Frame, TraceError, Traced, Tracer};
use parking_lot::Mutex;
use rayloom_frame::{Extent, LayerKind, LayerRequest, Rect};
use rayloom_renderer::{
    DeviceKind, FrameState, GpuFrame, GpuScene, Renderer, RendererError, RendererOptions, TraceJob, shaders,
};
use rayloom_scene::Scene;
use rayloom_wire::PeerInfo;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The one way in which this renderer finds what a ray hits.
const FRONT_END: &str = "compute";
/// Frames whose state stays on the device: tiles of two frames of two views may alternate.
const FRAMES_KEPT: usize = 4;

/// Traces on a Vulkan device.
pub struct VulkanTracer {
    renderer: Renderer,
    rays_per_second: f32,
    frames: Mutex<VecDeque<(u64, Arc<GpuFrame>)>>,
}

impl VulkanTracer {
    /// Opens the device and compiles all pipelines; with `measure` it also traces a small scene to learn its speed (a
    /// fraction of a second).
    ///
    /// # Errors
    /// No device, or one that fails: the message says what to install or to choose.
    pub fn new(options: &RendererOptions, measure: bool) -> Result<VulkanTracer, RendererError> {
        let renderer = Renderer::new(options)?;
        tracing::info!(device = renderer.choice(), "compiling pipelines");
        let compiling = Instant::now();
        renderer.warm_up()?;
        tracing::info!(milliseconds = compiling.elapsed().as_millis() as u64, "pipelines are compiled");
        let rays_per_second = if measure { rays_per_second(&renderer)? } else { 0.0 };
        Ok(VulkanTracer { renderer, rays_per_second, frames: Mutex::default() })
    }

    /// The renderer, for its device's name and its validation messages.
    pub fn renderer(&self) -> &Renderer {
        &self.renderer
    }

    fn frame(&self, scene: &GpuScene, frame: &Frame) -> Result<Arc<GpuFrame>, RendererError> {
        // Held while the state is uploaded, so that the other lane's tile of the same frame waits instead of doing it too.
        let mut frames = self.frames.lock();
        if let Some((_, found)) = frames.iter().find(|(serial, _)| *serial == frame.serial) {
            return Ok(found.clone());
        }
        let made = Arc::new(scene.frame(&FrameState {
            transforms: &frame.transforms,
            previous_transforms: &frame.previous_transforms,
            lights: &frame.lights,
        })?);
        if frames.len() == FRAMES_KEPT {
            frames.pop_front();
        }
        frames.push_back((frame.serial, made.clone()));
        Ok(made)
    }
}

impl Tracer for VulkanTracer {
    type Scene = GpuScene;

    fn info(&self) -> PeerInfo {
        let device = self.renderer.device();
        let mut class = blake3::Hasher::new_derive_key("rayloom peer class v1");
        for part in [device.name.as_bytes(), device.driver.as_bytes(), FRONT_END.as_bytes()]
            .into_iter()
            .chain(shaders::SHADERS.iter().map(|shader| shader.spirv))
        {
            class.update(&(part.len() as u64).to_le_bytes());
            class.update(part);
        }
        PeerInfo {
            device: device.name.clone(),
            is_cpu: device.kind == DeviceKind::Cpu,
            front_end: FRONT_END.into(),
            rays_per_second: self.rays_per_second,
            memory_bytes: device.memory_bytes,
            class: *class.finalize().as_bytes(),
            stored_traces: false,
        }
    }

    fn create_scene(&self, scene: &Scene, progress: &mut dyn FnMut(f32)) -> Result<GpuScene, TraceError> {
        // States of old frames keep old scenes on the device.
        self.frames.lock().clear();
        let mut tell = |p: rayloom_renderer::Progress| progress(p.done as f32 / p.total.max(1) as f32);
        self.renderer.create_scene(scene, &mut tell).map_err(trace_error)
    }

    fn trace(&self, scene: &GpuScene, frame: &Frame, rect: Rect) -> Result<Traced, TraceError> {
        let on_device = self.frame(scene, frame).map_err(trace_error)?;
        let uploaded = Instant::now();
        let job = TraceJob {
            frame_id: frame.frame_id,
            extent: frame.extent,
            rect,
            camera: frame.camera,
            previous_camera: frame.previous_camera,
            layers: &frame.layers,
            filter_radius: u32::from(frame.filter_radius),
            primary: frame.primary,
        };
        let (tile, timings) = self.renderer.trace(&on_device, &job).map_err(trace_error)?;
        let now = Instant::now();
        let traced = now.checked_sub(timings.readback).unwrap_or(now).max(uploaded);
        let on_device = (!timings.passes.is_empty()).then(|| timings.gpu());
        Ok(Traced { tile, uploaded, traced, on_device })
    }
}

fn trace_error(error: RendererError) -> TraceError {
    let text = error.to_string();
    match error {
        // A device that hangs is of no more use than one that is gone.
        RendererError::DeviceLost { .. } | RendererError::Timeout { .. } => TraceError::DeviceLost(text),
        RendererError::OutOfMemory { .. } => TraceError::OutOfMemory(text),
        _ => TraceError::Refused(text),
    }
}

/// Rays a second on the generated city, all layers, once the device is warm.
fn rays_per_second(renderer: &Renderer) -> Result<f32, RendererError> {
    let scene = rayloom_scene::city(20_000, 1);
    let extent = if renderer.device().kind == DeviceKind::Cpu { Extent::new(128, 72) } else { Extent::new(1280, 720) };
    let camera = scene.cameras.first().map_or(rayloom_scene::Camera::with_fov(1.0, 16.0 / 9.0), |named| named.camera);
    let gpu_scene = renderer.create_scene(&scene, &mut |_| ())?;
    let frame = Arc::new(gpu_scene.frame(&FrameState::default())?);
    let layers = LayerKind::ALL.map(|kind| LayerRequest { kind, samples: 1, scale: 1 });
    let mut best = 0.0f32;
    for frame_id in 0..3 {
        let begun = Instant::now();
        let job = TraceJob { frame_id, ..TraceJob::whole_view(extent, camera, &layers) };
        let (tile, timings) = renderer.trace(&frame, &job)?;
        let took = begun.elapsed().saturating_sub(timings.readback).max(Duration::from_micros(1));
        let rays: u64 = tile.block_rays.iter().map(|rays| u64::from(*rays)).sum();
        best = best.max(rays as f32 / took.as_secs_f32());
    }
    Ok(best)
}
