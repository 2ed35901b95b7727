//! Half-resolution layers to full resolution: joint bilateral upsampling (Kopf et al., SIGGRAPH 2007).
//!
//! Blocks are anchored at the view's origin and their guides are the merged planes, so the result does not depend on how
//! the frame was cut. A pixel that a block's sample stands for keeps that sample exactly.

use super::{
    accumulate::{finite, spread},
    layer::{LayerSource, MISSING},
    reproject::Guides,
};
use crate::{
    Extent, Primary,
    demodulate::{scaled_sample_offset, scaled_sample_pixel},
    simd::Lanes,
};

/// Relative difference of depth beyond which a neighbour's sample is of another surface.
const DEPTH_TOLERANCE: f32 = 0.05;

/// What each of eight pixels of a row takes from the four blocks around it.
#[derive(Clone, Copy)]
pub(super) struct BlockTaps<L> {
    /// Column of the first pixel's left block; -1 left of the view.
    first: i32,
    /// 1 when the first pixel lies between two blocks' samples, then every other one does.
    pub(super) odd: usize,
    /// Of the blocks (top left, top right, bottom left, bottom right); the sum is 1.
    pub(super) weights: [L; 4],
    /// False when the lower two weigh nothing.
    pub(super) four: bool,
}

/// Six neighbouring blocks of the two rows of blocks around a row of pixels.
pub(super) type Blocks<T> = [[T; 6]; 2];

/// One row of pixels among the blocks of a layer at half resolution.
pub(super) struct BlockRow<'a> {
    planes: &'a Primary,
    extent: Extent,
    grid: Extent,
    /// Which pixel of its block is sampled.
    dx: u32,
    /// The rows of blocks whose samples lie around the row, and the rows of pixels that these samples are of.
    rows: [u32; 2],
    sample_rows: [u32; 2],
    /// The share of the lower blocks: 0 or a half.
    fy: f32,
}

