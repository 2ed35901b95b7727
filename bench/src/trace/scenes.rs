//! What is traced: instanced triangle meshes and a camera.

use glam::{Affine3A, Mat4, Quat, Vec3};
use rayloom_bvh::{Blas, Tlas, TlasInstance};
use std::path::Path;

/// Positions and indices.
pub(crate) type Triangles = (Vec<Vec3>, Vec<u32>);

pub(crate) struct BenchScene {
    pub(crate) name: String,
    pub(crate) meshes: Vec<Triangles>,
    /// Mesh and placement.
    pub(crate) instances: Vec<(usize, Affine3A)>,
    pub(crate) eye: Vec3,
    pub(crate) target: Vec3,
}

impl BenchScene {
    pub(crate) fn city(name: &str, triangles: usize) -> BenchScene {
        let mesh = soup(triangles);
        BenchScene {
            name: name.to_owned(),
            meshes: vec![mesh],
            instances: vec![(0, Affine3A::IDENTITY)],
            eye: Vec3::new(-2.0, 14.0, -2.0),
            target: Vec3::new(60.0, 6.0, 70.0),
        }
    }

    pub(crate) fn file(path: &Path) -> Result<BenchScene, String> {
        let file = gltf::Gltf::open(path).map_err(|e| format!("cannot load {}: {e}", path.display()))?;
        let (document, blob) = (file.document, file.blob.ok_or("only .glb files are read here")?);
        let mut meshes: Vec<Triangles> = Vec::new();
        let mut primitives = Vec::new();
        for mesh in document.meshes() {
            let mut merged = Triangles::default();
            for primitive in mesh.primitives() {
                let reader = primitive.reader(|b| (b.index() == 0).then_some(blob.as_slice()));
                let Some(positions) = reader.read_positions() else { continue };
                let first = merged.0.len() as u32;
                merged.0.extend(positions.map(Vec3::from));
                match reader.read_indices() {
                    Some(indices) => merged.1.extend(indices.into_u32().map(|i| i + first)),
                    None => merged.1.extend(first..merged.0.len() as u32),
                }
            }
            primitives.push(meshes.len());
            meshes.push(merged);
        }
        let mut scene = BenchScene {
            name: path.file_stem().map_or_else(|| "scene".into(), |s| s.to_string_lossy().into_owned()),
            meshes,
            instances: Vec::new(),
            eye: Vec3::new(0.0, 1.0, 5.0),
            target: Vec3::ZERO,
        };
        let mut nodes: Vec<_> =
            document.scenes().flat_map(|s| s.nodes().collect::<Vec<_>>()).map(|n| (n, Mat4::IDENTITY)).collect();
        while let Some((node, parent)) = nodes.pop() {
            let matrix = parent * Mat4::from_cols_array_2d(&node.transform().matrix());
            if let Some(mesh) = node.mesh() {
                scene.instances.push((primitives[mesh.index()], Affine3A::from_mat4(matrix)));
            }
            if node.camera().is_some() {
                scene.eye = matrix.transform_point3(Vec3::ZERO);
                scene.target = matrix.transform_point3(Vec3::NEG_Z);
            }
            nodes.extend(node.children().map(|c| (c, matrix)));
        }
        Ok(scene)
    }

