//! From signals to merged layers, row by row: reprojected history and this frame's samples, weighted.
//!
//! Rows are worked on in bands, which may run on different threads: what a band writes, no other reads.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use rayloom_scene::Camera;

use super::{
    MergeMode,
    accumulate::{Before, MergePixels, Signal, Sums},
    ahead::{Stage, waiting},
    bands::{Band, Only, Rows},
    blocks::Blocks,
    change::{Changes, Limits, SIDE, Ways},
    fill::fill,
    fold::FoldBand,
    ghost::GhostPixels,
    late_frame::{LateFrame, Optics},
    layer::{LayerBuffers, LayerSource, Own},
    offsets::Offset,
    plain::Plain,
    reproject::{Guides, HistoryTaps, LastFrame, Reprojection},
    tile::TileState,
    upsample::BlockRow,
    warp::{LateTarget, PrimaryRow, primary_bands},
};
use crate::{
    Extent, LayerKind, PlaneKind, Primary, Rect, Workers,
    simd::{Half4, Kernel, Lanes, dispatch},
    workers::{BAND_ROWS, for_each},
};

/// Age of pixels that were never traced.
pub(super) const NEVER: u8 = u8::MAX;

/// Pixels ahead of which memory is asked for: a row reads from over ten planes, more than processors follow by themselves.
const AHEAD: usize = 64;

pub(super) const LAYERS: usize = LayerKind::ALL.len();

/// One row of so many is looked at for changes of light, another one each frame.
const ROWS_PER_MEASURED: u64 = 2;

/// Whether a row is one of these.
pub(super) fn is_measured(y: u32, frame_id: u64) -> bool {
    (u64::from(y) + frame_id).is_multiple_of(ROWS_PER_MEASURED)
}

/// The last finished frame, where its pixels may be used.
pub(super) struct History<'a> {
    pub(super) last: LastFrame<'a>,
    /// From the last frame's camera to this one's.
    pub(super) to_this: Reprojection,
    /// True when this frame's motion vectors lead to that frame.
    pub(super) motion_leads_there: bool,
    /// This frame's pre-exposure over that one's.
    pub(super) brightening: f32,
    /// This frame shows exactly what that one does.
    pub(super) is_unchanged: bool,
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
    /// What came late, the oldest frame first; none before the frame is finished.
    pub(super) late: &'a [LateFrame],
    pub(super) optics: Optics,
}

/// What arrived, and becomes the merged frame.
pub(super) struct Outputs<'a> {
    pub(super) planes: &'a mut Primary,
    /// Where what pixels show stands beside their centres; none where nothing is warped.
    pub(super) offsets: &'a mut [Offset],
    pub(super) ages: &'a mut [u8],
    pub(super) lengths: &'a mut [u8],
    pub(super) layers: &'a mut [LayerBuffers; LAYERS],
    pub(super) changes: &'a mut Changes,
    /// Where something is filled.
    pub(super) blocks: &'a mut Blocks,
    /// How far blocks are.
    pub(super) stages: &'a mut [Stage],
}

