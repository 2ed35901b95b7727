//! The renderer as the server's tracer: device choice, warm-up and measurement, one device state per frame. A device that
//! is lost is opened anew, and scenes come back to it from what the server keeps of them.

use crate::tracer::{Frame, TraceError, Traced, Tracer};
use parking_lot::{Mutex, RwLock};
use rayloom_frame::{Extent, GBuffer, LayerKind, LayerRequest, Rect};
use rayloom_renderer::{
    DeviceKind, FrameState, GpuFrame, GpuScene, Renderer, RendererError, RendererOptions, TraceJob, shaders,
};
use rayloom_scene::Scene;
use rayloom_wire::PeerInfo;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Frames whose state stays on the device: tiles of two frames of two views may alternate.
const FRAMES_KEPT: usize = 4;

/// Traces on a Vulkan device.
pub struct VulkanTracer {
    options: RendererOptions,
    opened: RwLock<Arc<Opened>>,
    rays_per_second: f32,
}

/// A device from when it was opened until it is lost.
struct Opened {
    /// How often a device was opened before.
    generation: u64,
    renderer: Renderer,
    frames: Mutex<VecDeque<(u64, Arc<GpuFrame>)>>,
    /// It has traced a tile. One that is lost before is not opened again: it would be for ever.
    has_traced: AtomicBool,
}

/// A scene on the device, and what brings it to the next one.
pub struct VulkanScene {
    source: Scene,
    on_device: Mutex<(u64, GpuScene)>,
}

impl Opened {
    fn new(options: &RendererOptions, generation: u64) -> Result<Opened, RendererError> {
        let renderer = Renderer::new(options)?;
        tracing::info!(device = renderer.choice(), front_end = %renderer.front_end(), "compiling pipelines");
        let compiling = Instant::now();
        renderer.warm_up()?;
        tracing::info!(milliseconds = compiling.elapsed().as_millis() as u64, "pipelines are compiled");
        Ok(Opened { generation, renderer, frames: Mutex::default(), has_traced: AtomicBool::new(false) })
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
            poses: &frame.poses,
            previous_poses: &frame.previous_poses,
            lights: &frame.lights,
        })?);
        if frames.len() == FRAMES_KEPT {
            frames.pop_front();
        }
        frames.push_back((frame.serial, made.clone()));
        Ok(made)
    }

    fn trace(
        &self,
        scene: &VulkanScene,
        frame: &Frame,
        rect: Rect,
        planes: Option<&GBuffer>,
    ) -> Result<Traced, RendererError> {
        let on_device = self.frame(&self.scene(scene)?, frame)?;
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
            pre_exposure: frame.pre_exposure,
            planes,
        };
        let (tile, timings) = self.renderer.trace(&on_device, &job)?;
        let now = Instant::now();
        let traced = now.checked_sub(timings.readback).unwrap_or(now).max(uploaded);
        let on_device = (!timings.passes.is_empty()).then(|| timings.gpu());
        self.has_traced.store(true, Ordering::Release);
        Ok(Traced { tile, uploaded, traced, on_device })
    }

    /// The scene on this device; brought here now if it was made for one that is lost.
    fn scene(&self, scene: &VulkanScene) -> Result<GpuScene, RendererError> {
        let mut on_device = scene.on_device.lock();
        if on_device.0 != self.generation {
            *on_device = (self.generation, self.renderer.create_scene(&scene.source, &mut |_| ())?);
        }
        Ok(on_device.1.clone())
    }
}

impl VulkanTracer {
    /// Opens the device and compiles all pipelines; with `measure` it also traces a small scene to learn its speed (a
    /// fraction of a second).
    ///
    /// # Errors
    /// No device, or one that fails: the message says what to install or to choose.
    pub fn new(options: &RendererOptions, measure: bool) -> Result<VulkanTracer, RendererError> {
        let opened = Opened::new(options, 0)?;
        let rays_per_second = if measure { rays_per_second(&opened.renderer)? } else { 0.0 };
        // The same front end again, whatever is measured then: engines were told which.
        let options = RendererOptions { front_end: Some(opened.renderer.front_end()), ..options.clone() };
        Ok(VulkanTracer { options, opened: RwLock::new(Arc::new(opened)), rays_per_second })
    }

