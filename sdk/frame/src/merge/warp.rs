//! Planes for pixels whose tile is missing: the last frame's, seen from this frame's camera.
//!
//! Each missing pixel looks for the pixel of the last frame that lands on it, by fixed-point iteration (Yang et al.,
//! "Image-Based Bidirectional Scene Reprojection", SIGGRAPH Asia 2011), so there are no cracks to fill.

use std::ops::Range;

use glam::{Vec2, Vec4};

use super::reproject::Reprojection;
use crate::{Extent, Primary, simd::Half4};

const ITERATIONS: usize = 4;

/// Pixels of all planes, next to each other in memory.
pub(super) struct PrimaryRow<'a> {
    pub(super) depth: &'a mut [f32],
    normal: &'a mut [u32],
    base_color: &'a mut [u32],
    material: &'a mut [u32],
    motion: &'a mut [u32],
    instance_id: &'a mut [u32],
}

/// The planes in pieces of `pixels`.
pub(super) fn primary_bands(planes: &mut Primary, pixels: usize) -> impl Iterator<Item = PrimaryRow<'_>> {
    let Primary { depth, normal, base_color, material, motion, instance_id } = planes;
    let mut normal = normal.chunks_mut(pixels);
    let mut base_color = base_color.chunks_mut(pixels);
    let mut material = material.chunks_mut(pixels);
    let mut motion = motion.chunks_mut(pixels);
    let mut instance_id = instance_id.chunks_mut(pixels);
    depth.chunks_mut(pixels).map_while(move |depth| {
        Some(PrimaryRow {
            depth,
            normal: normal.next()?,
            base_color: base_color.next()?,
            material: material.next()?,
            motion: motion.next()?,
            instance_id: instance_id.next()?,
        })
    })
}

impl PrimaryRow<'_> {
    /// Some of the pixels.
    pub(super) fn part(&mut self, range: Range<usize>) -> PrimaryRow<'_> {
        PrimaryRow {
            depth: &mut self.depth[range.clone()],
            normal: &mut self.normal[range.clone()],
            base_color: &mut self.base_color[range.clone()],
            material: &mut self.material[range.clone()],
            motion: &mut self.motion[range.clone()],
            instance_id: &mut self.instance_id[range],
        }
    }

    /// Fills missing pixels of a row that begins at pixel (`x`, `y`) from the last frame.
    ///
    /// The motion written is from this frame's pixel to where its content was found, so that layers read the same place.
    #[inline(always)]
    pub(super) fn warp<H: Half4>(
        &mut self,
        last: &Primary,
        to_this: &Reprojection,
        extent: Extent,
        (x, y): (u32, u32),
    ) {
        let corner = Vec2::new(extent.width as f32 - 0.5, extent.height as f32 - 0.5);
        for at in 0..self.depth.len() {
            let pixel = Vec2::new((x as usize + at) as f32 + 0.5, y as f32 + 0.5);
            let mut source = pixel;
            for _ in 0..ITERATIONS {
                // Landing is computed for the source pixel's centre plus the rest, with the depth that the centre has.
                let (landing, _) = to_this.apply(source, last.depth[index(source, extent)]);
                let next = source + (pixel - landing);
                // NaN (behind the camera) keeps the best so far.
                if !next.is_finite() {
                    break;
                }
                source = next.clamp(Vec2::splat(0.5), corner);
            }
            let from = index(source, extent);
            let (_, depth) = to_this.apply(source, last.depth[from]);
            self.depth[at] = if depth > 0.0 { depth } else { last.depth[from] };
            self.normal[at] = last.normal[from];
            self.base_color[at] = last.base_color[from];
            self.material[at] = last.material[from];
            self.instance_id[at] = last.instance_id[from];
            let motion = source - pixel;
            let [mx, my, _, _] = H::store(Vec4::new(motion.x, motion.y, 0.0, 0.0));
            self.motion[at] = mx as u32 | (my as u32) << 16;
        }
    }

    /// Fills pixels that nothing is known of.
    pub(super) fn blank(&mut self) {
        self.depth.fill(crate::SKY_DEPTH);
        let words =
            [&mut *self.normal, &mut *self.base_color, &mut *self.material, &mut *self.motion, &mut *self.instance_id];
        words.into_iter().for_each(|words| words.fill(0));
    }
}

#[inline(always)]
fn index(pixel: Vec2, extent: Extent) -> usize {
    pixel.y as usize * extent.width as usize + pixel.x as usize
}