/// Makes what is left of the merged frame; gives back the number of its pixels that are fresh.
pub(super) fn resolve(inputs: &Inputs<'_>, outputs: Outputs<'_>, camera: &Camera, workers: &dyn Workers) -> usize {
    let Outputs { planes, offsets, ages, lengths, layers, changes, blocks, stages } = outputs;
    // All planes first: they guide the upsampling across borders of tiles and bands.
    if inputs.tiles.iter().any(TileState::lacks_hits) {
        let bands = primary_bands(planes, offsets, BAND_ROWS * inputs.extent.width as usize).enumerate();
        let stages = &*stages;
        for_each(workers, bands, |(index, band)| {
            dispatch(FillPlanes { inputs, first_row: index * BAND_ROWS, stages, band })
        });
    }
    let planes = &*planes;
    follow(changes, inputs, planes, inputs.extent.rect());
    let (limits, differences) = changes.split();
    let fresh_pixels = AtomicUsize::new(0);
    let parts = layers.each_mut().map(|layer| layer.split(false));
    let sources = parts.each_ref().map(|part| part.source);
    let mut rows = Rows::new(inputs.extent, (ages, lengths), parts, differences, stages);
    let count = (inputs.extent.height as usize).div_ceil(BAND_ROWS);
    let bands = (0..count).map(|_| rows.take(BAND_ROWS));
    for_each(workers, bands, |mut band| {
        let merge = MergeBand { inputs, planes, sources: &sources, limits, band: &mut band, ahead: None };
        fresh_pixels.fetch_add(dispatch(merge), Ordering::Relaxed);
        if !inputs.late.is_empty() {
            dispatch(FoldBand { inputs, planes, sources: &sources, limits, band: &mut band });
        }
    });
    if inputs.mode != MergeMode::Passthrough {
        fill(inputs, (camera, planes), lengths, layers, (blocks, stages), workers);
    }
    fresh_pixels.into_inner()
}

/// Merges whole blocks ahead of the rest: parts of the view as [`Rows::take_parts`] takes them.
pub(super) fn merge_blocks(
    inputs: &Inputs<'_>,
    outputs: Outputs<'_>,
    parts: &[Rect],
    came: Only<'_>,
    workers: &dyn Workers,
) {
    let Outputs { planes, ages, lengths, layers, changes, .. } = outputs;
    let planes = &*planes;
    // How far history counts is nothing to those that have no sample.
    if !matches!(came, Only::Missing) {
        parts.iter().for_each(|part| follow(changes, inputs, planes, *part));
    }
    let (limits, differences) = changes.split();
    let layers = layers.each_mut().map(|layer| layer.split(true));
    let sources = layers.each_ref().map(|part| part.source);
    // They wait, whatever is known of the others in their rows.
    let rows = Rows::new(inputs.extent, (ages, lengths), layers, differences, &mut []);
    for_each(workers, rows.take_parts(parts), |(mut band, parts)| {
        for part in parts {
            let ahead = Some((*part, came));
            dispatch(MergeBand { inputs, planes, sources: &sources, limits, band: &mut band, ahead });
        }
    });
}

/// Takes the planes of pixels of which nothing came from the last frame; the engine gave none.
pub(super) fn warp_blocks(inputs: &Inputs<'_>, outputs: &mut Outputs<'_>, rect: Rect) {
    let width = inputs.extent.width as usize;
    let rows = primary_bands(outputs.planes, outputs.offsets, width).enumerate();
    for (y, row) in rows.skip(rect.y as usize).take(rect.height as usize) {
        dispatch(WarpRow { inputs, row, start: (rect.x, y as u32), width: rect.width });
    }
}

struct WarpRow<'a, 'b> {
    inputs: &'a Inputs<'a>,
    row: PrimaryRow<'b>,
    start: (u32, u32),
    width: u32,
}

impl Kernel for WarpRow<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<H: Half4>(self) {
        let WarpRow { inputs, mut row, start, width } = self;
        let Some(history) = &inputs.history else { return };
        let mut part = row.part(start.0 as usize..(start.0 + width) as usize);
        part.warp::<H::Lanes>(&history.last, &history.to_this, start);
    }
}

/// Finds out how many frames the history of these pixels counts for.
fn follow(changes: &mut Changes, inputs: &Inputs<'_>, planes: &Primary, rect: Rect) {
    if let Some(history) = &inputs.history {
        let ways = Ways {
            planes,
            extent: inputs.extent,
            motion_leads_there: history.motion_leads_there,
            reprojection: &history.last.reprojection,
        };
        changes.follow(&ways, rect);
    }
}

