//! Where a pixel's surface was in another frame, and which of that frame's pixels show the same surface.

use glam::{Mat3, Vec2, Vec3};
use rayloom_scene::Camera;

use super::offsets::Offset;
use crate::{
    Extent, Primary,
    normal::{decode_directions, dot, nearly_equal_normals, similar_directions, similar_normals},
    simd::Lanes,
};

/// Steps of 8-bit roughness or metalness (a sixth of all) from which on a surface is another one: glass in a wall, a lamp in a ceiling.
const MATERIAL_TOLERANCE: i16 = 40;

/// Depth that stands for the sky in comparisons, where infinity would give NaN.
pub(super) const FAR: f32 = 1e30;

/// From (pixel, planar depth) of one camera to (pixel, planar depth) of another, sub-pixel jitter of both left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reprojection {
    /// Applied to (pixel x, pixel y, 1) and multiplied by the depth.
    matrix: Mat3,
    /// Added: where the first camera's position is in the second one's picture.
    offset: Vec3,
}

impl Reprojection {
    pub(super) fn new(from: &Camera, to: &Camera, extent: Extent) -> Reprojection {
        let size = Vec2::new(extent.width as f32, extent.height as f32);
        let unjittered = Camera { jitter: Vec2::ZERO, ..*from };
        // A pixel's ray is linear in the pixel: take it apart.
        let origin = unjittered.ray(Vec2::ZERO, size);
        let ray =
            Mat3::from_cols(unjittered.ray(Vec2::X, size) - origin, unjittered.ray(Vec2::Y, size) - origin, origin);
        // To homogeneous pixels of the other camera: (x * depth, y * depth, depth).
        let scale = size * 0.5 / to.tan_half_fov;
        let centre = (Vec2::new(to.center.x, -to.center.y) * 0.5 + 0.5) * size;
        let pixels = Mat3::from_cols(
            Vec3::new(scale.x, 0.0, 0.0),
            Vec3::new(0.0, -scale.y, 0.0),
            Vec3::new(-centre.x, -centre.y, -1.0),
        );
        let view = pixels * Mat3::from_quat(to.rotation.inverse());
        Reprojection { matrix: view * ray, offset: view * (from.position - to.position) }
    }

    /// Pixel and depth in the other camera; infinite depths stay infinite. The pixel is not finite behind the camera.
    #[inline(always)]
    pub(super) fn apply(&self, pixel: Vec2, depth: f32) -> (Vec2, f32) {
        let direction = self.matrix * pixel.extend(1.0);
        let sky = depth >= FAR;
        let h = if sky { direction } else { direction * depth + self.offset };
        let inverse = if h.z > 0.0 { 1.0 / h.z } else { f32::NAN };
        (Vec2::new(h.x, h.y) * inverse, if sky { f32::INFINITY } else { h.z })
    }

    /// [`Reprojection::apply`] of eight pixels, with the same bits.
    #[inline(always)]
    pub(super) fn land<L: Lanes>(&self, x: L, y: L, depth: L) -> ((L, L), L) {
        let [across, down, origin] =
            [self.matrix.x_axis.to_array(), self.matrix.y_axis.to_array(), self.matrix.z_axis.to_array()];
        let offset = self.offset.to_array();
        let sky = L::splat(FAR).le(depth);
        let mut all = [L::zero(); 3];
        for i in 0..3 {
            let direction = x * L::splat(across[i]) + y * L::splat(down[i]) + L::splat(origin[i]);
            all[i] = direction.select(sky, direction * depth + L::splat(offset[i]));
        }
        let [a, b, c] = all;
        let inverse = (L::splat(1.0) / c).select(L::zero().lt(c), L::splat(f32::NAN));
        ((a * inverse, b * inverse), L::splat(f32::INFINITY).select(sky, c))
    }

    /// In which direction pixels are in the other camera's picture the nearer they are: a step of one pixel across or down, whichever
    /// is more; none where depth makes no difference.
    #[inline(always)]
    pub(super) fn towards_nearer<L: Lanes>(&self, x: L, y: L) -> (L, L) {
        let [right, down, origin] =
            [self.matrix.x_axis.to_array(), self.matrix.y_axis.to_array(), self.matrix.z_axis.to_array()];
        let offset = self.offset.to_array();
        // A pixel at depth 1/w is at (a + w b) / (c + w d), whose derivative by w has this direction everywhere.
        let mut all = [L::zero(); 3];
        for i in 0..3 {
            all[i] = x * L::splat(right[i]) + y * L::splat(down[i]) + L::splat(origin[i]);
        }
        let [a, b, c] = all;
        let across = c * L::splat(offset[0]) - a * L::splat(offset[2]);
        let down = c * L::splat(offset[1]) - b * L::splat(offset[2]);
        let most = across.abs().max(down.abs());
        let scale = (L::splat(1.0) / most) & L::splat(f32::MIN_POSITIVE).lt(most);
        (across * scale, down * scale)
    }

