//! What the city is built with: seeded random numbers and a mesh that grows by quads and boxes.

use super::surfaces::Surface;
use crate::{Mesh, MeshPart};
use glam::{Vec2, Vec3};
use std::collections::BTreeMap;

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// An independent stream for the thing with this number.
    pub(super) fn stream(seed: u64, number: u64) -> Random {
        let mut random = Random(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [low, high).
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.range(0.0, 1.0) < probability
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }
}

/// Grows a mesh; every face has its own vertices and normal unless it is given some.
#[derive(Default)]
pub(super) struct Builder {
    positions: Vec<Vec3>,
    normals: Vec<Vec3>,
    uvs: Vec<Vec2>,
    triangles: BTreeMap<Surface, Vec<u32>>,
}

impl Builder {
    pub(super) fn triangle_count(&self) -> usize {
        self.triangles.values().map(|t| t.len() / 3).sum()
    }

    /// Corners counter-clockwise seen from outside: bottom left, bottom right, top right, top left. Texture coordinates
    /// are metres along the first edge and, downwards, across it.
    pub(super) fn quad(&mut self, surface: Surface, corners: [Vec3; 4]) {
        let [a, b, c, d] = corners;
        let normal = (c - a).cross(d - b).normalize_or(Vec3::Y);
        let right = (b - a).normalize_or(Vec3::X);
        let down = right.cross(normal);
        let first = self.positions.len() as u32;
        for p in corners {
            self.positions.push(p);
            self.normals.push(normal);
            self.uvs.push(Vec2::new(p.dot(right), p.dot(down)));
        }
        self.triangles.entry(surface).or_default().extend([0, 1, 2, 0, 2, 3].map(|i| first + i));
    }

    /// A triangle with a normal at each corner.
    pub(super) fn smooth_triangle(&mut self, surface: Surface, corners: [Vec3; 3], normals: [Vec3; 3]) {
        let first = self.positions.len() as u32;
        for (p, n) in corners.into_iter().zip(normals) {
            self.positions.push(p);
            self.normals.push(n.normalize_or(Vec3::Y));
            self.uvs.push(Vec2::new(p.x, p.z));
        }
        self.triangles.entry(surface).or_default().extend([first, first + 1, first + 2]);
    }

    pub(super) fn triangle(&mut self, surface: Surface, [a, b, c]: [Vec3; 3]) {
        let normal = (b - a).cross(c - a);
        self.smooth_triangle(surface, [a, b, c], [normal; 3]);
    }

    /// An upward face of a box's top; both corners at the same height.
    pub(super) fn top(&mut self, surface: Surface, min: Vec3, max: Vec3) {
        let y = max.y;
        let corner = |x, z| Vec3::new(x, y, z);
        self.quad(surface, [corner(min.x, max.z), corner(max.x, max.z), corner(max.x, min.z), corner(min.x, min.z)]);
    }

    /// The four upright faces of a box.
    pub(super) fn sides(&mut self, surface: Surface, min: Vec3, max: Vec3) {
        for wall in Wall::around(min, max) {
            self.quad(surface, wall.rect(0.0, wall.width, 0.0, wall.height, 0.0));
        }
    }

    /// A box that stands on something: sides and top.
    pub(super) fn block(&mut self, surface: Surface, min: Vec3, max: Vec3) {
        self.sides(surface, min, max);
        self.top(surface, min, max);
    }

    /// A box seen from everywhere.
    pub(super) fn closed_box(&mut self, surface: Surface, min: Vec3, max: Vec3) {
        self.block(surface, min, max);
        let corner = |x, z| Vec3::new(x, min.y, z);
        self.quad(surface, [corner(min.x, min.z), corner(max.x, min.z), corner(max.x, max.z), corner(min.x, max.z)]);
    }