/// Fills the missing rows of a band of planes from the last frame, and from newer ones that came late.
struct FillPlanes<'a, 'b> {
    inputs: &'a Inputs<'a>,
    first_row: usize,
    /// Of all blocks.
    stages: &'a [Stage],
    band: PrimaryRow<'b>,
}

impl Kernel for FillPlanes<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<H: Half4>(self) {
        let FillPlanes { inputs, first_row, stages, mut band } = self;
        let width = inputs.extent.width as usize;
        for (row, y) in (first_row as u32..).take(band.depth.len() / width).enumerate() {
            let row_stages = &stages[y as usize / SIDE * width.div_ceil(SIDE)..];
            for tile in inputs.tiles {
                let rect = tile.plan().rect;
                if !(rect.y..rect.bottom()).contains(&y) {
                    continue;
                }
                if tile.is_complete() || tile.has_primary_row(y) {
                    let first = row * width + rect.x as usize;
                    band.part(first..first + rect.width as usize).stands_at_centres();
                    continue;
                }
                for columns in waiting(row_stages, rect.x..rect.right()) {
                    let first = row * width + columns.start as usize;
                    let mut part = band.part(first..first + columns.len());
                    match &inputs.history {
                        Some(h) => part.warp::<H::Lanes>(&h.last, &h.to_this, (columns.start, y)),
                        None => part.blank(),
                    }
                    let last = inputs.history.as_ref().map(|h| &h.last);
                    let target = LateTarget { extent: inputs.extent, last };
                    for late in inputs.late {
                        part.warp_late::<H::Lanes>(late, &target, (columns.start, y));
                    }
                }
            }
        }
    }
}

pub(super) struct MergeBand<'a, 'b, 'c> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) planes: &'a Primary,
    pub(super) sources: &'a [LayerSource<'a>; LAYERS],
    pub(super) limits: Limits<'a>,
    pub(super) band: &'b mut Band<'c>,
    /// Only these pixels of the band's rows, and what came of them.
    pub(super) ahead: Option<(Rect, Only<'a>)>,
}

/// Neighbouring pixels of a row of which the same came.
#[derive(Clone, Copy)]
struct Segment {
    rect: Rect,
    came: Came,
}

/// Which layers come with a frame's tiles, and which later.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    pub(super) is_due: [bool; LAYERS],
    pub(super) is_later: [bool; LAYERS],
}

/// What came of a tile's row.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Came {
    has_primary: bool,
    pub(super) has_layer: [bool; LAYERS],
    /// All that is due.
    fresh: bool,
}

impl Came {
    pub(super) fn of(tile: &TileState, y: u32, expected: &Expected) -> Came {
        let complete = tile.is_complete();
        let has_primary = complete || tile.has_primary_row(y);
        // A layer's row without its primary hits can't be placed: it does not count.
        let has_layer = LayerKind::ALL.map(|kind| {
            !expected.is_later[kind as usize] && has_primary && (complete || tile.has_row(PlaneKind::Layer(kind), y))
        });
        let fresh = has_primary && expected.is_due.iter().zip(has_layer).all(|(is_due, has)| !is_due || has);
        Came { has_primary, has_layer, fresh }
    }
}

/// What is to be merged of a row, from left to right.
struct Parts<'a> {
    tiles: &'a [TileState],
    from_left: std::slice::Iter<'a, u32>,
    expected: Expected,
    y: u32,
    /// Of the row's blocks.
    stages: &'a [Stage],
    /// What is left of the last tile.
    rest: Option<Segment>,
}

