//! Small things that stand in the city many times: trees, cars, lamps, roof machinery, houses, drones.

use super::builder::{Builder, Random, Wall};
use super::surfaces::Surface;
use crate::Mesh;
use glam::{Affine3A, Mat3A, Vec3, Vec3A};
use std::f32::consts::TAU;

/// A shared mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Prop {
    TreeGreen,
    TreeLight,
    TreeAutumn,
    TreeSmall,
    Conifer,
    CarRed,
    CarWhite,
    CarBlue,
    CarBlack,
    Taxi,
    Lamp,
    AirConditioner,
    WaterTank,
    House,
    Drone,
}

impl Prop {
    pub(super) const ALL: [Prop; 15] = [
        Prop::TreeGreen,
        Prop::TreeLight,
        Prop::TreeAutumn,
        Prop::TreeSmall,
        Prop::Conifer,
        Prop::CarRed,
        Prop::CarWhite,
        Prop::CarBlue,
        Prop::CarBlack,
        Prop::Taxi,
        Prop::Lamp,
        Prop::AirConditioner,
        Prop::WaterTank,
        Prop::House,
        Prop::Drone,
    ];
    pub(super) const TREES: [Prop; 5] =
        [Prop::TreeGreen, Prop::TreeLight, Prop::TreeGreen, Prop::TreeAutumn, Prop::TreeLight];
    pub(super) const CARS: [Prop; 5] = [Prop::CarRed, Prop::CarWhite, Prop::CarBlue, Prop::CarBlack, Prop::CarWhite];

    /// Its mesh: it stands at the origin, and what has a front faces -Z.
    pub(super) fn mesh(self, seed: u64) -> Mesh {
        let mut out = Builder::default();
        let mut random = Random::stream(seed, 900 + self as u64);
        match self {
            Prop::TreeGreen => tree(&mut out, &mut random, Surface::LeafGreen),
            Prop::TreeLight => tree(&mut out, &mut random, Surface::LeafLight),
            Prop::TreeAutumn => tree(&mut out, &mut random, Surface::LeafAutumn),
            Prop::TreeSmall => {
                out.frustum(Surface::Bark, Vec3::ZERO, [0.24, 0.12], 3.0, 4);
                blob(&mut out, &mut random, Surface::LeafGreen, Vec3::Y * 4.2, 2.2);
            }
            Prop::Conifer => conifer(&mut out),
            Prop::CarRed => car(&mut out, Surface::PaintRed),
            Prop::CarWhite => car(&mut out, Surface::PaintWhite),
            Prop::CarBlue => car(&mut out, Surface::PaintBlue),
            Prop::CarBlack => car(&mut out, Surface::PaintBlack),
            Prop::Taxi => {
                car(&mut out, Surface::PaintYellow);
                out.closed_box(Surface::SignAmber, Vec3::new(-0.3, 1.46, -0.1), Vec3::new(0.3, 1.64, 0.1));
            }
            Prop::Lamp => lamp(&mut out),
            Prop::AirConditioner => {
                out.block(Surface::Steel, Vec3::new(-1.3, 0.0, -0.9), Vec3::new(1.3, 1.5, 0.9));
                for x in [-0.65, 0.65] {
                    out.frustum(Surface::DarkPanel, Vec3::new(x, 1.5, 0.0), [0.5, 0.45], 0.2, 8);
                }
            }
            Prop::WaterTank => {
                for (x, z) in [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)] {
                    out.sides(Surface::Steel, Vec3::new(x - 0.1, 0.0, z - 0.1), Vec3::new(x + 0.1, 3.0, z + 0.1));
                }
                out.closed_frustum(Surface::Wood, Vec3::Y * 3.0, [1.7, 1.7], 3.2, 12);
                out.frustum(Surface::DarkPanel, Vec3::Y * 6.2, [1.9, 0.0], 1.3, 12);
            }
            Prop::House => house(&mut out),
            Prop::Drone => drone(&mut out),
        }
        let mut meshes = out.finish();
        meshes.pop().filter(|_| meshes.is_empty()).expect("props have no textured surface, so they are one mesh")
    }
}

/// From a prop's space to the world: at `position`, its front turned to `direction`.
pub(super) fn facing(position: Vec3, direction: Vec3, scale: f32) -> Affine3A {
    let back = -direction.normalize_or(Vec3::NEG_Z);
    let right = Vec3::Y.cross(back).normalize_or(Vec3::X);
    let axes = Mat3A::from_cols(right.into(), back.cross(right).into(), back.into()) * scale;
    Affine3A { matrix3: axes, translation: Vec3A::from(position) }
}

fn tree(out: &mut Builder, random: &mut Random, leaf: Surface) {
    out.frustum(Surface::Bark, Vec3::ZERO, [0.28, 0.14], 3.2, 5);
    blob(out, random, leaf, Vec3::new(0.0, 4.6, 0.0), 2.1);
    blob(out, random, leaf, Vec3::new(0.9, 3.7, 0.6), 1.35);
    blob(out, random, leaf, Vec3::new(-0.8, 3.9, -0.7), 1.4);
}