    /// Builds everything; `address` says where the n-th mesh will lie.
    pub(crate) fn structures(&self, address: impl Fn(usize) -> u64) -> (Tlas, Vec<Blas>) {
        let meshes: Vec<Blas> = self.meshes.iter().map(|(p, i)| Blas::build(p, i)).collect();
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

    /// Corners of a triangle in world space.
    pub(crate) fn corners(&self, instance: u32, primitive: u32) -> [Vec3; 3] {
        let (mesh, transform) = &self.instances[instance as usize];
        let (positions, indices) = &self.meshes[*mesh];
        [0, 1, 2].map(|k| transform.transform_point3(positions[indices[primitive as usize * 3 + k] as usize]))
    }

    pub(crate) fn normal(&self, instance: u32, primitive: u32) -> Vec3 {
        let [a, b, c] = self.corners(instance, primitive);
        (b - a).cross(c - a).normalize_or(Vec3::Y)
    }
}

/// Houses with window frames and round trees on a plain: about `triangles` in one mesh.
pub(crate) fn soup(triangles: usize) -> Triangles {
    let mut mesh = Triangles::default();
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0
    };
    let lots = ((triangles as f32 / 3800.0).sqrt().ceil() as usize).max(2);
    let side = 120.0 / lots as f32 * (lots as f32 / 7.0);
    let spacing = side / lots as f32 * 4.0;
    let extent = spacing * lots as f32;
    cuboid(&mut mesh, Vec3::new(extent * 0.5, -1.0, extent * 0.5), Vec3::new(extent * 2.0, 1.0, extent * 2.0));
    for lot in 0..lots * lots {
        let corner = Vec3::new((lot % lots) as f32, 0.0, (lot / lots) as f32) * spacing;
        let size = Vec3::new(0.25 + random() * 0.1, 0.0, 0.25 + random() * 0.1) * spacing;
        let height = 4.0 + random() * random() * 30.0;
        let half = Vec3::new(size.x, height * 0.5, size.z);
        let center = corner + Vec3::new(spacing * 0.5, height * 0.5, spacing * 0.5);
        cuboid(&mut mesh, center, half);
        for window in 0..200 {
            let (a, b) = ((window % 10) as f32 / 10.0, (window / 40) as f32 / 5.0);
            let along = (a - 0.45) * 2.0;
            let y = (b - 0.4) * height;
            let at = match window / 10 % 4 {
                0 => Vec3::new(along * half.x, y, half.z),
                1 => Vec3::new(along * half.x, y, -half.z),
                2 => Vec3::new(half.x, y, along * half.z),
                _ => Vec3::new(-half.x, y, along * half.z),
            };
            cuboid(&mut mesh, center + at, Vec3::new(0.04 * spacing, height * 0.06, 0.04 * spacing) * 0.5);
        }
        for _ in 0..6 {
            let at = corner + Vec3::new(random() * spacing, 1.5 + random(), random() * 0.15 * spacing);
            sphere(&mut mesh, at, 0.03 * spacing * (1.0 + random()));
        }
    }
    mesh
}

fn cuboid(mesh: &mut Triangles, center: Vec3, half: Vec3) {
    let first = mesh.0.len() as u32;
    for i in 0..8u32 {
        let sign = |bit: u32| if i >> bit & 1 == 1 { 1.0 } else { -1.0 };
        mesh.0.push(center + half * Vec3::new(sign(0), sign(1), sign(2)));
    }
    const FACES: [u32; 36] = [
        0, 2, 1, 1, 2, 3, 4, 5, 6, 5, 7, 6, 0, 1, 4, 1, 5, 4, 2, 6, 3, 3, 6, 7, 0, 4, 2, 2, 4, 6, 1, 3, 5, 3, 7, 5,
    ];
    mesh.1.extend(FACES.map(|i| i + first));
}

fn sphere(mesh: &mut Triangles, center: Vec3, radius: f32) {
    let (rings, sides) = (8u32, 14u32);
    let first = mesh.0.len() as u32;
    for ring in 0..=rings {
        let polar = ring as f32 / rings as f32 * std::f32::consts::PI;
        for side in 0..sides {
            let around = Quat::from_rotation_y(side as f32 / sides as f32 * std::f32::consts::TAU);
            mesh.0.push(center + around * Vec3::new(polar.sin(), polar.cos(), 0.0) * radius);
        }
    }
    for ring in 0..rings {
        for side in 0..sides {
            let next = (side + 1) % sides;
            let [a, b] = [ring * sides, (ring + 1) * sides].map(|r| first + r);
            mesh.1.extend([a + side, a + next, b + side, b + side, a + next, b + next]);
        }
    }
}
