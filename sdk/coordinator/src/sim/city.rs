//! A made-up city under a sky, for runs without recorded costs.

use super::Truth;
use crate::CostMap;
use rayloom_frame::{Extent, Rect};

/// A city under a sky of the given extent, panning by `px_per_frame`: (what it costs, an estimate that knows sky from
/// city and little more). `ns` is the mean cost of a city pixel.
pub fn city_under_sky(extent: Extent, frame_id: u64, px_per_frame: f64, ns: f32) -> (Truth, CostMap) {
    let blocks = extent.scaled(16);
    let (mut truth, mut cost) = (Truth { ns_per_px: Vec::new(), rays_per_px: Vec::new() }, Vec::new());
    for y in 0..blocks.height {
        for x in 0..blocks.width {
            let column = f64::from(x) + frame_id as f64 * px_per_frame / 16.0;
            let height = f64::from(y) / f64::from(blocks.height);
            let roofs = 0.45 + 0.12 * (column * 0.37).sin() * (column * 0.11 + 1.0).cos();
            let glass = 0.5 + 0.5 * (column * 0.9 + f64::from(y) * 0.3).sin() * (f64::from(y) * 0.7).cos();
            let is_sky = height < roofs;
            let rays = if is_sky { 1.0 } else { 3.0 + 4.0 * glass as f32 };
            let per_ray = if is_sky { 0.04 } else { ns * (0.12 + 0.16 * (height - roofs) as f32) };
            truth.ns_per_px.push(rays * per_ray);
            truth.rays_per_px.push(rays);
            cost.push(if is_sky { 1.0 } else { 8.0 } * blocks_pixels(extent, x, y));
        }
    }
    (truth, CostMap { blocks_x: blocks.width, blocks_y: blocks.height, cost })
}

fn blocks_pixels(extent: Extent, x: u32, y: u32) -> f32 {
    Rect::new(16 * x, 16 * y, 16, 16).intersection(extent.rect()).pixels() as f32
}
