//! From signals to merged layers, row by row: reprojected history and this frame's samples, weighted.

use glam::{Vec2, Vec4};

use super::{
    MergeMode,
    ghost::GhostPixels,
    layer::{LayerBuffers, MISSING},
    reproject::{HistoryTap, LastFrame, Reprojection},
    tile::TileState,
    upsample::{BlockTap, block_taps},
    warp::{blank_row, warp_row},
};
use crate::{
    Extent, LayerKind, PlaneKind, Primary, Rect,
    simd::{Half4, Kernel},
};

/// Age of pixels that were never traced.
pub(super) const NEVER: u8 = u8::MAX;

/// Buffers of one row, kept from frame to frame.
#[derive(Default)]
pub(super) struct RowScratch {
    history: Vec<HistoryTap>,
    blocks: Vec<BlockTap>,
}

/// The last finished frame, where its pixels may be used.
pub(super) struct History<'a> {
    pub(super) last: LastFrame<'a>,
    /// From the last frame's camera to this one's.
    pub(super) to_this: Reprojection,
    /// True when this frame's motion vectors lead to that frame.
    pub(super) motion_leads_there: bool,
}

/// Everything that makes a merged frame out of what arrived; gives back the number of fresh pixels.
pub(super) struct Resolve<'a> {
    pub(super) extent: Extent,
    pub(super) frame_id: u64,
    pub(super) mode: MergeMode,
    pub(super) tiles: &'a [TileState],
    pub(super) ghosts: Option<&'a mut GhostPixels>,
    pub(super) planes: &'a mut Primary,
    pub(super) ages: &'a mut [u8],
    pub(super) lengths: &'a mut [u8],
    pub(super) layers: &'a mut [LayerBuffers; LayerKind::ALL.len()],
    pub(super) history: Option<History<'a>>,
    pub(super) scratch: &'a mut RowScratch,
}

impl Kernel for Resolve<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<H: Half4>(mut self) -> usize {
        if let Some(ghosts) = self.ghosts.take() {
            for kind in LayerKind::ALL {
                let layer = &mut self.layers[kind as usize];
                if layer.request.is_some_and(|r| r.scale == 1) {
                    ghosts.blend::<H>(kind, self.extent.width as usize, self.tiles, &mut layer.current);
                }
            }
        }
        // All planes first: they guide the upsampling across tile borders.
        for tile in self.tiles.iter().filter(|t| !t.is_complete()) {
            let Rect { x, y, width, height } = tile.plan().rect;
            for y in (y..y + height).filter(|y| !tile.has_primary_row(*y)) {
                let row = Rect::new(x, y, width, 1);
                match &self.history {
                    Some(h) => warp_row::<H>(self.planes, h.last.planes, &h.to_this, self.extent, row),
                    None => blank_row(self.planes, self.extent, row),
                }
            }
        }
        let mut fresh_pixels = 0;
        for tile in self.tiles {
            let Rect { x, y, width, height } = tile.plan().rect;
            for y in y..y + height {
                fresh_pixels += self.row::<H>(tile, Rect::new(x, y, width, 1));
            }
        }
        fresh_pixels
    }
}

impl Resolve<'_> {
    /// Merges one row of a tile; gives back its fresh pixels.
    #[inline(always)]
    fn row<H: Half4>(&mut self, tile: &TileState, row: Rect) -> usize {
        let complete = tile.is_complete();
        let has_primary = complete || tile.has_primary_row(row.y);
        // A layer's row without its primary hits can't be placed: it does not count.
        let has_layer = |kind| has_primary && (complete || tile.has_row(PlaneKind::Layer(kind), row.y));
        let fresh = has_primary
            && LayerKind::ALL.into_iter().all(|k| self.layers[k as usize].request.is_none() || has_layer(k));
        self.history_taps::<H>(row, has_primary);
        self.ages_and_lengths(row, fresh);
        let mut block_taps_done = false;
        for kind in LayerKind::ALL {
            let layer = &mut self.layers[kind as usize];
            let Some(request) = layer.request else { continue };
            let start = row.y as usize * self.extent.width as usize + row.x as usize;
            let signal = if !has_layer(kind) {
                Signal::Missing
            } else if request.scale == 1 {
                Signal::Full
            } else {
                if !block_taps_done {
                    block_taps(self.planes, self.extent, self.frame_id, row, &mut self.scratch.blocks);
                    block_taps_done = true;
                }
                Signal::Coarse(&self.scratch.blocks)
            };
            let limit = self.mode.history_limit(kind);
            match &self.history {
                Some(h) if layer.has_history => {
                    accumulate::<H>(layer, start, signal, &self.scratch.history, h.last.steps(), limit);
                }
                _ => take::<H>(layer, start, row.width as usize, signal, self.mode == MergeMode::Passthrough),
            }
        }
        if fresh { row.width as usize } else { 0 }
    }

    /// Finds where each pixel of the row was in the last frame.
    #[inline(always)]
    fn history_taps<H: Half4>(&mut self, row: Rect, has_primary: bool) {
        let Some(history) = &self.history else { return };
        let planes = &*self.planes;
        // Warped pixels carry the way to where they were found.
        let by_motion = !has_primary || history.motion_leads_there;
        let first = row.y as usize * self.extent.width as usize + row.x as usize;
        self.scratch.history.clear();
        self.scratch.history.reserve(row.width as usize);
        // A loop, not `extend`: closures would not be compiled for the processor.
        for x in 0..row.width {
            let index = first + x as usize;
            let pixel = Vec2::new((row.x + x) as f32 + 0.5, row.y as f32 + 0.5);
            let position = if by_motion {
                let word = planes.motion[index];
                let motion = H::load([word as u16, (word >> 16) as u16, 0, 0]);
                pixel + Vec2::new(motion.x, motion.y)
            } else {
                history.last.reprojection.apply(pixel, planes.depth[index]).0
            };
            self.scratch.history.push(history.last.tap(planes, index, pixel, position));
        }
    }

    #[inline(always)]
    fn ages_and_lengths(&mut self, row: Rect, fresh: bool) {
        let start = row.y as usize * self.extent.width as usize + row.x as usize;
        let range = start..start + row.width as usize;
        let (ages, lengths) = (&mut self.ages[range.clone()], &mut self.lengths[range]);
        if self.history.is_none() {
            ages.fill(if fresh { 0 } else { NEVER });
            lengths.fill(fresh as u8);
            return;
        }
        for ((age, length), tap) in ages.iter_mut().zip(lengths).zip(&self.scratch.history) {
            *age = if fresh { 0 } else { tap.age.saturating_add(1) };
            *length = if fresh { tap.length.saturating_add(1) } else { tap.length };
        }
    }
}

