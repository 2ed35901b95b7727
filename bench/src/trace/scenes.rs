//! What is traced: instanced triangle meshes, a camera and the sun.

use glam::{Affine3A, Vec3};
use rayloom_bvh::{Blas, Tlas, TlasInstance};
use rayloom_scene::{AlphaMode, Camera, LightShape, Mesh, Scene};
use std::path::Path;
use std::sync::Arc;

/// Seed of the generated city, the same in every bench.
const CITY_SEED: u64 = 1;
/// Towards the sun, where a scene has none.
const DEFAULT_SUN: Vec3 = Vec3::new(0.48, 0.8, 0.36);

pub(crate) struct BenchScene {
    pub(crate) name: String,
    /// All of it, opaque.
    pub(crate) scene: Scene,
    pub(crate) meshes: Vec<Arc<Mesh>>,
    /// Mesh and placement.
    pub(crate) instances: Vec<(usize, Affine3A)>,
    pub(crate) camera: Camera,
    /// Unit vector towards the sun.
    pub(crate) sun: Vec3,
}

impl BenchScene {
    /// The generated city, seen from the street.
    pub(crate) fn city(name: &str, triangles: usize) -> BenchScene {
        BenchScene::new(name.to_owned(), rayloom_scene::city(triangles, CITY_SEED), "street")
    }

    /// A glTF file, seen by its first camera or from outside.
    pub(crate) fn file(path: &Path) -> Result<BenchScene, String> {
        let scene = rayloom_scene::gltf::load(path, &mut |_| {}).map_err(|e| e.to_string())?;
        let name = path.file_stem().map_or_else(|| "scene".into(), |s| s.to_string_lossy().into_owned());
        Ok(BenchScene::new(name, scene, ""))
    }

    fn new(name: String, mut scene: Scene, camera: &str) -> BenchScene {
        let named = scene.cameras.iter().find(|c| c.name == camera).or(scene.cameras.first());
        let camera = named.map_or_else(|| outside(&scene), |c| c.camera);
        let directional = |l: &rayloom_scene::Light| matches!(l.shape, LightShape::Directional { .. });
        let sun = scene.lights.iter().find(|l| directional(l)).map_or(DEFAULT_SUN, |l| -l.direction).normalize();
        for material in &mut scene.materials {
            material.alpha = AlphaMode::Opaque;
            material.transmission = 0.0;
        }
        let instances = scene.instances.iter().map(|i| (i.mesh as usize, i.transform)).collect();
        BenchScene { name, meshes: scene.meshes.clone(), scene, instances, camera, sun }
    }

    /// Builds everything; `address` says where the n-th mesh will lie.
    pub(crate) fn structures(&self, address: impl Fn(usize) -> u64) -> (Tlas, Vec<Blas>) {
        let meshes: Vec<Blas> = self.meshes.iter().map(|m| Blas::build(&m.positions, &m.indices)).collect();
        (self.tlas(&meshes, address), meshes)
    }

    pub(crate) fn tlas(&self, meshes: &[Blas], address: impl Fn(usize) -> u64) -> Tlas {
        let place = |&(mesh, transform): &(usize, Affine3A)| TlasInstance {
            blas_address: address(mesh),
            blas_bounds: meshes[mesh].bounds(),
            transform,
            flags: 0,
        };
        Tlas::build(&self.instances.iter().map(place).collect::<Vec<_>>())
    }

    /// Geometric normal of a triangle in world space, unit length.
    pub(crate) fn normal(&self, instance: u32, primitive: u32) -> Vec3 {
        let (mesh, transform) = &self.instances[instance as usize];
        let mesh = &self.meshes[*mesh];
        let corner =
            |k: usize| transform.transform_point3(mesh.positions[mesh.indices[primitive as usize * 3 + k] as usize]);
        let (a, b, c) = (corner(0), corner(1), corner(2));
        (b - a).cross(c - a).normalize_or(Vec3::Y)
    }

    /// All placed triangles as one mesh.
    pub(crate) fn flattened(&self) -> (Vec<Vec3>, Vec<u32>) {
        let (mut positions, mut indices) = (Vec::new(), Vec::new());
        for (mesh, transform) in &self.instances {
            let mesh = &self.meshes[*mesh];
            let first = positions.len() as u32;
            positions.extend(mesh.positions.iter().map(|p| transform.transform_point3(*p)));
            indices.extend(mesh.indices.iter().map(|i| i + first));
        }
        (positions, indices)
    }
}

/// A camera that sees the whole scene from above its front.
fn outside(scene: &Scene) -> Camera {
    let (mut min, mut max) = (Vec3::INFINITY, Vec3::NEG_INFINITY);
    for instance in &scene.instances {
        for p in &scene.meshes[instance.mesh as usize].positions {
            let p = instance.transform.transform_point3(*p);
            (min, max) = (min.min(p), max.max(p));
        }
    }
    let (center, size) = ((min + max) * 0.5, (max - min).length());
    Camera::look_at(center + Vec3::new(0.3, 0.25, 0.75) * size, center, 0.8, 16.0 / 9.0)
}
