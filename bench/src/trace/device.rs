//! The stored rays through the front ends of the renderer, on the device that it takes.

use super::rays::{RayHit, RaySet};
use super::scenes::BenchScene;
use rayloom_renderer::{FrameState, FrontEnd, RayBatch, RayKind, Renderer, RendererOptions};
use std::sync::Arc;

/// One front end with a scene's rays.
pub(crate) struct Traced {
    name: String,
    batches: Vec<Option<RayBatch>>,
}

impl Traced {
    /// Builds the scene's structures and puts them and the rays on the device.
    pub(crate) fn new(front_end: FrontEnd, scene: &BenchScene, sets: &[RaySet; 4]) -> Result<Traced, String> {
        let options = RendererOptions { allow_cpu: true, front_end: Some(front_end), ..RendererOptions::default() };
        let renderer = Renderer::new(&options).map_err(|e| e.to_string())?;
        let on_device = renderer.create_scene(&scene.scene, &mut |_| ()).map_err(|e| e.to_string())?;
        let frame = Arc::new(on_device.frame(&FrameState::default()).map_err(|e| e.to_string())?);
        let batch = |set: &RaySet| {
            let kind = if set.any_hit { RayKind::Occlusion } else { RayKind::Closest };
            (!set.rays.is_empty()).then(|| renderer.ray_batch(&frame, &set.rays, kind)).transpose()
        };
        let batches = sets.iter().map(batch).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        Ok(Traced { name: renderer.choice().to_owned(), batches })
    }

    /// Device and front end.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Traces all rays of a kind and waits.
    pub(crate) fn trace(&self, kind: usize) -> Result<(), String> {
        match &self.batches[kind] {
            Some(batch) => batch.trace().map(drop).map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    /// What the last [`Traced::trace`] of a kind found.
    pub(crate) fn hits(&self, kind: usize) -> Vec<RayHit> {
        let hits = self.batches[kind].as_ref().map(RayBatch::hits).unwrap_or_default();
        hits.iter().map(|h| h.map_or(RayHit { hit: false, t: 0.0 }, |h| RayHit { hit: true, t: h.t })).collect()
    }
}
