//! The walk of `traverse.glsl` for one ray on the CPU, over the bytes that are uploaded.

use crate::blas::{TRIANGLE_NON_OPAQUE, TRIANGLE_WORDS};
use crate::node::{self, Content, HEADER_WORDS, NODE_WORDS, WIDTH};
use crate::tlas::{INSTANCE_FORCE_OPAQUE, INSTANCE_WORDS};
use crate::{Blas, Tlas};
use glam::{Vec2, Vec3};

/// A ray; hits lie in t_min < t < t_max.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ray {
    /// Where it starts.
    pub origin: Vec3,
    /// Its direction; t counts in its lengths, so it need not be normalised.
    pub direction: Vec3,
    /// Start of the interval.
    pub t_min: f32,
    /// End of the interval.
    pub t_max: f32,
}

/// What a ray hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Distance in lengths of the ray's direction.
    pub t: f32,
    /// Index of the instance.
    pub instance: u32,
    /// Index of the triangle in its mesh.
    pub primitive: u32,
    /// Weights of the second and the third corner.
    pub barycentrics: Vec2,
}

/// Decides about triangles that are not opaque: instance, primitive, barycentrics.
pub type AcceptHit<'a> = &'a dyn Fn(u32, u32, Vec2) -> bool;

/// The nearest hit. Of hits at exactly the same distance the one with the smallest (instance, primitive) wins, so that
/// the result does not depend on the order of the walk. `blas` finds the structure of a device address.
pub fn closest_reference<'a>(
    tlas: &Tlas,
    blas: &dyn Fn(u64) -> Option<&'a Blas>,
    ray: &Ray,
    accept_hit: AcceptHit<'_>,
) -> Option<Hit> {
    // Nothing ties with the end of the interval: no hit's (instance, primitive) is below (0, 0).
    let mut best = Hit { t: ray.t_max, instance: 0, primitive: 0, barycentrics: Vec2::ZERO };
    let mut found = false;
    walk(tlas, blas, ray, &mut |hit, opaque| {
        let nearer =
            hit.t < best.t || (hit.t == best.t && (hit.instance, hit.primitive) < (best.instance, best.primitive));
        if nearer && (opaque || accept_hit(hit.instance, hit.primitive, hit.barycentrics)) {
            best = hit;
            found = true;
        }
        Some(best.t)
    });
    found.then_some(best)
}

/// True when anything is hit.
pub fn occluded_reference<'a>(
    tlas: &Tlas,
    blas: &dyn Fn(u64) -> Option<&'a Blas>,
    ray: &Ray,
    accept_hit: AcceptHit<'_>,
) -> bool {
    let mut found = false;
    walk(tlas, blas, ray, &mut |hit, opaque| {
        found |= opaque || accept_hit(hit.instance, hit.primitive, hit.barycentrics);
        (!found).then_some(ray.t_max)
    });
    found
}

/// Called for each hit in the interval with its opacity; answers the new end of the interval, or `None` to stop.
type OnHit<'a> = &'a mut dyn FnMut(Hit, bool) -> Option<f32>;

fn walk<'a>(tlas: &Tlas, blas: &dyn Fn(u64) -> Option<&'a Blas>, ray: &Ray, on_hit: OnHit<'_>) {
    let words: &[u32] = bytemuck::cast_slice(tlas.bytes());
    let mut world = Space::new(ray, ray.t_max);
    walk_tree(words, &mut world, &mut |world, place| {
        let instance = &words[words[2] as usize * 4 + place as usize * INSTANCE_WORDS..][..INSTANCE_WORDS];
        let row = |i: usize| [0, 1, 2, 3].map(|k| f32::from_bits(instance[i * 4 + k]));
        let rotate = |v: Vec3| Vec3::from([0, 1, 2].map(|i| row(i)[0] * v.x + row(i)[1] * v.y + row(i)[2] * v.z));
        let offset = Vec3::from([0, 1, 2].map(|i| row(i)[3]));
        let local = Ray { origin: rotate(ray.origin) + offset, direction: rotate(ray.direction), ..*ray };
        let Some(mesh) = blas(u64::from(instance[12]) | u64::from(instance[13]) << 32) else { return true };
        let words: &[u32] = bytemuck::cast_slice(mesh.bytes());
        let mut space = Space::new(&local, world.t_max);
        let go_on = walk_tree(words, &mut space, &mut |space, place| {
            let triangle = &words[words[2] as usize * 4 + place as usize * TRIANGLE_WORDS..][..TRIANGLE_WORDS];
            let Some((t, barycentrics)) = intersect(triangle, &local, space.t_max) else { return true };
            let opaque = triangle[9] & TRIANGLE_NON_OPAQUE == 0 || instance[14] & INSTANCE_FORCE_OPAQUE != 0;
            match on_hit(
                Hit { t, instance: instance[15], primitive: triangle[9] & !TRIANGLE_NON_OPAQUE, barycentrics },
                opaque,
            ) {
                Some(t_max) => {
                    space.t_max = t_max;
                    true
                }
                None => false,
            }
        });
        world.t_max = space.t_max;
        go_on
    });
}

