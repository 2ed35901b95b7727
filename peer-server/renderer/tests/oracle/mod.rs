//! A path tracer in double precision that shares no line with the renderer: what docs/shading.md says, as plainly as it can
//! be written. Scenes without textures; every sun, every punctual light and one luminous triangle is gathered at a surface.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of what is public to all of them")]

mod lobes;
mod optics;
mod random;
mod tree;

pub use lobes::{Lobes, Material};

use glam::{DQuat, DVec2, DVec3};
use random::Random;
use rayloom_frame::Extent;
use rayloom_scene::{Camera, Environment, Light, LightShape, Scene};
use std::f64::consts::PI;
use tree::{Tree, Triangle};

/// How far rays start from the surface that they leave, in metres.
const CLEARANCE: f64 = 1e-7;
/// Clear sheets that a path passes without a bounce.
const FREE_SHEETS: u32 = 16;

/// By what luminous triangles are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Search {
    /// Scattered rays alone.
    Chance,
    /// Rays towards them too, weighted by the balance heuristic.
    Both,
}

pub struct Oracle {
    triangles: Vec<Triangle>,
    tree: Tree,
    materials: Vec<Material>,
    lights: Vec<Light>,
    environment: Environment,
    /// Luminous triangles, and the sum of the probabilities up to each.
    emitters: Vec<(usize, f64)>,
    /// Of each triangle to be gathered, over its area; 0 for dark ones.
    densities: Vec<f64>,
    pub search: Search,
}

/// A pixel's mean radiance with the variance of that mean, and the instance behind its centre.
#[derive(Clone, Copy, Debug)]
pub struct Pixel {
    pub mean: DVec3,
    pub variance: DVec3,
    pub instance: Option<usize>,
}

struct Frame([DVec3; 3]);

impl Frame {
    fn about(normal: DVec3) -> Frame {
        let tangent = normal.any_orthonormal_vector();
        Frame([tangent, normal.cross(tangent), normal])
    }

    fn to_local(&self, v: DVec3) -> DVec3 {
        DVec3::from(self.0.map(|axis| axis.dot(v)))
    }

    fn to_world(&self, v: DVec3) -> DVec3 {
        self.0[0] * v.x + self.0[1] * v.y + self.0[2] * v.z
    }
}

/// What a ray met, with both normals on the side that it came from.
struct Surface {
    position: DVec3,
    geometric: DVec3,
    frame: Frame,
    behind: bool,
    distance: f64,
    triangle: usize,
}

impl Oracle {
    pub fn new(scene: &Scene) -> Oracle {
        let mut triangles = Vec::new();
        for (index, instance) in scene.instances.iter().enumerate() {
            let mesh = &scene.meshes[instance.mesh as usize];
            let (matrix, moved) = (instance.transform.matrix3.as_dmat3(), instance.transform.translation);
            let normals = matrix.inverse().transpose();
            for part in &mesh.parts {
                let range = part.first_index as usize..(part.first_index + part.index_count) as usize;
                for corner in mesh.indices[range].chunks_exact(3) {
                    let local = [0, 1, 2].map(|k| mesh.positions[corner[k] as usize].as_dvec3());
                    let front = (normals * (local[1] - local[0]).cross(local[2] - local[0])).normalize();
                    triangles.push(Triangle {
                        corners: local.map(|p| matrix * p + glam::Vec3::from(moved).as_dvec3()),
                        normals: [0, 1, 2].map(|k| normals * mesh.normals[corner[k] as usize].as_dvec3()),
                        front,
                        material: part.material as usize,
                        instance: index,
                    });
                }
            }
        }
        let materials: Vec<Material> = scene.materials.iter().map(Material::new).collect();
        let power = |t: &Triangle| t.area() * materials[t.material].emissive.element_sum();
        let whole: f64 = triangles.iter().map(power).sum();
        let densities: Vec<f64> = triangles.iter().map(|t| power(t) / whole.max(1e-300) / t.area()).collect();
        let mut sum = 0.0;
        let luminous = triangles.iter().enumerate().filter(|(_, t)| power(t) > 0.0);
        let emitters = luminous.map(|(i, t)| {
            sum += power(t) / whole;
            (i, sum)
        });
        let emitters = emitters.collect();
        let tree = Tree::build(&triangles);
        let (lights, environment) = (scene.lights.clone(), scene.environment);
        Oracle { triangles, tree, materials, lights, environment, emitters, densities, search: Search::Both }
    }

