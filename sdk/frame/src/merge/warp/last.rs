//! Planes for missing pixels from the last frame, seen from this frame's camera.
//!
//! Each missing pixel looks for the pixel of the last frame that lands on it, by fixed-point iteration (Yang et al.,
//! "Image-Based Bidirectional Scene Reprojection", SIGGRAPH Asia 2011), so there are no cracks to fill. At depth edges iteration alone is
//! not enough: what is nearer may have come in front of what it finds, and what was hidden into view. Both lie on one line, that of
//! the places where the pixel was at any depth, and are looked for there.

use super::{
    super::{
        offsets,
        reproject::{FAR, HISTORY_DEPTH_TOLERANCE, LastFrame, Reprojection},
    },
    ITERATIONS, NOWHERE, Places, PrimaryRow, motion_word, numbers_or, put, put_offsets,
};
use crate::simd::Lanes;

/// Pixels between a pixel and where what the last frame showed lands: beyond, it did not see what the pixel shows.
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
/// How many pixels along the line of the places where a pixel was at any depth something nearer, and something farther, is looked for.
const ALONG: [f32; 4] = [1.5, 3.0, 6.0, 12.0];
/// Pixels to either side of a place within which all that lands on a pixel is among those around.
const AROUND_ALREADY: f32 = 0.5;
/// Pixels that are looked at for the one of a surface that lands nearest.
const LOOKED_AT: usize = 4;

impl PrimaryRow<'_> {
    /// Fills missing pixels of a row that begins at pixel (`x`, `y`) from the last frame: each shows that of its pixels which lands nearest,
    /// of what is in front. How far beside the centre that is goes on to the next frame.
    ///
    /// The motion written is from this frame's pixel to where its place on the surface was, so that layers read the same place. Pixels that
    /// the last frame did not see are stretched from what is beside and behind; their motion leads out of the view, since their light is unknown.
    #[inline(always)]
    pub(in super::super) fn warp<L: Lanes>(
        &mut self,
        last: &LastFrame<'_>,
        to_this: &Reprojection,
        (x, y): (u32, u32),
    ) {
        let LastFrame { extent, planes, .. } = *last;
        for at in (0..self.depth.len()).step_by(8) {
            let across = L::splat_bits(x + at as u32).add_bits(L::counting()).integer_to_float() + L::splat(0.5);
            let sought = Sought::new(last, to_this, (across, y as f32 + 0.5));
            let iterated = sought.iterate();
            let (best, found) = sought.choose(&iterated);
            let Iterated { mut place, raw_depth, landing, depth, .. } = iterated;
            // A surface that comes much nearer is stretched: what iteration has found of it is light that is known.
            let iterated_depth = depth.select(L::zero().lt(depth), raw_depth);
            let is_near = best.error.le(L::splat(SHOWN));
            let tolerance = best.depth * L::splat(HISTORY_DEPTH_TOLERANCE);
            let is_same = (iterated_depth.min(L::splat(FAR)) - best.depth).abs().le(tolerance);
            let has_landed = sought.lands_within(landing, SHOWN);
            let is_shown = (is_near | (has_landed & is_same)).select(found, has_landed);
            let sky = L::splat(f32::INFINITY).select(L::splat(FAR).le(best.depth), best.depth);
            let depth = sky.select(found, iterated_depth);
            let places = Places::at(best.index.select(found, L::load_bits(&iterated.places.at)));
            let was = sought.within((best.stands.0 - best.beside.0, best.stands.1 - best.beside.1));
            place = (was.0.select(found, place.0), was.1.select(found, place.1));
            let (colors, is_there) = places.colors(planes, extent, place);
            // Light is read where some pixel around shows the thing: at an edge that is where it was taken from.
            let (shown_x, shown_y) = places.centres::<L>(extent);
            let (reach, is_beside) = (L::splat(READ_WITHIN), is_there.not() & found);
            let read_x = place.0.max(shown_x - reach).min(shown_x + reach).select(is_beside, place.0);
            let read_y = place.1.max(shown_y - reach).min(shown_y + reach).select(is_beside, place.1);
            let motion = motion_word(read_x - across, read_y - L::splat(sought.down));
            put(bytemuck::cast_slice_mut(&mut self.depth[at..]), depth);
            put(&mut self.motion[at..], motion.select(is_shown, L::splat_bits(NOWHERE)));
            put(&mut self.normal[at..], places.read::<L>(&planes.normal));
            put(&mut self.instance_id[at..], places.read::<L>(&planes.instance_id));
            put(&mut self.base_color[at..], colors);
            put(&mut self.material[at..], places.read::<L>(&planes.material));
            if !self.offset.is_empty() {
                let stands = offsets::to_words(best.beside.0, best.beside.1);
                put_offsets(&mut self.offset[at..], stands & best.error.le(L::splat(BESIDE)) & found);
            }
        }
    }
}