    /// Pixels of a row in the other camera.
    #[inline(always)]
    pub(super) fn positions<L: Lanes>(&self, x: L, y: f32, depth: L) -> (L, L) {
        let [a, b, c] = self.homogeneous(x, y, depth);
        // Behind the camera there is no pixel.
        let inverse = (L::splat(1.0) / c).select(L::zero().lt(c), L::splat(f32::NAN));
        (a * inverse, b * inverse)
    }

    /// Only the depths in the other camera, at most [`FAR`].
    #[inline(always)]
    pub(super) fn depths<L: Lanes>(&self, x: L, y: f32, depth: L) -> L {
        let [_, _, there] = self.homogeneous(x, y, depth);
        L::splat(FAR).select(L::splat(FAR).le(depth), there)
    }

    /// (x * depth, y * depth, depth) of pixels of a row in the other camera; (x, y, 1) of the sky.
    #[inline(always)]
    fn homogeneous<L: Lanes>(&self, x: L, y: f32, depth: L) -> [L; 3] {
        let row = self.matrix.y_axis * y + self.matrix.z_axis;
        let (across, row, offset) = (self.matrix.x_axis.to_array(), row.to_array(), self.offset.to_array());
        let sky = L::splat(FAR).le(depth);
        let mut all = [L::zero(); 3];
        for i in 0..3 {
            let direction = x * L::splat(across[i]) + L::splat(row[i]);
            all[i] = direction.select(sky, direction * depth + L::splat(offset[i]));
        }
        all
    }
}

/// What makes pixels show the same surface, of eight pixels.
#[derive(Clone, Copy)]
pub(super) struct Guides<L> {
    instance_id: L,
    normal: L,
    /// Roughness in the lower half of each word, metalness in the upper, as they are packed.
    material: L,
    /// Planar depth, at most [`FAR`].
    pub(super) depth: L,
}

impl<L: Lanes> Guides<L> {
    /// Of eight pixels' depths, normals and instances.
    #[inline(always)]
    pub(super) fn of(depth: &[f32; 8], normal: &[u32; 8], material: &[u32; 8], instance_id: &[u32; 8]) -> Guides<L> {
        Guides {
            instance_id: L::load_bits(instance_id),
            material: apart(L::load_bits(material)),
            normal: L::load_bits(normal),
            depth: L::load(depth).min(L::splat(FAR)),
        }
    }

    /// Eight pixels from `index` on.
    #[inline(always)]
    pub(super) fn load(planes: &Primary, index: usize) -> Guides<L> {
        Guides {
            instance_id: L::load_from(&planes.instance_id, index),
            material: apart(L::load_from(&planes.material, index)),
            normal: L::load_from(&planes.normal, index),
            depth: L::load_from(bytemuck::cast_slice(&planes.depth), index).min(L::splat(FAR)),
        }
    }

    /// The same at these depths.
    #[inline(always)]
    pub(super) fn at_depth(&self, depth: L) -> Guides<L> {
        Guides { depth, ..*self }
    }

    /// Asks for pixels that will be read soon.
    #[inline(always)]
    pub(super) fn prefetch(&self, planes: &Primary, index: usize) {
        L::prefetch(&planes.instance_id, index);
        L::prefetch(&planes.material, index);
        L::prefetch(&planes.normal, index);
        L::prefetch(&planes.depth, index);
    }

    /// Pixels at `index` and `steps` (0 to 15) to the right of it.
    #[inline(always)]
    fn window(planes: &Primary, index: usize, steps: L) -> Guides<L> {
        Guides {
            instance_id: L::load_window(&planes.instance_id, index, steps),
            material: apart(L::load_window(&planes.material, index, steps)),
            normal: L::load_window(&planes.normal, index, steps),
            depth: L::load_window(bytemuck::cast_slice(&planes.depth), index, steps).min(L::splat(FAR)),
        }
    }

