//! Planes for pixels whose tile is missing: the last frame's, seen from this frame's camera.
//!
//! Each missing pixel looks for the pixel of the last frame that lands on it, by fixed-point iteration (Yang et al.,
//! "Image-Based Bidirectional Scene Reprojection", SIGGRAPH Asia 2011), so there are no cracks to fill.

use glam::{Vec2, Vec4};

use super::reproject::Reprojection;
use crate::{Extent, Primary, Rect, simd::Half4};

const ITERATIONS: usize = 4;

/// Fills one row of missing pixels, `from` and everything in it being of the last frame.
///
/// The motion written is from this frame's pixel to where its content was found, so that layers read the same place.
#[inline(always)]
pub(super) fn warp_row<H: Half4>(
    planes: &mut Primary,
    last: &Primary,
    to_this: &Reprojection,
    extent: Extent,
    row: Rect,
) {
    let corner = Vec2::new(extent.width as f32 - 0.5, extent.height as f32 - 0.5);
    let index = |p: Vec2| p.y as usize * extent.width as usize + p.x as usize;
    for x in row.x..row.right() {
        let pixel = Vec2::new(x as f32 + 0.5, row.y as f32 + 0.5);
        let mut source = pixel;
        for _ in 0..ITERATIONS {
            // Landing is computed for the source pixel's centre plus the rest, with the depth that the centre has.
            let (landing, _) = to_this.apply(source, last.depth[index(source)]);
            let next = source + (pixel - landing);
            // NaN (behind the camera) keeps the best so far.
            if !next.is_finite() {
                break;
            }
            source = next.clamp(Vec2::splat(0.5), corner);
        }
        let from = index(source);
        let at = row.y as usize * extent.width as usize + x as usize;
        let (_, depth) = to_this.apply(source, last.depth[from]);
        planes.depth[at] = if depth > 0.0 { depth } else { last.depth[from] };
        planes.normal[at] = last.normal[from];
        planes.base_color[at] = last.base_color[from];
        planes.material[at] = last.material[from];
        planes.instance_id[at] = last.instance_id[from];
        let motion = source - pixel;
        let [mx, my, _, _] = H::store(Vec4::new(motion.x, motion.y, 0.0, 0.0));
        planes.motion[at] = mx as u32 | (my as u32) << 16;
    }
}

/// Fills one row of pixels that nothing is known of.
pub(super) fn blank_row(planes: &mut Primary, extent: Extent, row: Rect) {
    let start = row.y as usize * extent.width as usize + row.x as usize;
    let range = start..start + row.width as usize;
    planes.depth[range.clone()].fill(crate::SKY_DEPTH);
    for words in
        [&mut planes.normal, &mut planes.base_color, &mut planes.material, &mut planes.motion, &mut planes.instance_id]
    {
        words[range.clone()].fill(0);
    }
}
