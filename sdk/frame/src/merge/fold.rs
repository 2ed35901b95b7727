//! Late results into the frame that is being finished: each pixel looks where its surface was in the frame that they are of.
//!
//! **A late sample weighs what it would weigh by now had it come in time.** One that is newer than all that its pixel has
//! seen of its layer counts as the newest sample does; one that others have overtaken has lost to each of them what a new
//! sample takes from history, and beyond the frames that history counts for it weighs nothing.

use std::ops::Range;

use super::{
    accumulate::{Before, brightened, measure, spread},
    ahead::Stage,
    bands::Band,
    change::{Limits, SIDE},
    late_frame::{Grid, LateFrame, LatePixels, own_motion},
    layer::LayerSource,
    reproject::{Corners, Guides, HISTORY_DEPTH_TOLERANCE, Taps, steps},
    resolve::{Inputs, LAYERS, NEVER, is_measured},
};
use crate::{
    Extent, LayerKind, Primary, Rect,
    simd::{Half4, Kernel, Lanes},
};

/// Reflections of surfaces rougher than this are blurred so much that they lie on their surface.
const ROUGHEST_MIRROR: f32 = 0.4;

/// The weights of eight late samples, `age` frames old, beside what their pixels hold: `lengths` frames gathered, the newest
/// of them `ages` old, that count for at most `most`. Integers in, `f32` out.
#[inline(always)]
fn weights<L: Lanes>(age: u8, ages: L, lengths: L, most: L) -> L {
    let one = L::splat(1.0);
    let overtaken = L::splat_bits(age.into()).sub_bits(ages).max_signed(L::zero());
    let mut weight = one / (lengths.min_signed(most).integer_to_float() + one);
    let most_frames = most.integer_to_float();
    let kept = most_frames / (most_frames + one);
    for step in 0..u32::from(age) {
        weight = (weight * kept).select(overtaken.gt_signed(L::splat_bits(step)), weight);
    }
    weight = weight & overtaken.gt_signed(most).not();
    one.select(lengths.eq_bits(L::zero()) | is_never(ages), weight)
}

/// A mask of pixels of which nothing ever came.
#[inline(always)]
fn is_never<L: Lanes>(ages: L) -> L {
    ages.eq_bits(L::splat_bits(NEVER.into()))
}

/// Folds what came late into a band that is merged.
pub(super) struct FoldBand<'a, 'b, 'c> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) planes: &'a Primary,
    pub(super) sources: &'a [LayerSource<'a>; LAYERS],
    pub(super) limits: Limits<'a>,
    pub(super) band: &'b mut Band<'c>,
}

/// Eight pixels of a row, fewer at its end.
struct Eight<L> {
    x: u32,
    y: u32,
    /// In the band.
    range: Range<usize>,
    here: Guides<L>,
    /// The pixels' centres.
    across: L,
    down: f32,
    /// What their surfaces moved by themselves since the last frame, as motion vectors say it.
    own: (L, L),
    /// A mask of those that moved.
    moved: L,
}

impl<L: Lanes> Eight<L> {
    /// Where surfaces at these depths were in a late frame.
    #[inline(always)]
    fn positions(&self, frame: &LateFrame, depth: L) -> (L, L) {
        let age = L::splat(f32::from(frame.age));
        let still = frame.to_there.positions(self.across, self.down, depth);
        (still.0 + self.own.0 * age, still.1 + self.own.1 * age)
    }
}

impl Kernel for FoldBand<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<H: Half4>(mut self) {
        let width = self.inputs.extent.width as usize;
        for row in 0..self.band.ages.len() / width {
            let y = (self.band.first_row + row) as u32;
            // Tiles in a row meet end to end; those of which planes came alike are one piece of work.
            let tiles = self.inputs.from_left.iter().map(|tile| &self.inputs.tiles[*tile as usize]);
            let mut tiles = tiles.filter(|tile| (tile.plan().rect.y..tile.plan().rect.bottom()).contains(&y));
            let (mut columns, mut had_primary) = (0..0, false);
            loop {
                let tile = tiles.next();
                let has_primary = tile.is_some_and(|tile| tile.is_complete() || tile.has_primary_row(y));
                if tile.is_none() || has_primary != had_primary {
                    let mut next = columns.start;
                    while next < columns.end {
                        let x = next;
                        next = (x - x % 8 + 8).min(columns.end);
                        self.eight::<H::Lanes>(row, (x, next, y), had_primary);
                    }
                    columns.start = columns.end;
                }
                had_primary = has_primary;
                let Some(tile) = tile else { break };
                columns.end = tile.plan().rect.right();
            }
        }
    }
}