    /// Pixels here and there.
    #[inline(always)]
    pub(super) fn gather(planes: &Primary, at: &[u32; 8], offset: usize) -> Guides<L> {
        Guides {
            instance_id: L::gather(&planes.instance_id, at, offset),
            material: apart(L::gather(&planes.material, at, offset)),
            normal: L::gather(&planes.normal, at, offset),
            depth: L::gather(bytemuck::cast_slice(&planes.depth), at, offset).min(L::splat(FAR)),
        }
    }

    /// `self` where the mask has its bits.
    #[inline(always)]
    pub(super) fn select(&self, mask: L, other: &Guides<L>) -> Guides<L> {
        Guides {
            instance_id: self.instance_id.select(mask, other.instance_id),
            material: self.material.select(mask, other.material),
            normal: self.normal.select(mask, other.normal),
            depth: self.depth.select(mask, other.depth),
        }
    }

    /// A mask of the pixels of `there` that show the surface that they show here: same instance, roughness and metalness within
    /// a sixth, depth within `tolerance` of it, normals within 26 degrees.
    #[inline(always)]
    pub(super) fn same_surface(&self, there: &Guides<L>, tolerance: f32) -> L {
        let same = self.same_place(there, tolerance);
        same & similar_normals(self.normal, there.normal, same)
    }

    /// The same of four pixels each; what is known of the normals here is worked out once.
    #[inline(always)]
    pub(super) fn same_surfaces(&self, there: &[Guides<L>; 4], tolerance: f32) -> [L; 4] {
        let (mut same, mut unsure) = ([L::zero(); 4], [L::zero(); 4]);
        for k in 0..4 {
            let place = self.same_place(&there[k], tolerance);
            same[k] = place & nearly_equal_normals(self.normal, there[k].normal);
            unsure[k] = place & same[k].not();
        }
        if ((unsure[0] | unsure[1]) | (unsure[2] | unsure[3])).mask_bits() != 0 {
            let here = decode_directions(self.normal);
            let square = dot(here, here);
            for k in 0..4 {
                same[k] = same[k] | (unsure[k] & similar_directions(here, square, there[k].normal));
            }
        }
        same
    }

    #[inline(always)]
    fn same_place(&self, there: &Guides<L>, tolerance: f32) -> L {
        let near = (there.depth - self.depth).abs().le(self.depth * L::splat(tolerance));
        near & there.instance_id.eq_bits(self.instance_id)
            & self.material.halves_within::<MATERIAL_TOLERANCE>(there.material)
    }
}

/// True when two packed materials are alike, as [`Guides::same_surface`] has it.
pub(super) fn is_same_material(a: u32, b: u32) -> bool {
    let near = |a: u8, b: u8| i16::from(a.abs_diff(b)) < MATERIAL_TOLERANCE;
    let ([roughness, metalness, ..], [other_roughness, other_metalness, ..]) = (a.to_le_bytes(), b.to_le_bytes());
    near(roughness, other_roughness) && near(metalness, other_metalness)
}

/// Roughness and metalness, the lowest bytes of packed materials, in the halves of words.
#[inline(always)]
fn apart<L: Lanes>(material: L) -> L {
    (material & L::splat_bits(0xff)) | (material & L::splat_bits(0xff00)).shift_left::<8>()
}

/// Where eight pixels read a grid of pixels: four neighbours each, and their weights.
#[derive(Clone, Copy)]
pub(super) struct Taps<L> {
    /// Index of each pixel's top left neighbour.
    pub(super) first: [u32; 8],
    /// True when the indices follow one another, as they do on a surface.
    pub(super) contiguous: bool,
    /// True when only the top left neighbours weigh anything.
    pub(super) is_single: bool,
    /// Of the four neighbours (top left, top right, bottom left, bottom right); the sum is 1.
    pub(super) weights: [L; 4],
    /// A mask of pixels whose place is in the grid and shows their surface: elsewhere the neighbours are only the best that
    /// there is.
    pub(super) found: L,
}

/// Where eight pixels read the last frame, and how many frames they have gathered.
#[derive(Clone, Copy)]
pub(super) struct HistoryTaps<L> {
    pub(super) taps: Taps<L>,
    /// Integers: frames gathered; 0 where the surface was not visible.
    pub(super) lengths: L,
    /// Integers: the age of the nearest neighbour, where it was asked for.
    pub(super) ages: L,
    /// Masks: which neighbour is nearest.
    pub(super) is_right: L,
    pub(super) is_lower: L,
}

