//! Light that changed: how much history is still true, told from how this frame's samples differ from it.
//!
//! History averages over many frames, so a lamp that is switched off would fade for as many. Each block of pixels gathers the
//! differences between samples and history. Noise makes them cancel out; where their mean is beyond what noise explains,
//! history is wrong by it, and the weight that a sample deserves follows from both (a scalar Kalman gain). The next
//! frame's history then counts for fewer frames there, and for one more with each frame after that. It is the temporal
//! gradient of A-SVGF (Schied et al. 2018), from the samples that there are: nothing is traced again.

use glam::Vec2;
use half::f16;

use super::{reproject::Reprojection, warp::NOWHERE};
use crate::{Extent, LayerKind, LayerRequest, Primary, Rect, simd::Lanes};

const LAYERS: usize = LayerKind::ALL.len();

/// Pixels of a block's side; bands hold whole blocks.
pub(super) const SIDE: usize = 8;
const _: () = assert!(crate::workers::BAND_ROWS.is_multiple_of(SIDE), "a block belongs to one band");

/// No block counts fewer frames than there are.
const UNLIMITED: u8 = u8::MAX;
/// Standard errors of the mean difference that noise explains.
const SIGMAS: f32 = 4.25;
/// Neighbours' samples that a filter takes the mean of: by so much less noise does a new sample bring than its own.
const FILTERED_SAMPLES: f32 = 16.0;
/// Fewer pixels tell nothing.
const FEWEST_PIXELS: f32 = 32.0;
/// History of fewer frames is noise itself.
pub(super) const FEWEST_FRAMES: u32 = 4;

/// Differences of luminance, sample less history, of some pixels of a block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Difference {
    pixels: f32,
    sum: f32,
    square: f32,
}

impl Difference {
    /// Shares of the channels of two pixels in eight lanes.
    #[inline(always)]
    pub(super) fn shares<L: Lanes>() -> L {
        L::load(&[0.2126, 0.7152, 0.0722, 0.0, 0.2126, 0.7152, 0.0722, 0.0])
    }

    /// Adds the sums over lanes of differences and their squares, channels weighted by [`Difference::shares`].
    #[inline(always)]
    pub(super) fn add<L: Lanes>(&mut self, pixels: u32, sum: L, square: L) {
        /// Of grey noise: the square of the sum of its channels over the sum of their squares.
        const GREY: f32 = 1.0 / (0.2126 * 0.2126 + 0.7152 * 0.7152 + 0.0722 * 0.0722);
        // Halves are added to halves, then both lie in one register, and pairs to pairs.
        let halves = L::load_bits(&[4, 5, 6, 7, 0, 1, 2, 3]);
        let upper = L::load_bits(&[0, 0, 0, 0, u32::MAX, u32::MAX, u32::MAX, u32::MAX]);
        let mut both = (square + square.permute(halves)).select(upper, sum + sum.permute(halves));
        both = both + both.permute(L::load_bits(&[2, 3, 0, 1, 6, 7, 4, 5]));
        both = both + both.permute(L::load_bits(&[1, 0, 3, 2, 5, 4, 7, 6]));
        let both = both.to_array();
        self.pixels += pixels as f32;
        self.sum += both[0];
        self.square += both[4] * GREY;
    }

    fn plus(self, other: Difference) -> Difference {
        Difference { pixels: self.pixels + other.pixels, sum: self.sum + other.sum, square: self.square + other.square }
    }

    /// Frames that history may count for; [`UNLIMITED`] where nothing but noise shows. Of `repeats` pixels one was traced.
    fn limit(&self, repeats: f32) -> u8 {
        let independent = self.pixels / repeats;
        let (mean, square) = (self.sum / self.pixels, self.square / self.pixels);
        let bias = mean * mean - SIGMAS * SIGMAS * square / independent;
        // False for NaN too, of no pixels among others.
        if !(self.pixels >= FEWEST_PIXELS && bias > 0.0) {
            return UNLIMITED;
        }
        let noise = (square - mean * mean).max(0.0) / FILTERED_SAMPLES;
        // A weight of bias / (bias + noise) is one over the frames counted and this one.
        (noise / bias).min(f32::from(UNLIMITED)) as u8
    }
}