impl FoldBand<'_, '_, '_> {
    #[inline(always)]
    fn eight<L: Lanes>(&mut self, row: usize, (x, end, y): (u32, u32, u32), has_primary: bool) {
        let Inputs { extent, late, history, optics, .. } = self.inputs;
        let index = (y * extent.width + x) as usize;
        let here = Guides::<L>::load(self.planes, index);
        let across = L::splat_bits(x).add_bits(L::counting()).integer_to_float() + L::splat(0.5);
        let down = y as f32 + 0.5;
        // Most pixels lie in no late tile, wherever they moved.
        let mut may_lie_there = false;
        for frame in late.iter() {
            let still = frame.to_there.positions(across, down, here.depth);
            let is_in = |pixels: &LatePixels| is_inside(pixels.tile.rect, still, frame.reach()).mask_bits() != 0;
            may_lie_there = frame.tiles.iter().any(is_in);
            if may_lie_there {
                break;
            }
        }
        if !may_lie_there {
            return;
        }
        let mut own = (L::zero(), L::zero());
        // Where the tile is missing motion leads to where the last frame has what is shown.
        let before = match history {
            _ if has_primary => Some(&optics.to_previous),
            Some(history) => Some(&history.last.reprojection),
            None => None,
        };
        if let Some(before) = before {
            let still = before.positions(across, down, here.depth);
            own = own_motion(L::load_from(&self.planes.motion, index), (across, L::splat(down)), still);
        }
        let moved = (own.0.abs() + own.1.abs()).eq_bits(L::zero()).not();
        let start = row * extent.width as usize + x as usize;
        let eight = Eight { x, y, range: start..start + (end - x) as usize, here, across, down, own, moved };
        for frame in late.iter() {
            let position = eight.positions(frame, here.depth);
            let lanes = L::splat_bits(end - x).gt_signed(L::counting());
            // A part that was asked for again lies in a tile of which some may have come: whoever has a layer's light gives it, once.
            let mut left = [lanes; LAYERS];
            for pixels in &frame.tiles {
                let inside = is_inside(pixels.tile.rect, position, 0.0) & lanes;
                if inside.mask_bits() != 0 {
                    self.tile(frame, pixels, &eight, (position, inside), &mut left);
                }
            }
        }
    }

    /// Eight pixels, those of them that lie in a tile; `left` are those that have no light of this frame yet, by layer.
    #[inline(always)]
    fn tile<L: Lanes>(
        &mut self,
        frame: &LateFrame,
        pixels: &LatePixels,
        eight: &Eight<L>,
        (position, inside): ((L, L), L),
        left: &mut [L; LAYERS],
    ) {
        let rect = pixels.tile.rect;
        // Where that frame's planes are gone: a surface that has been followed for longer was seen in it. Where a thing that
        // moves was before the last frame is not known well enough then.
        let age = L::splat_bits(frame.age.into());
        let mut followed = bytes::<L>(self.band.lengths, &eight.range).gt_signed(age);
        if frame.age > 1 {
            followed = followed & eight.moved.not();
        }
        let mut surfaces: [Option<(Before<L>, L)>; 2] = [None; 2];
        // Of all layers that are due with frames, if there are any.
        let (mut all, mut any, mut new) = (inside, false, L::zero());
        for kind in LayerKind::ALL {
            let source = &self.sources[kind as usize];
            if source.request.is_none() {
                continue;
            }
            any |= !source.is_later;
            let layer = &pixels.tile.layers[kind as usize];
            let left = &mut left[kind as usize];
            let (mut seen, given) = (L::zero(), left.not());
            if !layer.is_empty() {
                let scale = if layer.len() == rect.pixels() { 1 } else { 2 };
                let (grid, guides) = (Grid::new(rect, frame.id, scale), pixels.guides(scale));
                let known = if guides.is_some() { inside } else { inside & followed };
                let surface = match surfaces[scale as usize - 1] {
                    Some(surface) => surface,
                    None => {
                        let taps = self.taps(frame, guides, &grid, eight, position);
                        (Before::new(taps, steps(grid.extent)), taps.found & known)
                    }
                };
                surfaces[scale as usize - 1] = Some(surface);
                let mut samples = surface.0.read(layer);
                // A reflection moves with what is seen in it, where its mirror is seen there.
                if kind == LayerKind::Specular && guides.is_some() {
                    let mirrored = self.mirrored(frame, eight, (position, alphas(&samples)));
                    let taps = self.taps(frame, guides, &grid, eight, mirrored);
                    let shown = taps.found & is_inside(rect, mirrored, 0.0);
                    if shown.mask_bits() != 0 {
                        let mirrored = Before::new(taps, steps(grid.extent)).read(layer);
                        let shown = spread(shown);
                        for k in 0..4 {
                            samples[k] = mirrored[k].select(shown[k], samples[k]);
                        }
                    }
                }
                seen = self.layer(kind, frame, eight, samples, surface.1 & *left);
                *left = *left & seen.not();
            }
            // What came of the tile in time is merged.
            let came_in_time = layer.is_empty() && pixels.tile.whole[kind as usize];
            if !(source.is_later || came_in_time) {
                all = all & (seen | given);
                new = new | seen;
            }
        }
        if any {
            note(self.band.ages, self.band.lengths, &eight.range, (all & new, frame.age));
        }
    }

    /// Where eight pixels read a layer of a late tile, of places in the view.
    #[inline(always)]
    fn taps<L: Lanes>(
        &self,
        frame: &LateFrame,
        guides: Option<&Primary>,
        grid: &Grid,
        eight: &Eight<L>,
        position: (L, L),
    ) -> Taps<L> {
        let corners = Corners::new(grid.extent, grid.place(position));
        let mut there = [eight.here; 4];
        let mut here = eight.here;
        if let Some(guides) = guides {
            here.depth = frame.to_there.depths(eight.across, eight.down, eight.here.depth);
            there = corners.read(guides);
        } else {
            // What lies around a place there lies around the pixel here.
            let Extent { width, height } = self.inputs.extent;
            let (right, bottom) = (L::splat((width - 1) as f32), L::splat((height - 1) as f32));
            let scale = L::splat(grid.scale as f32);
            for (there, (x, y)) in there.iter_mut().zip(corners.offsets()) {
                let x = (eight.across + x * scale).max(L::zero()).min(right).float_to_integer();
                let y = (L::splat(eight.down) + y * scale).max(L::zero()).min(bottom).float_to_integer();
                let at = y.mul_bits(L::splat_bits(width)).add_bits(x).to_bits();
                *there = Guides::gather(self.planes, &at, 0);
            }
        }
        corners.taps(here.same_surfaces(&there, HISTORY_DEPTH_TOLERANCE))
    }

    /// Where what is mirrored was seen in a late frame: as if it stood as far behind the surface as the reflection's rays went
    /// from there, the less so the rougher the surface is.
    #[inline(always)]
    fn mirrored<L: Lanes>(&self, frame: &LateFrame, eight: &Eight<L>, (surface, distances): ((L, L), L)) -> (L, L) {
        let index = (eight.y * self.inputs.extent.width + eight.x) as usize;
        let roughness = (L::load_from(&self.planes.material, index) & L::splat_bits(255)).integer_to_float();
        let share = (L::splat(1.0) - roughness * L::splat(1.0 / (255.0 * ROUGHEST_MIRROR))).max(L::zero());
        // NaN becomes 0.
        let behind = distances.max(L::zero()) / self.inputs.optics.ray_lengths(eight.across, eight.down);
        let mirrored = eight.positions(frame, eight.here.depth + behind);
        (surface.0 + (mirrored.0 - surface.0) * share, surface.1 + (mirrored.1 - surface.1) * share)
    }

    /// Blends samples of a layer into those of eight pixels whose surface they show; gives back a mask of these.
    #[inline(always)]
    fn layer<L: Lanes>(
        &mut self,
        kind: LayerKind,
        frame: &LateFrame,
        eight: &Eight<L>,
        mut samples: [L; 4],
        surface: L,
    ) -> L {
        let Inputs { extent, frame_id, mode, .. } = self.inputs;
        let (range, band) = (eight.range.clone(), &mut *self.band);
        if frame.brightening != 1.0 {
            for light in &mut samples {
                *light = *light * brightened(frame.brightening);
            }
        }
        let seen = surface & are_numbers(&samples);
        if seen.mask_bits() == 0 {
            return seen;
        }
        let times = match &band.own[kind as usize] {
            Some(own) => (&*own.ages, &*own.lengths),
            None => (&*band.ages, &*band.lengths),
        };
        let (ages, lengths) = (bytes::<L>(times.0, &range), bytes::<L>(times.1, &range));
        let most = mode.history_limit(kind).saturating_sub(1);
        let mut most_frames = L::splat_bits(most.into());
        if let Some(limit) = self.limits.of_pixels::<L>(kind, eight.x as usize, eight.y as usize, most) {
            most_frames = most_frames.min_signed(limit);
        }
        let age = L::splat_bits(frame.age.into());
        let weight = weights(frame.age, ages, lengths, most_frames) & seen;

        let pixels = &mut band.currents[kind as usize][range.clone()];
        let mut merged = padded(pixels);
        let halves: &mut [[u16; 8]; 4] = bytemuck::cast_mut(&mut merged);
        let mut before = [L::zero(); 4];
        for k in 0..4 {
            before[k] = L::load_halves(&halves[k]);
        }
        // Light that changed shows in late samples as in others, where they are the newest.
        let blocks_x = (extent.width as usize).div_ceil(SIDE);
        let row = range.start / extent.width as usize;
        let block = row / SIDE * blocks_x + (eight.x as usize + SIDE / 2).min(extent.width as usize - 1) / SIDE;
        if is_measured(eight.y, *frame_id)
            && range.len() == 8
            && let Some(difference) = band.differences[kind as usize].get_mut(block)
        {
            let is_newest = age.gt_signed(ages).not() & seen;
            measure(samples, before, lengths & is_newest, difference);
        }
        let (shares, masks) = (spread(weight), spread(seen));
        for k in 0..4 {
            let mixed = before[k] + ((samples[k] - before[k]) & masks[k]) * shares[k];
            halves[k] = mixed.to_halves();
        }
        if kind == LayerKind::Path {
            let sums = &mut band.path_sums[range.clone()];
            let count = self.sources[kind as usize].request.map_or(1, |request| request.samples);
            sum_paths(sums, &mut merged, samples, seen.mask_bits(), frame.is_unchanged, f32::from(count));
        }
        pixels.copy_from_slice(&merged[..pixels.len()]);
        // The picture shows what was there before.
        if let Some(stage) = band.stages.get_mut(row / SIDE * blocks_x + eight.x as usize / SIDE)
            && *stage == Stage::Composed
        {
            *stage = Stage::Merged;
        }
        if let Some(own) = &mut band.own[kind as usize] {
            note(own.ages, own.lengths, &range, (seen, frame.age));
        }
        seen
    }
}