/// Which of the four neighbours of eight pixels is nearest.
struct Nearest<'a, L> {
    places: &'a [u32; 8],
    contiguous: bool,
    right: usize,
    down: usize,
    is_right: L,
    is_lower: L,
}

impl<L: Lanes> Nearest<'_, L> {
    /// The bytes of a plane there, as integers.
    #[inline(always)]
    fn of(&self, plane: &[u8]) -> L {
        if self.contiguous {
            let row = &plane[self.places[0] as usize..];
            if let (Some(upper), Some(lower)) =
                (row.first_chunk(), row.get(self.down..).and_then(|r| r.first_chunk::<9>()))
            {
                return nearest_of_row(lower, self.is_right)
                    .select(self.is_lower, nearest_of_row(upper, self.is_right));
            }
        }
        let (is_right, is_lower) = (self.is_right.mask_bits(), self.is_lower.mask_bits());
        let mut found = [0; 8];
        for (i, found) in found.iter_mut().enumerate() {
            let step = (is_right >> i & 1) as usize * self.right + (is_lower >> i & 1) as usize * self.down;
            *found = plane[self.places[i] as usize + step];
        }
        L::load_bytes(&found)
    }
}

/// The last frame, as history taps read it.
pub(super) struct LastFrame<'a> {
    pub(super) extent: Extent,
    pub(super) planes: &'a Primary,
    /// Where what pixels show stands beside their centres; none where all stands there.
    pub(super) offsets: &'a [Offset],
    pub(super) ages: &'a [u8],
    pub(super) lengths: &'a [u8],
    /// From this frame's camera to the last one's.
    pub(super) reprojection: Reprojection,
}

/// Relative difference of depth beyond which a surface is another one.
pub(super) const HISTORY_DEPTH_TOLERANCE: f32 = 0.08;

impl LastFrame<'_> {
    /// Offsets of the right and the lower neighbour.
    #[inline(always)]
    pub(super) fn steps(&self) -> (usize, usize) {
        steps(self.extent)
    }

    /// The taps for eight pixels of a row at (`x`, `y`) (their centres), which were at `position` in the last frame.
    #[inline(always)]
    pub(super) fn taps<L: Lanes>(
        &self,
        here: &Guides<L>,
        (x, y): (L, f32),
        position: (L, L),
        with_ages: bool,
    ) -> HistoryTaps<L> {
        let corners = Corners::new(self.extent, position);
        let depth = self.reprojection.depths(x, y, here.depth);
        let here = here.at_depth(depth);
        let taps = corners.taps(here.same_surfaces(&corners.read(self.planes), HISTORY_DEPTH_TOLERANCE));
        let half = L::splat(0.5);
        let (is_right, is_lower) = (half.lt(corners.fx), half.lt(corners.fy));
        let mut history = HistoryTaps { taps, lengths: L::zero(), ages: L::zero(), is_right, is_lower };
        history.lengths = self.lengths_at(&history, self.lengths);
        if with_ages {
            history.ages = self.nearest(&history, self.ages);
        }
        history
    }

    /// Frames gathered where the taps read, of a plane of them: 0 where the surface was not visible, or nothing
    /// had come of it by then.
    #[inline(always)]
    pub(super) fn lengths_at<L: Lanes>(&self, history: &HistoryTaps<L>, lengths: &[u8]) -> L {
        self.nearest(history, lengths) & history.taps.found
    }

    /// The nearest neighbours' bytes in a plane, as integers.
    #[inline(always)]
    pub(super) fn nearest<L: Lanes>(&self, history: &HistoryTaps<L>, plane: &[u8]) -> L {
        let (right, down) = self.steps();
        let HistoryTaps { taps: Taps { first, contiguous, .. }, is_right, is_lower, .. } = *history;
        Nearest { places: &first, contiguous, right, down, is_right, is_lower }.of(plane)
    }
}

/// [`LastFrame::lengths_at`] of places that follow one another, from the bytes of the rows above and below them.
#[inline(always)]
pub(super) fn lengths_between<L: Lanes>((upper, lower): (&[u8; 9], &[u8; 9]), corners: &Corners<L>, found: L) -> L {
    let half = L::splat(0.5);
    let (is_right, is_lower) = (half.lt(corners.fx), half.lt(corners.fy));
    let nearest = nearest_of_row(lower, is_right).select(is_lower, nearest_of_row(upper, is_right));
    nearest & found
}

