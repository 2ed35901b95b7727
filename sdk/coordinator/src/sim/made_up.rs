//! A recording that was never recorded: streets of houses around a camera, for where there is none of a real renderer.

use super::{RecordedFrame, Recording, SplitMix};
use glam::{Quat, Vec2, Vec3};
use rayloom_frame::Extent;
use rayloom_frame::features::{BLOCK_SIZE, BlockFeatures, FEATURES, Feature};
use rayloom_scene::Camera;
use std::f32::consts::TAU;

/// Houses around the camera.
const HOUSES: usize = 90;
/// Places a side of a block that are looked at.
const SAMPLES: u32 = 4;

struct House {
    distance: f32,
    height: f32,
    gloss: f32,
    /// How dear its rays are relative to others': what no feature tells.
    dearness: f32,
}

/// What is seen in a direction.
struct Seen {
    house: usize,
    distance: f32,
    is_sky: bool,
    is_ground: bool,
}

impl Recording {
    /// `count` frames of a view that turns to and fro at up to 20 degrees a second, 30 frames a second, with costs that are
    /// made up: a ray costs more at surfaces, where neighbours part ways, on gloss, and by a factor of each house's own.
    pub fn made_up(extent: Extent, count: u32, seed: u64) -> Recording {
        let mut random = SplitMix(seed);
        let house = |random: &mut SplitMix| House {
            distance: 12.0 + 50.0 * random.unit() as f32,
            height: 4.0 + 22.0 * random.unit() as f32,
            gloss: (random.unit() as f32 * 1.4 - 0.4).max(0.0),
            dearness: 0.7 + 0.6 * random.unit() as f32,
        };
        let houses: Vec<House> = (0..HOUSES).map(|_| house(&mut random)).collect();
        let frame = |number: u32| {
            let turn = number as f32 / count as f32 * TAU;
            let mut camera = Camera::with_fov(0.9, extent.width as f32 / extent.height as f32);
            camera.position.y = 1.8;
            camera.rotation = Quat::from_rotation_y(0.011_6 * count as f32 / TAU * turn.sin());
            recorded(&houses, camera, extent, &mut random)
        };
        Recording { extent, frames: (0..count.max(1)).map(frame).collect() }
    }
}

fn recorded(houses: &[House], camera: Camera, extent: Extent, random: &mut SplitMix) -> RecordedFrame {
    let blocks = extent.scaled(BLOCK_SIZE);
    let size = Vec2::new(extent.width as f32, extent.height as f32);
    let mut frame = RecordedFrame {
        camera,
        ns_per_px: Vec::new(),
        rays: Vec::new(),
        features: BlockFeatures { blocks_x: blocks.width, blocks_y: blocks.height, ..BlockFeatures::default() },
    };
    for block in 0..blocks.pixels() as u32 {
        let corner = Vec2::new((block % blocks.width) as f32, (block / blocks.width) as f32) * BLOCK_SIZE as f32;
        let (mut sums, mut near, mut rays, mut ns, mut last) = ([0.0_f32; FEATURES], 0.0, 0.0, 0.0, None);
        for sample in 0..SAMPLES * SAMPLES {
            let step = BLOCK_SIZE as f32 / SAMPLES as f32;
            let place = Vec2::new((sample % SAMPLES) as f32 + 0.5, (sample / SAMPLES) as f32 + 0.5) * step;
            let pixel = (corner + place).min(size - 0.5);
            let seen = look(houses, camera.ray(pixel, size), camera.position.y);
            let is_edge = last.is_some_and(|last: (usize, bool)| last != (seen.house, seen.is_sky));
            last = Some((seen.house, seen.is_sky));
            if is_edge {
                sums[Feature::DepthEdges as usize] += 1.0;
            }
            if seen.is_sky {
                rays += 1.0;
                ns += 30.0;
                continue;
            }
            let house = &houses[seen.house];
            let gloss = if seen.is_ground { 0.1 } else { house.gloss };
            sums[Feature::Coverage as usize] += 1.0;
            sums[Feature::NormalEdges as usize] += if is_edge { 1.0 } else { 0.2 };
            sums[Feature::Reflective as usize] += if gloss > 0.6 { 1.0 } else { 0.0 };
            sums[Feature::Smoothness as usize] += gloss;
            sums[Feature::Lit as usize] += 0.5;
            near += 1.0 / seen.distance;
            let own = 3.5 + 1.5 * gloss;
            rays += own;
            let dearness = if seen.is_ground { 1.0 } else { house.dearness };
            ns += 120.0 * own * dearness * if is_edge { 1.6 } else { 1.0 } * (1.0 + 0.3 * gloss);
        }
        let count = (SAMPLES * SAMPLES) as f32;
        let pixels = super::recording::pixels_of(extent, block);
        // Counts are those of chance: rays end or go on.
        let chance = 1.0 + 0.06 * (random.unit() as f32 - 0.5);
        frame.rays.push((rays / count * pixels * chance) as u32);
        frame.ns_per_px.push(ns / count * chance);
        frame.features.values.push(sums.map(|sum| sum / count));
        frame.features.inverse_depth.push(near / count);
    }
    frame
}

fn look(houses: &[House], ray: Vec3, eye: f32) -> Seen {
    let direction = ray.normalize();
    let azimuth = (direction.x.atan2(-direction.z) / TAU).rem_euclid(1.0) * houses.len() as f32;
    let house = (azimuth as usize).min(houses.len() - 1);
    let flat = Vec2::new(direction.x, direction.z).length().max(1e-3);
    let distance = houses[house].distance;
    let height = eye + direction.y / flat * distance;
    let ground = if direction.y < -1e-3 { eye / -direction.y * flat } else { f32::INFINITY };
    let is_ground = ground < distance;
    Seen { house, distance: ground.min(distance), is_sky: !is_ground && height > houses[house].height, is_ground }
}