/// A mask of positions that lie in a rectangle, or at most so many pixels beside it.
#[inline(always)]
pub(super) fn is_inside<L: Lanes>(rect: Rect, (x, y): (L, L), beside: f32) -> L {
    L::splat(rect.x as f32 - beside).le(x)
        & L::splat(rect.y as f32 - beside).le(y)
        & x.lt(L::splat(rect.right() as f32 + beside))
        & y.lt(L::splat(rect.bottom() as f32 + beside))
}

/// As many pixels as there are, at most eight; black beyond.
#[inline(always)]
fn padded(pixels: &[[u16; 4]]) -> [[u16; 4]; 8] {
    let mut padded = [[0; 4]; 8];
    padded[..pixels.len()].copy_from_slice(pixels);
    padded
}

/// The bytes of eight pixels, fewer at a row's end, as integers.
#[inline(always)]
fn bytes<L: Lanes>(plane: &[u8], range: &Range<usize>) -> L {
    let mut padded = [0; 8];
    padded[..range.len()].copy_from_slice(&plane[range.clone()]);
    L::load_bytes(&padded)
}

/// The last channel of eight pixels, two in each of the four.
#[inline(always)]
fn alphas<L: Lanes>(samples: &[L; 4]) -> L {
    let mut alphas = [0.0; 8];
    for k in 0..4 {
        let channels = samples[k].to_array();
        (alphas[2 * k], alphas[2 * k + 1]) = (channels[3], channels[7]);
    }
    L::load(&alphas)
}

