//! Buildings: walls with windows in three grades of detail, towers, setbacks, blocks of flats, shops.

use super::builder::{Builder, Random, Wall};
use super::props::Prop;
use super::surfaces::Surface;
use glam::{Affine3A, Quat, Vec2, Vec3, Vec3Swizzles};

/// How much geometry a window gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    /// A pane on the wall.
    Flat,
    /// A pane in a recess.
    Recessed,
    /// A recess with sill and bars.
    Fine,
}

impl Detail {
    pub(super) const ALL: [Detail; 3] = [Detail::Flat, Detail::Recessed, Detail::Fine];
}

/// What stands on a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    GlassTower,
    Setback,
    Flats,
    Shops,
    /// The one that turns as it rises.
    Landmark,
}

/// A planned building; the same seed gives the same one in every detail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Building {
    pub(super) kind: Kind,
    /// Footprint on the ground (x, z) in metres.
    pub(super) min: Vec2,
    pub(super) max: Vec2,
    pub(super) height: f32,
    pub(super) seed: u64,
}

/// A wall's rhythm.
#[derive(Clone, Copy)]
struct Style {
    wall: Surface,
    glass: Surface,
    /// Width of a bay and height of a floor in metres.
    bay: f32,
    floor: f32,
    /// Share of a bay's width and of a floor's height that is window.
    open: Vec2,
    recess: f32,
    /// Share of windows behind which there is light.
    lit: f32,
    bars: bool,
}

impl Building {
    pub(super) fn center(&self) -> Vec2 {
        (self.min + self.max) * 0.5
    }

    /// Adds the building's walls, and what stands on its roof.
    pub(super) fn build(&self, detail: Detail, out: &mut Builder, props: &mut Vec<(Prop, Affine3A)>) {
        let mut random = Random::new(self.seed);
        match self.kind {
            Kind::GlassTower => self.glass_tower(detail, &mut random, out, props),
            Kind::Setback => self.setback(detail, &mut random, out, props),
            Kind::Flats => self.flats(detail, &mut random, out, props),
            Kind::Shops => self.shops(detail, &mut random, out, props),
            Kind::Landmark => self.landmark(detail, &mut random, out),
        }
    }

    fn corners(&self, inset: f32, y0: f32, y1: f32) -> (Vec3, Vec3) {
        (Vec3::new(self.min.x + inset, y0, self.min.y + inset), Vec3::new(self.max.x - inset, y1, self.max.y - inset))
    }

    fn glass_tower(&self, detail: Detail, random: &mut Random, out: &mut Builder, props: &mut Vec<(Prop, Affine3A)>) {
        let glass = random.pick(&[Surface::GlassBlue, Surface::GlassBlue, Surface::GlassGreen, Surface::GlassBronze]);
        let frame = random.pick(&[Surface::Steel, Surface::DarkPanel, Surface::Plaster]);
        let style = Style {
            wall: frame,
            glass,
            bay: random.range(2.2, 3.2),
            floor: 3.9,
            open: Vec2::new(0.9, 0.84),
            recess: 0.14,
            lit: 0.05,
            bars: false,
        };
        let podium = 9.0;
        let (min, max) = self.corners(0.0, 0.0, podium);
        ground_floor(out, min, max, random, self.seed);
        out.top(Surface::Sidewalk, min, max);
        let (min, max) = self.corners(random.range(1.5, 3.0), podium, self.height);
        facades(out, min, max, style, detail, self.seed);
        roof(out, min, max, frame, random, props);
        let crown = (max - min) * 0.28;
        let top = Vec3::new(min.x + crown.x, self.height, min.z + crown.z);
        let end = Vec3::new(max.x - crown.x, self.height + random.range(4.0, 9.0), max.z - crown.z);
        out.block(Surface::DarkPanel, top, end);
        if self.height > 90.0 {
            let base = Vec3::new((min.x + max.x) * 0.5, end.y, (min.z + max.z) * 0.5);
            out.frustum(Surface::Steel, base, [0.5, 0.12], self.height * 0.22, 6);
            let tip = base + Vec3::Y * (self.height * 0.22);
            out.closed_box(Surface::Taillight, tip - Vec3::splat(0.3), tip + Vec3::splat(0.3));
        }
    }

