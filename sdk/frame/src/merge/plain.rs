//! The common case of merging: eight pixels of which all came, next to each other now and in the last frame.
//!
//! It gives the bits that [`super::resolve`] gives for any pixels, with less to decide for each of them.

use super::{
    accumulate::{Before, are_finite, finite, measure, mix},
    change::SIDE,
    reproject::{Corners, Guides, HISTORY_DEPTH_TOLERANCE, LastFrame, lengths_between},
    resolve::{LAYERS, MergeBand},
    upsample::{BlockRow, upsample},
};
use crate::{LayerKind, Primary, Rect, simd::Lanes};

/// Pixels ahead of which memory is asked for: a row reads from over ten planes, more than processors follow by themselves.
const AHEAD: usize = 64;
/// Rows from one that is merged to one that is placed next, where a tile comes whole.
const ROWS_AHEAD: usize = 2 * SIDE;

/// What plain pixels of a segment have in common.
pub(super) struct Plain<'a> {
    last: &'a LastFrame<'a>,
    by_motion: bool,
    is_measured: bool,
    has_coarse: bool,
    /// The layers that there are.
    layers: [PlainLayer; LAYERS],
    count: usize,
}

#[derive(Clone, Copy)]
struct PlainLayer {
    kind: LayerKind,
    is_coarse: bool,
    /// Frames that history counts for at most, besides this one.
    most: u8,
    /// Light may have changed somewhere in the segment.
    may_be_limited: bool,
}

impl<'a> Plain<'a> {
    /// `None` where each pixel has to be looked at for itself: not all came, there is no history of some layer, or it is
    /// summed, brightened or due at another time.
    pub(super) fn new(
        band: &MergeBand<'a, '_, '_>,
        rect: Rect,
        is_fresh: bool,
        is_measured: bool,
    ) -> Option<Plain<'a>> {
        let history = band.inputs.history.as_ref().filter(|_| is_fresh)?;
        let nothing = PlainLayer { kind: LayerKind::Direct, is_coarse: false, most: 0, may_be_limited: false };
        let (mut layers, mut count, mut has_coarse) = ([nothing; LAYERS], 0, false);
        for kind in LayerKind::ALL {
            let source = &band.sources[kind as usize];
            let Some(request) = source.request else { continue };
            let is_plain = source.has_history && !source.is_later && source.last_own.is_none();
            if !is_plain || kind == LayerKind::Path || history.brightening != 1.0 {
                return None;
            }
            let most = band.inputs.mode.history_limit(kind).saturating_sub(1);
            let may_be_limited = band.limits.may_be_below(kind, rect, most);
            layers[count] = PlainLayer { kind, is_coarse: request.scale == 2, most, may_be_limited };
            has_coarse |= request.scale == 2;
            count += 1;
        }
        let by_motion = history.motion_leads_there;
        Some(Plain { last: &history.last, by_motion, is_measured, has_coarse, layers, count })
    }
}

/// Neighbouring items from `at` on; `None` where the end comes before.
#[inline(always)]
fn chunk<T, const N: usize>(items: &[T], at: usize) -> Option<&[T; N]> {
    items.get(at..)?.first_chunk()
}

/// Eight of nine neighbours: the first ones, or those to their right.
#[inline(always)]
fn eight<T: Copy, const RIGHT: usize>(row: &[T; 9]) -> [T; 8] {
    std::array::from_fn(|i| row[i + RIGHT])
}

/// Left and right neighbours of eight places in a row of the planes.
#[inline(always)]
fn guides<L: Lanes>(planes: &Primary, at: usize) -> Option<[Guides<L>; 2]> {
    let (depth, normal) = (chunk(&planes.depth, at)?, chunk(&planes.normal, at)?);
    let (material, instance_id) = (chunk(&planes.material, at)?, chunk(&planes.instance_id, at)?);
    Some([
        Guides::of(
            &eight::<_, 0>(depth),
            &eight::<_, 0>(normal),
            &eight::<_, 0>(material),
            &eight::<_, 0>(instance_id),
        ),
        Guides::of(
            &eight::<_, 1>(depth),
            &eight::<_, 1>(normal),
            &eight::<_, 1>(material),
            &eight::<_, 1>(instance_id),
        ),
    ])
}