/// What is known of changes, for each block of each layer.
#[derive(Debug, Default)]
pub(super) struct Changes {
    blocks: (usize, usize),
    /// Of the frame that is being merged.
    differences: [Vec<Difference>; LAYERS],
    /// Frames that its history may count for; looked at where some block of the layer is limited.
    limits: [Vec<u8>; LAYERS],
    is_limited: [bool; LAYERS],
    /// The same of what the last finished frame shows, in that frame's blocks.
    last_limits: [Vec<u8>; LAYERS],
    is_last_limited: [bool; LAYERS],
}

/// The whole blocks of a tile around which so many blocks are the tile's too: one, where limits or upsampled light depend on neighbours.
/// Blocks at the view's edges have no neighbours to wait for. May be empty.
pub(super) fn inner_blocks(rect: Rect, extent: Extent, around: u32) -> Rect {
    const SIDE: u32 = self::SIDE as u32;
    let first = |start: u32| if start == 0 { 0 } else { (start.div_ceil(SIDE) + around) * SIDE };
    let end = |end: u32, view: u32| if end == view { end } else { (end / SIDE).saturating_sub(around) * SIDE };
    let (x, y) = (first(rect.x), first(rect.y));
    let (right, bottom) = (end(rect.right(), extent.width), end(rect.bottom(), extent.height));
    Rect::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
}

/// Where the surfaces of blocks were in the last frame.
pub(super) struct Ways<'a> {
    pub(super) planes: &'a Primary,
    pub(super) extent: Extent,
    pub(super) motion_leads_there: bool,
    pub(super) reprojection: &'a Reprojection,
}

impl Ways<'_> {
    /// The block of the last frame that shows what this block's centre shows; the nearest one in the view.
    fn block(&self, x: usize, y: usize, (columns, rows): (usize, usize)) -> usize {
        let (width, height) = (self.extent.width as usize, self.extent.height as usize);
        let (px, py) = ((x * SIDE + SIDE / 2).min(width - 1), (y * SIDE + SIDE / 2).min(height - 1));
        let index = py * width + px;
        let centre = Vec2::new(px as f32 + 0.5, py as f32 + 0.5);
        let was = if self.motion_leads_there {
            let word = self.planes.motion[index];
            let half = |bits: u32| f16::from_bits(bits as u16).to_f32();
            // What was not seen before changes as what is beside it.
            let motion = if word == NOWHERE { Vec2::ZERO } else { Vec2::new(half(word), half(word >> 16)) };
            centre + motion
        } else {
            self.reprojection.apply(centre, self.planes.depth[index]).0
        };
        // NaN becomes 0.
        let block = |v: f32, count: usize| ((v.max(0.0) as usize) / SIDE).min(count - 1);
        block(was.y, rows) * columns + block(was.x, columns)
    }
}

impl Changes {
    /// History has ended.
    pub(super) fn forget(&mut self) {
        self.differences.iter_mut().for_each(Vec::clear);
        (self.is_limited, self.is_last_limited) = ([false; LAYERS], [false; LAYERS]);
    }

    /// What the differences of a finished frame, of these layers, say of the next one's history.
    pub(super) fn close(&mut self, requests: [Option<LayerRequest>; LAYERS]) {
        let (columns, rows) = self.blocks;
        for (i, request) in requests.into_iter().enumerate() {
            let differences = &mut self.differences[i];
            self.is_last_limited[i] = false;
            if differences.is_empty() || differences.len() != columns * rows {
                continue;
            }
            let repeats = request.map_or(1.0, |request| f32::from(request.scale).powi(2));
            sum_of_neighbours(differences, columns);
            let limits = self.is_limited[i].then_some(&self.limits[i]);
            let mut is_limited = false;
            self.last_limits[i].clear();
            self.last_limits[i].extend(differences.iter().enumerate().map(|(block, told)| {
                let before = limits.map_or(UNLIMITED, |limits| limits[block]);
                let limit = before.saturating_add((told.pixels > 0.0) as u8).min(told.limit(repeats));
                is_limited |= limit != UNLIMITED;
                limit
            }));
            self.is_last_limited[i] = is_limited;
            differences.clear();
        }
    }

    /// Begins to gather the differences of a frame with history of these layers.
    pub(super) fn open(&mut self, extent: Extent, requests: [Option<LayerRequest>; LAYERS]) {
        let blocks @ (columns, rows) =
            ((extent.width as usize).div_ceil(SIDE), (extent.height as usize).div_ceil(SIDE));
        if self.blocks != blocks {
            self.forget();
            self.blocks = blocks;
        }
        for (i, request) in requests.into_iter().enumerate() {
            // Emission and the sky have a history of few frames.
            let is_measured = request.is_some_and(|request| request.kind != LayerKind::Unlit);
            self.differences[i].clear();
            self.differences[i].resize(if is_measured { columns * rows } else { 0 }, Difference::default());
            self.is_limited[i] = is_measured && self.is_last_limited[i];
            self.limits[i].resize(if is_measured { columns * rows } else { 0 }, UNLIMITED);
        }
    }