/// The left or right neighbours' bytes, as integers.
#[inline(always)]
fn nearest_of_row<L: Lanes>(row: &[u8; 9], is_right: L) -> L {
    let [left @ .., _] = *row;
    let [_, right @ ..] = *row;
    L::load_bytes(&right).select(is_right, L::load_bytes(&left))
}

/// Offsets of the right and the lower neighbour in a grid; none in one that is one pixel wide or high.
#[inline(always)]
pub(super) fn steps(Extent { width, height }: Extent) -> (usize, usize) {
    ((width > 1) as usize, if height > 1 { width as usize } else { 0 })
}

/// Eight places in a grid of pixels, between four pixels each.
pub(super) struct Corners<L> {
    pub(super) places: [u32; 8],
    first: L,
    pub(super) contiguous: bool,
    steps: (usize, usize),
    fx: L,
    fy: L,
    inside: L,
}

impl<L: Lanes> Corners<L> {
    /// Of positions in pixels; those beyond the grid, and those that are no numbers, lie at its edge.
    #[inline(always)]
    pub(super) fn new(extent: Extent, position: (L, L)) -> Corners<L> {
        let Extent { width, height } = extent;
        let (right, down) = steps(extent);
        let (last_x, last_y) = (L::splat((width - 1) as f32), L::splat((height - 1) as f32));
        let half = L::splat(0.5);
        let (corner_x, corner_y) = (position.0 - half, position.1 - half);
        let minus_half = L::splat(-0.5);
        // False for NaN too.
        let inside =
            minus_half.le(corner_x) & minus_half.le(corner_y) & corner_x.le(last_x + half) & corner_y.le(last_y + half);
        // NaN becomes 0 at the first step.
        let (cx, cy) = (corner_x.max(L::zero()).min(last_x), corner_y.max(L::zero()).min(last_y));
        let x0 = cx.min(L::splat(width.saturating_sub(2) as f32)).float_to_integer();
        let y0 = cy.min(L::splat(height.saturating_sub(2) as f32)).float_to_integer();
        let (fx, fy) = (cx - x0.integer_to_float(), cy - y0.integer_to_float());
        let first = y0.mul_bits(L::splat_bits(width)).add_bits(x0);
        let places = first.to_bits();
        let follows = first.eq_bits(L::splat_bits(places[0]).add_bits(L::counting()));
        let contiguous = follows.mask_bits() == 0xff && right == 1 && down > 0;
        Corners { places, first, contiguous, steps: (right, down), fx, fy, inside }
    }

    /// What a plane of the grid's size shows at the four pixels.
    #[inline(always)]
    pub(super) fn read(&self, planes: &Primary) -> [Guides<L>; 4] {
        let (right, down) = self.steps;
        let offsets = [0, right, down, right + down];
        if self.contiguous {
            let at = self.places[0] as usize;
            return [
                Guides::load(planes, at),
                Guides::load(planes, at + offsets[1]),
                Guides::load(planes, at + offsets[2]),
                Guides::load(planes, at + offsets[3]),
            ];
        }
        // Where the picture shrinks or grows a neighbour is left out or read twice.
        let steps = self.first.sub_bits(L::splat_bits(self.places[0]));
        let is_near = L::splat_bits(15).gt_signed(steps) & steps.gt_signed(L::splat_bits(u32::MAX));
        if is_near.mask_bits() == 0xff && offsets[1] == 1 {
            let at = self.places[0] as usize;
            [
                Guides::window(planes, at, steps),
                Guides::window(planes, at + offsets[1], steps),
                Guides::window(planes, at + offsets[2], steps),
                Guides::window(planes, at + offsets[3], steps),
            ]
        } else {
            [
                Guides::gather(planes, &self.places, offsets[0]),
                Guides::gather(planes, &self.places, offsets[1]),
                Guides::gather(planes, &self.places, offsets[2]),
                Guides::gather(planes, &self.places, offsets[3]),
            ]
        }
    }

    /// The four pixels' centres as seen from the positions, to the right and down.
    #[inline(always)]
    pub(super) fn offsets(&self) -> [(L, L); 4] {
        let (right, down) = (L::splat(self.steps.0 as f32), L::splat((self.steps.1 > 0) as u8 as f32));
        let (x, y) = (L::zero() - self.fx, L::zero() - self.fy);
        [(x, y), (x + right, y), (x, y + down), (x + right, y + down)]
    }

