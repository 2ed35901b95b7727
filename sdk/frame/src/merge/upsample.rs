//! Half-resolution layers to full resolution: joint bilateral upsampling (Kopf et al., SIGGRAPH 2007).
//!
//! Blocks are anchored at the view's origin and their guides are the merged planes, so the result does not depend on how
//! the frame was cut. A pixel that a block's sample stands for keeps that sample exactly.

use glam::Vec4;

use super::reproject::Guide;
use crate::{
    Extent, Primary, Rect,
    demodulate::{scaled_sample_offset, scaled_sample_pixel},
};

/// Four blocks around a pixel and what each is worth to it; the sum of the weights is 1.
#[derive(Clone, Copy, Default)]
pub(super) struct BlockTap {
    pub(super) blocks: [u32; 4],
    pub(super) weights: Vec4,
}

/// Relative difference of depth beyond which a neighbour's sample is of another surface.
const DEPTH_TOLERANCE: f32 = 0.05;

/// Finds the taps of one row of pixels.
#[inline(always)]
pub(super) fn block_taps(planes: &Primary, extent: Extent, frame_id: u64, row: Rect, taps: &mut Vec<BlockTap>) {
    let grid = extent.scaled(2);
    let (dx, dy) = scaled_sample_offset(frame_id, 2);
    // First of the two blocks whose samples lie around a coordinate, and the second one's share.
    let around = |v: u32, offset: u32, blocks: u32| {
        let from_sample = v as i32 - offset as i32;
        let first = from_sample >> 1;
        let clamp = |b: i32| b.clamp(0, blocks as i32 - 1) as u32;
        (clamp(first), clamp(first + 1), (from_sample & 1) as f32 * 0.5)
    };
    let (y0, y1, fy) = around(row.y, dy, grid.height);
    taps.clear();
    for x in row.x..row.right() {
        let (x0, x1, fx) = around(x, dx, grid.width);
        let corners = [(x0, y0), (x1, y0), (x0, y1), (x1, y1)];
        let blocks = corners.map(|(bx, by)| by * grid.width + bx);
        let bilinear = Vec4::new((1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy);
        if bilinear.x == 1.0 {
            taps.push(BlockTap { blocks, weights: bilinear });
            continue;
        }
        let samples = corners.map(|(bx, by)| {
            let (sx, sy) = scaled_sample_pixel(bx, by, frame_id, 2, extent);
            sy as usize * extent.width as usize + sx as usize
        });
        let guide = Guide::of(planes, row.y as usize * extent.width as usize + x as usize);
        let weights = bilinear * guide.same_surface(planes, samples, DEPTH_TOLERANCE);
        let sum = weights.element_sum();
        let weights = if sum > 0.05 { weights * (1.0 / sum) } else { nearest_in_depth(planes, samples, guide.depth) };
        taps.push(BlockTap { blocks, weights });
    }
}

/// All weight on the sample of most similar depth, where no neighbour shows the pixel's surface.
fn nearest_in_depth(planes: &Primary, samples: [usize; 4], depth: f32) -> Vec4 {
    let distance = samples.map(|i| (planes.depth[i].min(f32::MAX) - depth).abs());
    let mut best = 0;
    for k in 1..4 {
        if distance[k] < distance[best] {
            best = k;
        }
    }
    Vec4::from_array(std::array::from_fn(|k| if k == best { 1.0 } else { 0.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampled_pixel_takes_its_own_sample_and_an_edge_is_not_crossed() {
        let extent = Extent::new(8, 4);
        let n = extent.pixels();
        let mut planes =
            Primary { depth: vec![4.0; n], normal: vec![0; n], instance_id: vec![1; n], ..Primary::default() };
        // The right half is another object.
        for i in 0..n {
            if i % 8 >= 4 {
                (planes.depth[i], planes.instance_id[i]) = (20.0, 2);
            }
        }
        let mut taps = Vec::new();
        block_taps(&planes, extent, 0, Rect::new(0, 2, 8, 1), &mut taps);
        assert_eq!((taps[2].blocks[0], taps[2].weights), (5, Vec4::X));
        // Pixel 1 lies between the samples at 0 and 2, pixel 3 between those at 2 and 4: only 2 is its own surface.
        assert_eq!(taps[1].weights, Vec4::new(0.5, 0.5, 0.0, 0.0));
        assert_eq!((taps[3].blocks[0], taps[3].weights), (5, Vec4::X));
    }
}