/// Eight pixels of this frame that are looked for in the last one.
struct Sought<'a, L> {
    last: &'a LastFrame<'a>,
    depths: &'a [u32],
    to_this: &'a Reprojection,
    /// Their centres.
    across: L,
    down: f32,
    /// Of the view, as an integer.
    width: L,
    /// Centres of the view's last column and row.
    right: L,
    bottom: L,
}

/// Where iteration has come to.
struct Iterated<L> {
    place: (L, L),
    places: Places,
    /// In the last frame.
    raw_depth: L,
    /// Of what is there, in this one.
    landing: (L, L),
    depth: L,
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
    /// As good as none.
    #[inline(always)]
    fn none() -> Landed<L> {
        let zero = L::zero();
        Landed { index: zero, beside: (zero, zero), error: L::splat(f32::INFINITY), depth: zero, stands: (zero, zero) }
    }

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

impl<'a, L: Lanes> Sought<'a, L> {
    #[inline(always)]
    fn new(last: &'a LastFrame<'a>, to_this: &'a Reprojection, (across, down): (L, f32)) -> Sought<'a, L> {
        let (depths, width) = (bytemuck::cast_slice(&last.planes.depth), L::splat_bits(last.extent.width));
        let right = L::splat(last.extent.width as f32 - 0.5);
        let bottom = L::splat(last.extent.height as f32 - 0.5);
        Sought { last, depths, to_this, across, down, width, right, bottom }
    }

    /// Places within the view.
    #[inline(always)]
    fn within(&self, (x, y): (L, L)) -> (L, L) {
        let half = L::splat(0.5);
        (x.max(half).min(self.right), y.max(half).min(self.bottom))
    }

    /// Whether that is within so many pixels of the pixel.
    #[inline(always)]
    fn lands_within(&self, (x, y): (L, L), pixels: f32) -> L {
        let near = L::splat(pixels);
        (self.across - x).abs().le(near) & (L::splat(self.down) - y).abs().le(near)
    }

    #[inline(always)]
    fn iterate(&self) -> Iterated<L> {
        // Pixels beyond the row's end look where its end does.
        let mut place = (self.across.min(self.right), L::splat(self.down));
        let mut places = Places::new(place.0, place.1, self.width);
        for _ in 0..ITERATIONS {
            // Landing is computed for the source pixel's centre plus the rest, with the depth that the centre has.
            let (landing, _) = self.to_this.land(place.0, place.1, places.read(self.depths));
            let next = (place.0 + (self.across - landing.0), place.1 + (L::splat(self.down) - landing.1));
            // NaN (behind the camera) keeps the best so far.
            let infinite = L::splat(f32::INFINITY);
            let is_number = next.0.abs().lt(infinite) & next.1.abs().lt(infinite);
            let next = self.within(next);
            place = (next.0.select(is_number, place.0), next.1.select(is_number, place.1));
            places = Places::new(place.0, place.1, self.width);
        }
        let raw_depth = places.read(self.depths);
        let (landing, depth) = self.to_this.land(place.0, place.1, raw_depth);
        Iterated { place, places, raw_depth, landing, depth }
    }

    /// What the pixels show whose centres these are.
    #[inline(always)]
    fn land(&self, (x, y): (L, L)) -> Landed<L> {
        let index = y.float_to_integer().mul_bits(self.width).add_bits(x.float_to_integer());
        let places = Places::at(index);
        let mut stands = (x, y);
        if !self.last.offsets.is_empty() {
            let (right, down) = offsets::from_words(places.read_offsets::<L>(self.last.offsets));
            stands = (x + right, y + down);
        }
        let (landing, depth) = self.to_this.land(stands.0, stands.1, places.read(self.depths));
        let beside = (landing.0 - self.across, landing.1 - L::splat(self.down));
        // The second is taken where one is no number.
        let error = beside.0.abs().max(beside.1.abs());
        let error = error.select(L::zero().lt(depth), L::splat(f32::INFINITY));
        Landed { index, beside, error, depth: depth.min(L::splat(FAR)), stands }
    }

    /// The place that is so many steps from one, and the depth there, at most [`FAR`].
    #[inline(always)]
    fn along(&self, place: (L, L), step: (L, L), steps: f32) -> ((L, L), L) {
        let (x, y) = self.within((place.0 + step.0 * L::splat(steps), place.1 + step.1 * L::splat(steps)));
        ((x, y), Places::new(x, y, self.width).read::<L>(self.depths).min(L::splat(FAR)))
    }

    /// What shows the surface that is at a place, and lands nearest.
    #[inline(always)]
    fn seek(&self, (x, y): (L, L)) -> Landed<L> {
        let (mut best, mut place, mut depth) = (Landed::none(), (x, y), L::zero());
        for looked_at in 0..LOOKED_AT {
            let at = self.within(place);
            let at = (to_centre(at.0), to_centre(at.1));
            let found = self.land(at);
            if looked_at == 0 {
                // From the place itself to where the pixel was at that depth.
                depth = found.depth;
                best = found;
                place = numbers_or(self.last.reprojection.positions(self.across, self.down, depth), at);
                continue;
            }
            let is_it = (found.depth - depth).abs().le(depth * L::splat(HISTORY_DEPTH_TOLERANCE));
            best.take(is_it & found.error.lt(best.error), &found);
            // What a pixel shows may stand beside its centre. Where it shows another surface, this one's edge is on the way back.
            let back = (x - at.0, y - at.1);
            let steps = back.0.abs().max(back.1.abs()).max(L::splat(1.0));
            let next_x = (at.0 - found.beside.0).select(is_it, at.0 + back.0 / steps);
            let next_y = (at.1 - found.beside.1).select(is_it, at.1 + back.1 / steps);
            place = numbers_or((next_x, next_y), at);
        }
        best
    }

    /// That of the last frame's pixels which a pixel shows, and masks of those that have one; others show what iteration came to.
    #[inline(always)]
    fn choose(&self, iterated: &Iterated<L>) -> (Landed<L>, L) {
        let (far, covered) = (L::splat(FAR), L::splat(COVERED));
        let nearer_by = L::splat(1.0 + HISTORY_DEPTH_TOLERANCE);
        let Iterated { place, raw_depth, landing, .. } = *iterated;
        let raw_depth = raw_depth.min(far);
        let centre = (to_centre(place.0), to_centre(place.1));
        let (mut front, mut back) = (far + far, L::zero());
        let mut around = [Landed::none(); AROUND.len()];
        for (landed, (right, down)) in around.iter_mut().zip(AROUND) {
            *landed = self.land(self.within((centre.0 + L::splat(right), centre.1 + L::splat(down))));
            front = front.min(landed.depth.select(landed.error.le(covered), far + far));
            back = back.max(landed.depth & landed.error.le(L::splat(BESIDE)));
        }
        // What is in front hides what is behind it; where nothing covers the pixel, what is behind came into view.
        let is_covered = front.le(far);
        let most = covered.select(is_covered, L::splat(BESIDE));
        let farthest = (front * nearer_by).select(is_covered, far + far);
        let nearest = (back * L::splat(1.0 - HISTORY_DEPTH_TOLERANCE)) & is_covered.not();
        let mut best = Landed::none();
        for landed in &around {
            let is_better = landed.error.le(most) & landed.depth.le(farthest) & nearest.le(landed.depth);
            best.take(is_better & landed.error.lt(best.error), landed);
        }
        let found = best.error.le(most);
        let is_open = best.error.le(L::splat(SHOWN)).not() & self.is_seen_around(place, landing);
        let towards = self.last.reprojection.towards_nearer(self.across, L::splat(self.down));
        let mut most_near = raw_depth;
        for steps in ALONG {
            most_near = most_near.min(self.along(place, towards, steps).1);
        }
        let is_apart = self.is_apart(place, most_near, raw_depth);
        if (is_open | is_apart).mask_bits() == 0 {
            return (best, found);
        }
        // Nearer and in front by now; what iteration went to and fro from; farther, which was hidden.
        let (mut ahead, mut same, mut behind) = (Landed::<L>::none(), Landed::<L>::none(), Landed::<L>::none());
        behind.take(found & (raw_depth * nearer_by).lt(best.depth), &best);
        for i in 0..=2 * ALONG.len() {
            let steps = if i == 0 { 0.0 } else { ALONG[(i - 1) / 2] * if i % 2 == 0 { -1.0 } else { 1.0 } };
            let (there, depth) = self.along(place, towards, steps);
            let is_nearer = (depth * nearer_by).lt(raw_depth.min(front)) & is_apart;
            let is_farther = (raw_depth * nearer_by).lt(depth) & is_open;
            let is_same = if i == 0 { is_open } else { L::zero() };
            if (is_nearer | is_farther | is_same).mask_bits() == 0 {
                continue;
            }
            let sought = self.seek(there);
            let covers = sought.error.le(covered);
            let is_in_front = (sought.depth * nearer_by).lt(ahead.depth.select(ahead.error.le(covered), far + far));
            let is_beside = sought.error.lt(ahead.error) & sought.depth.lt(ahead.depth * nearer_by);
            ahead.take(is_nearer & covers & (is_in_front | is_beside), &sought);
            same.take(is_same & covers, &sought);
            behind.take(is_farther & sought.error.lt(behind.error), &sought);
        }
        let any = L::splat(f32::INFINITY);
        let is_ahead = ahead.error.lt(any);
        let is_same = same.error.lt(any) & is_ahead.not();
        let is_behind = behind.error.lt(any) & is_open & (is_ahead | is_same).not();
        best.take(is_behind, &behind);
        best.take(is_same, &same);
        best.take(is_ahead, &ahead);
        (best, found | is_behind | is_same | is_ahead)
    }

    /// Whether what is that much nearer than what is at a place was clearly elsewhere when it was what the pixel shows: else it is among
    /// the pixels around.
    #[inline(always)]
    fn is_apart(&self, place: (L, L), depth: L, other: L) -> L {
        let (x, y) = self.last.reprojection.positions(self.across, self.down, depth);
        let near = L::splat(AROUND_ALREADY);
        let is_near = (x - place.0).abs().le(near) & (y - place.1).abs().le(near);
        (depth * L::splat(1.0 + HISTORY_DEPTH_TOLERANCE)).lt(other) & is_near.not()
    }

    /// Whether what a pixel shows would be found well within the last frame: where that ended, nothing is known of what is behind.
    #[inline(always)]
    fn is_seen_around(&self, place: (L, L), landing: (L, L)) -> L {
        let wanted = (place.0 + (self.across - landing.0), place.1 + (L::splat(self.down) - landing.1));
        let (least, edge) = (L::splat(BESIDE), L::splat(BESIDE - 0.5));
        (least.le(wanted.0) & wanted.0.le(self.right - edge)) & (least.le(wanted.1) & wanted.1.le(self.bottom - edge))
    }
}

/// The centres of the pixels that these positions lie in.
#[inline(always)]
fn to_centre<L: Lanes>(position: L) -> L {
    position.float_to_integer().integer_to_float() + L::splat(0.5)
}

#[cfg(test)]
mod tests {
    use glam::Vec3;
    use proptest::prelude::*;
    use rayloom_scene::Camera;