    /// The taps, of masks of the pixels that show the surface that is looked for.
    #[inline(always)]
    pub(super) fn taps(&self, same: [L; 4]) -> Taps<L> {
        let (fx, fy) = (self.fx, self.fy);
        let (gx, gy) = (L::splat(1.0) - fx, L::splat(1.0) - fy);
        let bilinear = [gx * gy, fx * gy, gx * fy, fx * fy];
        let mut weights = bilinear;
        for k in 0..4 {
            weights[k] = bilinear[k] & same[k];
        }
        let sum = (weights[0] + weights[1]) + (weights[2] + weights[3]);
        let found = L::splat(0.05).lt(sum) & self.inside;
        let inverse = L::splat(1.0) / sum;
        for k in 0..4 {
            weights[k] = (weights[k] * inverse).select(found, bilinear[k]);
        }
        let is_single = (weights[1] | weights[2] | weights[3]).eq_bits(L::zero()).mask_bits() == 0xff;
        Taps { first: self.places, contiguous: self.contiguous, is_single, weights, found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        normal::encode_normal,
        simd::{Half4, Kernel, dispatch},
    };

    #[test]
    fn reprojection_agrees_with_the_cameras() {
        let extent = Extent::new(320, 180);
        let size = Vec2::new(320.0, 180.0);
        let mut a = Camera::look_at(Vec3::new(1.0, 2.0, 5.0), Vec3::ZERO, 1.0, 16.0 / 9.0);
        a.center = Vec2::new(0.1, -0.2);
        let mut b = Camera::look_at(Vec3::new(1.3, 1.9, 4.5), Vec3::new(0.2, 0.0, 0.0), 0.9, 16.0 / 9.0);
        b.center = Vec2::new(-0.3, 0.05);
        let map = Reprojection::new(&a, &b, extent);
        for (pixel, depth) in [(Vec2::new(10.5, 20.5), 3.0), (Vec2::new(300.0, 170.0), 8.0)] {
            let world = a.position + a.ray(pixel, size) * depth;
            let (expected, expected_depth) = b.project(world, size);
            let (found, found_depth) = map.apply(pixel, depth);
            assert!((found - expected).length() < 1e-2, "{found} is not {expected}");
            assert!((found_depth - expected_depth).abs() < 1e-4);
            let (sky, _) = b.project(b.position + a.ray(pixel, size) * 1e6, size);
            assert!((map.apply(pixel, f32::INFINITY).0 - sky).length() < 0.1);
        }
    }

    /// Which of the pixels at `taps` show what pixel 0 shows.
    struct Same<'a>(&'a Primary, u32, [u32; 4]);

    impl Kernel for Same<'_> {
        type Output = u8;