impl MergeBand<'_, '_, '_> {
    /// Merges eight plain pixels of row `row` of the band from (`x`, `y`) on, if they lie next to each other in the last
    /// frame too; gives back whether they do.
    #[inline(always)]
    pub(super) fn plain_eight<L: Lanes>(
        &mut self,
        plain: &Plain<'_>,
        blocks: &BlockRow<'_>,
        row: usize,
        (x, y): (u32, u32),
    ) -> Option<()> {
        let width = self.inputs.extent.width as usize;
        let (index, start) = (y as usize * width + x as usize, row * width + x as usize);
        let planes = self.planes;
        let here = Guides::<L>::of(
            chunk(&planes.depth, index)?,
            chunk(&planes.normal, index)?,
            chunk(&planes.material, index)?,
            chunk(&planes.instance_id, index)?,
        );
        let (across, down) =
            (L::splat_bits(x).add_bits(L::counting()).integer_to_float() + L::splat(0.5), y as f32 + 0.5);
        let position = if plain.by_motion {
            let words = L::load_bits(chunk(&planes.motion, index)?);
            let right = (words & L::splat_bits(0xffff)).half_to_float();
            (across + right, L::splat(down) + words.shift_right::<16>().half_to_float())
        } else {
            plain.last.reprojection.positions(across, down, here.depth)
        };
        let corners = Corners::new(self.inputs.extent, position);
        if !corners.contiguous {
            return None;
        }
        let first = corners.places[0] as usize;
        // Rows of a whole tile are near when they are merged; those that are placed next are not.
        let ahead = if self.ahead.is_some() { ROWS_AHEAD * width } else { AHEAD };
        here.prefetch(planes, index + ahead);
        L::prefetch(&planes.motion, index + ahead);
        L::prefetch(&planes.base_color, index + ahead);
        // The upper neighbours came with the row before.
        let lower = first + width + AHEAD;
        here.prefetch(plain.last.planes, lower);
        L::prefetch(plain.last.lengths, lower);

        let ([a, b], [c, d]) = (guides(plain.last.planes, first)?, guides(plain.last.planes, first + width)?);
        let then = here.at_depth(plain.last.reprojection.depths(across, down, here.depth));
        let taps = corners.taps(then.same_surfaces(&[a, b, c, d], HISTORY_DEPTH_TOLERANCE));
        let rows = (chunk(plain.last.lengths, first)?, chunk(plain.last.lengths, first + width)?);
        let lengths = lengths_between(rows, &corners, taps.found);
        let gathered = lengths.add_bits(L::splat_bits(1)).min_signed(L::splat_bits(255));
        *self.band.lengths.get_mut(start..)?.first_chunk_mut()? = gathered.to_bytes();

        let block_taps = if plain.has_coarse { Some(blocks.taps(x, &here)) } else { None };
        let before_at = Before::new(taps, plain.last.steps());
        let blocks_x = width.div_ceil(SIDE);
        for layer in &plain.layers[..plain.count.min(LAYERS)] {
            let kind = layer.kind as usize;
            let source = &self.sources[kind];
            let pixels = self.band.currents[kind].get_mut(start..)?;
            L::prefetch(pixels, ahead);
            L::prefetch(source.history, lower);
            let mut incoming = None;
            if let Some((_, only)) = &self.ahead {
                incoming = only.from(kind, (x, y));
            }
            let halves: &mut [[u16; 8]; 4] = bytemuck::cast_mut::<[[u16; 4]; 8], _>(pixels.first_chunk_mut()?);
            let mut samples = [L::zero(); 4];
            match &block_taps {
                Some(taps) if layer.is_coarse => samples = upsample(source, blocks, taps),
                _ => {
                    let mut came: &[[u16; 8]; 4] = halves;
                    if let Some(pixels) = incoming {
                        L::prefetch(pixels, AHEAD);
                        came = bytemuck::cast_ref::<[[u16; 4]; 8], _>(pixels.first_chunk()?);
                    }
                    for k in 0..4 {
                        samples[k] = L::load_halves(&came[k]);
                    }
                }
            }
            let before = before_at.read(source.history);
            let mut most = L::splat_bits(layer.most.into());
            if layer.may_be_limited
                && let Some(limit) = self.limits.of_pixels::<L>(layer.kind, x as usize, y as usize, layer.most)
            {
                most = most.min_signed(limit);
            }
            let most = lengths.min_signed(most);
            let merged = mix(samples, before, most, lengths);
            *halves = [merged[0].to_halves(), merged[1].to_halves(), merged[2].to_halves(), merged[3].to_halves()];
            // Whatever is infinite or no number, there or here, makes what is merged so.
            if !are_finite::<L>(halves) {
                if !layer.is_coarse {
                    samples = [finite(samples[0]), finite(samples[1]), finite(samples[2]), finite(samples[3])];
                }
                let merged = mix(samples, before, most, lengths);
                for k in 0..4 {
                    halves[k] = finite(merged[k]).to_halves();
                }
            }
            if plain.is_measured {
                // The block of the eight pixels' middle stands for them all: it is theirs.
                let block = row / SIDE * blocks_x + x as usize / SIDE;
                if let Some(difference) = self.band.differences[kind].get_mut(block) {
                    measure(samples, before, lengths, difference);
                }
            }
        }
        Some(())
    }
}