/// What rounds to the largest half float still: sums of weights that are 1 are so but for rounding.
const LARGEST: f32 = 65519.0;

/// A mask of pixels, two in each of the four, whose four channels are numbers that half floats hold.
#[inline(always)]
fn are_numbers<L: Lanes>(samples: &[L; 4]) -> L {
    let mut masks = [0; 8];
    for k in 0..4 {
        let bits = samples[k].abs().le(L::splat(LARGEST)).mask_bits();
        masks[2 * k] = if bits & 15 == 15 { u32::MAX } else { 0 };
        masks[2 * k + 1] = if bits >> 4 == 15 { u32::MAX } else { 0 };
    }
    L::load_bits(&masks)
}

/// These pixels have a sample of this age more.
#[inline(always)]
fn note<L: Lanes>(ages: &mut [u8], lengths: &mut [u8], range: &Range<usize>, (which, age): (L, u8)) {
    let (before, gathered) = (bytes::<L>(ages, range), bytes::<L>(lengths, range));
    let younger = before.min_signed(L::splat_bits(age.into())).select(which, before);
    let one = L::splat_bits(1);
    let more = one.select(is_never(before), gathered.add_bits(one).min_signed(L::splat_bits(255)));
    let more = more.select(which, gathered);
    ages[range.clone()].copy_from_slice(&younger.to_bytes()[..range.len()]);
    lengths[range.clone()].copy_from_slice(&more.to_bytes()[..range.len()]);
}

