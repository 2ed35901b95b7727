//! A scene: tables of meshes, materials, textures, and what stands where.

use crate::{Camera, Environment, Light, LightShape, Material, Mesh, Pose, Texture};
use glam::{Affine3A, DVec3, Vec3};
use std::collections::HashMap;
use std::sync::Arc;

/// One placement of a mesh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instance {
    /// Index into [`Scene::meshes`].
    pub mesh: u32,
    /// From mesh space to world; finite and invertible.
    pub transform: Affine3A,
    /// The engine's own name for it.
    pub user_id: u64,
}

/// A camera that came with a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedCamera {
    /// Its name in the file.
    pub name: String,
    /// The camera; its horizontal field of view is for a square picture where the file gives no aspect ratio.
    pub camera: Camera,
}

/// Everything that can be hit or that shines.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Meshes; shared, since revisions of a scene mostly differ in instances.
    pub meshes: Vec<Arc<Mesh>>,
    /// Materials.
    pub materials: Vec<Material>,
    /// Textures.
    pub textures: Vec<Arc<Texture>>,
    /// What stands where.
    pub instances: Vec<Instance>,
    /// Shapes of instances that deform, each at most once; one for every instance of a mesh with joints.
    pub poses: Vec<Pose>,
    /// Lights.
    pub lights: Vec<Light>,
    /// The sky.
    pub environment: Environment,
    /// Cameras of the file it came from.
    pub cameras: Vec<NamedCamera>,
}

impl Default for Scene {
    /// An empty scene in the dark.
    fn default() -> Scene {
        Scene {
            meshes: Vec::new(),
            materials: Vec::new(),
            textures: Vec::new(),
            instances: Vec::new(),
            poses: Vec::new(),
            lights: Vec::new(),
            environment: Environment::constant(Vec3::ZERO),
            cameras: Vec::new(),
        }
    }
}

impl Scene {
    /// Triangles that can be hit: each mesh counts as often as it is placed.
    pub fn triangle_count(&self) -> usize {
        self.instances.iter().filter_map(|i| self.meshes.get(i.mesh as usize)).map(|m| m.triangle_count()).sum()
    }

    /// Triangles stored: each mesh counts once.
    pub fn stored_triangle_count(&self) -> usize {
        self.meshes.iter().map(|m| m.triangle_count()).sum()
    }

    /// Bytes that a device needs for it at least: vertices, indices and texels, each mesh and texture once. What rays are found by comes on
    /// top.
    pub fn device_bytes(&self) -> u64 {
        let of = |values: usize, bytes: usize| (values * bytes) as u64;
        let mesh = |mesh: &Mesh| {
            let vertices = of(mesh.positions.len() + mesh.normals.len(), 12) + of(mesh.uvs.len(), 8);
            vertices + of(mesh.indices.len(), 4)
        };
        let texels = |(width, height): (u32, u32)| 4 * u64::from(width) * u64::from(height);
        let texture = |texture: &Texture| texture.extent().map_or(0, texels);
        self.meshes.iter().map(|of| mesh(of)).sum::<u64>() + self.textures.iter().map(|of| texture(of)).sum::<u64>()
    }

    /// Smallest and largest corner of the box around everything placed and posed, in metres; both zero for an empty scene.
    pub fn bounds(&self) -> (Vec3, Vec3) {
        let local: Vec<Option<(Vec3, Vec3)>> = self.meshes.iter().map(|m| m.bounds()).collect();
        let poses = self.poses_by_instance();
        let mut result: Option<(Vec3, Vec3)> = None;
        let mut add = |p: Vec3| result = Some(result.map_or((p, p), |(a, b)| (a.min(p), b.max(p))));
        for (i, instance) in self.instances.iter().enumerate() {
            if let Some((pose, mesh)) = poses.get(&(i as u32)).zip(self.meshes.get(instance.mesh as usize)) {
                let posed = (0..mesh.positions.len()).map(|vertex| pose.position(mesh, vertex));
                posed.for_each(|p| add(instance.transform.transform_point3(p)));
                continue;
            }
            let Some((lo, hi)) = local.get(instance.mesh as usize).copied().flatten() else { continue };
            for corner in 0..8 {
                let pick = |axis: usize| if corner >> axis & 1 == 0 { lo[axis] } else { hi[axis] };
                add(instance.transform.transform_point3(Vec3::new(pick(0), pick(1), pick(2))));
            }
        }
        result.unwrap_or_default()
    }

    fn poses_by_instance(&self) -> HashMap<u32, &Pose> {
        self.poses.iter().map(|pose| (pose.instance, pose)).collect()
    }

    /// The file's first camera, fitted to width / height = `aspect` (its vertical field of view is kept), or else one that
    /// shows the scene from the front, a little from above and from the right. A few vertices far from all others, such as
    /// a ground plane's corners, need not be in the picture.
    pub fn default_camera(&self, aspect: f32) -> Camera {
        if let Some(named) = self.cameras.first() {
            let mut camera = named.camera;
            camera.tan_half_fov.x = camera.tan_half_fov.y * aspect;
            return camera;
        }
        const VERTICAL_FOV: f32 = 0.7;
        let (lo, hi) = self.crowded_bounds();
        let center = (lo + hi) * 0.5;
        let radius = ((hi - lo).length() * 0.5).max(1e-3);
        let half_fov = (VERTICAL_FOV * 0.5).min(((VERTICAL_FOV * 0.5).tan() * aspect).atan());
        let from = Vec3::new(0.45, 0.35, 1.0).normalize();
        Camera::look_at(center + from * (radius / half_fov.sin()), center, VERTICAL_FOV, aspect)
    }