/// A crown of leaves: an icosahedron, divided once, with bumps.
fn blob(out: &mut Builder, random: &mut Random, leaf: Surface, center: Vec3, radius: f32) {
    let phi = 1.618_034_f32;
    let mut corners = Vec::new();
    for (a, b) in [(1.0, phi), (-1.0, phi), (1.0, -phi), (-1.0, -phi)] {
        corners.extend([Vec3::new(0.0, a, b), Vec3::new(a, b, 0.0), Vec3::new(b, 0.0, a)]);
    }
    let phase = Vec3::new(random.range(0.0, 6.0), random.range(0.0, 6.0), random.range(0.0, 6.0));
    let bump = |direction: Vec3| {
        let d = direction.normalize();
        let wave = (d * 5.0 + phase).map(f32::sin);
        center + d * radius * (0.9 + 0.16 * wave.x * wave.y + 0.12 * wave.z) * Vec3::new(1.0, 0.86, 1.0)
    };
    for i in 0..12 {
        for j in i + 1..12 {
            for k in j + 1..12 {
                let near = |a: Vec3, b: Vec3| a.distance_squared(b) < 4.1;
                let (mut a, b, mut c) = (corners[i], corners[j], corners[k]);
                if !(near(a, b) && near(b, c) && near(a, c)) {
                    continue;
                }
                if (b - a).cross(c - a).dot(a) < 0.0 {
                    std::mem::swap(&mut a, &mut c);
                }
                let (ab, bc, ca) = ((a + b) * 0.5, (b + c) * 0.5, (c + a) * 0.5);
                for [p, q, r] in [[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]] {
                    let (p, q, r) = (bump(p), bump(q), bump(r));
                    // Half round, half faceted: reads as leaves.
                    let flat = (q - p).cross(r - p).normalize_or(Vec3::Y);
                    let normal = |v: Vec3| (v - center).normalize() + flat;
                    out.smooth_triangle(leaf, [p, q, r], [normal(p), normal(q), normal(r)]);
                }
            }
        }
    }
}

fn conifer(out: &mut Builder) {
    out.frustum(Surface::Bark, Vec3::ZERO, [0.25, 0.15], 1.4, 5);
    for (y, radius, height) in [(1.0, 2.0, 3.0), (2.6, 1.6, 2.8), (4.2, 1.15, 2.8)] {
        out.closed_frustum(Surface::LeafGreen, Vec3::Y * y, [radius, 0.0], height, 9);
    }
}

fn car(out: &mut Builder, paint: Surface) {
    // The side's outline from the front bumper over the roof to the rear one: z, y, and what lies between this and the next.
    let outline = [
        (-2.2, 0.35, paint),
        (-2.25, 0.72, paint),
        (-1.15, 0.9, Surface::WindowDark),
        (-0.45, 1.42, paint),
        (0.95, 1.44, Surface::WindowDark),
        (1.6, 0.98, paint),
        (2.2, 0.92, paint),
        (2.2, 0.35, paint),
    ];
    let narrow = |y: f32| if y > 1.2 { 0.68 } else { 0.88 };
    for pair in outline.windows(2) {
        let ((z0, y0, surface), (z1, y1, _)) = (pair[0], pair[1]);
        let (w0, w1) = (narrow(y0), narrow(y1));
        out.quad(
            surface,
            [Vec3::new(w0, y0, z0), Vec3::new(-w0, y0, z0), Vec3::new(-w1, y1, z1), Vec3::new(w1, y1, z1)],
        );
    }
    for side in [-1.0f32, 1.0] {
        let face = |out: &mut Builder, surface, mut corners: [(f32, f32, f32); 4]| {
            if side < 0.0 {
                corners.reverse();
            }
            out.quad(surface, corners.map(|(x, y, z)| Vec3::new(x * side, y, z)));
        };
        face(out, paint, [(0.88, 0.35, 2.2), (0.88, 0.35, -2.2), (0.88, 0.72, -2.25), (0.88, 0.92, 2.2)]);
        face(out, paint, [(0.88, 0.92, 2.2), (0.88, 0.72, -2.25), (0.88, 0.9, -1.15), (0.88, 0.98, 1.6)]);
        face(
            out,
            Surface::WindowDark,
            [(0.88, 0.98, 1.6), (0.88, 0.9, -1.15), (0.68, 1.42, -0.45), (0.68, 1.44, 0.95)],
        );
        for z in [-1.4, 1.4] {
            wheel(out, Vec3::new(0.82 * side, 0.34, z), side);
        }
        let x = 0.55 * side;
        out.quad(Surface::Headlight, rect_z(x, 0.62, -2.262, -1.0));
        out.quad(Surface::Taillight, rect_z(x, 0.75, 2.21, 1.0));
    }
}

/// A small upright rectangle that faces along z.
fn rect_z(x: f32, y: f32, z: f32, toward: f32) -> [Vec3; 4] {
    let (w, h) = (0.2 * toward, 0.07);
    [Vec3::new(x - w, y - h, z), Vec3::new(x + w, y - h, z), Vec3::new(x + w, y + h, z), Vec3::new(x - w, y + h, z)]
}

