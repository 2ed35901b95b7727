//! Planes for missing pixels from tiles that came late, seen from this frame's camera.

use super::{
    super::{
        fold::is_inside,
        late::LateTile,
        late_frame::{LateFrame, own_motion},
        offsets,
        reproject::{HISTORY_DEPTH_TOLERANCE, LastFrame},
        resolve::NEVER,
    },
    ITERATIONS, NOWHERE, Places, PrimaryRow, halves, load, motion_word, numbers_or, put_offsets, read_offsets, replace,
};
use crate::{Extent, simd::Lanes};

/// Pixels between a pixel and where what a late tile has for it lands.
const LANDED: f32 = 0.25;

/// Pixels around the one that is most likely, at which something nearer, and something farther, is looked for.
const PROBES: [(f32, f32); 9] =
    [(0.0, 0.0), (-2.0, 0.0), (2.0, 0.0), (0.0, -2.0), (0.0, 2.0), (-8.0, 0.0), (8.0, 0.0), (0.0, -8.0), (0.0, 8.0)];

/// The frame that late planes are for.
pub(in super::super) struct LateTarget<'a> {
    pub(in super::super) extent: Extent,
    pub(in super::super) last: Option<&'a LastFrame<'a>>,
}

impl PrimaryRow<'_> {
    /// Fills missing pixels of a row that begins at pixel (`x`, `y`) from tiles of a frame that came late, where they show them and are newer
    /// than what they were filled from. Things that moved by themselves are taken to have gone on as they did. What the late frame has
    /// looked through is not there any more: such pixels show what is behind, and their light is unknown where it is not found.
    #[inline(always)]
    pub(in super::super) fn warp_late<L: Lanes>(
        &mut self,
        late: &LateFrame,
        target: &LateTarget<'_>,
        (x, y): (u32, u32),
    ) {
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