/// Paths that are summed without limit take late samples of frames that show exactly the same as one more of equal weight; after
/// anything else the sums go on from what is shown.
#[inline(always)]
fn sum_paths<L: Lanes>(
    sums: &mut [[f32; 4]],
    merged: &mut [[u16; 4]; 8],
    samples: [L; 4],
    seen: u8,
    is_unchanged: bool,
    count: f32,
) {
    for k in 0..4 {
        let samples = samples[k].to_array();
        for side in 0..2 {
            let (pixel, at) = (2 * k + side, 4 * side);
            let Some(sum) = sums.get_mut(pixel).filter(|_| seen >> pixel & 1 != 0) else { continue };
            for c in 0..3 {
                if is_unchanged && sum[3] > 0.0 {
                    let mean = (sum[c] + samples[at + c] * count) / (sum[3] + count);
                    merged[pixel][c] = half::f16::from_f32(mean).to_bits();
                    sum[c] += samples[at + c] * count;
                } else {
                    sum[c] = half::f16::from_bits(merged[pixel][c]).to_f32() * sum[3];
                }
            }
            if is_unchanged && sum[3] > 0.0 {
                sum[3] += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use glam::Vec3;
    use proptest::prelude::*;
    use rayloom_scene::Camera;

    use super::*;
    use crate::{
        Inline, LayerPlane, LayerRequest, TracedTile,
        merge::{
            FrameInputs, LaterLayers, Merger, PlannedTile,
            resolve::{self, Outputs},
            warp::{LateTarget, primary_bands},
        },
        normal::encode_normal,
        simd::{Portable, dispatch},
    };

    const EXTENT: Extent = Extent::new(45, 27);

    /// Numbers in [0, 1) of nothing but a seed.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f32 {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (self.0 >> 40) as f32 / (1 << 24) as f32
        }
    }

    /// A wavy wall with things before it, of which some move, and garbage among its light.
    fn traced(random: &mut Random, rect: Rect, layers: &[LayerRequest], with_planes: bool) -> TracedTile {
        let mut primary = Primary::default();
        for (x, y) in (rect.y..rect.bottom()).flat_map(|y| (rect.x..rect.right()).map(move |x| (x, y))) {
            let thing = u32::from((x / 9 + y / 7) % 3 == 0);
            let wave = (x as f32 * 0.3).sin() + (y as f32 * 0.2).cos();
            let normal = Vec3::new(0.1 * wave, 0.1, 1.0).normalize();
            primary.depth.push(if (x + y) % 23 == 0 { f32::INFINITY } else { 6.0 + 0.2 * wave - 3.0 * thing as f32 });
            primary.normal.push(encode_normal(normal));
            primary.base_color.push((random.next() * 1e9) as u32);
            primary.material.push((random.next() * 255.0) as u32);
            let motion = |v: f32| u32::from(half::f16::from_f32(v * thing as f32).to_bits());
            primary.motion.push(motion(random.next() * 3.0 - 1.5) | motion(random.next() - 0.5) << 16);
            primary.instance_id.push(1 + thing);
        }
        let mut layer = |request: &LayerRequest| {
            let rect = rect.scaled(u32::from(request.scale));
            let mut sample = || {
                let garbage = random.next() < 0.01;
                [0.0; 4].map(|_: f32| if garbage { 0x7e00 } else { half::f16::from_f32(random.next() * 2.0).to_bits() })
            };
            let pixels = (0..rect.pixels()).map(|_| sample()).collect();
            LayerPlane { kind: request.kind, scale: request.scale, rect, pixels }
        };
        let layers = layers.iter().map(&mut layer).collect();
        TracedTile { rect, layers, primary: Some(primary).filter(|_| with_planes), block_rays: Vec::new() }
    }

    /// A merger with a frame open and tiles of frames before it that came late, of a camera that moves.
    fn opened(seed: u64) -> Merger {
        let mut random = Random(seed);
        let layer = |kind, scale| LayerRequest { scale, ..LayerRequest::new(kind) };
        let due = [layer(LayerKind::Direct, 1), layer(LayerKind::Specular, 2), layer(LayerKind::Path, 1)];
        let later = [layer(LayerKind::Indirect, 1 + (seed % 2) as u8)];
        let cut = 10 + (random.next() * 25.0) as u32;
        let tile = |x, width| PlannedTile { rect: Rect::new(x, 0, width, EXTENT.height), ghost: 0 };
        let (tiles, whole) = ([tile(0, cut), tile(cut, EXTENT.width - cut)], [tile(0, EXTENT.width)]);
        let camera = |frame: f32| {
            let position = Vec3::new(frame * 0.05, 0.02 * frame, 6.0);
            Camera::look_at(position, position - Vec3::new(0.01 * frame, 0.0, 1.0), 1.0, 45.0 / 27.0)
        };
        let has_planes = seed & 4 != 0;
        let mut merger = Merger::new(EXTENT);
        for frame_id in 0..5u64 {
            merger.finish();
            let planes = traced(&mut random, EXTENT.rect(), &[], true).primary.filter(|_| has_planes);
            let later = [LaterLayers { layers: &later, tiles: &whole }];
            let inputs = FrameInputs::new(frame_id, camera(frame_id as f32), &due, &tiles);
            let previous_camera = camera(frame_id as f32 - 1.0);
            let pre_exposure = 1.0 + random.next();
            let inputs =
                FrameInputs { previous_camera, planes: planes.as_ref(), later: &later, pre_exposure, ..inputs };
            merger.begin(inputs).unwrap();
            for i in (0..2).filter(|i| frame_id == 0 || (frame_id + i) % 3 == 0) {
                let traced = traced(&mut random, tiles[i as usize].rect, &due, !has_planes);
                merger.add_tile(frame_id, i as u32, 0, &traced).unwrap();
            }
        }
        for frame_id in 0..5u64 {
            for (i, tile) in (0..).zip(&tiles) {
                let traced = traced(&mut random, tile.rect, &due, !has_planes);
                if frame_id < 4 {
                    merger.add_tile(frame_id, i, 0, &traced).unwrap();
                }
            }
            let traced = traced(&mut random, EXTENT.rect(), &later, false);
            merger.add_tile(frame_id, 2, 0, &traced).unwrap();
        }
        assert!(merger.counts().late > 5);
        merger
    }

    /// Layers, ages and lengths after the late tiles were folded in, and planes into which they were warped.
    fn folded(seed: u64, is_portable: bool) -> (Vec<[u16; 4]>, Vec<u8>, Primary) {
        let mut merger = opened(seed);
        let frame = merger.frame.unwrap();
        let late = merger.late_frames(&frame);
        let mut warped = Primary::default();
        {
            let (inputs, outputs) = merger.parts(&frame, &[]);
            resolve::resolve(&inputs, outputs, &frame.camera, &Inline);
            let (inputs, outputs) = merger.parts(&frame, &late);
            warped.clone_from(outputs.planes);
            let target = LateTarget { extent: EXTENT, last: inputs.history.as_ref().map(|h| &h.last) };
            for late in &late {
                let width = EXTENT.width as usize;
                for (y, mut row) in primary_bands(&mut warped, &mut [], width).enumerate() {
                    let warp = WarpRow(row.part(0..width), late, &target, y as u32);
                    if is_portable { warp.run::<Portable>() } else { dispatch(warp) }
                }
            }
        }
        let (inputs, outputs) = merger.parts(&frame, &late);
        let Outputs { planes, ages, lengths, layers, changes, .. } = outputs;
        let (limits, differences) = changes.split();
        let mut parts = layers.each_mut().map(|layer| layer.split(false));
        let sources = parts.each_ref().map(|part| part.source);
        let mut band = Band {
            first_row: 0,
            ages,
            lengths,
            currents: parts.each_mut().map(|part| std::mem::take(&mut part.current)),
            own: parts.each_mut().map(|part| part.own.take()),
            differences,
            path_sums: std::mem::take(&mut parts[LayerKind::Path as usize].sums),
            stages: &mut [],
        };
        let fold = FoldBand { inputs: &inputs, planes, sources: &sources, limits, band: &mut band };
        if is_portable {
            fold.run::<Portable>()
        } else {
            dispatch(fold)
        }
        let own = band.own.iter().flatten().flat_map(|own| [&*own.ages, &*own.lengths]);
        let bytes = [&*band.ages, &*band.lengths].into_iter().chain(own).flatten().copied().collect();
        (band.currents.iter().flat_map(|layer| layer.iter().copied()).collect(), bytes, warped)
    }

    struct WarpRow<'a, 'b>(crate::merge::warp::PrimaryRow<'b>, &'a LateFrame, &'a LateTarget<'a>, u32);

    impl Kernel for WarpRow<'_, '_> {
        type Output = ();

        #[inline(always)]
        fn run<H: Half4>(self) {
            let WarpRow(mut row, late, target, y) = self;
            row.warp_late::<H::Lanes>(late, target, (0, y));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn late_tiles_give_the_same_bits_on_any_processor(seed: u64) {
            let (here, anywhere) = (folded(seed, false), folded(seed, true));
            prop_assert!(here.0 == anywhere.0, "layers");
            prop_assert!(here.1 == anywhere.1, "ages and lengths");
            prop_assert!(here.2 == anywhere.2, "planes");
        }
    }

    /// Weights of eight samples of an age.
    struct Weigh(u8, [u32; 8], [u32; 8], [u32; 8]);

    impl Kernel for Weigh {
        type Output = [f32; 8];

        #[inline(always)]
        fn run<H: Half4>(self) -> [f32; 8] {
            let Weigh(age, ages, lengths, most) = self;
            let lanes = |values: [u32; 8]| H::Lanes::load_bits(&values);
            weights(age, lanes(ages), lanes(lengths), lanes(most)).to_array()
        }
    }

    #[test]
    fn a_late_sample_weighs_what_it_would_had_it_come_in_time() {
        let found = dispatch(Weigh(
            3,
            [0, 2, 3, 9, 0, 0, 255, 0],
            [10, 10, 10, 10, 40, 10, 7, 0],
            [31, 31, 31, 31, 31, 2, 31, 31],
        ));
        let kept: f32 = 31.0 / 32.0;
        let expected = [
            kept.powi(3) / 11.0,
            kept / 11.0,
            // Nothing newer was seen: as in time.
            1.0 / 11.0,
            1.0 / 11.0,
            kept.powi(3) / 32.0,
            // Light changed since.
            0.0,
            // Nothing was ever seen.
            1.0,
            1.0,
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }
}