    fn setback(&self, detail: Detail, random: &mut Random, out: &mut Builder, props: &mut Vec<(Prop, Affine3A)>) {
        let wall = random.pick(&[Surface::Limestone, Surface::Limestone, Surface::Terracotta, Surface::Concrete]);
        let style = Style {
            wall,
            glass: Surface::WindowDark,
            bay: random.range(2.4, 3.0),
            floor: 3.6,
            open: Vec2::new(0.52, 0.6),
            recess: 0.4,
            lit: 0.16,
            bars: true,
        };
        let tiers = 2 + (random.next() % 3) as usize;
        let step = (self.max - self.min).min_element() * 0.5 / (tiers as f32 + 1.2);
        let mut y = 5.0;
        let (min, max) = self.corners(0.0, 0.0, y);
        ground_floor(out, min, max, random, self.seed);
        let mut inset = 0.0;
        for tier in 0..tiers {
            let share = [0.45, 0.72, 0.9, 1.0][tier + 4 - tiers];
            let next = if tier + 1 == tiers { self.height } else { self.height * share };
            let (min, max) = self.corners(inset, y, next.max(y + 8.0));
            facades(out, min, max, style, detail, self.seed ^ (tier as u64) << 32);
            out.closed_box(
                wall,
                Vec3::new(min.x - 0.3, max.y, min.z - 0.3),
                Vec3::new(max.x + 0.3, max.y + 0.7, max.z + 0.3),
            );
            y = max.y + 0.7;
            inset += step;
        }
        let (min, max) = self.corners(inset, y, y + 5.0);
        if self.height > 60.0 {
            out.sides(wall, min, max);
            let base = Vec3::new((min.x + max.x) * 0.5, y + 5.0, (min.z + max.z) * 0.5);
            let radius = (max.x - min.x).min(max.z - min.z) * 0.62;
            out.top(wall, min, max);
            out.closed_frustum(Surface::Gold, base, [radius, 0.0], self.height * 0.16, 8);
            out.frustum(Surface::Steel, base, [0.3, 0.05], self.height * 0.3, 5);
        } else {
            let place = Affine3A::from_translation(Vec3::new((min.x + max.x) * 0.5, y, (min.z + max.z) * 0.5));
            props.push((Prop::WaterTank, place));
        }
    }

    fn flats(&self, detail: Detail, random: &mut Random, out: &mut Builder, props: &mut Vec<(Prop, Affine3A)>) {
        let wall = random.pick(&[
            Surface::Brick,
            Surface::Brick,
            Surface::BrickPale,
            Surface::Plaster,
            Surface::Concrete,
            Surface::Terracotta,
        ]);
        let style = Style {
            wall,
            glass: Surface::WindowDark,
            bay: random.range(2.7, 3.6),
            floor: 3.2,
            open: Vec2::new(0.46, 0.55),
            recess: 0.25,
            lit: 0.2,
            bars: true,
        };
        let (min, max) = self.corners(0.0, 0.0, 4.5);
        ground_floor(out, min, max, random, self.seed);
        let (min, max) = self.corners(0.0, 4.5, self.height);
        facades(out, min, max, style, detail, self.seed);
        roof(out, min, max, wall, random, props);
        if random.chance(0.45) {
            let spot = Vec3::new(random.range(min.x + 3.0, max.x - 3.0), max.y, random.range(min.z + 3.0, max.z - 3.0));
            props.push((Prop::WaterTank, Affine3A::from_translation(spot)));
        }
        if detail > Detail::Flat {
            self.balconies(out, random, style);
        }
    }

