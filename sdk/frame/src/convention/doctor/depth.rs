//! Depth against traced distances.

use super::{CHANGE, Found, Share, Submitted, Traced, View, differences, plane};
use crate::convention::{Convention, DepthEncoding};
use crate::gbuffer::{DepthDecode, EnginePlane, EnginePlaneKind, PlaneFormat};

/// Distances that differ by less agree: rasterised and traced pixels differ by less than a pixel's slope.
const TOLERANCE: f32 = 0.02;

/// The best encoding for a picture from this view. Where there is no depth plane everything agrees.
pub(super) fn examine(frame: &Submitted<'_>, view: &View, traced: &Traced<'_>, samples: &[(u32, u32)]) -> Found {
    let everything = Found { stated: 1.0, agreeing: 1.0, score: 1.0, convention: view.convention };
    let Some(plane) = plane(frame, EnginePlaneKind::Depth) else { return everything };
    let pixels = Pixels::new(&plane, traced, samples);
    let price = |convention: &Convention| CHANGE * differences::between(frame.convention, convention).len() as f32;
    let Some(stated) = pixels.agreeing(&view.convention) else {
        // Nothing but sky in both pictures.
        return everything;
    };
    let score = stated - price(&view.convention);
    let mut found = Found { stated, agreeing: stated, score, convention: view.convention };
    for encoding in DepthEncoding::ALL {
        for convention in pixels.variants(&Convention { depth_encoding: *encoding, ..view.convention }) {
            let Some(agreeing) = convention.check().ok().and_then(|()| pixels.agreeing(&convention)) else { continue };
            // A plane's distance is rarely wrong alone: what fits it is the second guess.
            let fitted = convention.near != view.convention.near || convention.far != view.convention.far;
            let score = agreeing - price(&convention) - if fitted { CHANGE } else { 0.0 };
            if score > found.score {
                found = Found { agreeing, score, convention, ..found };
            }
        }
    }
    found
}

/// A raw depth, its steps, and the range of distances that are traced around it.
struct Pixel {
    raw: f32,
    step: f32,
    nearest: f32,
    farthest: f32,
    /// Distance at the very pixel.
    here: f32,
    sky: bool,
}

struct Pixels(Vec<Pixel>);

impl Pixels {
    fn new(plane: &EnginePlane<'_>, traced: &Traced<'_>, samples: &[(u32, u32)]) -> Pixels {
        let pixel = |at: &(u32, u32)| {
            let raw = plane.pixel(at.0, at.1)[0];
            let step = match plane.format {
                PlaneFormat::R16Unorm => 1.0 / 65535.0,
                PlaneFormat::D24UnormS8 => 1.0 / 16_777_215.0,
                PlaneFormat::R16Float => raw.abs() / 2048.0,
                _ => raw.abs() * 1e-6,
            };
            let around = traced.around(*at).map(|i| traced.primary.depth[i]);
            let surfaces = around.clone().filter(|depth| depth.is_finite());
            Pixel {
                raw,
                step,
                nearest: surfaces.clone().fold(f32::INFINITY, f32::min),
                farthest: surfaces.fold(0.0, f32::max),
                here: traced.primary.depth[traced.index(at.0, at.1)],
                sky: around.into_iter().any(|depth| !depth.is_finite()),
            }
        };
        Pixels(samples.iter().map(pixel).collect())
    }

    fn agreeing(&self, convention: &Convention) -> Option<f32> {
        let decode = DepthDecode::new(convention);
        let mut share = Share::default();
        for pixel in &self.0 {
            let depth = decode.depth(pixel.raw);
            if !depth.is_finite() {
                if pixel.farthest > 0.0 {
                    share.count(pixel.sky);
                }
                continue;
            }
            let ends = [pixel.raw - pixel.step, pixel.raw + pixel.step].map(|raw| decode.depth(raw));
            let (low, high) = (depth.min(ends[0]).min(ends[1]), depth.max(ends[0]).max(ends[1]));
            share.count(
                pixel.farthest > 0.0
                    && high >= pixel.nearest * (1.0 - TOLERANCE)
                    && low <= pixel.farthest * (1.0 + TOLERANCE),
            );
        }
        share.share()
    }

    /// The encoding with the planes that are stated, and with the near or the far one as the picture has it.
    fn variants(&self, convention: &Convention) -> Vec<Convention> {
        let infinite =
            matches!(convention.depth_encoding, DepthEncoding::ForwardInfinite | DepthEncoding::ReversedInfinite);
        let mut variants = vec![*convention];
        if convention.depth_encoding == DepthEncoding::Linear {
            return variants;
        }
        let unit = convention.metres_per_unit;
        let nearness = |raw: f32| match convention.depth_encoding {
            DepthEncoding::Forward | DepthEncoding::ForwardInfinite => 1.0 - raw,
            DepthEncoding::ForwardSigned => (1.0 - raw) * 0.5,
            _ => raw,
        };
        // 1 / distance = nearness / near + (1 - nearness) / far.
        let fit = |plane: &dyn Fn(f32, f32) -> f32| {
            let hits = self.0.iter().filter(|pixel| pixel.here.is_finite());
            let values = hits.map(|pixel| plane(nearness(pixel.raw), 1.0 / pixel.here) / unit);
            median(values.filter(|value| *value > 0.0 && value.is_finite() && *value < 1e7).collect())
        };
        let one_by_far = if infinite || convention.far == 0.0 { 0.0 } else { 1.0 / (convention.far * unit) };
        if let Some(near) = fit(&|near, inverse| near / (inverse - (1.0 - near) * one_by_far)) {
            variants.push(Convention { near, ..*convention });
        }
        if !infinite {
            let one_by_near = 1.0 / (convention.near * unit);
            if let Some(far) = fit(&|near, inverse| (1.0 - near) / (inverse - near * one_by_near)) {
                variants.push(Convention { far, ..*convention });
            }
        }
        variants
    }
}

fn median(mut values: Vec<f32>) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}