impl<'a> Parts<'a> {
    fn new(
        inputs: &Inputs<'a>,
        expected: Expected,
        y: u32,
        stages: &'a [Stage],
        ahead: Option<(Rect, Only<'_>)>,
    ) -> Parts<'a> {
        let all = Came { has_primary: true, has_layer: expected.is_later.map(|is_later| !is_later), fresh: true };
        // A frame's planes are given of all tiles or of none.
        let has_primary = inputs.tiles.first().is_some_and(TileState::has_planes);
        let nothing = Came { has_primary, has_layer: [false; LAYERS], fresh: false };
        let rest = ahead.map(|(rect, only)| Segment {
            rect: Rect::new(rect.x, y, rect.width, 1),
            came: if matches!(only, Only::Missing) { nothing } else { all },
        });
        let from_left = if ahead.is_some() { &[] } else { inputs.from_left };
        Parts { tiles: inputs.tiles, from_left: from_left.iter(), expected, y, stages, rest }
    }

    /// The first part of a segment that is not merged; what is right of it is left.
    fn waiting(&mut self, segment: Segment) -> Option<Segment> {
        let end = segment.rect.right();
        let Range { start: first, end: next } = waiting(self.stages, segment.rect.x..end).next()?;
        let part = |from: u32, to: u32| Segment { rect: Rect::new(from, self.y, to - from, 1), ..segment };
        let (part, rest) = (part(first, next), part(next, end));
        self.rest = Some(rest).filter(|rest| !rest.rect.is_empty());
        Some(part)
    }
}

impl Iterator for Parts<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let y = self.y;
        loop {
            if let Some(rest) = self.rest.take()
                && let Some(part) = self.waiting(rest)
            {
                return Some(part);
            }
            let tile = &self.tiles[*self.from_left.next()? as usize];
            let rect = tile.plan().rect;
            if (rect.y..rect.bottom()).contains(&y) {
                let came = Came::of(tile, y, &self.expected);
                self.rest = Some(Segment { rect: Rect::new(rect.x, y, rect.width, 1), came });
            }
        }
    }
}

impl Kernel for MergeBand<'_, '_, '_> {
    type Output = usize;

    #[inline(always)]
    fn run<H: Half4>(mut self) -> usize {
        let width = self.inputs.extent.width as usize;
        let expected = Expected {
            is_due: self.sources.each_ref().map(|source| source.request.is_some() && !source.is_later),
            is_later: self.sources.each_ref().map(|source| source.is_later),
        };
        let stages = std::mem::take(&mut self.band.stages);
        let mut fresh_pixels = 0;
        for row in 0..self.band.ages.len() / width {
            let y = (self.band.first_row + row) as u32;
            if let Some(ghosts) = self.inputs.ghosts {
                for kind in LayerKind::ALL {
                    if self.sources[kind as usize].request.is_some_and(|r| r.scale == 1) {
                        let pixels = &mut self.band.currents[kind as usize][row * width..(row + 1) * width];
                        ghosts.blend_row::<H>(kind, y, self.inputs.tiles, pixels);
                    }
                }
            }
            // Parts in a row meet end to end; those of which the same came are one piece of work.
            let row_stages = stages.get(row / SIDE * width.div_ceil(SIDE)..).unwrap_or_default();
            let mut parts = Parts::new(self.inputs, expected, y, row_stages, self.ahead);
            let mut open: Option<Segment> = None;
            loop {
                let next = parts.next();
                if let (Some(segment), Some(more)) = (&mut open, &next)
                    && segment.came == more.came
                    && segment.rect.right() == more.rect.x
                {
                    segment.rect.width += more.rect.width;
                    continue;
                }
                if let Some(segment) = std::mem::replace(&mut open, next) {
                    fresh_pixels += self.segment::<H::Lanes>(row, segment);
                }
                if open.is_none() {
                    break;
                }
            }
        }
        self.band.stages = stages;
        fresh_pixels
    }
}