    /// Whether some block's history counts for fewer frames.
    pub(super) fn is_limited(&self) -> bool {
        self.is_limited.contains(&true)
    }

    /// Finds the limits of the blocks that have a part in these pixels, or are neighbours of one that has.
    pub(super) fn follow(&mut self, ways: &Ways<'_>, rect: Rect) {
        if !self.is_limited() {
            return;
        }
        let (columns, rows) = self.blocks;
        let around = |start: u32, end: u32, count: usize| {
            (start as usize / SIDE).saturating_sub(1)..((end as usize).div_ceil(SIDE) + 1).min(count)
        };
        for y in around(rect.y, rect.bottom(), rows) {
            for x in around(rect.x, rect.right(), columns) {
                let was = ways.block(x, y, self.blocks);
                for i in (0..LAYERS).filter(|i| self.is_limited[*i]) {
                    self.limits[i][y * columns + x] = self.last_limits[i][was];
                }
            }
        }
    }

    /// What is read and written: limits, and the blocks of whole rows.
    pub(super) fn split(&mut self) -> (Limits<'_>, [&mut [Difference]; LAYERS]) {
        let limits = std::array::from_fn(|i| self.is_limited[i].then_some(self.limits[i].as_slice()));
        (Limits { blocks: self.blocks, limits }, self.differences.each_mut().map(Vec::as_mut_slice))
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        let differences: usize = self.differences.iter().map(|all| all.capacity() * size_of::<Difference>()).sum();
        let limits: usize = self.limits.iter().chain(&self.last_limits).map(Vec::capacity).sum();
        differences + limits
    }
}

/// Each block becomes the sum of itself and the eight around it.
fn sum_of_neighbours(blocks: &mut [Difference], columns: usize) {
    for row in blocks.chunks_mut(columns) {
        let mut left = Difference::default();
        for x in 0..columns {
            let here = row[x];
            let right = row.get(x + 1).copied().unwrap_or_default();
            row[x] = left.plus(here).plus(right);
            left = here;
        }
    }
    // Down each column, a few columns at a time so that rows are read along.
    const STRIP: usize = 16;
    for first in (0..columns).step_by(STRIP) {
        let mut above = [Difference::default(); STRIP];
        for start in (0..blocks.len()).step_by(columns) {
            for (x, above) in (first..columns).zip(&mut above) {
                let here = blocks[start + x];
                let below = blocks.get(start + columns + x).copied().unwrap_or_default();
                blocks[start + x] = above.plus(here).plus(below);
                *above = here;
            }
        }
    }
}

/// How many frames history may count for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits<'a> {
    blocks: (usize, usize),
    /// `None` where no block of a layer is limited.
    limits: [Option<&'a [u8]>; LAYERS],
}

