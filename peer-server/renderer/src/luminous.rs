//! Luminous triangles that shadow rays aim at: few, large emitters would be found by chance too seldom.

use crate::layout::GpuLight;
use glam::{Affine3A, Vec3};
use rayloom_scene::Scene;

/// A material with more triangles than this in the scene is left to chance: bounced rays find many emitters well enough.
const MAX_PER_MATERIAL: usize = 64;
/// Most luminous triangles in the table of lights.
const MAX_TRIANGLES: usize = 512;

/// A triangle of an instance whose light is sampled.
pub(crate) struct LuminousTriangle {
    pub(crate) instance: u32,
    corners: [Vec3; 3],
    radiance: Vec3,
}

impl LuminousTriangle {
    /// As a light, with its instance standing at `transform`.
    pub(crate) fn light(&self, transform: &Affine3A) -> GpuLight {
        GpuLight::triangle(self.corners.map(|c| transform.transform_point3(c)), self.radiance)
    }
}

/// Which materials' triangles are all in the table of lights: those that shine evenly (without a texture) from few enough.
pub(crate) fn sampled_materials(scene: &Scene) -> Vec<bool> {
    let mut counts = vec![0usize; scene.materials.len()];
    for instance in &scene.instances {
        for part in &scene.meshes[instance.mesh as usize].parts {
            counts[part.material as usize] += part.index_count as usize / 3;
        }
    }
    let mut total = 0;
    let evenly = scene.materials.iter().map(|m| m.emissive.max_element() > 0.0 && m.emissive_texture.is_none());
    evenly
        .zip(counts)
        .map(|(evenly, count)| {
            let sampled = evenly && count > 0 && count <= MAX_PER_MATERIAL && total + count <= MAX_TRIANGLES;
            total += if sampled { count } else { 0 };
            sampled
        })
        .collect()
}

/// All triangles of these materials.
pub(crate) fn triangles(scene: &Scene, sampled: &[bool]) -> Vec<LuminousTriangle> {
    let mut found = Vec::new();
    for (index, instance) in scene.instances.iter().enumerate() {
        let mesh = &scene.meshes[instance.mesh as usize];
        for part in mesh.parts.iter().filter(|p| sampled[p.material as usize]) {
            let indices = &mesh.indices[part.first_index as usize..][..part.index_count as usize];
            let radiance = scene.materials[part.material as usize].emissive;
            found.extend(indices.as_chunks::<3>().0.iter().map(|c| LuminousTriangle {
                instance: index as u32,
                corners: c.map(|i| mesh.positions[i as usize]),
                radiance,
            }));
        }
    }
    found
}
