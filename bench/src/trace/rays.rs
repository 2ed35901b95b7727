//! The stored rays: from the camera, to the sun, into the cosine lobe, and mirrored.

use super::scenes::BenchScene;
use glam::Vec2;
use rayloom_bvh::{Ray, closest_reference};

/// Names of the kinds, in the order of [`generate`]'s answer.
pub(crate) const KINDS: [&str; 4] = ["primary", "shadow", "diffuse", "reflection"];

/// Rays of one kind, in the order in which a renderer's invocations would hold them.
pub(crate) struct RaySet {
    pub(crate) any_hit: bool,
    pub(crate) rays: Vec<Ray>,
}

/// What a ray met; shadow rays have `t` = 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RayHit {
    pub(crate) hit: bool,
    pub(crate) t: f32,
}

impl RaySet {
    /// How many rays two tracers disagree about: one misses, or distances differ by more than 0.1 %.
    pub(crate) fn differing(a: &[RayHit], b: &[RayHit]) -> usize {
        a.iter().zip(b).filter(|(a, b)| a.hit != b.hit || (a.hit && (a.t - b.t).abs() > 1e-3 * a.t.max(b.t))).count()
    }
}

/// PCG hash (Jarzynski and Olano 2020): two numbers in [0, 1) of a pixel.
fn random(pixel: u32) -> Vec2 {
    let pcg = |v: u32| {
        let state = v.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
        (word >> 22) ^ word
    };
    let a = pcg(pixel);
    let unit = |v: u32| (v >> 8) as f32 / 16_777_216.0;
    Vec2::new(unit(a), unit(pcg(a)))
}

/// Rays of all kinds; each secondary kind has one for every pixel that shows a surface.
pub(crate) fn generate(scene: &BenchScene, width: u32, height: u32) -> [RaySet; 4] {
    let set = |any_hit| RaySet { any_hit, rays: Vec::with_capacity((width * height) as usize) };
    let mut sets = [set(false), set(true), set(false), set(false)];
    let (tlas, meshes) = scene.structures(|i| (i as u64 + 1) * 16);
    let find = |address: u64| meshes.get((address / 16 - 1) as usize);
    let extent = Vec2::new(width as f32, height as f32);
    // Blocks of 4 x 2 pixels, within 8 x 8: neighbours in the picture are neighbours in a SIMD group.
    for block in 0..width / 8 * (height / 8) {
        let corner = (block % (width / 8) * 8, block / (width / 8) * 8);
        for i in 0..64 {
            let pixel = (corner.0 + (i >> 3 & 1) * 4 + (i & 3), corner.1 + (i >> 4) * 2 + (i >> 2 & 1));
            let index = pixel.1 * width + pixel.0;
            let direction = scene.camera.ray(Vec2::new(pixel.0 as f32, pixel.1 as f32) + 0.5, extent).normalize();
            let primary = Ray { origin: scene.camera.position, direction, t_min: 0.0, t_max: 1e30 };
            sets[0].rays.push(primary);
            let Some(hit) = closest_reference(&tlas, &find, &primary, &|_, _, _| true) else { continue };
            let normal = scene.normal(hit.instance, hit.primitive);
            let normal = if normal.dot(direction) > 0.0 { -normal } else { normal };
            let origin = primary.origin + direction * hit.t + normal * (1e-4 * hit.t.max(1.0));
            let ray = |direction| Ray { origin, direction, t_min: 0.0, t_max: 1e30 };
            sets[1].rays.push(ray(scene.sun));
            let r = random(index);
            let (sin, cos) = (r.x * std::f32::consts::TAU).sin_cos();
            let (tangent, bitangent) = normal.any_orthonormal_pair();
            let lobe = (tangent * cos + bitangent * sin) * r.y.sqrt() + normal * (1.0 - r.y).sqrt();
            sets[2].rays.push(ray(lobe.normalize()));
            sets[3].rays.push(ray(direction - normal * 2.0 * direction.dot(normal)));
        }
    }
    sets
}