impl Limits<'_> {
    /// False when no pixel of a row's part has a limit below `most`.
    pub(super) fn may_be_below(&self, layer: LayerKind, part: Rect, most: u8) -> bool {
        let Some(limits) = self.limits[layer as usize] else { return false };
        let (columns, rows) = self.blocks;
        let around = |start: u32, end: u32, count: usize| {
            (start as usize / SIDE).saturating_sub(1)..((end as usize).div_ceil(SIDE) + 1).min(count)
        };
        let (across, down) = (around(part.x, part.right(), columns), around(part.y, part.bottom(), rows));
        down.into_iter().any(|row| {
            let row = &limits[row * columns..(row + 1) * columns];
            row[across.clone()].iter().fold(u8::MAX, |least, limit| least.min(*limit)) < most
        })
    }

    /// Integers for eight pixels of a row, between the blocks' own at their centres; `None` where none is below `most`.
    #[inline(always)]
    pub(super) fn of_pixels<L: Lanes>(&self, layer: LayerKind, x: usize, y: usize, most: u8) -> Option<L> {
        let limits = self.limits[layer as usize]?;
        let (columns, rows) = self.blocks;
        let first = (x.saturating_sub(SIDE / 2) / SIDE).min(columns - 1);
        let last = ((x + 7 + SIDE / 2) / SIDE).min(columns - 1);
        let upper = (y.saturating_sub(SIDE / 2) / SIDE).min(rows - 1);
        let mut is_below = false;
        for row in upper..=(upper + 1).min(rows - 1) {
            for limit in &limits[row * columns + first..=row * columns + last] {
                is_below |= *limit < most;
            }
        }
        if is_below { Some(L::load_bytes(&self.between(limits, x, y))) } else { None }
    }

    #[cold]
    fn between(&self, limits: &[u8], x: usize, y: usize) -> [u8; 8] {
        let (columns, rows) = self.blocks;
        // Twice the place between blocks' centres, in sixteenths of a block.
        let part = |pixel: usize, count: usize| {
            let at = (2 * pixel + 1).saturating_sub(SIDE);
            let first = (at / (2 * SIDE)).min(count - 1);
            (first, (first + 1).min(count - 1), at % (2 * SIDE))
        };
        let (upper, lower, down) = part(y, rows);
        std::array::from_fn(|i| {
            let (left, right, across) = part(x + i, columns);
            let row = |row: usize| {
                let [a, b] = [left, right].map(|x| usize::from(limits[row * columns + x]));
                a * (2 * SIDE - across) + b * across
            };
            let sum = row(upper) * (2 * SIDE - down) + row(lower) * down;
            (sum / (4 * SIDE * SIDE)) as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_no_change_and_change_is_told_through_noise() {
        let limit = |mean: f32, deviation: f32| {
            let (pixels, square) = (144.0, deviation * deviation + mean * mean);
            Difference { pixels, sum: mean * pixels, square: square * pixels }.limit(1.0)
        };
        assert_eq!(limit(0.0, 1.0), UNLIMITED);
        assert_eq!(limit(0.28, 1.0), UNLIMITED, "3.4 standard errors");
        assert_eq!(limit(-1.0, 0.0), 0, "without noise a sample is all that counts");
        assert_eq!(limit(-1.0, 1.0), 0);
        assert!((1..8).contains(&limit(-0.4, 1.0)));
        assert_eq!(limit(f32::NAN, 1.0), UNLIMITED);
        assert_eq!(Difference::default().limit(1.0), UNLIMITED);
    }

    #[test]
    fn blocks_whose_neighbours_are_the_tiles_too_are_its_inner_ones() {
        let extent = Extent::new(101, 64);
        assert_eq!(inner_blocks(extent.rect(), extent, 1), extent.rect());
        assert_eq!(inner_blocks(Rect::new(0, 3, 50, 61), extent, 1), Rect::new(0, 16, 40, 48));
        assert_eq!(inner_blocks(Rect::new(48, 0, 53, 32), extent, 1), Rect::new(56, 0, 45, 24));
        assert_eq!(inner_blocks(Rect::new(44, 0, 57, 36), extent, 0), Rect::new(48, 0, 53, 32));
        assert!(inner_blocks(Rect::new(3, 3, 20, 20), extent, 1).is_empty());
    }

    #[test]
    fn sums_hold_each_neighbour_once() {
        let blocks: Vec<Difference> =
            (0..5 * 4).map(|i| Difference { pixels: 1.0, sum: i as f32, square: 0.0 }).collect();
        let mut sums = blocks.clone();
        sum_of_neighbours(&mut sums, 5);
        for y in 0..4i32 {
            for x in 0..5i32 {
                let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (x + dx, y + dy)));
                let inside = around.filter(|(x, y)| (0..5).contains(x) && (0..4).contains(y));
                let expected: Vec<f32> = inside.map(|(x, y)| blocks[(y * 5 + x) as usize].sum).collect();
                let found = sums[(y * 5 + x) as usize];
                assert_eq!((found.pixels, found.sum), (expected.len() as f32, expected.iter().sum()));
            }
        }
    }

    #[test]
    fn limits_change_smoothly_from_block_to_block() {
        let limits = [0, 240, 80, 80];
        let map = Limits { blocks: (2, 2), limits: [Some(&limits), None, None, None, None] };
        let row: Vec<u8> = (0..2).flat_map(|i| map.between(&limits, i * 8, 0)).collect();
        assert_eq!((row[0], row[3], row[12], row[15]), (0, 0, 240, 240));
        assert!(row.windows(2).all(|pair| (0..=30).contains(&(i32::from(pair[1]) - i32::from(pair[0])))), "{row:?}");
        assert_eq!(map.between(&limits, 8, 15)[7], 80);
    }
}