impl MergeBand<'_, '_, '_> {
    /// Merges a segment in row `row` of the band; gives back its fresh pixels.
    #[inline(always)]
    fn segment<L: Lanes>(&mut self, row: usize, segment: Segment) -> usize {
        let Inputs { extent, frame_id, history, .. } = self.inputs;
        let Segment { rect, came } = segment;
        let blocks = BlockRow::new(self.planes, *extent, *frame_id, rect.y);
        // Warped pixels carry the way to where they were found.
        let by_motion = history.as_ref().is_some_and(|h| !came.has_primary || h.motion_leads_there);
        let is_measured = is_measured(rect.y, *frame_id);
        let blocks_x = (extent.width as usize).div_ceil(SIDE);
        let has_coarse = LayerKind::ALL.into_iter().any(|kind| {
            came.has_layer[kind as usize] && self.sources[kind as usize].request.is_some_and(|r| r.scale == 2)
        });
        let plain = Plain::new(self, rect, came.fresh, is_measured);
        if plain.is_some() {
            let start = row * extent.width as usize + rect.x as usize;
            self.band.ages[start..start + rect.width as usize].fill(0);
        }
        // Blocks' columns, whatever lies left of the segment: what a block tells does not depend on it.
        let mut next = rect.x;
        while next < rect.right() {
            let x = next;
            next = (x - x % 8 + 8).min(rect.right());
            if let Some(plain) = plain.as_ref().filter(|_| next - x == 8)
                && self.plain_eight::<L>(plain, &blocks, row, (x, rect.y)).is_some()
            {
                continue;
            }
            let index = (rect.y * extent.width + x) as usize;
            let here = Guides::<L>::load(self.planes, index);
            here.prefetch(self.planes, index + AHEAD);
            L::prefetch(&self.planes.motion, index + AHEAD);
            let start = row * extent.width as usize + x as usize;
            let range = start..start + (next - x) as usize;
            let mut taps = None;
            if let Some(history) = history {
                let centre = L::splat_bits(x).add_bits(L::counting()).integer_to_float() + L::splat(0.5);
                let y = rect.y as f32 + 0.5;
                let position = if by_motion {
                    let words = L::load_from(&self.planes.motion, index);
                    let right = (words & L::splat_bits(0xffff)).half_to_float();
                    let down = words.shift_right::<16>().half_to_float();
                    (centre + right, L::splat(y) + down)
                } else {
                    history.last.reprojection.positions(centre, y, here.depth)
                };
                taps = Some(history.last.taps(&here, (centre, y), position, !came.fresh));
            }
            if let (Some(taps), Some(history)) = (&taps, history) {
                // The upper neighbours came with the row before.
                let lower = taps.taps.first[0] as usize + history.last.steps().1 + AHEAD;
                here.prefetch(history.last.planes, lower);
                L::prefetch(history.last.lengths, lower);
            }
            ages_and_lengths(self.band.ages, self.band.lengths, &range, came.fresh, &taps);
            let (mut before, mut lengths) = (None, L::zero());
            if let (Some(taps), Some(history)) = (taps, history) {
                lengths = taps.lengths;
                before = Some(Before::new(taps.taps, history.last.steps()));
            }
            let block_taps = if has_coarse { Some(blocks.taps(x, &here)) } else { None };
            for kind in LayerKind::ALL {
                let source = &self.sources[kind as usize];
                let Some(request) = source.request else { continue };
                let mut layer_lengths = lengths;
                if source.is_later || source.last_own.is_some() {
                    let own = self.band.own[kind as usize].as_mut();
                    layer_lengths = own_times(source, own, &range, history.as_ref().map(|h| &h.last), &taps);
                }
                let signal = match &block_taps {
                    _ if !came.has_layer[kind as usize] => Signal::Missing,
                    Some(taps) if request.scale == 2 => Signal::Coarse(&blocks, taps),
                    _ => Signal::Full,
                };
                L::prefetch(self.band.currents[kind as usize], range.start + AHEAD);
                if let Some(before) = &before {
                    L::prefetch(source.history, before.taps.first[0] as usize + extent.width as usize + AHEAD);
                }
                let history_limit = self.inputs.mode.history_limit(kind).saturating_sub(1);
                let mut most = L::splat_bits(history_limit.into());
                if let Some(limit) = self.limits.of_pixels::<L>(kind, x as usize, rect.y as usize, history_limit) {
                    most = most.min_signed(limit);
                }
                // The block of the eight pixels' middle stands for them all.
                let block = row / SIDE * blocks_x + (x as usize + SIDE / 2).min(extent.width as usize - 1) / SIDE;
                let difference =
                    self.band.differences[kind as usize].get_mut(block).filter(|_| is_measured && range.len() == 8);
                let sums = self.band.path_sums.get_mut(range.clone()).filter(|_| kind == LayerKind::Path);
                let sums = sums.map(|pixels| Sums {
                    pixels,
                    is_unchanged: history.as_ref().is_some_and(|h| h.is_unchanged) && source.has_history,
                    samples: f32::from(request.samples),
                });
                let pixels = &mut self.band.currents[kind as usize][range.clone()];
                if let Some(from) = self.ahead.and_then(|(_, only)| only.from(kind as usize, (x, rect.y))) {
                    pixels.copy_from_slice(&from[..pixels.len()]);
                }
                let merge = MergePixels {
                    source,
                    signal,
                    before: if source.has_history { before.as_ref() } else { None },
                    lengths: layer_lengths,
                    mode: self.inputs.mode,
                    most,
                    difference,
                    brightening: history.as_ref().map_or(1.0, |h| h.brightening),
                    sums,
                };
                match pixels.first_chunk_mut() {
                    Some(pixels) => merge.run(pixels),
                    None => {
                        let mut padded = [[0; 4]; 8];
                        padded[..pixels.len()].copy_from_slice(pixels);
                        merge.run(&mut padded);
                        pixels.copy_from_slice(&padded[..pixels.len()]);
                    }
                }
            }
        }
        if came.fresh { rect.width as usize } else { 0 }
    }
}

