//! Noisy full frames of a moving camera, traced once and kept in a file from which peers answer (`--trace stored:FILE`).

use glam::{Quat, Vec3};
use rayloom::frame::{Extent, LayerKind, LayerRequest};
use rayloom::scene::{Camera, Scene};
use rayloom_peer::{CaptureWriter, Frame, RendererOptions, StoredTracer, Tracer, VulkanTracer};
use std::f32::consts::TAU;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Distinct cameras, each with its own noise; the path is closed.
pub(crate) const CAPTURES: u32 = 60;

/// A closed path around a scene's first camera, a view that moves along it, and what is traced of it.
pub(crate) struct Shoot<'a> {
    pub(crate) source: &'a Scene,
    pub(crate) size: Extent,
    /// Of the circle that the camera goes in [`CAPTURES`] frames.
    pub(crate) radius_m: f32,
    pub(crate) layers: &'a [LayerRequest],
}

impl Shoot<'_> {
    pub(crate) fn camera(&self, frame_id: u64) -> Camera {
        let turn = (frame_id % u64::from(CAPTURES)) as f32 / CAPTURES as f32 * TAU;
        let mut camera = self.source.default_camera(self.size.width as f32 / self.size.height as f32);
        let offset = Vec3::new(turn.sin(), 0.0, 1.0 - turn.cos()) * self.radius_m;
        camera.position += camera.rotation * offset;
        camera.rotation = Quat::from_rotation_y(0.1 * turn.sin()) * camera.rotation;
        camera
    }

    /// The frame as a peer is asked for it.
    pub(crate) fn frame(&self, frame_id: u64, layers: &[LayerRequest]) -> Frame {
        let previous_camera = self.camera(frame_id + u64::from(CAPTURES) - 1);
        Frame { previous_camera, ..Frame::new(frame_id, self.size, self.camera(frame_id), layers.to_vec()) }
    }

    /// The file of captures, traced by this process where it is not there yet.
    pub(crate) fn captures(&self) -> Result<PathBuf, String> {
        let name = format!("stored-{}x{}-{}.bin", self.size.width, self.size.height, self.layers.len());
        let path = PathBuf::from("target/bench").join(name);
        if StoredTracer::open(&path).is_ok() {
            return Ok(path);
        }
        std::fs::create_dir_all("target/bench").map_err(|error| format!("target/bench: {error}"))?;
        let unfinished = path.with_extension("part");
        self.capture(&unfinished)?;
        std::fs::rename(&unfinished, &path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    fn capture(&self, path: &Path) -> Result<(), String> {
        println!("tracing {CAPTURES} captures of {}x{}, once", self.size.width, self.size.height);
        let tracer = tracer()?;
        let on_device = tracer.create_scene(self.source, &mut |_| ()).map_err(|error| error.to_string())?;
        let say = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut writer = CaptureWriter::create(path, self.size, self.layers, CAPTURES).map_err(say)?;
        let begun = Instant::now();
        for frame_id in 0..u64::from(CAPTURES) {
            let frame = self.frame(frame_id, self.layers);
            let traced = tracer.trace(&on_device, &frame, self.size.rect(), None).map_err(|error| error.to_string())?;
            writer.add(&traced.tile).map_err(say)?;
            if frame_id % 10 == 9 {
                println!("  {} after {:.0} s", frame_id + 1, begun.elapsed().as_secs_f32());
            }
        }
        writer.finish().map_err(say)
    }
}

/// The best device of this machine, whatever it is.
pub(crate) fn tracer() -> Result<VulkanTracer, String> {
    let options = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
    VulkanTracer::new(&options, false).map_err(|error| error.to_string())
}

/// As the demo asks for them: reflections and bounces at half resolution.
pub(crate) fn request(kind: LayerKind) -> LayerRequest {
    let scale = if matches!(kind, LayerKind::Specular | LayerKind::Indirect) { 2 } else { 1 };
    LayerRequest { kind, samples: 1, scale, bounces: LayerRequest::BOUNCES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom::scene::city::city;

    #[test]
    fn the_path_is_closed_and_its_steps_are_small() {
        let shoot = Shoot { source: &city(1000, 1), size: Extent::new(1280, 720), radius_m: 1.5, layers: &[] };
        assert_eq!(shoot.camera(0), shoot.camera(u64::from(CAPTURES)));
        for frame_id in 0..u64::from(CAPTURES) {
            let step = shoot.camera(frame_id).position.distance(shoot.camera(frame_id + 1).position);
            assert!(step > 0.0 && step < 0.2, "{step} m");
        }
    }
}