impl<'a> BlockRow<'a> {
    pub(super) fn new(planes: &'a Primary, extent: Extent, frame_id: u64, y: u32) -> BlockRow<'a> {
        let grid = extent.scaled(2);
        let (dx, dy) = scaled_sample_offset(frame_id, 2);
        let from_sample = y as i32 - dy as i32;
        let row = |first: i32| first.clamp(0, grid.height as i32 - 1) as u32;
        let rows = [row(from_sample >> 1), row((from_sample >> 1) + 1)];
        let sample_rows = rows.map(|block_y| scaled_sample_pixel(0, block_y, frame_id, 2, extent).1);
        BlockRow { planes, extent, grid, dx, rows, sample_rows, fy: (from_sample & 1) as f32 * 0.5 }
    }

    /// The taps of the eight pixels from column `x` on.
    #[inline(always)]
    pub(super) fn taps<L: Lanes>(&self, x: u32, here: &Guides<L>) -> BlockTaps<L> {
        let width = self.extent.width as usize;
        let from_sample = x as i32 - self.dx as i32;
        let odd = (from_sample & 1) as usize;
        let is_between = L::counting().add_bits(L::splat_bits(odd as u32)).shift_left::<31>();
        let is_between = L::zero().gt_signed(is_between);
        let four = self.fy > 0.0;
        let mut taps = BlockTaps { first: from_sample >> 1, odd, weights: [L::zero(); 4], four };
        // Samples are of the pixel itself, or of the pixels left and right of it.
        let is_inside = x >= 1 && x + 8 < self.extent.width;
        let (fx, fy) = (L::splat(0.5) & is_between, L::splat(self.fy));
        let (gx, gy) = (L::splat(1.0) - fx, L::splat(1.0) - fy);
        let bilinear = [gx * gy, fx * gy, gx * fy, fx * fy];
        for lower in 0..1 + four as usize {
            let row = self.sample_rows[lower] as usize * width;
            let (left, right) = if is_inside {
                let at = row + x as usize;
                let left = Guides::<L>::load(self.planes, at - 1).select(is_between, &Guides::load(self.planes, at));
                (left, Guides::load(self.planes, at + 1))
            } else {
                let columns = self.sample_columns(x);
                (Guides::gather(self.planes, &columns[0], row), Guides::gather(self.planes, &columns[1], row))
            };
            taps.weights[2 * lower] = bilinear[2 * lower] & here.same_surface(&left, DEPTH_TOLERANCE);
            taps.weights[2 * lower + 1] = bilinear[2 * lower + 1] & here.same_surface(&right, DEPTH_TOLERANCE);
        }
        let sum = (taps.weights[0] + taps.weights[1]) + (taps.weights[2] + taps.weights[3]);
        // A depth below zero, which only broken peers send, is not even similar to itself: no weight, rather than 0 / 0.
        let inverse = (L::splat(1.0) / sum) & L::zero().lt(sum);
        for weight in &mut taps.weights {
            *weight = *weight * inverse;
        }
        if !four {
            // A sampled pixel keeps its sample, whatever it shows.
            taps.weights[0] = taps.weights[0].select(is_between, L::splat(1.0));
            taps.weights[1] = taps.weights[1] & is_between;
        }
        let lost = sum.le(L::splat(0.05)) & if four { L::splat_bits(u32::MAX) } else { is_between };
        let lost = lost.mask_bits();
        if lost != 0 {
            self.take_nearest(lost, &self.sample_columns(x), here, &mut taps);
        }
        taps
    }

    /// The columns of the samples left and right of eight pixels.
    #[inline(always)]
    fn sample_columns(&self, x: u32) -> [[u32; 8]; 2] {
        let (grid, last) = (self.grid.width as i32 - 1, self.extent.width - 1);
        let mut columns = [[0; 8]; 2];
        for i in 0..8 {
            let first = (x as i32 + i as i32 - self.dx as i32) >> 1;
            for (side, column) in columns.iter_mut().enumerate() {
                let block = (first + side as i32).clamp(0, grid) as u32;
                column[i] = (2 * block + self.dx).min(last);
            }
        }
        columns
    }

    /// All weight on the sample of most similar depth, where no neighbour shows the pixel's surface.
    #[cold]
    fn take_nearest<L: Lanes>(
        &self,
        lost: u8,
        sample_columns: &[[u32; 8]; 2],
        here: &Guides<L>,
        taps: &mut BlockTaps<L>,
    ) {
        let mut weights = taps.weights.map(L::to_array);
        let depths = here.depth.to_array();
        for i in (0..8).filter(|i| lost >> i & 1 != 0) {
            let distance = |tap: usize| {
                let row = self.sample_rows[tap / 2] as usize * self.extent.width as usize;
                (self.planes.depth[row + sample_columns[tap % 2][i] as usize].min(f32::MAX) - depths[i]).abs()
            };
            let mut best = 0;
            for tap in 1..4 {
                if distance(tap) < distance(best) {
                    best = tap;
                }
            }
            for (tap, weights) in weights.iter_mut().enumerate() {
                weights[i] = if tap == best { 1.0 } else { 0.0 };
            }
        }
        taps.weights = weights.map(|weights| L::load(&weights));
        taps.four = true;
    }

    /// The blocks of a plane of blocks that the taps are of.
    #[inline(always)]
    pub(super) fn blocks<T: Copy + Default, L: Lanes>(&self, plane: &[T], taps: &BlockTaps<L>) -> Blocks<T> {
        let mut blocks = [[T::default(); 6]; 2];
        let last = self.grid.width as i32 - 1;
        for (blocks, row) in blocks.iter_mut().zip(self.rows) {
            let start = row as usize * self.grid.width as usize;
            let row = &plane[start..start + self.grid.width as usize];
            let found = usize::try_from(taps.first).ok().and_then(|first| row.get(first..)?.first_chunk());
            match found {
                Some(found) => *blocks = *found,
                None => {
                    for (block, column) in blocks.iter_mut().zip(taps.first..) {
                        *block = row[column.clamp(0, last) as usize];
                    }
                }
            }
        }
        blocks
    }
}

impl<L: Lanes> BlockTaps<L> {
    /// What pixels `2 * pair` and `2 * pair + 1` read as their left and right block.
    #[inline(always)]
    pub(super) fn of_pair<T: Copy>(&self, row: &[T; 6], pair: usize) -> [[T; 2]; 2] {
        let second = pair + (self.odd & 1);
        [[row[pair], row[second]], [row[pair + 1], row[second + 1]]]
    }
    /// Puts the samples themselves where a pixel's weight is all on its own.
    #[inline(always)]
    pub(super) fn keep_samples(&self, row: &BlockRow<'_>, coarse: &[[u16; 4]], pixels: &mut [[u16; 4]; 8]) {
        let [blocks, _] = row.blocks(coarse, self);
        let weights = self.weights[0].to_array();
        for pair in 0..4 {
            let [left, _] = self.of_pair(&blocks, pair);
            for side in 0..2 {
                if weights[2 * pair + side] == 1.0 {
                    pixels[2 * pair + side] = left[side];
                }
            }
        }
    }
}

/// The weighted blocks that came; all of a row's own blocks did, else the row is missing.
#[inline(always)]
pub(super) fn upsample<L: Lanes>(source: &LayerSource<'_>, row: &BlockRow<'_>, taps: &BlockTaps<L>) -> [L; 4] {
    let mut weights = taps.weights;
    if !source.all_blocks_came {
        let from = row.blocks(source.coarse_from, taps);
        if from.as_flattened().contains(&MISSING) {
            weights = without_missing(&from, taps);
        }
    }
    let blocks = row.blocks(source.coarse, taps);
    let mut sums = [L::zero(); 4];
    for (blocks, weights) in blocks.iter().zip(weights.as_chunks().0).take(1 + taps.four as usize) {
        // Two loops, each with its places known.
        if taps.odd == 0 {
            add_blocks::<L, 0>(blocks, weights, &mut sums);
        } else {
            add_blocks::<L, 1>(blocks, weights, &mut sums);
        }
    }
    sums
}

/// Adds a row's left and right blocks; two pixels read neighbouring blocks (`STEP` 1) or the same (0).
#[inline(always)]
fn add_blocks<L: Lanes, const STEP: usize>(blocks: &[[u16; 4]; 6], weights: &[L; 2], sums: &mut [L; 4]) {
    let mut pairs = [L::zero(); 5];
    for (i, pair) in pairs.iter_mut().enumerate() {
        *pair = finite(L::load_halves(&bytemuck::cast([blocks[i], blocks[i + STEP]])));
    }
    let (left, right) = (spread(weights[0]), spread(weights[1]));
    for pair in 0..4 {
        sums[pair] = sums[pair] + pairs[pair] * left[pair] + pairs[pair + 1] * right[pair];
    }
}

/// The taps' weights, those of missing blocks given to the others.
#[cold]
fn without_missing<L: Lanes>(blocks: &Blocks<u8>, taps: &BlockTaps<L>) -> [L; 4] {
    let mut came = [[0; 8]; 4];
    for pair in 0..4 {
        for lower in 0..2 {
            for (side, of_side) in taps.of_pair(&blocks[lower], pair).into_iter().enumerate() {
                for (i, from) in of_side.into_iter().enumerate() {
                    came[2 * lower + side][2 * pair + i] = (from != MISSING) as u8;
                }
            }
        }
    }
    let mut weights = taps.weights;
    for (weight, came) in weights.iter_mut().zip(came) {
        *weight = L::zero().select(L::load_bytes(&came).eq_bits(L::zero()), *weight);
    }
    let sum = (weights[0] + weights[1]) + (weights[2] + weights[3]);
    let (is_some, inverse) = (L::zero().lt(sum), L::splat(1.0) / sum);
    // Where nothing is missing the weights stay, bit for bit.
    let mut changed = L::zero();
    for (weight, before) in weights.iter().zip(taps.weights) {
        changed = changed | weight.eq_bits(before).not();
    }
    for (weight, before) in weights.iter_mut().zip(taps.weights) {
        *weight = ((*weight * inverse) & is_some).select(changed, before);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Half4, Kernel, dispatch};

    struct Row<'a>(&'a Primary, Extent, u32);