    use super::*;
    use crate::{
        Extent, Primary,
        merge::{offsets::Offset, warp::primary_bands},
        normal::encode_normal,
        simd::{Half4, Kernel, Portable, dispatch},
    };

    const EXTENT: Extent = Extent::new(53, 31);

    struct Row<'a, 'b>(PrimaryRow<'b>, &'a LastFrame<'a>, &'a Reprojection, u32);

    impl Kernel for Row<'_, '_> {
        type Output = ();

        #[inline(always)]
        fn run<H: Half4>(self) {
            let Row(mut row, last, to_this, y) = self;
            row.warp::<H::Lanes>(last, to_this, (0, y));
        }
    }

    /// A wall with things before it and holes to the sky, as it was seen and partly warped before.
    fn seen(seed: u64) -> (Primary, Vec<Offset>) {
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        let (mut planes, mut offsets) = (Primary::default(), Vec::new());
        for i in 0..EXTENT.pixels() as u32 {
            let (x, y) = (i % EXTENT.width, i / EXTENT.width);
            let thing = u32::from((x / 7 + y / 5) % 4 == 0);
            let depth = if x % 17 == y % 13 { f32::INFINITY } else { 7.0 - 4.0 * thing as f32 + 0.1 * random() };
            planes.depth.push(depth);
            planes.normal.push(encode_normal(Vec3::new(random() - 0.5, 0.2, 1.0).normalize()));
            planes.base_color.push((random() * 1e9) as u32);
            planes.material.push((random() * 255.0) as u32);
            planes.motion.push(0);
            planes.instance_id.push(1 + thing);
            offsets.push(if x % 3 == 0 { 0 } else { (random() * 65536.0) as Offset });
        }
        (planes, offsets)
    }