    /// Balconies on every other bay of the two long walls.
    fn balconies(&self, out: &mut Builder, random: &mut Random, style: Style) {
        if !random.chance(0.5) {
            return;
        }
        let (min, max) = self.corners(0.0, 4.5, self.height);
        for wall in Wall::around(min, max).into_iter().step_by(2) {
            let bays = (wall.width / style.bay).round().max(1.0);
            let floors = (wall.height / style.floor).round().max(1.0);
            let (w, h) = (wall.width / bays, wall.height / floors);
            for floor in 1..floors as u32 {
                for bay in (1..bays as u32).step_by(2) {
                    let (u, v) = (bay as f32 * w, floor as f32 * h);
                    let corners = [wall.at(u + 0.1, v, 0.0), wall.at(u + w - 0.1, v + 0.12, -1.1)];
                    out.closed_box(Surface::Concrete, corners[0].min(corners[1]), corners[0].max(corners[1]));
                    out.quad(Surface::Steel, wall.rect(u + 0.1, u + w - 0.1, v + 0.2, v + 1.0, -1.08));
                }
            }
        }
    }

    fn shops(&self, detail: Detail, random: &mut Random, out: &mut Builder, props: &mut Vec<(Prop, Affine3A)>) {
        let wall = random.pick(&[
            Surface::BrickPale,
            Surface::Plaster,
            Surface::Terracotta,
            Surface::DarkPanel,
            Surface::Brick,
        ]);
        let style = Style {
            wall,
            glass: Surface::WindowDark,
            bay: 3.4,
            floor: 3.5,
            open: Vec2::new(0.62, 0.5),
            recess: 0.2,
            lit: 0.25,
            bars: true,
        };
        let (min, max) = self.corners(0.0, 0.0, 4.8);
        ground_floor(out, min, max, random, self.seed);
        let (min, max) = self.corners(0.0, 4.8, self.height);
        facades(out, min, max, style, detail, self.seed);
        roof(out, min, max, wall, random, props);
        for wall in Wall::around(min, max) {
            if random.chance(0.5) {
                // An awning over the shop window.
                let (a, b) = (wall.width * 0.15, wall.width * 0.85);
                let (high, low) = (-0.6, -1.4);
                out.quad(
                    Surface::Awning,
                    [wall.at(a, low, -1.6), wall.at(b, low, -1.6), wall.at(b, high, -0.02), wall.at(a, high, -0.02)],
                );
                out.quad(
                    Surface::Awning,
                    [wall.at(b, low, -1.59), wall.at(a, low, -1.59), wall.at(a, high, -0.01), wall.at(b, high, -0.01)],
                );
            }
        }
        if random.chance(0.4) {
            let wall = Wall::around(min, max)[(random.next() % 4) as usize];
            let middle = wall.width * 0.5;
            let up = wall.height;
            for u in [middle - 3.5, middle + 3.5] {
                let p = wall.at(u, up, 1.0);
                out.block(Surface::Steel, p - Vec3::new(0.15, 0.0, 0.15), p + Vec3::new(0.15, 2.5, 0.15));
            }
            out.quad(Surface::Billboard, wall.rect(middle - 5.0, middle + 5.0, up + 1.5, up + 6.5, 0.7));
            let back = Wall { origin: wall.at(wall.width, 0.0, 0.95), right: -wall.right, ..wall };
            out.quad(Surface::DarkPanel, back.rect(middle - 5.0, middle + 5.0, up + 1.5, up + 6.5, 0.0));
        }
    }