        #[inline(always)]
        fn run<H: Half4>(self) -> u8 {
            let Same(planes, pixel, [a, b, c, d]) = self;
            let here = Guides::<H::Lanes>::gather(planes, &[pixel; 8], 0);
            here.same_surface(&Guides::gather(planes, &[a, b, c, d, a, b, c, d], 0), 0.08).mask_bits() & 15
        }
    }

    #[test]
    fn another_instance_depth_normal_or_material_is_another_surface() {
        let up = encode_normal(Vec3::Y);
        let nearly_up = encode_normal(Vec3::new(0.1, 1.0, 0.1).normalize());
        let planes = Primary {
            depth: vec![5.0, 5.2, 9.0, 5.0, 5.0, f32::INFINITY],
            normal: vec![up, nearly_up, up, encode_normal(Vec3::NEG_Y), up, 0],
            instance_id: vec![3, 3, 3, 3, 4, 0],
            // Roughness of 0 and 39 of 255 is alike.
            material: vec![0, 39, 0, 0, 0, 0],
            ..Primary::default()
        };
        assert_eq!(dispatch(Same(&planes, 0, [0, 1, 2, 3])), 0b0011);
        assert_eq!(dispatch(Same(&planes, 0, [4, 5, 0, 0])), 0b1100);
        assert_eq!(dispatch(Same(&planes, 5, [5, 0, 5, 1])), 0b0101);
        // Glass or metal in a wall; what the upper bytes say does not matter.
        let material = vec![0x0100_00d9, 0x0100_0010, 0x0100_40d9, 0xff00_00d0];
        let planes = Primary { depth: vec![5.0; 4], normal: vec![up; 4], instance_id: vec![3; 4], material, ..planes };
        assert_eq!(dispatch(Same(&planes, 0, [0, 1, 2, 3])), 0b1001);
    }

    #[test]
    fn walls_that_look_down_the_z_axis_are_one_surface() {
        // On the octahedron's fold the packed numbers jump, the directions do not.
        let a = encode_normal(Vec3::new(1e-3, 1e-3, -1.0).normalize());
        let b = encode_normal(Vec3::new(-1e-3, -1e-3, -1.0).normalize());
        let planes = Primary {
            depth: vec![1.0; 2],
            normal: vec![a, b],
            instance_id: vec![1; 2],
            material: vec![0; 2],
            ..Primary::default()
        };
        assert_eq!(dispatch(Same(&planes, 0, [1, 0, 1, 0])), 0b1111);
    }

    #[test]
    fn eight_pixels_land_on_the_bits_that_one_does() {
        struct Eight<'a>(&'a Reprojection, [[f32; 8]; 3]);
        impl Kernel for Eight<'_> {
            type Output = [[f32; 8]; 3];

            #[inline(always)]
            fn run<H: Half4>(self) -> Self::Output {
                let [x, y, depth] =
                    [H::Lanes::load(&self.1[0]), H::Lanes::load(&self.1[1]), H::Lanes::load(&self.1[2])];
                let ((a, b), c) = self.0.land(x, y, depth);
                [a.to_array(), b.to_array(), c.to_array()]
            }
        }
        let a = Camera::look_at(Vec3::new(1.0, 2.0, 5.0), Vec3::ZERO, 1.0, 16.0 / 9.0);
        let b = Camera::look_at(Vec3::new(1.3, 1.9, 4.5), Vec3::new(0.2, 0.0, 0.0), 0.9, 16.0 / 9.0);
        let map = Reprojection::new(&a, &b, Extent::new(320, 180));
        let (x, y) =
            ([0.5, 10.5, 319.5, 0.7, 100.3, 7.9, 250.0, 33.3], [0.5, 3.25, 7.5, 99.0, 179.5, 60.1, 11.0, 90.0]);
        let depths = [0.1, 1.0, 3.0, f32::INFINITY, 20.0, f32::NAN, 1e31, -7.0];
        let found = dispatch(Eight(&map, [x, y, depths]));
        for i in 0..8 {
            let (pixel, depth) = map.apply(Vec2::new(x[i], y[i]), depths[i]);
            for (found, expected) in found.iter().zip([pixel.x, pixel.y, depth]) {
                assert!(found[i].to_bits() == expected.to_bits() || found[i].is_nan() && expected.is_nan(), "{i}");
            }
        }
    }

    #[test]
    fn eight_pixels_are_reprojected_as_one_is() {
        struct Row(Reprojection, [f32; 8]);
        impl Kernel for Row {
            type Output = ([f32; 8], [f32; 8], [f32; 8]);

            #[inline(always)]
            fn run<H: Half4>(self) -> Self::Output {
                let x = H::Lanes::counting().integer_to_float() * H::Lanes::splat(40.0);
                let depth = H::Lanes::load(&self.1);
                let (a, b) = self.0.positions(x, 20.5, depth);
                (a.to_array(), b.to_array(), self.0.depths(x, 20.5, depth).to_array())
            }
        }
        let a = Camera::look_at(Vec3::new(1.0, 2.0, 5.0), Vec3::ZERO, 1.0, 16.0 / 9.0);
        let b = Camera::look_at(Vec3::new(1.3, 1.9, 4.5), Vec3::new(0.2, 0.0, 0.0), 0.9, 16.0 / 9.0);
        let map = Reprojection::new(&a, &b, Extent::new(320, 180));
        let depths = [0.1, 1.0, 3.0, f32::INFINITY, 20.0, 0.01, 1e31, 7.0];
        let (x, y, depth) = dispatch(Row(map, depths));
        for i in 0..8 {
            let (pixel, expected) = map.apply(Vec2::new(i as f32 * 40.0, 20.5), depths[i]);
            assert_eq!(pixel.is_finite(), x[i].is_finite() && y[i].is_finite());
            assert!(!pixel.is_finite() || (Vec2::new(x[i], y[i]) - pixel).length() < 1e-2, "{i}: {pixel}");
            assert!((expected.min(FAR) - depth[i]).abs() < 1e-4, "{i}: {expected}");
        }
    }
}
