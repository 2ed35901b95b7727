//! Luminous triangles that shadow rays aim at, which few, large emitters need: bounced rays would find them too seldom.

use crate::layout::GpuLight;
use crate::light_tree::Emitter;
use glam::{Affine3A, Vec3};
use rayloom_scene::{Scene, Texture};

/// Most luminous triangles in the table of lights; materials with more are left to chance.
const MAX_TRIANGLES: usize = 32768;

/// A triangle of an instance whose light is sampled.
pub(crate) struct LuminousTriangle {
    pub(crate) instance: u32,
    /// Its index in the mesh.
    primitive: u32,
    corners: [Vec3; 3],
    radiance: Vec3,
    textured: bool,
    /// Of all its texture, by which it is picked.
    mean_radiance: Vec3,
}

impl LuminousTriangle {
    /// As a light and for the tree, with its instance standing at `transform`.
    pub(crate) fn light(&self, transform: &Affine3A) -> (GpuLight, Option<Emitter>) {
        let corners = self.corners.map(|c| transform.transform_point3(c));
        // What has no inverse is not there, though a flattened square still has its area.
        let there = if transform.matrix3.determinant().recip().is_finite() { 1.0 } else { 0.0 };
        let radiance = self.radiance * there;
        let light = GpuLight::triangle(corners, radiance, self.textured, self.instance, self.primitive);
        (light, Emitter::of_triangle(corners, self.mean_radiance * there))
    }
}

/// Which materials' triangles are all in the table of lights: those of fewest triangles first, until it is full. What rays may
/// pass through shines where it is met, which only rays that come there know; meshes that deform are left to chance, since
/// the table has them where they are stored.
pub(crate) fn sampled_materials(scene: &Scene) -> Vec<bool> {
    let mut counts = vec![0usize; scene.materials.len()];
    let mut deforms = vec![false; scene.materials.len()];
    for instance in &scene.instances {
        let mesh = &scene.meshes[instance.mesh as usize];
        for part in &mesh.parts {
            counts[part.material as usize] += part.index_count as usize / 3;
            deforms[part.material as usize] |= mesh.deforms();
        }
    }
    let shines = |i: &usize| {
        let material = &scene.materials[*i];
        material.emissive.max_element() > 0.0 && !material.has_holes() && counts[*i] > 0 && !deforms[*i]
    };
    let mut luminous: Vec<usize> = (0..scene.materials.len()).filter(shines).collect();
    luminous.sort_by_key(|i| counts[*i]);
    let mut sampled = vec![false; scene.materials.len()];
    let mut total = 0;
    for material in luminous {
        total += counts[material];
        sampled[material] = total <= MAX_TRIANGLES;
    }
    sampled
}

/// All triangles of these materials, by instance and index, and where each instance's begin and how many they are.
pub(crate) fn triangles(scene: &Scene, sampled: &[bool]) -> (Vec<LuminousTriangle>, Vec<[u32; 2]>) {
    let means: Vec<Vec3> = scene
        .materials
        .iter()
        .zip(sampled)
        .map(|(m, sampled)| match &m.emissive_texture {
            Some(slot) if *sampled => m.emissive * mean_color(&scene.textures[slot.texture as usize]),
            _ => m.emissive,
        })
        .collect();
    let mut found = Vec::new();
    let mut ranges = Vec::with_capacity(scene.instances.len());
    for (index, instance) in scene.instances.iter().enumerate() {
        let first = found.len();
        let mesh = &scene.meshes[instance.mesh as usize];
        for part in mesh.parts.iter().filter(|p| sampled[p.material as usize]) {
            let indices = &mesh.indices[part.first_index as usize..][..part.index_count as usize];
            let material = &scene.materials[part.material as usize];
            let primitives = part.first_index / 3..;
            found.extend(primitives.zip(indices.as_chunks::<3>().0).map(|(primitive, c)| LuminousTriangle {
                instance: index as u32,
                primitive,
                corners: c.map(|i| mesh.positions[i as usize]),
                radiance: material.emissive,
                textured: material.emissive_texture.is_some(),
                mean_radiance: means[part.material as usize],
            }));
        }
        found[first..].sort_by_key(|t: &LuminousTriangle| t.primitive);
        ranges.push([first as u32, (found.len() - first) as u32]);
    }
    (found, ranges)
}

/// About what a texture's colour is on average, never black: dark parts of it are picked too.
fn mean_color(texture: &Texture) -> Vec3 {
    // A damaged one is the upload's to report.
    let Ok((_, _, pixels)) = texture.decode() else { return Vec3::ONE };
    let samples = pixels.chunks_exact(4).step_by((pixels.len() / 16384).max(1));
    let count = samples.len().max(1) as f32;
    let linear = |code: u8| rayloom_frame::srgb::srgb_to_linear(code);
    let sum: Vec3 = samples.map(|p| Vec3::new(linear(p[0]), linear(p[1]), linear(p[2]))).sum();
    (sum / count).max(Vec3::splat(1e-3))
}