    /// Rows from the top, as the renderer's layer has them.
    pub fn render(&self, camera: &Camera, extent: Extent, max_bounces: u32, samples: u32) -> Vec<Pixel> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut pixels = vec![Pixel { mean: DVec3::ZERO, variance: DVec3::ZERO, instance: None }; extent.pixels()];
        let rows = (extent.height as usize).div_ceil(threads) * extent.width as usize;
        std::thread::scope(|scope| {
            for (band, out) in pixels.chunks_mut(rows).enumerate() {
                scope.spawn(move || {
                    for (i, pixel) in out.iter_mut().enumerate() {
                        let index = band * rows + i;
                        let at =
                            DVec2::new((index % extent.width as usize) as f64, (index / extent.width as usize) as f64);
                        *pixel = self.pixel(camera, extent, at + 0.5, max_bounces, samples, index as u64);
                    }
                });
            }
        });
        pixels
    }

    fn pixel(&self, camera: &Camera, extent: Extent, at: DVec2, max_bounces: u32, samples: u32, seed: u64) -> Pixel {
        let origin = camera.position.as_dvec3();
        let ndc = at / DVec2::new(extent.width.into(), extent.height.into()) * 2.0 - 1.0;
        let tan = camera.tan_half_fov.as_dvec2();
        let rotation: DQuat = camera.rotation.as_dquat().normalize();
        let direction = (rotation * DVec3::new(ndc.x * tan.x, -ndc.y * tan.y, -1.0)).normalize();
        let mut random = Random::new((seed + 1) << 32);
        let (mut sum, mut squares) = (DVec3::ZERO, DVec3::ZERO);
        for _ in 0..samples {
            let light = self.radiance(origin, direction, max_bounces, &mut random);
            sum += light;
            squares += light * light;
        }
        let n = f64::from(samples);
        let mean = sum / n;
        let is_there = &mut |t: usize| self.materials[self.triangles[t].material].coverage > 0.0;
        let hit = self.tree.closest(&self.triangles, origin, direction, f64::INFINITY, is_there);
        let instance = hit.map(|h| self.triangles[h.triangle].instance);
        Pixel { mean, variance: (squares / n - mean * mean).max(DVec3::ZERO) / (n - 1.0), instance }
    }

    /// One path's light.
    fn radiance(&self, mut origin: DVec3, mut direction: DVec3, max_bounces: u32, random: &mut Random) -> DVec3 {
        let (mut light, mut throughput) = (DVec3::ZERO, DVec3::ONE);
        // Of the direction, where gathering could have found the same; and whether it is the camera's.
        let mut density: Option<f64> = None;
        // Since the last surface that scattered: how far, and whether there was one. By metre, what is lost on the way.
        let (mut travelled, mut is_camera, mut absorption) = (0.0, true, DVec3::ZERO);
        let (mut depth, mut sheets) = (0, 0);
        while depth <= max_bounces + 1 {
            let Some(surface) = self.meet(origin, direction, random) else {
                return light + throughput * self.sky(direction, density, is_camera);
            };
            let triangle = &self.triangles[surface.triangle];
            let material = &self.materials[triangle.material];
            if surface.behind && material.is_body() {
                absorption = material.absorption;
            }
            throughput *= (absorption * -surface.distance).exp();
            travelled += surface.distance;
            let beyond = if material.is_body() && !surface.behind { material.absorption } else { DVec3::ZERO };
            let gathered = if self.search == Search::Both { self.densities[surface.triangle] } else { 0.0 };
            let facing = surface.geometric.dot(direction).abs();
            let other = gathered * travelled * travelled / facing;
            light += throughput * material.emissive * density.map_or(1.0, |mine| mine / (mine + other));
            if depth > max_bounces {
                return light;
            }
            let lobes = Lobes::new(material, surface.frame.to_local(-direction), surface.behind, facing);
            light += throughput * self.gather(&surface, &lobes, [absorption, beyond], random);
            let above = |l: DVec3| surface.frame.to_world(l).dot(surface.geometric) > 0.0;
            let Some(next) = lobes.scatter(random, &above) else { return light };
            throughput *= next.weight;
            if next.is_straight {
                sheets += 1;
                depth += u32::from(sheets > FREE_SHEETS);
                origin = surface.leave(direction);
                continue;
            }
            density = next.density;
            direction = surface.frame.to_world(next.direction).normalize();
            origin = surface.leave(direction);
            (travelled, is_camera, depth) = (0.0, false, depth + 1);
            if material.is_body() && direction.dot(surface.geometric) < 0.0 {
                absorption = beyond;
            }
        }
        light
    }

    fn meet(&self, origin: DVec3, direction: DVec3, random: &mut Random) -> Option<Surface> {
        let mut meets = |t: usize| {
            let coverage = self.materials[self.triangles[t].material].coverage;
            coverage >= 1.0 || random.unit() < coverage
        };
        let hit = self.tree.closest(&self.triangles, origin, direction, f64::INFINITY, &mut meets)?;
        let triangle = &self.triangles[hit.triangle];
        let [a, b, c] = triangle.normals;
        let normal = (a * (1.0 - hit.u - hit.v) + b * hit.u + c * hit.v).normalize();
        let behind = triangle.front.dot(direction) > 0.0;
        let side = if behind { -1.0 } else { 1.0 };
        Some(Surface {
            position: origin + direction * hit.distance,
            geometric: triangle.front * side,
            frame: Frame::about(normal * side),
            behind,
            distance: hit.distance,
            triangle: hit.triangle,
        })
    }

    /// The sky's light and, but for the camera, that of the suns' discs.
    fn sky(&self, direction: DVec3, density: Option<f64>, camera: bool) -> DVec3 {
        let Environment { zenith, horizon, ground } = self.environment;
        let end = if direction.y > 0.0 { zenith } else { ground };
        let mut light = horizon.as_dvec3().lerp(end.as_dvec3(), direction.y.abs());
        for sun in self.lights.iter().filter(|_| !camera) {
            if let LightShape::Directional { angle } = sun.shape
                && angle > 0.0
                && -direction.dot(sun.direction.as_dvec3()) >= f64::from(angle).cos()
            {
                let other = 1.0 / solid_angle(angle);
                light += sun.color.as_dvec3() * (other * density.map_or(1.0, |mine| mine / (mine + other)));
            }
        }
        light
    }

    /// Light straight from the lights, through what is before the surface or beyond it.
    fn gather(&self, surface: &Surface, lobes: &Lobes<'_>, absorptions: [DVec3; 2], random: &mut Random) -> DVec3 {
        let mut light = DVec3::ZERO;
        for lamp in &self.lights {
            let color = lamp.color.as_dvec3();
            let to = lamp.position.as_dvec3() - surface.position;
            let d2 = to.length_squared();
            let (direction, distance, irradiance, density) = match lamp.shape {
                LightShape::Directional { angle: 0.0 } => (-lamp.direction.as_dvec3(), f64::INFINITY, color, None),
                LightShape::Directional { angle } => {
                    let z = 1.0 - random.unit() * (1.0 - f64::from(angle).cos());
                    let (r, (sin, cos)) = ((1.0 - z * z).sqrt(), (2.0 * PI * random.unit()).sin_cos());
                    let axes = Frame::about(-lamp.direction.as_dvec3());
                    let direction = axes.to_world(DVec3::new(r * cos, r * sin, z));
                    (direction, f64::INFINITY, color, Some(1.0 / solid_angle(angle)))
                }
                LightShape::Point | LightShape::Spot { .. } => {
                    let direction = to.normalize();
                    let fade = faded(lamp, direction, d2) / d2;
                    (direction, d2.sqrt(), color * fade, None)
                }
            };
            light += self.arriving(surface, lobes, absorptions, direction, distance, irradiance, density, random);
        }
        if self.search == Search::Both && !self.emitters.is_empty() {
            let u = random.unit();
            let index = self.emitters.partition_point(|(_, sum)| *sum <= u).min(self.emitters.len() - 1);
            let index = self.emitters[index].0;
            let triangle = &self.triangles[index];
            let (root, across) = (random.unit().sqrt(), random.unit());
            let [a, b, c] = triangle.corners;
            let to = a * (1.0 - root) + b * (root * (1.0 - across)) + c * (root * across) - surface.position;
            let (distance, direction) = (to.length(), to.normalize());
            let facing = triangle.front.dot(direction).abs();
            // Seen on edge it shows no area: a lamp does not light itself.
            if facing < 1e-9 {
                return light;
            }
            let density = self.densities[index] * distance * distance / facing;
            let material = &self.materials[triangle.material];
            // It shines where it is there.
            let irradiance = material.emissive * (material.coverage / density);
            let distance = distance - 10.0 * CLEARANCE;
            light += self.arriving(surface, lobes, absorptions, direction, distance, irradiance, Some(density), random);
        }
        light
    }

    /// What a surface makes of light from one direction if nothing is in its way; `density` with which it was drawn, where
    /// scattered rays may find it too.
    #[allow(clippy::too_many_arguments, reason = "one light's sample, taken apart")]
    fn arriving(
        &self,
        surface: &Surface,
        lobes: &Lobes<'_>,
        absorptions: [DVec3; 2],
        direction: DVec3,
        distance: f64,
        irradiance: DVec3,
        density: Option<f64>,
        random: &mut Random,
    ) -> DVec3 {
        let above = direction.dot(surface.geometric) > 0.0;
        let (value, other) = lobes.value(surface.frame.to_local(direction), above);
        let light = value * irradiance * density.map_or(1.0, |mine| mine / (mine + other));
        if light.max_element() <= 0.0 {
            return DVec3::ZERO;
        }
        let mut passage = DVec3::ONE;
        let mut meets = |t: usize| {
            let material = &self.materials[self.triangles[t].material];
            if material.coverage < 1.0 && random.unit() >= material.coverage {
                return false;
            }
            passage *= material.passing(self.triangles[t].front.dot(direction).abs());
            passage == DVec3::ZERO
        };
        let blocked = self.tree.closest(&self.triangles, surface.leave(direction), direction, distance, &mut meets);
        // What has no end is seen from a body through a hole in it.
        let within = if distance.is_finite() { distance } else { 0.0 };
        let left = (absorptions[usize::from(!above)] * -within).exp();
        if blocked.is_some() { DVec3::ZERO } else { light * passage * left }
    }
}

impl Surface {
    fn leave(&self, direction: DVec3) -> DVec3 {
        self.position + self.geometric * (CLEARANCE * self.geometric.dot(direction).signum())
    }
}

fn solid_angle(half_angle: f32) -> f64 {
    2.0 * PI * (1.0 - f64::from(half_angle).cos())
}

/// KHR_lights_punctual: the window of the range and the cone.
fn faded(lamp: &Light, direction: DVec3, d2: f64) -> f64 {
    let window = match f64::from(lamp.range) {
        0.0 => 1.0,
        range => (1.0 - (d2 / (range * range)).powi(2)).clamp(0.0, 1.0),
    };
    let LightShape::Spot { inner, outer } = lamp.shape else { return window };
    let (inner, outer) = (f64::from(inner).cos(), f64::from(outer).cos());
    let cone = ((-direction.dot(lamp.direction.as_dvec3()) - outer) / (inner - outer)).clamp(0.0, 1.0);
    window * cone * cone
}
