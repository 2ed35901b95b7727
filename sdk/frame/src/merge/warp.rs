//! Planes for pixels whose tile is missing: the last frame's, seen from this frame's camera.
//!
//! Each missing pixel looks for the pixel of the last frame that lands on it, by fixed-point iteration (Yang et al.,
//! "Image-Based Bidirectional Scene Reprojection", SIGGRAPH Asia 2011), so there are no cracks to fill.

use std::ops::Range;

use super::{
    bands::take,
    fold::is_inside,
    late::LateTile,
    late_frame::{LateFrame, own_motion},
    offsets::{self, Offset},
    reproject::{Corners, FAR, HISTORY_DEPTH_TOLERANCE, LastFrame, Reprojection, steps},
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
/// The same for what stands so near to a pixel that it hides what is behind: half a pixel, and rounding.
const COVERED: f32 = 0.5 + 1.0 / 64.0;
/// And for what a pixel may be stretched from.
const BESIDE: f32 = 1.5;
/// Pixels from a pixel's centre, to the right and down, within which reading between pixels counts it for more than the least.
const READ_WITHIN: f32 = 0.75;
/// A pixel and those around it.
const AROUND: [(f32, f32); 9] =
    [(0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)];
/// Motion of what the last frame did not see: out of any view, 65,504 pixels to the right and down.
pub(super) const NOWHERE: u32 = 0x7bff_7bff;

/// Pixels around the one that is most likely, at which something nearer, and something farther, is looked for.
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

    /// Fills missing pixels of a row that begins at pixel (`x`, `y`) from the last frame: each shows that of its pixels which lands nearest,
    /// of what is in front. How far beside the centre that is goes on to the next frame.
    ///
    /// The motion written is from this frame's pixel to where its place on the surface was, so that layers read the same place. Pixels that
    /// the last frame did not see are stretched from what is beside and behind; their motion leads out of the view, since their light is unknown.
    #[inline(always)]
    pub(super) fn warp<L: Lanes>(&mut self, last: &LastFrame<'_>, to_this: &Reprojection, (x, y): (u32, u32)) {
        let LastFrame { extent, planes, offsets: last_offsets, .. } = *last;
        let (width, down) = (L::splat_bits(extent.width), L::splat(y as f32 + 0.5));
        let (right, bottom) = (L::splat(extent.width as f32 - 0.5), L::splat(extent.height as f32 - 0.5));
        let depths: &[u32] = bytemuck::cast_slice(&planes.depth);
        let (half, far) = (L::splat(0.5), L::splat(FAR));
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
            let mut depth = depth.select(L::zero().lt(depth), before);
            let near = L::splat(SHOWN);
            let mut is_shown = (across - landing.0).abs().le(near) & (down - landing.1).abs().le(near);

            // The pixels around that place, and where what they show stands by now.
            let centre = (
                source_x.float_to_integer().integer_to_float() + half,
                source_y.float_to_integer().integer_to_float() + half,
            );
            let (mut front, mut back) = (far + far, L::zero());
            let mut around = [Landed {
                index: L::zero(),
                beside: (L::zero(), L::zero()),
                error: L::zero(),
                depth: L::zero(),
                stands: (L::zero(), L::zero()),
            }; 9];
            for (landed, (step_x, step_y)) in around.iter_mut().zip(AROUND) {
                let x = (centre.0 + L::splat(step_x)).max(half).min(right);
                let y = (centre.1 + L::splat(step_y)).max(half).min(bottom);
                let index = y.float_to_integer().mul_bits(width).add_bits(x.float_to_integer());
                let places = Places::at(index);
                let mut stands = (x, y);
                if !last_offsets.is_empty() {
                    let (right, down) = offsets::from_words(places.read_offsets::<L>(last_offsets));
                    stands = (x + right, y + down);
                }
                let (landing, depth) = to_this.land(stands.0, stands.1, places.read(depths));
                let beside = (landing.0 - across, landing.1 - down);
                // The second is taken where one is no number.
                let error = beside.0.abs().max(beside.1.abs());
                let error = error.select(L::zero().lt(depth), L::splat(f32::INFINITY));
                let depth = depth.min(far);
                front = front.min(depth.select(error.le(L::splat(COVERED)), far + far));
                back = back.max(depth & error.le(L::splat(BESIDE)));
                *landed = Landed { index, beside, error, depth, stands };
            }
            // What is in front hides what is behind it; where nothing covers the pixel, what is behind came into view.
            let is_covered = front.le(far);
            let most = L::splat(COVERED).select(is_covered, L::splat(BESIDE));
            let farthest = (front * L::splat(1.0 + HISTORY_DEPTH_TOLERANCE)).select(is_covered, far + far);
            let nearest = (back * L::splat(1.0 - HISTORY_DEPTH_TOLERANCE)) & is_covered.not();
            let mut best = around[0];
            best.error = L::splat(f32::INFINITY);
            for landed in &around {
                let is_better = landed.error.le(most) & landed.depth.le(farthest) & nearest.le(landed.depth);
                best.take(is_better & landed.error.lt(best.error), landed);
            }
            let found = best.error.le(most);
            let landed_depth = depth.min(far);
            let infinite = L::splat(f32::INFINITY).select(far.le(best.depth), best.depth);
            depth = infinite.select(found, depth);
            // A surface that comes much nearer is stretched: what the search has found of it is light that is known.
            let is_near = best.error.le(near);
            let is_same = (landed_depth - best.depth).abs().le(best.depth * L::splat(HISTORY_DEPTH_TOLERANCE));
            is_shown = (is_near | (is_shown & is_same)).select(found, is_shown);
            let places = Places::at(best.index.select(found, L::load_bits(&places.at)));
            let (was_x, was_y) = (best.stands.0 - best.beside.0, best.stands.1 - best.beside.1);
            source_x = was_x.max(half).min(right).select(found, source_x);
            source_y = was_y.max(half).min(bottom).select(found, source_y);
            let (colors, is_there) = places.colors(planes, extent, (source_x, source_y));
            // Light is read where some pixel around shows the thing: at an edge that is where it was taken from.
            let (shown_x, shown_y) = places.centres::<L>(extent);
            let reach = L::splat(READ_WITHIN);
            let near_x = source_x.max(shown_x - reach).min(shown_x + reach).select(is_there.not() & found, source_x);
            let near_y = source_y.max(shown_y - reach).min(shown_y + reach).select(is_there.not() & found, source_y);
            let motion = motion_word(near_x - across, near_y - down);
            let motion = motion.select(is_shown, L::splat_bits(NOWHERE));
            put(bytemuck::cast_slice_mut(&mut self.depth[at..]), depth);
            put(&mut self.motion[at..], motion);
            put(&mut self.normal[at..], places.read::<L>(&planes.normal));
            put(&mut self.instance_id[at..], places.read::<L>(&planes.instance_id));
            put(&mut self.base_color[at..], colors);
            put(&mut self.material[at..], places.read::<L>(&planes.material));
            if !self.offset.is_empty() {
                put_offsets(&mut self.offset[at..], offsets::to_words(best.beside.0, best.beside.1) & is_near & found);
            }
        }
    }

    /// Fills missing pixels of a row that begins at pixel (`x`, `y`) from tiles of a frame that came late, where they show them and are newer
    /// than what they were filled from. Things that moved by themselves are taken to have gone on as they did. What the late frame has
    /// looked through is not there any more: such pixels show what is behind, and their light is unknown where it is not found.
    #[inline(always)]
    pub(super) fn warp_late<L: Lanes>(&mut self, late: &LateFrame, target: &LateTarget<'_>, (x, y): (u32, u32)) {
        let half = L::splat(0.5);
        let down = y as f32 + 0.5;
        let age = L::splat(f32::from(late.age));
        for at in (0..self.depth.len()).step_by(8) {
            let across = L::splat_bits(x + at as u32).add_bits(L::counting()).integer_to_float() + half;
            let pixels = (across, L::splat(down));
            // Most likely it was beside where what is there now was; where something else lands on the pixel too, the nearest hides the others.
            let (depth, motion) = (load::<L>(bytemuck::cast_slice(&self.depth[at..])), load::<L>(&self.motion[at..]));
            let start = numbers_or(late.to_there.positions(across, down, depth), pixels);
            let expected = late.to_there.depths(across, down, depth);
            let (mut landed, mut looked_through) = (L::zero(), L::zero());
            let (mut hit, mut behind) = (Hit::none(), Hit::none());
            for tile in late.tiles.iter().map(|pixels| &pixels.tile) {
                if is_inside(tile.rect, start, late.reach()).mask_bits() == 0 || !tile.has_primary() {
                    continue;
                }
                let (mut nearest, mut farthest) = (Probe::<L>::new(f32::INFINITY), Probe::<L>::new(0.0));
                for (right, below) in PROBES {
                    let source = Source::new(late, tile, (start.0 + L::splat(right), start.1 + L::splat(below)));
                    let depth = source.landing.2;
                    let is_there = L::zero().lt(depth);
                    nearest.take(is_there & depth.lt(nearest.depth), &source);
                    farthest.take(is_there & farthest.depth.lt(depth), &source);
                }
                let mut found = Source::of(late, tile, start, pixels);
                let mut lands = found.lands_on(pixels);
                for probe in [&nearest, &farthest] {
                    let still = late.to_there.positions(across, down, probe.depth);
                    let start = numbers_or((still.0 + probe.own.0 * age, still.1 + probe.own.1 * age), pixels);
                    let other = Source::of(late, tile, start, pixels);
                    let hides = other.lands_on(pixels) & (lands.not() | other.landing.2.lt(found.landing.2));
                    found.take(hides, &other);
                    lands = lands | hides;
                }
                let is_first = lands & (landed.not() | found.landing.2.lt(hit.depth));
                if is_first.mask_bits() != 0 {
                    hit.take(is_first, &found, tile, pixels);
                    landed = landed | is_first;
                }
                // The ray of that frame through what is there now has gone on.
                let there = Source::new(late, tile, start);
                let seen = there.places.read::<L>(bytemuck::cast_slice(&tile.primary.depth));
                let gone_on = (expected * L::splat(1.0 + HISTORY_DEPTH_TOLERANCE)).lt(seen) & L::zero().lt(expected);
                let gone_on = gone_on & is_inside(tile.rect, start, 0.0) & L::zero().lt(farthest.depth);
                if gone_on.mask_bits() != 0 {
                    behind.take(gone_on, &farthest.source(late, tile), tile, pixels);
                    looked_through = looked_through | gone_on;
                }
            }
            let looked_through = looked_through & landed.not();
            let mut taken = landed | looked_through;
            if let Some(last) = target.last {
                taken = taken & older_than::<L>(last, target.extent, (across, down), motion, late.age);
            }
            if taken.mask_bits() == 0 {
                continue;
            }
            let motion = match target.last {
                Some(last) => {
                    let was = last.reprojection.positions(across, down, hit.depth);
                    motion_word(was.0 - across + hit.own.0, was.1 - L::splat(down) + hit.own.1)
                }
                None => L::zero(),
            };
            hit.select(looked_through, &behind);
            replace(bytemuck::cast_slice_mut(&mut self.depth[at..]), taken, hit.depth);
            replace(&mut self.motion[at..], taken, L::splat_bits(NOWHERE).select(looked_through, motion));
            replace(&mut self.normal[at..], taken, hit.normal);
            replace(&mut self.instance_id[at..], taken, hit.instance_id);
            replace(&mut self.base_color[at..], taken, hit.base_color);
            replace(&mut self.material[at..], taken, hit.material);
            if !self.offset.is_empty() {
                let kept = read_offsets::<L>(&self.offset[at..]);
                put_offsets(&mut self.offset[at..], (hit.offset & looked_through.not()).select(taken, kept));
            }
        }
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

/// Eight pixels of the last frame, and where what they show is by now.
#[derive(Clone, Copy)]
struct Landed<L> {
    index: L,
    /// From the pixel that is looked at.
    beside: (L, L),
    /// The larger of both; infinite where there is no number.
    error: L,
    /// At most [`FAR`].
    depth: L,
    /// In the last frame.
    stands: (L, L),
}

impl<L: Lanes> Landed<L> {
    /// Takes others where the mask has its bits.
    #[inline(always)]
    fn take(&mut self, mask: L, other: &Landed<L>) {
        self.index = other.index.select(mask, self.index);
        self.beside = (other.beside.0.select(mask, self.beside.0), other.beside.1.select(mask, self.beside.1));
        self.error = other.error.select(mask, self.error);
        self.depth = other.depth.select(mask, self.depth);
        self.stands = (other.stands.0.select(mask, self.stands.0), other.stands.1.select(mask, self.stands.1));
    }
}

/// Eight places in a late tile at the depth that is looked for.
struct Probe<L> {
    place: (L, L),
    depth: L,
    own: (L, L),
}

impl<L: Lanes> Probe<L> {
    #[inline(always)]
    fn new(depth: f32) -> Probe<L> {
        Probe { place: (L::zero(), L::zero()), depth: L::splat(depth), own: (L::zero(), L::zero()) }
    }

    #[inline(always)]
    fn take(&mut self, mask: L, source: &Source<L>) {
        self.place = (source.x.select(mask, self.place.0), source.y.select(mask, self.place.1));
        self.depth = source.landing.2.select(mask, self.depth);
        self.own = (source.own.0.select(mask, self.own.0), source.own.1.select(mask, self.own.1));
    }

    #[inline(always)]
    fn source(&self, late: &LateFrame, tile: &LateTile) -> Source<L> {
        Source::new(late, tile, self.place)
    }
}

/// What eight pixels show of late tiles.
struct Hit<L> {
    depth: L,
    own: (L, L),
    normal: L,
    instance_id: L,
    base_color: L,
    material: L,
    offset: L,
}

impl<L: Lanes> Hit<L> {
    #[inline(always)]
    fn none() -> Hit<L> {
        let zero = L::zero();
        Hit {
            depth: zero,
            own: (zero, zero),
            normal: zero,
            instance_id: zero,
            base_color: zero,
            material: zero,
            offset: zero,
        }
    }

    /// Takes what is found in a tile where the mask has its bits.
    #[inline(always)]
    fn take(&mut self, mask: L, found: &Source<L>, tile: &LateTile, (x, y): (L, L)) {
        let (from, half) = (&tile.primary, L::splat(0.5));
        let (left, top) = (L::splat(tile.rect.x as f32), L::splat(tile.rect.y as f32));
        let in_tile = (found.x - left, found.y - top);
        // What is seen there was traced at the pixel's centre.
        let beside_x = in_tile.0.float_to_integer().integer_to_float() + half - in_tile.0 + (found.landing.0 - x);
        let beside_y = in_tile.1.float_to_integer().integer_to_float() + half - in_tile.1 + (found.landing.1 - y);
        let extent = Extent::new(tile.rect.width, tile.rect.height);
        let places = &found.places;
        let taken = Hit {
            depth: found.landing.2,
            own: found.own,
            normal: places.read::<L>(&from.normal),
            instance_id: places.read::<L>(&from.instance_id),
            base_color: places.colors(from, extent, in_tile).0,
            material: places.read::<L>(&from.material),
            offset: offsets::to_words(beside_x, beside_y),
        };
        self.select(mask, &taken);
    }

    /// Takes others where the mask has its bits.
    #[inline(always)]
    fn select(&mut self, mask: L, other: &Hit<L>) {
        self.depth = other.depth.select(mask, self.depth);
        self.own = (other.own.0.select(mask, self.own.0), other.own.1.select(mask, self.own.1));
        self.normal = other.normal.select(mask, self.normal);
        self.instance_id = other.instance_id.select(mask, self.instance_id);
        self.base_color = other.base_color.select(mask, self.base_color);
        self.material = other.material.select(mask, self.material);
        self.offset = other.offset.select(mask, self.offset);
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
        self.landing.0 = other.landing.0.select(mask, self.landing.0);
        self.landing.1 = other.landing.1.select(mask, self.landing.1);
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

/// Masks of pixels whose planes, which `motion` says where the last frame has them, are older than `age` frames.
#[inline(always)]
fn older_than<L: Lanes>(last: &LastFrame<'_>, extent: Extent, (x, y): (L, f32), motion: L, age: u8) -> L {
    let half = L::splat(0.5);
    let (right, down) = halves(motion);
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
