//! Motion against that of traced surfaces.

use super::{Found, Share, Submitted, Traced, View, best, plane};
use crate::convention::{
    Convention, MotionContent, MotionDirection, MotionEncoding, MotionJitter, MotionUnit, MotionY,
};
use crate::gbuffer::{EnginePlaneKind, MotionDecode, StaticMotion};
use glam::Vec2;
use half::f16;

/// Motions that differ by less, in pixels and as a share, agree.
const TOLERANCE: (f32, f32) = (0.1, 0.03);
/// What moves less than this on the screen tells little of units and signs.
const MOVING: f32 = 0.5;

struct Pixel {
    raw: [f32; 4],
    /// What a surface that stands still has.
    unmoved: Vec2,
    traced: Vec<Vec2>,
}

/// Compares what moves.
pub(super) fn examine(
    frame: &Submitted<'_>,
    convention: &Convention,
    view: &View,
    traced: &Traced<'_>,
    samples: &[(u32, u32)],
) -> Option<Found> {
    let plane = plane(frame, EnginePlaneKind::Motion)?;
    let size = Vec2::new(frame.extent.width as f32, frame.extent.height as f32);
    let unmoved = StaticMotion::new(size, &view.engine_camera, &view.engine_previous);
    let side = if traced.mirrored { Vec2::new(-1.0, 1.0) } else { Vec2::ONE };
    let half = |bits: u32| f16::from_bits(bits as u16).to_f32();
    let decode_stated = MotionDecode::new(convention, size, &view.engine_camera, &view.engine_previous);
    let pixels: Vec<Pixel> = samples
        .iter()
        .filter_map(|&(x, y)| {
            let index = traced.index(x, y);
            let depth = traced.primary.depth[index];
            let around = traced.around((x, y)).filter(|i| traced.is_surface(*i)).map(|i| traced.primary.motion[i]);
            let pixel = Pixel {
                raw: plane.pixel(x, y),
                unmoved: unmoved.at(x, y, depth),
                traced: around.map(|packed| Vec2::new(half(packed), half(packed >> 16)) * side).collect(),
            };
            let here = decode_stated.motion(pixel.raw, || pixel.unmoved)?;
            let moving = here.length() > MOVING || pixel.traced.iter().any(|motion| motion.length() > MOVING);
            (depth.is_finite() && moving).then_some(pixel)
        })
        .collect();
    let agree = |convention: &Convention| {
        let decode = MotionDecode::new(convention, size, &view.engine_camera, &view.engine_previous);
        let mut share = Share::default();
        for pixel in &pixels {
            let motion = decode.motion(pixel.raw, || pixel.unmoved).unwrap_or(pixel.unmoved);
            let near = |traced: &Vec2| (motion - *traced).length() < TOLERANCE.0 + TOLERANCE.1 * traced.length();
            share.count(pixel.traced.iter().any(near));
        }
        share.share()
    };
    best(convention, candidates(convention), agree)
}

/// Every combination.
fn candidates(from: &Convention) -> Vec<Convention> {
    let mut all = vec![*from];
    macro_rules! vary {
        ($($field:ident: $type:ident),+) => {$(
            let each = |convention: Convention| $type::ALL.iter().map(move |$field| Convention { $field: *$field, ..convention });
            all = all.into_iter().flat_map(each).collect();
        )+};
    }
    vary! {
        motion_encoding: MotionEncoding, motion_unit: MotionUnit, motion_direction: MotionDirection, motion_y: MotionY,
        motion_jitter: MotionJitter, motion_content: MotionContent
    }
    all
}
