//! What only textures show: which way green of normal maps points, and where texture coordinates begin.

use super::surface::SAME_DIRECTION;
use super::{BETTER, FEWEST, Found, Share, Submitted, Traced, View, plane};
use crate::convention::{Convention, NormalMapGreen, UvOrigin};
use crate::gbuffer::{EnginePlaneKind, NormalDecode};
use crate::normal::{decode_normal, encode_normal};
use crate::srgb::{linear_to_srgb, srgb_to_linear};
use glam::{Vec2, Vec3};
use std::collections::HashMap;

/// Codes of sRGB by which equal colours may differ.
const SAME_COLOR: u8 = 12;
/// Classes of brightness.
const CLASSES: usize = 16;

/// A pixel where a normal map turns the normal away from the surface's.
struct Bump {
    surface: (u32, u32),
    engine: Vec3,
    traced: Vec3,
    /// Direction of the surface, and two more at right angles to it.
    geometric: Vec3,
    right: Vec3,
    up: Vec3,
}

impl Bump {
    /// The angle about the surface's direction.
    fn angle(&self, normal: Vec3) -> f32 {
        normal.dot(self.up).atan2(normal.dot(self.right))
    }
}

/// Compares normals where normal maps bend them. The wrong green mirrors what is bent about the tangent: then the sum of
/// the engine's and the traced angle is twice the tangent's, the same all over a flat surface.
pub(super) fn examine_green(
    frame: &Submitted<'_>,
    convention: &Convention,
    view: &View,
    traced: &Traced<'_>,
    samples: &[(u32, u32)],
) -> Option<Found> {
    let plane = plane(frame, EnginePlaneKind::Normal)?;
    let decode = NormalDecode::new(convention, plane.format, &view.engine_camera).ok()?;
    let bump = |at: &(u32, u32)| {
        let geometric = flat_normal(frame, view, traced, *at)?;
        let index = traced.index(at.0, at.1);
        let bent = view.normal_of_engine(decode_normal(traced.primary.normal[index]));
        let (right, up) = geometric.any_orthonormal_pair();
        // Directions within two degrees are one surface.
        let facing = (geometric * 30.0).round() / 30.0;
        (bent.dot(geometric) < SAME_DIRECTION).then(|| Bump {
            surface: (traced.primary.instance_id[index], encode_normal(facing)),
            engine: decode.normal(plane.pixel(at.0, at.1)).normalize_or_zero(),
            traced: bent,
            geometric,
            right,
            up,
        })
    };
    let bumps: Vec<Bump> = samples.iter().filter_map(bump).collect();
    let mut axes: HashMap<(u32, u32), Vec2> = HashMap::new();
    for bump in &bumps {
        let sum = bump.angle(bump.engine) + bump.angle(bump.traced);
        *axes.entry(bump.surface).or_default() += Vec2::from_angle(sum);
    }
    let (mut stated, mut mirrored) = (Share::default(), Share::default());
    for bump in &bumps {
        stated.count(bump.engine.dot(bump.traced) > SAME_DIRECTION);
        let twice = axes.get(&bump.surface).map_or(0.0, |sum| sum.to_angle());
        let (sin, cos) = (twice - bump.angle(bump.traced)).sin_cos();
        let tilt = bump.traced.dot(bump.geometric);
        let flat = (1.0 - tilt * tilt).max(0.0).sqrt();
        let expected = bump.geometric * tilt + (bump.right * cos + bump.up * sin) * flat;
        mirrored.count(bump.engine.dot(expected) > SAME_DIRECTION);
    }
    let normal_map_green = match convention.normal_map_green {
        NormalMapGreen::Up => NormalMapGreen::Down,
        NormalMapGreen::Down => NormalMapGreen::Up,
    };
    let (stated, agreeing) = (stated.share()?, mirrored.share()?);
    Some(Found { stated, agreeing, score: agreeing, convention: Convention { normal_map_green, ..*convention } })
}

/// The direction of the surface at a pixel, where it is flat.
fn flat_normal(frame: &Submitted<'_>, view: &View, traced: &Traced<'_>, (x, y): (u32, u32)) -> Option<Vec3> {
    if x == 0 || y == 0 || x + 1 >= frame.extent.width || y + 1 >= frame.extent.height {
        return None;
    }
    let size = Vec2::new(frame.extent.width as f32, frame.extent.height as f32);
    let here = traced.index(x, y);
    let point = |x: u32, y: u32| {
        let index = traced.index(x, y);
        let depth = traced.primary.depth[index];
        let same = depth.is_finite() && traced.primary.instance_id[index] == traced.primary.instance_id[here];
        same.then(|| (view.engine_camera.ray(Vec2::new(x as f32 + 0.5, y as f32 + 0.5), size) * depth, 1.0 / depth))
    };
    let (_, middle) = point(x, y)?;
    let [left, right] = [point(x - 1, y)?, point(x + 1, y)?];
    let [above, below] = [point(x, y - 1)?, point(x, y + 1)?];
    // 1 / depth is linear in the picture of a plane.
    let bent = |a: f32, b: f32| (a + b - 2.0 * middle).abs() > middle * 1e-3;
    if bent(left.1, right.1) || bent(above.1, below.1) {
        return None;
    }
    let normal = (right.0 - left.0).cross(above.0 - below.0).try_normalize()?;
    Some(if normal.dot(left.0) > 0.0 { -normal } else { normal })
}