fn wheel(out: &mut Builder, hub: Vec3, side: f32) {
    const SIDES: u32 = 8;
    let rim = |k: u32, x: f32| {
        let angle = k as f32 / SIDES as f32 * TAU * side;
        hub + Vec3::new(x, angle.cos() * 0.34, angle.sin() * 0.34)
    };
    for k in 0..SIDES {
        let outer = 0.12 * side;
        out.quad(Surface::Rubber, [rim(k, outer), rim(k, -outer), rim(k + 1, -outer), rim(k + 1, outer)]);
        out.triangle(Surface::Steel, [hub + Vec3::X * outer, rim(k, outer), rim(k + 1, outer)]);
    }
}

fn lamp(out: &mut Builder) {
    out.frustum(Surface::DarkPanel, Vec3::ZERO, [0.16, 0.07], 7.0, 6);
    out.closed_box(Surface::DarkPanel, Vec3::new(-0.06, 6.9, -1.8), Vec3::new(0.06, 7.02, 0.0));
    out.closed_box(Surface::DarkPanel, Vec3::new(-0.2, 6.84, -2.3), Vec3::new(0.2, 7.0, -1.4));
    out.quad(
        Surface::LampHead,
        [
            Vec3::new(-0.16, 6.83, -2.2),
            Vec3::new(0.16, 6.83, -2.2),
            Vec3::new(0.16, 6.83, -1.5),
            Vec3::new(-0.16, 6.83, -1.5),
        ],
    );
}

fn house(out: &mut Builder) {
    let (min, max) = (Vec3::new(-5.0, 0.0, -4.0), Vec3::new(5.0, 5.6, 4.0));
    out.sides(Surface::Plaster, min, max);
    let (eave, ridge) = (0.5, 2.8);
    for side in [-1.0f32, 1.0] {
        let mut slope = [
            Vec3::new(-5.5, 5.6 - 0.3, side * (4.0 + eave)),
            Vec3::new(5.5, 5.6 - 0.3, side * (4.0 + eave)),
            Vec3::new(5.5, 5.6 + ridge, 0.0),
            Vec3::new(-5.5, 5.6 + ridge, 0.0),
        ];
        if side < 0.0 {
            slope.swap(0, 1);
            slope.swap(2, 3);
        }
        out.quad(Surface::Terracotta, slope);
        let mut gable = [
            Vec3::new(side * 5.0, 5.6, 4.0),
            Vec3::new(side * 5.0, 5.6, -4.0),
            Vec3::new(side * 5.0, 5.6 + ridge, 0.0),
        ];
        if side < 0.0 {
            gable.swap(0, 1);
        }
        out.triangle(Surface::Plaster, gable);
    }
    for (i, wall) in Wall::around(min, max).into_iter().enumerate() {
        for floor in 0..2 {
            for bay in 0..3 {
                let u = wall.width * (bay as f32 + 0.5) / 3.0;
                let v = 0.9 + floor as f32 * 2.7;
                let glass = if (i * 7 + floor * 3 + bay) % 5 == 0 { Surface::WindowWarm } else { Surface::WindowDark };
                out.quad(Surface::Limestone, wall.rect(u - 0.65, u + 0.65, v - 0.1, v + 1.5, -0.03));
                out.quad(glass, wall.rect(u - 0.55, u + 0.55, v, v + 1.4, -0.05));
            }
        }
    }
    out.block(Surface::Terracotta, Vec3::new(2.0, 6.0, -1.0), Vec3::new(2.9, 9.4, -0.2));
}

fn drone(out: &mut Builder) {
    out.closed_box(Surface::PaintWhite, Vec3::new(-0.5, -0.18, -0.7), Vec3::new(0.5, 0.2, 0.7));
    out.closed_box(Surface::PaintBlack, Vec3::new(-0.25, -0.4, -0.6), Vec3::new(0.25, -0.18, -0.1));
    out.quad(
        Surface::Headlight,
        [
            Vec3::new(-0.2, -0.41, -0.5),
            Vec3::new(0.2, -0.41, -0.5),
            Vec3::new(0.2, -0.41, -0.2),
            Vec3::new(-0.2, -0.41, -0.2),
        ],
    );
    for (x, z) in [(-1.0f32, -1.0f32), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)] {
        let (a, b) = (Vec3::new(x * 0.4, 0.05, z * 0.5), Vec3::new(x * 1.3, 0.12, z * 1.3));
        out.closed_box(Surface::DarkPanel, a.min(b), a.max(b) - Vec3::new(0.0, 0.01, 0.0));
        out.closed_frustum(Surface::Steel, Vec3::new(x * 1.3, 0.1, z * 1.3), [0.75, 0.72], 0.05, 10);
        let light = Vec3::new(x * 1.3, -0.02, z * 1.3);
        let color = if z < 0.0 { Surface::SignBlue } else { Surface::Taillight };
        out.closed_box(color, light - Vec3::splat(0.08), light + Vec3::splat(0.08));
    }
}
