//! Planes for pixels whose tile is missing: the last frame's, seen from this frame's camera.
//!
//! Each missing pixel looks for the pixel of the last frame that lands on it, by fixed-point iteration (Yang et al.,
//! "Image-Based Bidirectional Scene Reprojection", SIGGRAPH Asia 2011), so there are no cracks to fill.

use std::ops::Range;

use super::{
    fold::is_inside,
    late::LateTile,
    late_frame::{LateFrame, own_motion},
    reproject::{Corners, HISTORY_DEPTH_TOLERANCE, LastFrame, Reprojection, steps},
    resolve::NEVER,
};
use crate::{
    Extent, Primary,
    simd::{Lanes, each},
};

const ITERATIONS: usize = 4;
/// Pixels between a pixel and where what a late tile has for it lands.
const LANDED: f32 = 0.25;
/// The same for the last frame: beyond, it did not see what the pixel shows.
const SHOWN: f32 = 1.0;
/// Motion of what the last frame did not see: out of any view, 65,504 pixels to the right and down.
pub(super) const NOWHERE: u32 = 0x7bff_7bff;

/// Pixels around the one that is most likely, at which something nearer is looked for.
const PROBES: [(f32, f32); 9] =
    [(0.0, 0.0), (-2.0, 0.0), (2.0, 0.0), (0.0, -2.0), (0.0, 2.0), (-8.0, 0.0), (8.0, 0.0), (0.0, -8.0), (0.0, 8.0)];