    /// The part of the bounds within three standard deviations of the vertices' mean.
    fn crowded_bounds(&self) -> (Vec3, Vec3) {
        let (mut count, mut sum, mut squares) = (0.0, DVec3::ZERO, DVec3::ZERO);
        let poses = self.poses_by_instance();
        for (i, instance) in self.instances.iter().enumerate() {
            let Some(mesh) = self.meshes.get(instance.mesh as usize) else { continue };
            let pose = poses.get(&(i as u32));
            for (vertex, p) in mesh.positions.iter().enumerate() {
                let p = pose.map_or(*p, |pose| pose.position(mesh, vertex));
                let p = instance.transform.transform_point3(p).as_dvec3();
                count += 1.0;
                sum += p;
                squares += p * p;
            }
        }
        let (lo, hi) = self.bounds();
        if count == 0.0 {
            return (lo, hi);
        }
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(DVec3::ZERO).map(f64::sqrt);
        let (near, far) = ((mean - deviation * 3.0).as_vec3(), (mean + deviation * 3.0).as_vec3());
        (lo.max(near), hi.min(far))
    }

    /// Gives light to a scene that has none: a sun (irradiance about 3 W/m2) where there are no lights, and a clear sky
    /// (radiance about 0.7) where the environment is black.
    pub fn add_default_lighting(&mut self) {
        if self.lights.is_empty() {
            self.lights.push(Light {
                shape: LightShape::Directional { angle: SUN_HALF_ANGLE },
                color: Vec3::new(3.0, 2.8, 2.5),
                position: Vec3::ZERO,
                direction: -Vec3::new(0.5, 1.0, 0.6).normalize(),
                range: 0.0,
                user_id: u64::MAX,
            });
        }
        if self.environment == Environment::constant(Vec3::ZERO) {
            self.environment = Environment {
                zenith: Vec3::new(0.35, 0.52, 0.95),
                horizon: Vec3::new(0.85, 0.88, 0.9),
                ground: Vec3::new(0.3, 0.29, 0.28),
            };
        }
    }
}

/// Half of the angle under which the sun is seen from the earth, in radians.
pub(crate) const SUN_HALF_ANGLE: f32 = 0.00465;

#[cfg(test)]
mod tests {
    use super::*;
    use glam::Vec2;

    #[test]
    fn the_default_camera_shows_all_corners() {
        let mesh = Mesh::from_triangles(
            vec![Vec3::ZERO, Vec3::new(4.0, 1.0, 0.0), Vec3::new(0.0, 1.0, 9.0)],
            vec![0, 1, 2],
            0,
        );
        let place =
            |x: f32| Instance { mesh: 0, transform: Affine3A::from_translation(Vec3::new(x, 2.0, 0.0)), user_id: 0 };
        let scene =
            Scene { meshes: vec![Arc::new(mesh)], instances: vec![place(-10.0), place(3.0)], ..Scene::default() };
        assert_eq!(scene.bounds(), (Vec3::new(-10.0, 2.0, 0.0), Vec3::new(7.0, 3.0, 9.0)));
        assert_eq!((scene.triangle_count(), scene.stored_triangle_count()), (2, 1));
        for aspect in [0.4, 1.0, 2.4] {
            let camera = scene.default_camera(aspect);
            assert!(camera.is_valid());
            let (lo, hi) = scene.bounds();
            for corner in [lo, hi, Vec3::new(lo.x, hi.y, hi.z), Vec3::new(hi.x, lo.y, lo.z)] {
                let (p, depth) = camera.project(corner, Vec2::ONE);
                assert!(depth > 0.0 && p.min_element() >= 0.0 && p.max_element() <= 1.0, "{corner} at {p}");
            }
        }
    }

    #[test]
    fn the_corners_of_a_ground_plane_do_not_push_the_camera_away() {
        let ground: Vec<Vec3> =
            [(-1.0, -1.0), (1.0, -1.0), (0.0, 1.0)].map(|(x, z)| Vec3::new(x, 0.0, z) * 5000.0).into();
        let mut positions = ground;
        positions.extend((0..30_000).map(|i| Vec3::new((i % 7) as f32, (i % 5) as f32, (i % 11) as f32)));
        let mesh = Mesh::from_triangles(positions, vec![0, 1, 2], 0);
        let instances = vec![Instance { mesh: 0, transform: Affine3A::IDENTITY, user_id: 0 }];
        let scene = Scene { meshes: vec![Arc::new(mesh)], instances, ..Scene::default() };
        assert!(scene.default_camera(1.5).position.length() < 1000.0);
    }

    #[test]
    fn default_lighting_adds_only_what_is_missing() {
        let mut scene = Scene::default();
        scene.add_default_lighting();
        scene.validate().unwrap();
        assert_eq!(scene.lights.len(), 1);
        let once = scene.clone();
        scene.add_default_lighting();
        assert_eq!(scene, once);
    }
}