    impl Kernel for Row<'_> {
        type Output = [[f32; 8]; 4];

        #[inline(always)]
        fn run<H: Half4>(self) -> Self::Output {
            let Row(planes, extent, y) = self;
            let here = Guides::<H::Lanes>::load(planes, (y * extent.width) as usize);
            let taps = BlockRow::new(planes, extent, 0, y).taps(0, &here);
            [taps.weights[0], taps.weights[1], taps.weights[2], taps.weights[3]].map(H::Lanes::to_array)
        }
    }

    #[test]
    fn a_sampled_pixel_takes_its_own_sample_and_an_edge_is_not_crossed() {
        let extent = Extent::new(8, 4);
        let n = extent.pixels();
        let mut planes = Primary {
            depth: vec![4.0; n],
            normal: vec![0; n],
            instance_id: vec![1; n],
            material: vec![0; n],
            ..Primary::default()
        };
        // The right half is another object.
        for i in 0..n {
            if i % 8 >= 4 {
                (planes.depth[i], planes.instance_id[i]) = (20.0, 2);
            }
        }
        let weights = dispatch(Row(&planes, extent, 2));
        let of = |x: usize| weights.map(|tap| tap[x]);
        assert_eq!(of(2), [1.0, 0.0, 0.0, 0.0]);
        // Pixel 1 lies between the samples at 0 and 2, pixel 3 between those at 2 and 4: only 2 is its own surface.
        assert_eq!(of(1), [0.5, 0.5, 0.0, 0.0]);
        assert_eq!(of(3), [1.0, 0.0, 0.0, 0.0]);
        // Row 3 lies between the samples of row 2 and those of the last row of blocks, which are the same.
        let between = dispatch(Row(&planes, extent, 3));
        assert_eq!(between.map(|tap| tap[1]), [0.25; 4]);
    }

    #[test]
    fn blocks_stand_around_the_pixels_that_read_them() {
        let extent = Extent::new(21, 4);
        let n = extent.pixels();
        let planes = Primary {
            depth: vec![4.0; n],
            normal: vec![0; n],
            instance_id: vec![1; n],
            material: vec![0; n],
            ..Primary::default()
        };
        let columns: Vec<u32> = (0..22).map(|i| i % 11).collect();
        struct Read<'a>(&'a Primary, Extent, &'a [u32], u64, u32);
        impl Kernel for Read<'_> {
            type Output = [[u32; 2]; 8];

            #[inline(always)]
            fn run<H: Half4>(self) -> Self::Output {
                let Read(planes, extent, columns, frame_id, x) = self;
                let row = BlockRow::new(planes, extent, frame_id, 1);
                let taps = row.taps(x, &Guides::<H::Lanes>::load(planes, (extent.width + x) as usize));
                let blocks = row.blocks(columns, &taps);
                let mut read = [[0; 2]; 8];
                for pair in 0..4 {
                    let [left, right] = taps.of_pair(&blocks[0], pair);
                    read[2 * pair] = [left[0], right[0]];
                    read[2 * pair + 1] = [left[1], right[1]];
                }
                read
            }
        }
        for frame_id in 0..4 {
            let (dx, _) = scaled_sample_offset(frame_id, 2);
            for x in 0..13 {
                let read = dispatch(Read(&planes, extent, &columns, frame_id, x));
                for (i, read) in (x as i32..).zip(read) {
                    let block = (i - dx as i32) >> 1;
                    assert_eq!(read[0] as i32, block.clamp(0, 10), "frame {frame_id}, pixel {i}");
                    // A sampled pixel does not look to the right.
                    if (i - dx as i32) & 1 == 1 {
                        assert_eq!(read[1] as i32, (block + 1).clamp(0, 10), "frame {frame_id}, pixel {i}");
                    }
                }
            }
        }
    }
}
