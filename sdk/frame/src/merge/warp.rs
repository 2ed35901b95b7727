//! Planes for pixels whose tile is missing: the last frame's, seen from this frame's camera.
//!
//! Each missing pixel looks for the pixel of the last frame that lands on it, by fixed-point iteration (Yang et al.,
//! "Image-Based Bidirectional Scene Reprojection", SIGGRAPH Asia 2011), so there are no cracks to fill.

use std::ops::Range;

use super::reproject::Reprojection;
use crate::{Extent, Primary, simd::Lanes};

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
pub(super) fn primary_bands(
    planes: &mut Primary,
    pixels: usize,
) -> impl ExactSizeIterator<Item = PrimaryRow<'_>> + Send {
    let Primary { depth, normal, base_color, material, motion, instance_id } = planes;
    let shape = depth.chunks_mut(pixels).zip(normal.chunks_mut(pixels)).zip(instance_id.chunks_mut(pixels));
    let look = base_color.chunks_mut(pixels).zip(material.chunks_mut(pixels)).zip(motion.chunks_mut(pixels));
    shape.zip(look).map(|(((depth, normal), instance_id), ((base_color, material), motion))| PrimaryRow {
        depth,
        normal,
        base_color,
        material,
        motion,
        instance_id,
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
    pub(super) fn warp<L: Lanes>(
        &mut self,
        last: &Primary,
        to_this: &Reprojection,
        extent: Extent,
        (x, y): (u32, u32),
    ) {
        let (width, down) = (L::splat_bits(extent.width), L::splat(y as f32 + 0.5));
        let (right, bottom) = (L::splat(extent.width as f32 - 0.5), L::splat(extent.height as f32 - 0.5));
        let depths: &[u32] = bytemuck::cast_slice(&last.depth);
        let half = L::splat(0.5);
        for at in (0..self.depth.len()).step_by(8) {
            let across = L::splat_bits(x + at as u32).add_bits(L::counting()).integer_to_float() + half;
            // Pixels beyond the row's end look where its end does.
            let (mut source_x, mut source_y) = (across.min(right), down);
            let mut places = Places::new(source_x, source_y, width);
            for _ in 0..ITERATIONS {
                // Landing is computed for the source pixel's centre plus the rest, with the depth that the centre has.
                let depth = places.read(depths);
                let (landing, _) = to_this.land(source_x, source_y, depth);
                let (next_x, next_y) = (source_x + (across - landing.0), source_y + (down - landing.1));
                // NaN (behind the camera) keeps the best so far.
                let infinite = L::splat(f32::INFINITY);
                let found = next_x.abs().lt(infinite) & next_y.abs().lt(infinite);
                source_x = next_x.max(half).min(right).select(found, source_x);
                source_y = next_y.max(half).min(bottom).select(found, source_y);
                places = Places::new(source_x, source_y, width);
            }
            let before = places.read(depths);
            let (_, depth) = to_this.land(source_x, source_y, before);
            let depth = depth.select(L::zero().lt(depth), before);
            let motion = motion_word(source_x - across, source_y - down);
            put(bytemuck::cast_slice_mut(&mut self.depth[at..]), depth);
            put(&mut self.motion[at..], motion);
            put(&mut self.normal[at..], places.read::<L>(&last.normal));
            put(&mut self.instance_id[at..], places.read::<L>(&last.instance_id));
            put(&mut self.base_color[at..], places.read::<L>(&last.base_color));
            put(&mut self.material[at..], places.read::<L>(&last.material));
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

/// Indices of eight pixels.
struct Places {
    at: [u32; 8],
    /// They follow one another, as they do on a surface.
    contiguous: bool,
}

impl Places {
    /// Of the pixels that these positions lie in.
    #[inline(always)]
    fn new<L: Lanes>(x: L, y: L, width: L) -> Places {
        let index = y.float_to_integer().mul_bits(width).add_bits(x.float_to_integer());
        let at = index.to_bits();
        let follows = index.eq_bits(L::splat_bits(at[0]).add_bits(L::counting()));
        Places { at, contiguous: follows.mask_bits() == 0xff }
    }

    /// A plane's words there.
    #[inline(always)]
    fn read<L: Lanes>(&self, words: &[u32]) -> L {
        if self.contiguous { L::load_from(words, self.at[0] as usize) } else { L::gather(words, &self.at, 0) }
    }
}

/// Writes as many lanes as there are words, at most eight.
#[inline(always)]
fn put<L: Lanes>(words: &mut [u32], lanes: L) {
    let lanes = lanes.to_bits();
    match words.first_chunk_mut() {
        Some(words) => *words = lanes,
        None => words.copy_from_slice(&lanes[..words.len()]),
    }
}

/// Two half floats a word.
#[inline(always)]
fn motion_word<L: Lanes>(right: L, down: L) -> L {
    let (right, down) = (right.to_halves(), down.to_halves());
    let mut words = [0; 8];
    for i in 0..8 {
        words[i] = u32::from(right[i]) | u32::from(down[i]) << 16;
    }
    L::load_bits(&words)
}