    fn opened(&self) -> Arc<Opened> {
        self.opened.read().clone()
    }

    /// Opens the device anew after this error if it says that the device is lost; the answer refuses the work at hand.
    fn after(&self, error: RendererError, lost: &Opened) -> TraceError {
        if !matches!(error, RendererError::DeviceLost { .. }) {
            return trace_error(error);
        }
        let mut opened = self.opened.write();
        if opened.generation == lost.generation {
            if !lost.has_traced.load(Ordering::Acquire) {
                return trace_error(error);
            }
            tracing::error!(%error, "opening the device anew");
            match Opened::new(&self.options, lost.generation + 1) {
                Ok(again) => *opened = Arc::new(again),
                Err(reason) => return TraceError::DeviceLost(format!("{error}; opening it anew failed: {reason}")),
            }
        }
        TraceError::Refused(format!("the GPU was lost and is there again, without this work: {error}"))
    }
}

impl Tracer for VulkanTracer {
    type Scene = VulkanScene;

    fn info(&self) -> PeerInfo {
        let opened = self.opened();
        let (device, front_end) = (opened.renderer.device(), opened.renderer.front_end());
        let mut class = blake3::Hasher::new_derive_key("rayloom peer class v1");
        let shaders = shaders::SHADERS.iter().filter(|shader| shader.front_end.is_none_or(|of| of == front_end));
        for part in [device.name.as_bytes(), device.driver.as_bytes(), front_end.name().as_bytes()]
            .into_iter()
            .chain(shaders.map(|shader| shader.spirv))
        {
            class.update(&(part.len() as u64).to_le_bytes());
            class.update(part);
        }
        PeerInfo {
            device: device.name.clone(),
            is_cpu: device.kind == DeviceKind::Cpu,
            front_end: front_end.name().into(),
            rays_per_second: self.rays_per_second,
            memory_bytes: device.memory_bytes,
            class: *class.finalize().as_bytes(),
            stored_traces: false,
        }
    }

    fn create_scene(&self, scene: &Scene, progress: &mut dyn FnMut(f32)) -> Result<VulkanScene, TraceError> {
        let opened = self.opened();
        // States of old frames keep old scenes on the device.
        opened.frames.lock().clear();
        let mut tell = |p: rayloom_renderer::Progress| progress(p.done as f32 / p.total.max(1) as f32);
        match opened.renderer.create_scene(scene, &mut tell) {
            Ok(made) => Ok(VulkanScene { source: scene.clone(), on_device: Mutex::new((opened.generation, made)) }),
            Err(error) => Err(self.after(error, &opened)),
        }
    }

    fn trace(
        &self,
        scene: &VulkanScene,
        frame: &Frame,
        rect: Rect,
        planes: Option<&GBuffer>,
    ) -> Result<Traced, TraceError> {
        let opened = self.opened();
        opened.trace(scene, frame, rect, planes).map_err(|error| self.after(error, &opened))
    }
}