    fn landmark(&self, detail: Detail, random: &mut Random, out: &mut Builder) {
        let center = self.center().extend(0.0).xzy();
        let radius = (self.max - self.min).min_element() * 0.5;
        let (min, max) = self.corners(0.0, 0.0, 7.0);
        ground_floor(out, min, max, random, self.seed);
        out.top(Surface::Sidewalk, min, max);
        let floors = (self.height / 4.0) as u32;
        let panes: u32 = match detail {
            Detail::Flat => 4,
            Detail::Recessed => 8,
            Detail::Fine => 12,
        };
        // A rounded square that narrows and turns by a third of a circle.
        let ring = |floor: u32, k: u32, grow: f32| {
            let t = floor as f32 / floors as f32;
            let share = k as f32 / (4 * panes) as f32;
            let angle = share * std::f32::consts::TAU;
            let square = 1.0 / (angle.cos().abs().powi(4) + angle.sin().abs().powi(4)).powf(0.25);
            let size = (radius * 0.78 * (1.0 - 0.42 * t * t) + grow) * square;
            let turned = angle + t * 2.1;
            Vec3::new(turned.sin() * size, 7.0 + floor as f32 * 4.0, turned.cos() * size) + center
        };
        for floor in 0..floors {
            for k in 0..4 * panes {
                let lit = Random::stream(self.seed, u64::from(floor * 97 + k)).chance(0.06);
                let glass = if lit { Surface::WindowWarm } else { Surface::GlassBlue };
                let up = Vec3::Y * 0.45;
                let [a, b, c, d] = [
                    ring(floor, k, 0.0),
                    ring(floor, k + 1, 0.0),
                    ring(floor + 1, k + 1, 0.0),
                    ring(floor + 1, k, 0.0),
                ];
                out.quad(glass, [a + up, b + up, c, d]);
                let (e, f) = (ring(floor, k, 0.35), ring(floor, k + 1, 0.35));
                out.quad(Surface::Plaster, [e, f, f + up, e + up]);
                out.quad(Surface::Plaster, [e + up, f + up, b + up, a + up]);
                if detail > Detail::Flat {
                    out.quad(Surface::Plaster, [a, b, f, e]);
                }
            }
        }
        let top = center + Vec3::Y * (7.0 + floors as f32 * 4.0);
        for k in 0..4 * panes {
            out.triangle(Surface::Gravel, [ring(floors, k, 0.0), ring(floors, k + 1, 0.0), top]);
        }
        out.frustum(Surface::Steel, top, [1.6, 0.1], self.height * 0.24, 8);
    }
}

/// Shop windows between pillars, and a sign over some.
fn ground_floor(out: &mut Builder, min: Vec3, max: Vec3, random: &mut Random, seed: u64) {
    let style = Style {
        wall: Surface::DarkPanel,
        glass: Surface::WindowDark,
        bay: 4.6,
        floor: max.y - min.y,
        open: Vec2::new(0.86, 0.66),
        recess: 0.3,
        lit: 0.5,
        bars: false,
    };
    facades(out, min, max, style, Detail::Recessed, seed ^ 0x5409);
    for wall in Wall::around(min, max) {
        if random.chance(0.6) {
            let sign = random.pick(&[Surface::SignRed, Surface::SignBlue, Surface::SignAmber, Surface::WindowCool]);
            let length = random.range(0.2, 0.6) * wall.width;
            let start = random.range(0.05, 0.35) * wall.width;
            let v = wall.height - 0.75;
            let ends = [wall.at(start, v, 0.02), wall.at(start + length, v + 0.55, -0.18)];
            out.closed_box(sign, ends[0].min(ends[1]), ends[0].max(ends[1]));
        }
    }
}

/// A gravelled roof with a parapet, and air conditioners on it.
fn roof(
    out: &mut Builder,
    min: Vec3,
    max: Vec3,
    wall: Surface,
    random: &mut Random,
    props: &mut Vec<(Prop, Affine3A)>,
) {
    let (y, thick) = (max.y, 0.35);
    out.top(Surface::Gravel, min, max);
    let parapet = |x0: f32, z0: f32, x1: f32, z1: f32| (Vec3::new(x0, y, z0), Vec3::new(x1, y + 0.9, z1));
    for (a, b) in [
        parapet(min.x, min.z, max.x, min.z + thick),
        parapet(min.x, max.z - thick, max.x, max.z),
        parapet(min.x, min.z + thick, min.x + thick, max.z - thick),
        parapet(max.x - thick, min.z + thick, max.x, max.z - thick),
    ] {
        out.block(wall, a, b);
    }
    for _ in 0..random.next() % 4 {
        let spot = Vec3::new(random.range(min.x + 2.5, max.x - 2.5), y, random.range(min.z + 2.5, max.z - 2.5));
        let turn = Quat::from_rotation_y(random.pick(&[0.0, std::f32::consts::FRAC_PI_2]));
        props.push((Prop::AirConditioner, Affine3A::from_rotation_translation(turn, spot)));
    }
}

