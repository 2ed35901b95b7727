//! From signals to merged layers, row by row: reprojected history and this frame's samples, weighted.
//!
//! Rows are worked on in bands, which may run on different threads: what a band writes, no other reads.

use std::sync::atomic::{AtomicUsize, Ordering};

use glam::{Vec2, Vec4};

use super::{
    MergeMode,
    ghost::GhostPixels,
    layer::{LayerBuffers, LayerSource, MISSING},
    reproject::{HistoryTap, LastFrame, Reprojection},
    tile::TileState,
    upsample::{BlockTap, block_taps},
    warp::{PrimaryRow, primary_bands},
};
use crate::{
    Extent, LayerKind, LayerRequest, PlaneKind, Primary, Rect, Workers,
    simd::{Half4, Kernel, dispatch},
    workers::{BAND_ROWS, for_each},
};

/// Age of pixels that were never traced.
pub(super) const NEVER: u8 = u8::MAX;

const LAYERS: usize = LayerKind::ALL.len();

/// The last finished frame, where its pixels may be used.
pub(super) struct History<'a> {
    pub(super) last: LastFrame<'a>,
    /// From the last frame's camera to this one's.
    pub(super) to_this: Reprojection,
    /// True when this frame's motion vectors lead to that frame.
    pub(super) motion_leads_there: bool,
}

/// Everything that a merged frame is made of, but for the pixels that become it in place.
pub(super) struct Inputs<'a> {
    pub(super) extent: Extent,
    pub(super) frame_id: u64,
    pub(super) mode: MergeMode,
    pub(super) tiles: &'a [TileState],
    /// Their indices from left to right.
    pub(super) from_left: &'a [u32],
    pub(super) ghosts: Option<&'a GhostPixels>,
    pub(super) history: Option<History<'a>>,
}

/// What arrived, and becomes the merged frame.
pub(super) struct Outputs<'a> {
    pub(super) planes: &'a mut Primary,
    pub(super) ages: &'a mut [u8],
    pub(super) lengths: &'a mut [u8],
    pub(super) layers: &'a mut [LayerBuffers; LAYERS],
}

/// Makes the merged frame; gives back the number of fresh pixels.
pub(super) fn resolve(inputs: &Inputs<'_>, outputs: Outputs<'_>, workers: &dyn Workers) -> usize {
    let Outputs { planes, ages, lengths, layers } = outputs;
    let band_pixels = BAND_ROWS * inputs.extent.width as usize;
    // All planes first: they guide the upsampling across borders of tiles and bands.
    if !inputs.tiles.iter().all(TileState::is_complete) {
        let bands = primary_bands(planes, band_pixels).enumerate().collect();
        for_each(workers, bands, |(index, band)| dispatch(FillPlanes { inputs, first_row: index * BAND_ROWS, band }));
    }
    let planes = &*planes;
    let fresh_pixels = AtomicUsize::new(0);
    let [direct, specular, indirect, unlit] = layers.each_mut().map(|layer| {
        let (source, current) = layer.split();
        let empty: &mut [[u16; 4]] = &mut [];
        (source, if source.request.is_some() { current } else { empty })
    });
    let sources = [direct.0, specular.0, indirect.0, unlit.0];
    let mut currents = [direct.1, specular.1, indirect.1, unlit.1];
    let rows = ages.chunks_mut(band_pixels).zip(lengths.chunks_mut(band_pixels)).enumerate();
    let bands = rows
        .map(|(index, (ages, lengths))| Band {
            first_row: index * BAND_ROWS,
            ages,
            lengths,
            currents: currents.each_mut().map(|rest| {
                let length = band_pixels.min(rest.len());
                let (band, others) = std::mem::take(rest).split_at_mut(length);
                *rest = others;
                band
            }),
        })
        .collect();
    for_each(workers, bands, |band| {
        let fresh = dispatch(MergeBand { inputs, planes, sources: &sources, band });
        fresh_pixels.fetch_add(fresh, Ordering::Relaxed);
    });
    fresh_pixels.into_inner()
}

