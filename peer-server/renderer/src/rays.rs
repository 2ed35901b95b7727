//! Rays on their own: a front end without shading.

use crate::RendererError;
use crate::frame::GpuFrame;
use crate::layout::{Params, Push};
use crate::vulkan::{Buffer, Kernel, Kernels, Place};
use rayloom_bvh::Ray;
use std::sync::Arc;
use std::time::Duration;

/// Most rays of a batch.
pub const MAX_RAYS: usize = 1 << 21;
const RAY_BYTES: usize = 32;
const HIT_BYTES: usize = 24;
/// Rays of a workgroup.
const GROUP: usize = 64;

/// What is asked about a ray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RayKind {
    /// What it hits first.
    Closest,
    /// Whether it hits anything.
    Occlusion,
}

/// What a ray hits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RayHit {
    /// In lengths of the ray's direction; 0 of an occlusion ray, as is all else.
    pub t: f32,
    /// Index of the instance in the scene.
    pub instance: u32,
    /// Index of the triangle in its mesh.
    pub primitive: u32,
    /// Weights of the triangle's second and third corner.
    pub barycentrics: [f32; 2],
}

/// Rays on the GPU and room for what they hit.
pub struct RayBatch {
    frame: Arc<GpuFrame>,
    kernels: Arc<Kernels>,
    params: Arc<Buffer>,
    rays: Arc<Buffer>,
    hits: Arc<Buffer>,
    count: usize,
    kind: RayKind,
}

impl RayBatch {
    pub(crate) fn new(
        frame: &Arc<GpuFrame>,
        kernels: &Arc<Kernels>,
        rays: &[Ray],
        kind: RayKind,
    ) -> Result<RayBatch, RendererError> {
        if rays.is_empty() || rays.len() > MAX_RAYS {
            return Err(RendererError::InvalidJob(format!("{} rays; 1 to {MAX_RAYS} are possible", rays.len())));
        }
        let fits = |r: &Ray| r.origin.is_finite() && r.direction.is_finite() && 0.0 <= r.t_min && r.t_min <= r.t_max;
        if let Some(ray) = rays.iter().find(|r| !fits(r)) {
            return Err(RendererError::InvalidJob(format!("{ray:?} is not finite, or ends before it begins")));
        }
        let words: Vec<[f32; RAY_BYTES / 4]> = rays
            .iter()
            .map(|Ray { origin: o, direction: d, t_min, t_max }| [o.x, o.y, o.z, *t_min, d.x, d.y, d.z, *t_max])
            .collect();
        let submitter = &frame.scene.submitter;
        let params = Params {
            tlas: frame.placement.tree.address(),
            instances: frame.placement.instances.address(),
            materials: frame.scene.materials.address(),
            textures: frame.scene.texture_table.address(),
            ..Params::default()
        };
        let params = Buffer::uploaded(submitter.context(), "ray parameters", bytemuck::bytes_of(&params))?;
        let rays_buffer = Buffer::with_bytes(submitter, "rays", bytemuck::cast_slice(&words))?;
        let bytes = (rays.len() * HIT_BYTES) as u64;
        let hits = Buffer::new(submitter.context(), "hits", bytes, Place::Readback)?;
        Ok(RayBatch {
            frame: frame.clone(),
            kernels: kernels.clone(),
            params: Arc::new(params),
            rays: Arc::new(rays_buffer),
            hits: Arc::new(hits),
            count: rays.len(),
            kind,
        })
    }

    /// Traces all of them and waits; the time by the GPU's clock, where it has one.
    pub fn trace(&self) -> Result<Option<Duration>, RendererError> {
        let mut recorder = self.frame.scene.submitter.record()?;
        let push = Push {
            params: self.params.address(),
            source: self.rays.address(),
            target: self.hits.address(),
            samples: self.count as u32,
            kind: u32::from(self.kind == RayKind::Occlusion),
            ..Push::default()
        };
        recorder.stamp();
        let groups = (self.count.div_ceil(GROUP) as u32, 1);
        recorder.dispatch(&self.kernels, Kernel::Rays, groups, bytemuck::bytes_of(&push));
        recorder.barrier();
        recorder.stamp();
        let keeps =
            (self.frame.clone(), self.kernels.clone(), self.params.clone(), self.rays.clone(), self.hits.clone());
        let submission = recorder.submit(Box::new(keeps))?;
        submission.wait()?;
        Ok(submission.intervals().first().copied())
    }

    /// What each ray hit when they were last traced; `None` for nothing.
    pub fn hits(&self) -> Vec<Option<RayHit>> {
        let words: &[[u32; HIT_BYTES / 4]] = bytemuck::cast_slice(&self.hits.bytes()[..self.count * HIT_BYTES]);
        let hit = |w: &[u32; HIT_BYTES / 4]| {
            (w[0] != u32::MAX).then(|| RayHit {
                t: f32::from_bits(w[0]),
                instance: w[1],
                primitive: w[2],
                barycentrics: [f32::from_bits(w[3]), f32::from_bits(w[4])],
            })
        };
        words.iter().map(hit).collect()
    }
}