    fn warped(seed: u64, is_portable: bool) -> (Primary, Vec<Offset>) {
        let (planes, offsets) = seen(seed);
        let camera = |frame: f32| {
            let position = Vec3::new(frame * 0.4, frame * 0.1 * (seed % 5) as f32, frame * 0.1 * (seed % 3) as f32);
            let towards = Vec3::new(0.02 * frame, 0.0, -1.0);
            Camera::look_at(position, position + towards, 1.0, EXTENT.width as f32 / EXTENT.height as f32)
        };
        let (before, now) = (camera(0.0), camera(1.0));
        let (ages, lengths) = (vec![0; EXTENT.pixels()], vec![1; EXTENT.pixels()]);
        let last = LastFrame {
            extent: EXTENT,
            planes: &planes,
            offsets: if seed & 8 == 0 { &offsets } else { &[] },
            ages: &ages,
            lengths: &lengths,
            reprojection: Reprojection::new(&now, &before, EXTENT),
        };
        let to_this = Reprojection::new(&before, &now, EXTENT);
        let (mut made, mut stands) = (planes.clone(), vec![0; EXTENT.pixels()]);
        for (y, row) in (0..).zip(primary_bands(&mut made, &mut stands, EXTENT.width as usize)) {
            let row = Row(row, &last, &to_this, y);
            if is_portable { row.run::<Portable>() } else { dispatch(row) }
        }
        (made, stands)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn missing_tiles_have_the_same_planes_on_any_processor(seed: u64) {
            let (here, anywhere) = (warped(seed, false), warped(seed, true));
            prop_assert!(here.0 == anywhere.0, "planes");
            prop_assert!(here.1 == anywhere.1, "offsets");
        }
    }

    #[test]
    fn some_pixels_come_from_afar() {
        let ((before, _), (now, stands)) = (seen(8), warped(8, false));
        let moved = (0..EXTENT.pixels()).filter(|i| before.instance_id[*i] != now.instance_id[*i]).count();
        assert!(moved > 50, "{moved} pixels show another thing");
        assert!(stands.iter().any(|offset| *offset != 0));
    }
}
