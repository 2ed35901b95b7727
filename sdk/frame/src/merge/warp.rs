//! Planes of pixels whose tile is missing: the last frame's (`last.rs`), or those of tiles that came late (`late.rs`), seen from this
//! frame's camera.

mod last;
mod late;

use std::ops::Range;

pub(super) use late::LateTarget;

use super::{
    bands::take,
    offsets::Offset,
    reproject::{Corners, HISTORY_DEPTH_TOLERANCE, steps},
};
use crate::{
    Extent, Primary,
    simd::{Lanes, each},
};

/// Steps of fixed-point iteration.
const ITERATIONS: usize = 4;
/// Motion of what the last frame did not see: out of any view, 65,504 pixels to the right and down.
pub(super) const NOWHERE: u32 = 0x7bff_7bff;

/// Pixels of all planes, next to each other in memory.
pub(super) struct PrimaryRow<'a> {
    pub(super) depth: &'a mut [f32],
    normal: &'a mut [u32],
    base_color: &'a mut [u32],
    material: &'a mut [u32],
    motion: &'a mut [u32],
    instance_id: &'a mut [u32],
    /// Where what they show stands beside their centres; empty where that is not kept.
    offset: &'a mut [Offset],
}

/// The planes in pieces of `pixels`, and offsets, where there are any.
pub(super) fn primary_bands<'a>(
    planes: &'a mut Primary,
    mut offsets: &'a mut [Offset],
    pixels: usize,
) -> impl ExactSizeIterator<Item = PrimaryRow<'a>> + Send {
    let Primary { depth, normal, base_color, material, motion, instance_id } = planes;
    let shape = depth.chunks_mut(pixels).zip(normal.chunks_mut(pixels)).zip(instance_id.chunks_mut(pixels));
    let look = base_color.chunks_mut(pixels).zip(material.chunks_mut(pixels)).zip(motion.chunks_mut(pixels));
    shape.zip(look).map(move |(((depth, normal), instance_id), ((base_color, material), motion))| PrimaryRow {
        depth,
        normal,
        base_color,
        material,
        motion,
        instance_id,
        offset: take(&mut offsets, pixels),
    })
}

impl PrimaryRow<'_> {
    /// Some of the pixels.
    pub(super) fn part(&mut self, range: Range<usize>) -> PrimaryRow<'_> {
        let offset = if self.offset.is_empty() { &mut [] } else { &mut self.offset[range.clone()] };
        PrimaryRow {
            depth: &mut self.depth[range.clone()],
            normal: &mut self.normal[range.clone()],
            base_color: &mut self.base_color[range.clone()],
            material: &mut self.material[range.clone()],
            motion: &mut self.motion[range.clone()],
            instance_id: &mut self.instance_id[range],
            offset,
        }
    }

    /// What the pixels show stands at their centres: it was traced there.
    pub(super) fn stands_at_centres(&mut self) {
        self.offset.fill(0);
    }

    /// Fills pixels that nothing is known of.
    pub(super) fn blank(&mut self) {
        self.depth.fill(crate::SKY_DEPTH);
        let words =
            [&mut *self.normal, &mut *self.base_color, &mut *self.material, &mut *self.motion, &mut *self.instance_id];
        words.into_iter().for_each(|words| words.fill(0));
        self.stands_at_centres();
    }
}

