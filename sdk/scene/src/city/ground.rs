//! What the city stands on: streets, pavements, parks, the river, hills.

use super::builder::Builder;
use super::layout::{Layout, PITCH, STREET};
use super::surfaces::Surface;
use glam::{Vec2, Vec2Swizzles, Vec3};
use std::f32::consts::TAU;

/// Width of the river in metres.
pub(super) const RIVER: f32 = 260.0;

/// Where the land ends, in metres from the city's centre.
const HORIZON: f32 = 2600.0;

/// Height of pavements over streets in metres.
pub(super) const KERB: f32 = 0.15;

/// Streets with their markings, pavements, parks with ponds.
pub(super) fn streets(layout: &Layout, out: &mut Builder) {
    let edge = layout.edge();
    out.top(Surface::Asphalt, Vec3::new(-edge, 0.0, -edge), Vec3::new(edge, 0.0, edge));
    for block in &layout.blocks {
        let (min, max) = (block.center - block.half(), block.center + block.half());
        let (low, high) = (Vec3::new(min.x, 0.0, min.y), Vec3::new(max.x, KERB, max.y));
        if block.is_park {
            out.block(Surface::Grass, low, high);
            let (c, half) = (block.center, block.half() * 0.42);
            let pond = |s: f32, y: f32| {
                (
                    Vec3::new(c.x - half.x * s, y, c.y - half.y * s * 0.6),
                    Vec3::new(c.x + half.x * s, y, c.y + half.y * s * 0.6),
                )
            };
            let (rim, water) = (pond(1.06, KERB + 0.02), pond(1.0, KERB + 0.03));
            out.top(Surface::Limestone, rim.0, rim.1);
            out.top(Surface::Water, water.0, water.1);
        } else {
            out.block(Surface::Sidewalk, low, high);
        }
    }
    markings(layout, out);
}

fn markings(layout: &Layout, out: &mut Builder) {
    // Every stripe lies along x or, with the coordinates swapped, along z.
    let mut stripe = |along_x: bool, along: f32, across: f32, length: f32, width: f32| {
        let (c, h) = (Vec2::new(along, across), Vec2::new(length, width) * 0.5);
        let (min, max) = if along_x { (c - h, c + h) } else { ((c - h).yx(), (c + h).yx()) };
        out.top(Surface::Marking, Vec3::new(min.x, 0.0, min.y), Vec3::new(max.x, 0.012, max.y));
    };
    let lines = layout.size + 1;
    let line = |i: usize| (i as f32 - layout.size as f32 * 0.5) * PITCH;
    for i in 0..lines {
        for j in 0..layout.size {
            for along_x in [true, false] {
                let start = line(j) + STREET * 0.5;
                let length = PITCH - STREET;
                for dash in 1..8 {
                    stripe(along_x, start + length * dash as f32 / 8.0, line(i), 2.6, 0.15);
                }
                for end in [start + 1.8, start + length - 1.8] {
                    for bar in -3i32..=3 {
                        stripe(along_x, end, line(i) + bar as f32 * 1.35, 2.4, 0.6);
                    }
                }
            }
        }
    }
}

/// Height of the land at a place outside the city; zero near it.
pub(super) fn land_height(layout: &Layout, at: Vec2) -> f32 {
    let away = (at.abs().max_element() - layout.edge() - 40.0).max(0.0);
    let rise = (away / 1400.0).min(1.0);
    let wave = |x: f32, z: f32| (at.x * x + 1.3).sin() * (at.y * z + 0.4).cos();
    let hills = 0.55 + 0.3 * wave(0.0041, 0.0037) + 0.2 * wave(0.0093, 0.0088);
    // The far bank stays low, so that pictures over the river have a shore to stand on.
    let bank = if at.y > layout.edge() { 0.12 } else { 1.0 };
    (rise * rise * 240.0 * hills * bank).max(0.0)
}

/// Land around the city up to the horizon, and the river before it.
pub(super) fn land(layout: &Layout, detail: usize, out: &mut Builder) {
    let edge = layout.edge();
    let (rings, sectors) = (detail, detail * 4);
    let place = |ring: usize, sector: usize| {
        let t = ring as f32 / rings as f32;
        let angle = sector as f32 / sectors as f32 * TAU;
        let direction = Vec2::new(angle.sin(), angle.cos());
        let square = direction / direction.abs().max_element();
        // From the city's square edge to a circle; rings lie denser near the city.
        let p = square * edge * (1.0 - t) + (direction * (HORIZON + edge)) * t * (0.25 + 0.75 * t);
        let p = if ring == 0 { square * (edge - 0.5) } else { p };
        let height = if ring == 0 { -0.05 } else { land_height(layout, p) - 0.05 };
        Vec3::new(p.x, height, p.y)
    };
    let normal = |p: Vec3| {
        let h = |dx: f32, dz: f32| land_height(layout, Vec2::new(p.x + dx, p.z + dz));
        Vec3::new(h(-4.0, 0.0) - h(4.0, 0.0), 8.0, h(0.0, -4.0) - h(0.0, 4.0))
    };
    for ring in 0..rings {
        for sector in 0..sectors {
            let corners =
                [place(ring, sector), place(ring + 1, sector), place(ring + 1, sector + 1), place(ring, sector + 1)];
            let surface = if corners[1].y < 6.0 { Surface::Grass } else { Surface::Hill };
            let n = corners.map(normal);
            out.smooth_triangle(surface, [corners[0], corners[1], corners[2]], [n[0], n[1], n[2]]);
            out.smooth_triangle(surface, [corners[0], corners[2], corners[3]], [n[0], n[2], n[3]]);
        }
    }
    let (near, far) = (edge + 10.0, edge + 10.0 + RIVER);
    let water = |x0: f32, z0: f32, x1: f32, z1: f32| (Vec3::new(x0, 0.0, z0), Vec3::new(x1, 0.35, z1));
    let (min, max) = water(-HORIZON, near, HORIZON, far);
    out.top(Surface::Water, min, max);
    // The quay.
    out.block(Surface::Limestone, Vec3::new(-edge - 60.0, 0.0, near - 2.0), Vec3::new(edge + 60.0, 1.1, near));
}