/// What the engine and the scene have at a pixel, in codes of sRGB.
struct Colors {
    engine: [u8; 3],
    traced: [u8; 3],
}

/// Base colours of one instance.
#[derive(Default)]
struct Surface {
    engine: [u32; CLASSES],
    traced: [u32; CLASSES],
    colors: Vec<Colors>,
    share: Share,
}

impl Surface {
    /// Pixels whose colours are on both sides, wherever on the surface.
    fn common(&self) -> u32 {
        self.engine.iter().zip(self.traced).map(|(a, b)| (*a).min(b)).sum()
    }

    /// Pixels that a gradient explains which runs the other way: what the engine and the scene have adds up to the same all over
    /// the surface, in codes or in light. Not where colours that are brighter or darker all over explain as much.
    fn reversed(&self) -> u32 {
        let code = |code: u8| f32::from(code);
        let light = |code: u8| srgb_to_linear(code);
        let sums = self.explained(code, |v| v, -1.0).max(self.explained(light, |v| linear_to_srgb(v).into(), -1.0));
        let shifted = self.explained(code, |v| v, 1.0);
        if sums as f32 > shifted as f32 + BETTER * self.colors.len() as f32 { sums } else { 0 }
    }

    /// Pixels where the engine's colour is `sign` times the traced one and something that is the same everywhere.
    fn explained(&self, value: impl Fn(u8) -> f32, code: impl Fn(f32) -> f32, sign: f32) -> u32 {
        let constant = [0, 1, 2].map(|channel| {
            let rest = |c: &Colors| value(c.engine[channel]) - sign * value(c.traced[channel]);
            let mut rests: Vec<f32> = self.colors.iter().map(rest).collect();
            rests.sort_by(f32::total_cmp);
            rests.get(rests.len() / 2).copied().unwrap_or(0.0)
        });
        let near = |c: &&Colors| {
            (0..3).all(|channel| {
                let expected = code(constant[channel] + sign * value(c.traced[channel]));
                (expected - f32::from(c.engine[channel])).abs() <= SAME_COLOR as f32
            })
        };
        self.colors.iter().filter(near).count() as u32
    }
}

/// Compares base colours on surfaces that have more than one. Textures that are upside down have the same colours
/// elsewhere on the same surface, or, where their gradient is longer than what is seen, run the other way; `agreeing` is
/// how much of them.
pub(super) fn examine_albedo(
    frame: &Submitted<'_>,
    convention: &Convention,
    traced: &Traced<'_>,
    samples: &[(u32, u32)],
) -> Option<Found> {
    let plane = plane(frame, EnginePlaneKind::Albedo)?;
    let class = |color: [u8; 3]| {
        let [r, g, b] = color.map(usize::from);
        (r * 3 + g * 6 + b) / 10 * CLASSES / 256
    };
    let mut surfaces: HashMap<u32, Surface> = HashMap::new();
    for at in samples {
        let index = traced.index(at.0, at.1);
        if !traced.is_surface(index) {
            continue;
        }
        let [r, g, b, _] = plane.pixel(at.0, at.1);
        let here = [r, g, b].map(linear_to_srgb);
        let color = |index: usize| {
            let [r, g, b, _] = traced.primary.base_color[index].to_le_bytes();
            [r, g, b]
        };
        let near = |index: usize| color(index).iter().zip(here).all(|(a, b)| a.abs_diff(b) <= SAME_COLOR);
        let surface = surfaces.entry(traced.primary.instance_id[index]).or_default();
        surface.engine[class(here)] += 1;
        surface.traced[class(color(index))] += 1;
        surface.colors.push(Colors { engine: here, traced: color(index) });
        surface.share.count(traced.around(*at).any(near));
    }
    let (mut stated, mut common) = (Share::default(), 0u32);
    for surface in surfaces.values() {
        let all = surface.share.all as u32;
        let largest = surface.traced.iter().max().copied().unwrap_or(0);
        // Of one colour, upside down is the same.
        if surface.share.all < FEWEST || largest * 10 > all * 9 {
            continue;
        }
        stated.all += surface.share.all;
        stated.agreeing += surface.share.agreeing;
        common += surface.common().max(surface.reversed());
    }
    let agreeing = common as f32 / stated.all.max(1) as f32;
    let uv_origin = match convention.uv_origin {
        UvOrigin::TopLeft => UvOrigin::BottomLeft,
        UvOrigin::BottomLeft => UvOrigin::TopLeft,
    };
    let convention = Convention { uv_origin, ..*convention };
    Some(Found { stated: stated.share()?, agreeing, score: agreeing, convention })
}