fn facades(out: &mut Builder, min: Vec3, max: Vec3, style: Style, detail: Detail, seed: u64) {
    for (i, wall) in Wall::around(min, max).into_iter().enumerate() {
        facade(out, wall, style, detail, seed ^ (i as u64) << 40);
    }
}

/// One wall of bays and floors.
fn facade(out: &mut Builder, wall: Wall, style: Style, detail: Detail, seed: u64) {
    let bays = (wall.width / style.bay).round().max(1.0) as u32;
    let floors = (wall.height / style.floor).round().max(1.0) as u32;
    let (w, h) = (wall.width / bays as f32, wall.height / floors as f32);
    let window = Vec2::new(w, h) * style.open;
    let side = (w - window.x) * 0.5;
    let sill = (h - window.y) * 0.55;
    let pane = |bay: u32, floor: u32| {
        let mut random = Random::stream(seed, u64::from(floor) << 20 | u64::from(bay));
        let glass = match random.chance(style.lit) {
            true => random.pick(&[Surface::WindowWarm, Surface::WindowWarm, Surface::WindowCool]),
            false => style.glass,
        };
        (glass, random)
    };
    if detail == Detail::Flat {
        out.quad(style.wall, wall.rect(0.0, wall.width, 0.0, wall.height, 0.0));
        for floor in 0..floors {
            let v = floor as f32 * h + sill;
            if style.open.x > 0.8 {
                // Panes that nearly touch are one band from afar.
                out.quad(style.glass, wall.rect(side, wall.width - side, v, v + window.y, -0.03));
                continue;
            }
            for bay in 0..bays {
                let u = bay as f32 * w + side;
                out.quad(pane(bay, floor).0, wall.rect(u, u + window.x, v, v + window.y, -0.03));
            }
        }
        return;
    }
    if detail == Detail::Recessed && style.open.x > 0.8 && style.bay < 4.0 {
        curtain(out, wall, style, [bays, floors], pane);
        return;
    }
    for bay in 0..=bays {
        let left = if bay == 0 { 0.0 } else { bay as f32 * w - side };
        let right = if bay == bays { wall.width } else { bay as f32 * w + side };
        out.quad(style.wall, wall.rect(left, right, 0.0, wall.height, 0.0));
    }
    for bay in 0..bays {
        let (u0, u1) = (bay as f32 * w + side, bay as f32 * w + side + window.x);
        for floor in 0..=floors {
            let bottom = if floor == 0 { 0.0 } else { (floor - 1) as f32 * h + sill + window.y };
            let top = if floor == floors { wall.height } else { floor as f32 * h + sill };
            out.quad(style.wall, wall.rect(u0, u1, bottom, top, 0.0));
        }
        for floor in 0..floors {
            let v0 = floor as f32 * h + sill;
            let (glass, mut random) = pane(bay, floor);
            recess(out, wall, style, [u0, u1, v0, v0 + window.y], glass, &mut random);
            if detail == Detail::Fine {
                trim(out, wall, style, [u0, u1, v0, v0 + window.y]);
            }
        }
    }
}