/// Boxes are skipped that begin this much beyond the best hit: more than the rounding of a triangle's distance, lest the
/// order of the walk decide between surfaces that all but coincide.
const BEYOND: f32 = 1.0001;

/// A ray prepared for boxes.
struct Space {
    origin: Vec3,
    inverse: Vec3,
    octant: usize,
    t_min: f32,
    t_max: f32,
}

impl Space {
    fn new(ray: &Ray, t_max: f32) -> Space {
        // Components too small to divide by are replaced: the box test widens by more than that.
        let inverse = ray.direction.to_array().map(|d| 1.0 / if d.abs() < 1e-20 { 1e-20f32.copysign(d) } else { d });
        let octant = (0..3).map(|axis| usize::from(inverse[axis] < 0.0) << axis).sum();
        Space { origin: ray.origin, inverse: Vec3::from(inverse), octant, t_min: ray.t_min, t_max }
    }

    fn hits(&self, words: &[u32], slot: usize) -> bool {
        let (mut near, mut far) = (self.t_min, self.t_max * BEYOND);
        for axis in 0..3 {
            let step = f32::from_bits((words[3] >> (axis * 8) & 0xff) << 23);
            let a = step * self.inverse[axis];
            let b = (f32::from_bits(words[axis]) - self.origin[axis]) * self.inverse[axis];
            // More than the rounding of a, b and of the two products below.
            let pad = (b.abs() + 256.0 * a.abs()) * 5e-7;
            let edge = |side: usize| {
                let byte = words[8 + side * 6 + axis * 2 + slot / 4] >> (slot % 4 * 8) & 0xff;
                byte as f32 * a
            };
            let negative = self.octant >> axis & 1;
            near = near.max(edge(negative) + (b - pad));
            far = far.min(edge(1 - negative) + (b + pad));
        }
        near <= far
    }
}

/// Calls `visit` for every primitive whose box the ray meets until it answers false; answers false then too.
fn walk_tree(words: &[u32], space: &mut Space, visit: &mut dyn FnMut(&mut Space, u32) -> bool) -> bool {
    if words[0] == 0 {
        return true;
    }
    let mut stack = vec![0u32];
    while let Some(index) = stack.pop() {
        let node = &words[HEADER_WORDS + index as usize * NODE_WORDS..][..NODE_WORDS];
        // Far to near, so that the nearest lies on top.
        for step in (0..WIDTH).rev() {
            let slot = step ^ space.octant;
            if !node::has_box(node, slot) || !space.hits(node, slot) {
                continue;
            }
            match node::content(node, slot) {
                Content::Empty => {}
                Content::Node => stack.push(node::child_base(node) + (node[3] >> 24 & ((1 << slot) - 1)).count_ones()),
                Content::Leaf { offset, count } => {
                    let begin = node[5] + u32::from(offset);
                    for place in begin..begin + u32::from(count) {
                        if !visit(space, place) {
                            return false;
                        }
                    }
                }
            }
        }
    }
    true
}

/// Ray against triangle by signed volumes (as in Embree's robust mode): the volume of an edge is exactly negated when
/// the neighbour runs it the other way, so no ray slips between two triangles that share it.
fn intersect(words: &[u32], ray: &Ray, t_max: f32) -> Option<(f32, Vec2)> {
    let corner = |i: usize| Vec3::from([0, 1, 2].map(|k| f32::from_bits(words[i * 3 + k]))) - ray.origin;
    let (v0, v1, v2) = (corner(0), corner(1), corner(2));
    let (e0, e1, e2) = (v2 - v0, v0 - v1, v1 - v2);
    let u = e0.cross(v2 + v0).dot(ray.direction);
    let v = e1.cross(v0 + v1).dot(ray.direction);
    let w = e2.cross(v1 + v2).dot(ray.direction);
    if u.min(v).min(w) < 0.0 && u.max(v).max(w) > 0.0 {
        return None;
    }
    let normal = e1.cross(e0);
    let denominator = normal.dot(ray.direction);
    let t = v0.dot(normal) / denominator;
    let sum = u + v + w;
    // Comparisons that NaN fails: a degenerate triangle is never hit.
    (t > ray.t_min && t <= t_max && sum != 0.0 && sum.is_finite()).then(|| (t, Vec2::new(u, v) / sum))
}