/// Fills the missing rows of a band of planes from the last frame.
struct FillPlanes<'a, 'b> {
    inputs: &'a Inputs<'a>,
    first_row: usize,
    band: PrimaryRow<'b>,
}

impl Kernel for FillPlanes<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<H: Half4>(self) {
        let FillPlanes { inputs, first_row, mut band } = self;
        let width = inputs.extent.width as usize;
        for (row, y) in (first_row as u32..).take(band.depth.len() / width).enumerate() {
            for tile in inputs.tiles.iter().filter(|t| !t.is_complete()) {
                let rect = tile.plan().rect;
                if !(rect.y..rect.bottom()).contains(&y) || tile.has_primary_row(y) {
                    continue;
                }
                let first = row * width + rect.x as usize;
                let mut part = band.part(first..first + rect.width as usize);
                match &inputs.history {
                    Some(h) => part.warp::<H>(h.last.planes, &h.to_this, inputs.extent, (rect.x, y)),
                    None => part.blank(),
                }
            }
        }
    }
}

/// Whole rows of what is written.
struct Band<'a> {
    first_row: usize,
    ages: &'a mut [u8],
    lengths: &'a mut [u8],
    currents: [&'a mut [[u16; 4]]; LAYERS],
}

struct MergeBand<'a, 'b> {
    inputs: &'a Inputs<'a>,
    planes: &'a Primary,
    sources: &'a [LayerSource<'a>; LAYERS],
    band: Band<'b>,
}

/// Neighbouring pixels of a row of which the same came.
#[derive(Clone, Copy)]
struct Segment {
    rect: Rect,
    came: Came,
}

/// What came of a tile's row.
#[derive(Clone, Copy, PartialEq)]
struct Came {
    has_primary: bool,
    has_layer: [bool; LAYERS],
    /// All that was asked for.
    fresh: bool,
}

impl Came {
    fn of(tile: &TileState, y: u32, requests: [Option<LayerRequest>; LAYERS]) -> Came {
        let complete = tile.is_complete();
        let has_primary = complete || tile.has_primary_row(y);
        // A layer's row without its primary hits can't be placed: it does not count.
        let has_layer = LayerKind::ALL.map(|kind| has_primary && (complete || tile.has_row(PlaneKind::Layer(kind), y)));
        let fresh = has_primary && requests.iter().zip(has_layer).all(|(request, has)| request.is_none() || has);
        Came { has_primary, has_layer, fresh }
    }
}

impl Kernel for MergeBand<'_, '_> {
    type Output = usize;

    #[inline(always)]
    fn run<H: Half4>(mut self) -> usize {
        let width = self.inputs.extent.width as usize;
        let requests = self.sources.each_ref().map(|source| source.request);
        let mut scratch = RowScratch::default();
        let mut fresh_pixels = 0;
        for row in 0..self.band.ages.len() / width {
            let y = (self.band.first_row + row) as u32;
            if let Some(ghosts) = self.inputs.ghosts {
                for kind in LayerKind::ALL {
                    if requests[kind as usize].is_some_and(|r| r.scale == 1) {
                        let pixels = &mut self.band.currents[kind as usize][row * width..(row + 1) * width];
                        ghosts.blend_row::<H>(kind, y, self.inputs.tiles, pixels);
                    }
                }
            }
            // Tiles in a row meet end to end; those of which the same came are one piece of work.
            let mut open: Option<Segment> = None;
            for index in self.inputs.from_left {
                let tile = &self.inputs.tiles[*index as usize];
                let rect = tile.plan().rect;
                if !(rect.y..rect.bottom()).contains(&y) {
                    continue;
                }
                let came = Came::of(tile, y, requests);
                match &mut open {
                    Some(segment) if segment.came == came => segment.rect.width += rect.width,
                    _ => {
                        let begun = Segment { rect: Rect::new(rect.x, y, rect.width, 1), came };
                        if let Some(segment) = open.replace(begun) {
                            fresh_pixels += self.segment::<H>(row, segment, &mut scratch);
                        }
                    }
                }
            }
            if let Some(segment) = open {
                fresh_pixels += self.segment::<H>(row, segment, &mut scratch);
            }
        }
        fresh_pixels
    }
}