/// Where a row of this frame's signal is.
#[derive(Clone, Copy)]
enum Signal<'a> {
    /// Nowhere: history alone counts.
    Missing,
    /// In the layer's own pixels.
    Full,
    /// In the blocks of the half-resolution plane.
    Coarse(&'a [BlockTap]),
}

/// The signal alone; with `exact` bit for bit where it has full resolution, else made finite, as history has to be.
#[inline(always)]
fn take<H: Half4>(layer: &mut LayerBuffers, start: usize, width: usize, signal: Signal<'_>, exact: bool) {
    let LayerBuffers { current, coarse, coarse_from, .. } = layer;
    let row = &mut current[start..start + width];
    match signal {
        Signal::Missing => row.fill([0; 4]),
        Signal::Full if exact => {}
        Signal::Full => {
            for pixel in row {
                *pixel = H::store(finite(H::load(*pixel)));
            }
        }
        Signal::Coarse(taps) => {
            for (pixel, tap) in row.iter_mut().zip(taps) {
                *pixel = if exact && tap.weights.x == 1.0 {
                    coarse[tap.blocks[0] as usize]
                } else {
                    H::store(upsample::<H>(coarse, coarse_from, tap))
                };
            }
        }
    }
}

/// Exponential accumulation whose weight is one over the frames gathered, at most `limit` (Nehab et al. 2007).
#[inline(always)]
fn accumulate<H: Half4>(
    layer: &mut LayerBuffers,
    start: usize,
    signal: Signal<'_>,
    taps: &[HistoryTap],
    steps: (usize, usize),
    limit: u8,
) {
    let LayerBuffers { current, history, coarse, coarse_from, .. } = layer;
    let row = &mut current[start..start + taps.len()];
    match signal {
        Signal::Missing => {
            for (pixel, tap) in row.iter_mut().zip(taps) {
                *pixel = H::store(read_history::<H>(history, tap, steps));
            }
        }
        Signal::Full => {
            for (pixel, tap) in row.iter_mut().zip(taps) {
                let sample = finite(H::load(*pixel));
                *pixel = H::store(mix::<H>(sample, history, tap, steps, limit));
            }
        }
        Signal::Coarse(blocks) => {
            for ((pixel, tap), block) in row.iter_mut().zip(taps).zip(blocks) {
                let sample = upsample::<H>(coarse, coarse_from, block);
                *pixel = H::store(mix::<H>(sample, history, tap, steps, limit));
            }
        }
    }
}

#[inline(always)]
fn mix<H: Half4>(sample: Vec4, history: &[[u16; 4]], tap: &HistoryTap, steps: (usize, usize), limit: u8) -> Vec4 {
    if tap.length == 0 {
        return sample;
    }
    let before = read_history::<H>(history, tap, steps);
    before + (sample - before) * INVERSE[tap.length.min(limit.saturating_sub(1)) as usize]
}

/// 1 / (n + 1): the weight of a sample that follows n others.
static INVERSE: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut n = 0;
    while n < 256 {
        table[n] = 1.0 / (n + 1) as f32;
        n += 1;
    }
    table
};

#[inline(always)]
fn read_history<H: Half4>(history: &[[u16; 4]], tap: &HistoryTap, (right, down): (usize, usize)) -> Vec4 {
    let index = tap.index as usize;
    let [a, b, c, d] = tap.weights.to_array();
    H::load(history[index]) * a
        + H::load(history[index + right]) * b
        + H::load(history[index + down]) * c
        + H::load(history[index + right + down]) * d
}

/// The weighted blocks that came; all of a row's own blocks did, else the row is missing.
#[inline(always)]
fn upsample<H: Half4>(coarse: &[[u16; 4]], from: &[u8], tap: &BlockTap) -> Vec4 {
    let weights = tap.weights.to_array();
    let (mut sum, mut weight) = (Vec4::ZERO, 0.0);
    for (block, w) in tap.blocks.into_iter().zip(weights) {
        let block = block as usize;
        if w > 0.0 && from[block] != MISSING {
            sum += finite(H::load(coarse[block])) * w;
            weight += w;
        }
    }
    if weight > 0.0 { sum * (1.0 / weight) } else { Vec4::ZERO }
}

/// Infinity and NaN would stay in history for ever: they count as no light.
#[inline(always)]
fn finite(value: Vec4) -> Vec4 {
    Vec4::select(value.is_finite_mask(), value, Vec4::ZERO)
}