fn trace_error(error: RendererError) -> TraceError {
    let text = error.to_string();
    match error {
        // A device that hangs is of no more use than one that is gone.
        RendererError::DeviceLost { .. } | RendererError::Timeout { .. } => TraceError::DeviceLost(text),
        RendererError::OutOfMemory { .. } | RendererError::MemoryLimit { .. } => TraceError::OutOfMemory(text),
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
    let layers =
        LayerKind::REAL_TIME.map(|kind| LayerRequest { kind, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES });
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

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_renderer::FrontEnd;

    const EXTENT: Extent = Extent::new(48, 32);

    fn tracer(memory_limit: Option<u64>) -> VulkanTracer {
        let options = RendererOptions { allow_cpu: true, memory_limit, ..RendererOptions::default() };
        VulkanTracer::new(&options, false).expect("tests need a Vulkan device")
    }

    #[test]
    fn engines_know_every_front_end_that_uses_ray_tracing_units() {
        for front_end in FrontEnd::ALL {
            let options = RendererOptions { allow_cpu: true, front_end: Some(front_end), ..RendererOptions::default() };
            let info = VulkanTracer::new(&options, false).expect("tests need a Vulkan device").info();
            assert!(!info.is_cpu || !info.uses_ray_tracing_units(), "a CPU has none");
            let on_a_gpu = PeerInfo { is_cpu: false, ..info };
            assert_eq!(on_a_gpu.uses_ray_tracing_units(), front_end != FrontEnd::Compute, "{front_end}");
        }
    }

    fn frame(scene: &Scene) -> Frame {
        Frame::new(1, EXTENT, scene.cameras[0].camera, vec![LayerRequest::new(LayerKind::Direct)])
    }

    #[test]
    fn a_lost_device_is_opened_anew_and_scenes_come_back_to_it() {
        let tracer = tracer(None);
        let source = rayloom_scene::city(2_000, 1);
        let scene = tracer.create_scene(&source, &mut |_| ()).expect("there is room");
        let (frame, rect) = (frame(&source), EXTENT.rect());
        let before = tracer.trace(&scene, &frame, rect, None).expect("it traces");
        tracer.opened().renderer.lose_device();
        let refused = tracer.trace(&scene, &frame, rect, None).expect_err("the device is lost");
        assert!(matches!(&refused, TraceError::Refused(reason) if reason.contains("lost")), "{refused:?}");
        let after = tracer.trace(&scene, &frame, rect, None).expect("it traces again");
        assert_eq!(before.tile, after.tile);
        // Also where a scene is being made: there, or when its first tile is traced, the loss shows.
        tracer.opened().renderer.lose_device();
        let made = tracer.create_scene(&source, &mut |_| ());
        let refused = made.as_ref().map_or_else(|_| None, |scene| tracer.trace(scene, &frame, rect, None).err());
        assert!(matches!(refused.as_ref().or(made.as_ref().err()), Some(TraceError::Refused(_))));
        let made = tracer.create_scene(&source, &mut |_| ()).expect("there is room");
        assert_eq!(tracer.trace(&made, &frame, rect, None).expect("it traces").tile, before.tile);
    }

    #[test]
    fn a_device_that_is_lost_before_it_has_traced_is_given_up() {
        let tracer = tracer(None);
        let source = rayloom_scene::city(2_000, 1);
        let scene = tracer.create_scene(&source, &mut |_| ()).expect("there is room");
        tracer.opened().renderer.lose_device();
        let lost = tracer.trace(&scene, &frame(&source), EXTENT.rect(), None).expect_err("the device is lost");
        assert!(matches!(lost, TraceError::DeviceLost(_)), "{lost:?}");
    }

    #[test]
    fn a_scene_without_room_is_refused_and_the_others_stay() {
        let tracer = tracer(Some(24 << 20));
        let source = rayloom_scene::city(2_000, 1);
        let scene = tracer.create_scene(&source, &mut |_| ()).expect("there is room");
        let before = tracer.trace(&scene, &frame(&source), EXTENT.rect(), None).expect("it traces");
        let large = tracer.create_scene(&rayloom_scene::city(500_000, 1), &mut |_| ()).err();
        assert!(
            matches!(&large, Some(TraceError::OutOfMemory(reason)) if reason.contains("triangles in") && reason.contains("limit of 25165824 bytes")),
            "{large:?}"
        );
        let after = tracer.trace(&scene, &frame(&source), EXTENT.rect(), None).expect("it still traces");
        assert_eq!(before.tile, after.tile);
    }
}