/// Panes behind a grid of bars that runs over the whole wall: few triangles for much glass.
fn curtain(
    out: &mut Builder,
    wall: Wall,
    style: Style,
    [bays, floors]: [u32; 2],
    pane: impl Fn(u32, u32) -> (Surface, Random),
) {
    let (w, h) = (wall.width / bays as f32, wall.height / floors as f32);
    let (behind, before) = (0.05, -0.1);
    for bay in 0..bays {
        for floor in 0..floors {
            let (glass, mut random) = pane(bay, floor);
            let (u, v) = (bay as f32 * w, floor as f32 * h);
            hang(out, wall, [u, u + w, v, v + h], behind, glass, &mut random);
        }
    }
    let half = w * (1.0 - style.open.x) * 0.5;
    for bay in 0..=bays {
        let (a, b) = ((bay as f32 * w - half).max(0.0), (bay as f32 * w + half).min(wall.width));
        out.quad(style.wall, wall.rect(a, b, 0.0, wall.height, before));
        for u in [(a, before, behind * 2.0), (b, behind * 2.0, before)] {
            let edge = |v, depth| wall.at(u.0, v, depth);
            out.quad(style.wall, [edge(0.0, u.2), edge(0.0, u.1), edge(wall.height, u.1), edge(wall.height, u.2)]);
        }
    }
    let band = h * (1.0 - style.open.y) * 0.5;
    for floor in 0..=floors {
        let (a, b) = ((floor as f32 * h - band).max(0.0), (floor as f32 * h + band).min(wall.height));
        let front = before * 0.8;
        out.quad(style.wall, wall.rect(0.0, wall.width, a, b, front));
        let edge = |u, v, depth| wall.at(u, v, depth);
        let (end, deep) = (wall.width, behind * 2.0);
        out.quad(style.wall, [edge(0.0, b, front), edge(end, b, front), edge(end, b, deep), edge(0.0, b, deep)]);
        out.quad(style.wall, [edge(0.0, a, deep), edge(end, a, deep), edge(end, a, front), edge(0.0, a, front)]);
    }
}

/// A pane that hangs a little askew: no two reflect quite alike, and reflections break up as they do on real towers.
fn hang(out: &mut Builder, wall: Wall, [u0, u1, v0, v1]: [f32; 4], depth: f32, glass: Surface, random: &mut Random) {
    let mut corners = wall.rect(u0, u1, v0, v1, depth);
    let inward = -wall.right.cross(Vec3::Y);
    let (tilt, turn) = (random.range(-0.012, 0.012), random.range(-0.012, 0.012));
    for (corner, offset) in corners.iter_mut().zip([-tilt - turn, -tilt + turn, tilt + turn, tilt - turn]) {
        *corner += inward * offset;
    }
    out.quad(glass, corners);
}

fn recess(
    out: &mut Builder,
    wall: Wall,
    style: Style,
    [u0, u1, v0, v1]: [f32; 4],
    glass: Surface,
    random: &mut Random,
) {
    let deep = style.recess;
    hang(out, wall, [u0, u1, v0, v1], deep, glass, random);
    let reveal = |a: (f32, f32), b: (f32, f32)| {
        [wall.at(a.0, a.1, 0.0), wall.at(b.0, b.1, 0.0), wall.at(b.0, b.1, deep), wall.at(a.0, a.1, deep)]
    };
    out.quad(style.wall, reveal((u0, v0), (u1, v0)));
    out.quad(style.wall, reveal((u1, v0), (u1, v1)));
    out.quad(style.wall, reveal((u1, v1), (u0, v1)));
    out.quad(style.wall, reveal((u0, v1), (u0, v0)));
}

/// A sill, and a bar across the pane.
fn trim(out: &mut Builder, wall: Wall, style: Style, [u0, u1, v0, v1]: [f32; 4]) {
    let (a, b) = (u0 - 0.08, u1 + 0.08);
    let sill = if style.bars { Surface::Limestone } else { Surface::Steel };
    let out_by = 0.14;
    out.quad(sill, wall.rect(a, b, v0 - 0.12, v0, -out_by));
    out.quad(sill, [wall.at(a, v0, -out_by), wall.at(b, v0, -out_by), wall.at(b, v0, 0.0), wall.at(a, v0, 0.0)]);
    out.quad(
        sill,
        [
            wall.at(a, v0 - 0.12, 0.0),
            wall.at(b, v0 - 0.12, 0.0),
            wall.at(b, v0 - 0.12, -out_by),
            wall.at(a, v0 - 0.12, -out_by),
        ],
    );
    if style.bars {
        let middle = (u0 + u1) * 0.5;
        let front = style.recess - 0.07;
        out.quad(Surface::Plaster, wall.rect(middle - 0.04, middle + 0.04, v0, v1, front));
        let across = v0 + (v1 - v0) * 0.62;
        out.quad(Surface::Plaster, wall.rect(u0, u1, across - 0.04, across + 0.04, front + 0.01));
    }
}