    /// An upright cone frustum on a regular polygon; a radius of zero at the top makes it a cone.
    pub(super) fn frustum(&mut self, surface: Surface, base: Vec3, radii: [f32; 2], height: f32, sides: u32) {
        let ring = |k: u32, radius: f32, y: f32| {
            let angle = k as f32 / sides as f32 * std::f32::consts::TAU;
            base + Vec3::new(angle.sin() * radius, y, angle.cos() * radius)
        };
        for k in 0..sides {
            let (a, b) = (ring(k, radii[0], 0.0), ring(k + 1, radii[0], 0.0));
            if radii[1] == 0.0 {
                self.triangle(surface, [a, b, base + Vec3::Y * height]);
            } else {
                let (c, d) = (ring(k + 1, radii[1], height), ring(k, radii[1], height));
                self.quad(surface, [a, b, c, d]);
                self.triangle(surface, [d, c, base + Vec3::Y * height]);
            }
        }
    }

    /// As [`Builder::frustum`], with its underside.
    pub(super) fn closed_frustum(&mut self, surface: Surface, base: Vec3, radii: [f32; 2], height: f32, sides: u32) {
        self.frustum(surface, base, radii, height, sides);
        let rim = |k: u32| {
            let angle = k as f32 / sides as f32 * std::f32::consts::TAU;
            base + Vec3::new(angle.sin(), 0.0, angle.cos()) * radii[0]
        };
        for k in 1..sides - 1 {
            self.triangle(surface, [rim(0), rim(k + 1), rim(k)]);
        }
    }

    /// Meshes of what was built: one without texture coordinates and one, where a surface has a texture, with them.
    pub(super) fn finish(self) -> Vec<Mesh> {
        let mut meshes = Vec::new();
        for textured in [false, true] {
            let mut mesh = Mesh::default();
            let mut numbers = vec![u32::MAX; self.positions.len()];
            for (surface, triangles) in self.triangles.iter().filter(|(s, _)| s.is_textured() == textured) {
                let first_index = mesh.indices.len() as u32;
                for &old in triangles {
                    let number = &mut numbers[old as usize];
                    if *number == u32::MAX {
                        *number = mesh.positions.len() as u32;
                        mesh.positions.push(self.positions[old as usize]);
                        mesh.normals.push(self.normals[old as usize]);
                        if textured {
                            mesh.uvs.push(self.uvs[old as usize]);
                        }
                    }
                    mesh.indices.push(*number);
                }
                let index_count = triangles.len() as u32;
                mesh.parts.push(MeshPart { first_index, index_count, material: *surface as u32 });
            }
            if !mesh.indices.is_empty() {
                meshes.push(mesh);
            }
        }
        meshes
    }
}

/// An upright rectangle seen from outside.
#[derive(Clone, Copy)]
pub(super) struct Wall {
    /// Bottom left corner.
    pub(super) origin: Vec3,
    /// Unit vector along the ground.
    pub(super) right: Vec3,
    pub(super) width: f32,
    pub(super) height: f32,
}

impl Wall {
    /// The four walls of a box, outside out.
    pub(super) fn around(min: Vec3, max: Vec3) -> [Wall; 4] {
        let size = max - min;
        let wall = |x, z, right, width| Wall { origin: Vec3::new(x, min.y, z), right, width, height: size.y };
        [
            wall(min.x, max.z, Vec3::X, size.x),
            wall(max.x, max.z, Vec3::NEG_Z, size.z),
            wall(max.x, min.z, Vec3::NEG_X, size.x),
            wall(min.x, min.z, Vec3::Z, size.z),
        ]
    }

    /// The point `u` along, `v` up and `depth` into the wall.
    pub(super) fn at(&self, u: f32, v: f32, depth: f32) -> Vec3 {
        self.origin + self.right * u + Vec3::Y * v - self.right.cross(Vec3::Y) * depth
    }

    /// A rectangle parallel to the wall, for [`Builder::quad`].
    pub(super) fn rect(&self, u0: f32, u1: f32, v0: f32, v1: f32, depth: f32) -> [Vec3; 4] {
        [self.at(u0, v0, depth), self.at(u1, v0, depth), self.at(u1, v1, depth), self.at(u0, v1, depth)]
    }
}