/// The frame that late planes are for.
pub(super) struct LateTarget<'a> {
    pub(super) extent: Extent,
    pub(super) last: Option<&'a LastFrame<'a>>,
}

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
    /// The motion written is from this frame's pixel to where its content was found, so that layers read the same place. Pixels that the
    /// last frame did not see are stretched from what is beside them; their motion leads out of the view, since their light is unknown.
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
            let (landing, depth) = to_this.land(source_x, source_y, before);
            let depth = depth.select(L::zero().lt(depth), before);
            let near = L::splat(SHOWN);
            let is_shown = (across - landing.0).abs().le(near) & (down - landing.1).abs().le(near);
            let motion = motion_word(source_x - across, source_y - down);
            let motion = motion.select(is_shown, L::splat_bits(NOWHERE));
            put(bytemuck::cast_slice_mut(&mut self.depth[at..]), depth);
            put(&mut self.motion[at..], motion);
            put(&mut self.normal[at..], places.read::<L>(&last.normal));
            put(&mut self.instance_id[at..], places.read::<L>(&last.instance_id));
            put(&mut self.base_color[at..], places.colors(last, extent, (source_x, source_y)));
            put(&mut self.material[at..], places.read::<L>(&last.material));
        }
    }

    /// Fills missing pixels of a row that begins at pixel (`x`, `y`) from a tile that came late, where it shows them and is newer
    /// than what they were filled from. Things that moved by themselves are taken to have gone on as they did.
    #[inline(always)]
    pub(super) fn warp_late<L: Lanes>(
        &mut self,
        late: &LateFrame,
        tile: &LateTile,
        target: &LateTarget<'_>,
        (x, y): (u32, u32),
    ) {
        let from = &tile.primary;
        let half = L::splat(0.5);
        let down = y as f32 + 0.5;
        for at in (0..self.depth.len()).step_by(8) {
            let across = L::splat_bits(x + at as u32).add_bits(L::counting()).integer_to_float() + half;
            let pixels = (across, L::splat(down));
            // Most likely it was beside where what is there now was; where something nearer lands on the pixel too, that hides it.
            let (depth, motion) = (load::<L>(bytemuck::cast_slice(&self.depth[at..])), load::<L>(&self.motion[at..]));
            let mut start = numbers_or(late.to_there.positions(across, down, depth), pixels);
            if is_inside(tile.rect, start, late.reach()).mask_bits() == 0 {
                continue;
            }
            let mut nearest = (L::splat(f32::INFINITY), (L::zero(), L::zero()));
            for (right, below) in PROBES {
                let source = Source::new(late, tile, (start.0 + L::splat(right), start.1 + L::splat(below)));
                let depth = source.landing.2;
                let is_nearer = L::zero().lt(depth) & depth.lt(nearest.0);
                nearest.0 = depth.select(is_nearer, nearest.0);
                nearest.1.0 = source.own.0.select(is_nearer, nearest.1.0);
                nearest.1.1 = source.own.1.select(is_nearer, nearest.1.1);
            }
            let mut found = Source::of(late, tile, start, pixels);
            let (depth, own) = nearest;
            let still = late.to_there.positions(across, down, depth);
            let age = L::splat(f32::from(late.age));
            start = numbers_or((still.0 + own.0 * age, still.1 + own.1 * age), pixels);
            let nearer = Source::of(late, tile, start, pixels);
            let (landed, hides) = (found.lands_on(pixels), nearer.lands_on(pixels));
            let hides = hides & (landed.not() | nearer.landing.2.lt(found.landing.2));
            found.take(hides, &nearer);
            let Source { places, landing: (.., landing_depth), own, x: found_x, y: found_y } = found;
            let in_tile = (found_x - L::splat(tile.rect.x as f32), found_y - L::splat(tile.rect.y as f32));
            let mut taken = landed | hides;
            if let Some(last) = target.last {
                taken = taken & older_than::<L>(last, target.extent, (across, down), motion, late.age);
            }
            if taken.mask_bits() == 0 {
                continue;
            }
            let motion = match target.last {
                Some(last) => {
                    let was = last.reprojection.positions(across, down, landing_depth);
                    motion_word(was.0 - across + own.0, was.1 - L::splat(down) + own.1)
                }
                None => L::zero(),
            };
            replace(bytemuck::cast_slice_mut(&mut self.depth[at..]), taken, landing_depth);
            replace(&mut self.motion[at..], taken, motion);
            replace(&mut self.normal[at..], taken, places.read::<L>(&from.normal));
            replace(&mut self.instance_id[at..], taken, places.read::<L>(&from.instance_id));
            let extent = Extent::new(tile.rect.width, tile.rect.height);
            replace(&mut self.base_color[at..], taken, places.colors(from, extent, in_tile));
            replace(&mut self.material[at..], taken, places.read::<L>(&from.material));
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

/// Eight places in a late tile, and where what they show is by now.
struct Source<L> {
    /// In the view, held within the tile.
    x: L,
    y: L,
    places: Places,
    /// Pixel and depth.
    landing: (L, L, L),
    /// What it moved by itself in a frame, as motion vectors say it.
    own: (L, L),
}

impl<L: Lanes> Source<L> {
    #[inline(always)]
    fn new(late: &LateFrame, tile: &LateTile, (x, y): (L, L)) -> Source<L> {
        let (half, age) = (L::splat(0.5), L::splat(f32::from(late.age)));
        let (left, top) = (L::splat(tile.rect.x as f32), L::splat(tile.rect.y as f32));
        let in_x = (x - left).max(half).min(L::splat(tile.rect.width as f32 - 0.5));
        let in_y = (y - top).max(half).min(L::splat(tile.rect.height as f32 - 0.5));
        let places = Places::new(in_x, in_y, L::splat_bits(tile.rect.width));
        let depth = places.read::<L>(bytemuck::cast_slice(&tile.primary.depth));
        let centre = (
            in_x.float_to_integer().integer_to_float() + left + half,
            in_y.float_to_integer().integer_to_float() + top + half,
        );
        let (still, _) = late.to_before.land(centre.0, centre.1, depth);
        let own = own_motion(places.read::<L>(&tile.primary.motion), centre, still);
        let (x, y) = (in_x + left, in_y + top);
        let ((right, down), depth) = late.from_there.land(x, y, depth);
        Source { x, y, places, landing: (right - own.0 * age, down - own.1 * age, depth), own }
    }

    /// The place that lands on a pixel, by fixed-point iteration.
    #[inline(always)]
    fn of(late: &LateFrame, tile: &LateTile, start: (L, L), (x, y): (L, L)) -> Source<L> {
        let mut source = Source::new(late, tile, start);
        for _ in 0..ITERATIONS {
            let next = (source.x + (x - source.landing.0), source.y + (y - source.landing.1));
            source = Source::new(late, tile, numbers_or(next, (source.x, source.y)));
        }
        source
    }

    /// False where there is no number.
    #[inline(always)]
    fn lands_on(&self, (x, y): (L, L)) -> L {
        let (right, down, depth) = self.landing;
        let near = L::splat(LANDED);
        (x - right).abs().le(near) & (y - down).abs().le(near) & L::zero().lt(depth)
    }

    /// Takes others where the mask has its bits.
    #[inline(always)]
    fn take(&mut self, mask: L, other: &Source<L>) {
        let at = L::load_bits(&other.places.at).select(mask, L::load_bits(&self.places.at));
        self.places = Places::at(at);
        (self.x, self.y) = (other.x.select(mask, self.x), other.y.select(mask, self.y));
        self.landing.2 = other.landing.2.select(mask, self.landing.2);
        self.own = (other.own.0.select(mask, self.own.0), other.own.1.select(mask, self.own.1));
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

    /// A plane's words there.
    #[inline(always)]
    fn read<L: Lanes>(&self, words: &[u32]) -> L {
        if self.contiguous { L::load_from(words, self.at[0] as usize) } else { L::gather(words, &self.at, 0) }
    }

    /// Base colours at the positions that these pixels are nearest to, between the pixels around them that lie where the nearest
    /// one does on the same thing, whatever they are made of: an edge in a texture, or a window's in its wall, would be off by
    /// up to half a pixel, another one in each frame.
    #[inline(always)]
    fn colors<L: Lanes>(&self, planes: &Primary, extent: Extent, position: (L, L)) -> L {
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
        between.select(taps.found, here)
    }
}

/// Masks of pixels whose planes, which `motion` says where the last frame has them, are older than `age` frames.
#[inline(always)]
fn older_than<L: Lanes>(last: &LastFrame<'_>, extent: Extent, (x, y): (L, f32), motion: L, age: u8) -> L {
    let half = L::splat(0.5);
    let right = (motion & L::splat_bits(0xffff)).half_to_float();
    let down = motion.shift_right::<16>().half_to_float();
    let found_x = (x + right).max(half).min(L::splat(extent.width as f32 - 0.5));
    let found_y = (L::splat(y) + down).max(half).min(L::splat(extent.height as f32 - 0.5));
    let places = Places::new(found_x, found_y, L::splat_bits(extent.width));
    let mut ages = [0; 8];
    for (age, at) in ages.iter_mut().zip(places.at) {
        // Where nothing is known yet, hits are a guess.
        *age = if last.lengths[at as usize] == 0 { NEVER } else { last.ages[at as usize] };
    }
    // The last frame's ages are one more by now.
    let are_older = L::load_bytes(&ages).gt_signed(L::splat_bits(u32::from(age)).sub_bits(L::splat_bits(1)));
    are_older | motion.eq_bits(L::splat_bits(NOWHERE))
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