/// Positions where they are numbers that pixels have, else others.
#[inline(always)]
fn numbers_or<L: Lanes>((x, y): (L, L), (other_x, other_y): (L, L)) -> (L, L) {
    let most = L::splat(1e6);
    let are_numbers = x.abs().lt(most) & y.abs().lt(most);
    (x.select(are_numbers, other_x), y.select(are_numbers, other_y))
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
        Places::at(y.float_to_integer().mul_bits(width).add_bits(x.float_to_integer()))
    }

    #[inline(always)]
    fn at<L: Lanes>(index: L) -> Places {
        let at = index.to_bits();
        let follows = index.eq_bits(L::splat_bits(at[0]).add_bits(L::counting()));
        Places { at, contiguous: follows.mask_bits() == 0xff }
    }

    /// The pixels' centres.
    #[inline(always)]
    fn centres<L: Lanes>(&self, extent: Extent) -> (L, L) {
        let (mut x, mut y) = ([0.0; 8], [0.0; 8]);
        for i in 0..8 {
            (x[i], y[i]) = ((self.at[i] % extent.width) as f32 + 0.5, (self.at[i] / extent.width) as f32 + 0.5);
        }
        (L::load(&x), L::load(&y))
    }

    /// A plane's words there.
    #[inline(always)]
    fn read<L: Lanes>(&self, words: &[u32]) -> L {
        if self.contiguous { L::load_from(words, self.at[0] as usize) } else { L::gather(words, &self.at, 0) }
    }

    /// Offsets there, in the lower halves of words.
    #[inline(always)]
    fn read_offsets<L: Lanes>(&self, offsets: &[Offset]) -> L {
        if self.contiguous {
            return read_offsets(&offsets[self.at[0] as usize..]);
        }
        L::load_bits(&self.at.map(|at| u32::from(offsets[at as usize])))
    }

    /// Base colours at the positions that these pixels are nearest to, between the pixels around them that lie where the nearest
    /// one does on the same thing, whatever they are made of: an edge in a texture, or a window's in its wall, would be off by
    /// up to half a pixel, another one in each frame. And masks of positions around which there are such pixels.
    #[inline(always)]
    fn colors<L: Lanes>(&self, planes: &Primary, extent: Extent, position: (L, L)) -> (L, L) {
        let depths: &[u32] = bytemuck::cast_slice(&planes.depth);
        let (here, depth, thing) =
            (self.read::<L>(&planes.base_color), self.read::<L>(depths), self.read::<L>(&planes.instance_id));
        let corners = Corners::new(extent, position);
        let (right, down) = steps(extent);
        let (offsets, near) = ([0, right, down, right + down], depth * L::splat(HISTORY_DEPTH_TOLERANCE));
        let mut same = [L::zero(); 4];
        for (same, offset) in same.iter_mut().zip(offsets) {
            let beside = (L::gather(depths, &corners.places, offset) - depth).abs().le(near);
            *same = beside & L::gather(&planes.instance_id, &corners.places, offset).eq_bits(thing);
        }
        let taps = corners.taps(same);
        let byte = L::splat_bits(255);
        let mut sums = [L::splat(0.5); 3];
        for (offset, weight) in offsets.into_iter().zip(taps.weights) {
            let word = L::gather(&planes.base_color, &corners.places, offset);
            let channels = [word & byte, word.shift_right::<8>() & byte, word.shift_right::<16>() & byte];
            for (sum, channel) in sums.iter_mut().zip(channels) {
                *sum = *sum + channel.integer_to_float() * weight;
            }
        }
        let [r, g, b] = each!(sums, sum => sum.float_to_integer());
        let between = r | g.shift_left::<8>() | b.shift_left::<16>() | (here & L::splat_bits(0xff00_0000));
        (between.select(taps.found, here), taps.found)
    }
}

/// As many words as there are, at most eight; zeroes beyond.
#[inline(always)]
fn load<L: Lanes>(words: &[u32]) -> L {
    L::load_from(words, 0)
}

/// Writes those of as many lanes as there are words that the mask has.
#[inline(always)]
fn replace<L: Lanes>(words: &mut [u32], mask: L, lanes: L) {
    let kept = load::<L>(words);
    put(words, lanes.select(mask, kept));
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

/// As many offsets as there are, at most eight, in the lower halves of words; zeroes beyond.
#[inline(always)]
fn read_offsets<L: Lanes>(offsets: &[Offset]) -> L {
    let mut words = [0; 8];
    match offsets.first_chunk::<8>() {
        Some(offsets) => words = offsets.map(u32::from),
        None => words.iter_mut().zip(offsets).for_each(|(word, offset)| *word = u32::from(*offset)),
    }
    L::load_bits(&words)
}

/// Writes as many offsets as there are, at most eight, from the lower halves of words.
#[inline(always)]
fn put_offsets<L: Lanes>(offsets: &mut [Offset], words: L) {
    for (offset, word) in offsets.iter_mut().zip(words.to_bits()) {
        *offset = word as Offset;
    }
}

/// The two half floats of each word.
#[inline(always)]
fn halves<L: Lanes>(words: L) -> (L, L) {
    ((words & L::splat_bits(0xffff)).half_to_float(), words.shift_right::<16>().half_to_float())
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