/// Buffers of one row.
#[derive(Default)]
struct RowScratch {
    history: Vec<HistoryTap>,
    blocks: Vec<BlockTap>,
}

impl MergeBand<'_, '_> {
    /// Merges a segment in row `row` of the band; gives back its fresh pixels.
    #[inline(always)]
    fn segment<H: Half4>(&mut self, row: usize, segment: Segment, scratch: &mut RowScratch) -> usize {
        let Inputs { extent, frame_id, mode, history, .. } = self.inputs;
        let Segment { rect, came } = segment;
        let width = rect.width as usize;
        let start = row * extent.width as usize + rect.x as usize;
        self.history_taps::<H>(rect, came.has_primary, scratch);
        self.ages_and_lengths(start..start + width, came.fresh, scratch);
        let mut block_taps_done = false;
        for kind in LayerKind::ALL {
            let source = &self.sources[kind as usize];
            let Some(request) = source.request else { continue };
            let signal = if !came.has_layer[kind as usize] {
                Signal::Missing
            } else if request.scale == 1 {
                Signal::Full
            } else {
                if !block_taps_done {
                    block_taps(self.planes, *extent, *frame_id, rect, &mut scratch.blocks);
                    block_taps_done = true;
                }
                Signal::Coarse(&scratch.blocks)
            };
            let current = &mut self.band.currents[kind as usize][start..start + width];
            match history {
                Some(h) if source.has_history => {
                    accumulate::<H>(
                        source,
                        current,
                        signal,
                        &scratch.history,
                        h.last.steps(),
                        mode.history_limit(kind),
                    );
                }
                _ => take::<H>(source, current, signal, *mode == MergeMode::Passthrough),
            }
        }
        if came.fresh { width } else { 0 }
    }

    /// Finds where each pixel of the row was in the last frame.
    #[inline(always)]
    fn history_taps<H: Half4>(&self, row: Rect, has_primary: bool, scratch: &mut RowScratch) {
        let Some(history) = &self.inputs.history else { return };
        let planes = self.planes;
        // Warped pixels carry the way to where they were found.
        let by_motion = !has_primary || history.motion_leads_there;
        let first = row.y as usize * self.inputs.extent.width as usize + row.x as usize;
        scratch.history.clear();
        scratch.history.reserve(row.width as usize);
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
            scratch.history.push(history.last.tap(planes, index, pixel, position));
        }
    }

    #[inline(always)]
    fn ages_and_lengths(&mut self, range: std::ops::Range<usize>, fresh: bool, scratch: &RowScratch) {
        let (ages, lengths) = (&mut self.band.ages[range.clone()], &mut self.band.lengths[range]);
        if self.inputs.history.is_none() {
            ages.fill(if fresh { 0 } else { NEVER });
            lengths.fill(fresh as u8);
            return;
        }
        for ((age, length), tap) in ages.iter_mut().zip(lengths).zip(&scratch.history) {
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
fn take<H: Half4>(layer: &LayerSource<'_>, row: &mut [[u16; 4]], signal: Signal<'_>, exact: bool) {
    let LayerSource { coarse, coarse_from, .. } = layer;
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
    layer: &LayerSource<'_>,
    row: &mut [[u16; 4]],
    signal: Signal<'_>,
    taps: &[HistoryTap],
    steps: (usize, usize),
    limit: u8,
) {
    let LayerSource { history, coarse, coarse_from, .. } = layer;
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