#[inline(always)]
fn ages_and_lengths<L: Lanes>(
    ages: &mut [u8],
    lengths: &mut [u8],
    range: &Range<usize>,
    fresh: bool,
    taps: &Option<HistoryTaps<L>>,
) {
    let (ages, lengths) = (&mut ages[range.clone()], &mut lengths[range.clone()]);
    let Some(taps) = taps else {
        ages.fill(if fresh { 0 } else { NEVER });
        lengths.fill(fresh as u8);
        return;
    };
    let (one, most) = (L::splat_bits(1), L::splat_bits(255));
    if fresh {
        ages.fill(0);
        lengths.copy_from_slice(&taps.lengths.add_bits(one).min_signed(most).to_bytes()[..lengths.len()]);
    } else {
        ages.copy_from_slice(&taps.ages.add_bits(one).min_signed(most).to_bytes()[..ages.len()]);
        lengths.copy_from_slice(&taps.lengths.to_bytes()[..lengths.len()]);
    }
}

/// The frames gathered of a layer that is due later than this frame or was later than the last: its own, which are carried
/// on to this frame where it is.
#[inline(always)]
fn own_times<L: Lanes>(
    source: &LayerSource<'_>,
    own: Option<&mut Own<'_>>,
    range: &Range<usize>,
    last: Option<&LastFrame<'_>>,
    taps: &Option<HistoryTaps<L>>,
) -> L {
    let mut found = None;
    if let (Some(last), Some(taps), true) = (last, taps, source.has_history) {
        let (ages, lengths) = source.last_own.unwrap_or((last.ages, last.lengths));
        // A surface of which nothing of this layer has come has gathered nothing.
        let lengths = last.nearest(taps, lengths) & taps.taps.found;
        // The taps read ages only where the frame's own tile is missing.
        found = Some(HistoryTaps { ages: last.nearest(taps, ages), lengths, ..*taps });
    }
    if let Some(own) = own {
        ages_and_lengths(own.ages, own.lengths, range, false, &found);
    }
    match found {
        Some(found) => found.lengths,
        None => L::zero(),
    }
}
