//! Where a pixel's surface was in another frame, and which of that frame's pixels show the same surface.

use glam::{Mat3, Vec2, Vec3, Vec4};
use rayloom_scene::Camera;

use crate::{Extent, Primary, normal::decode_direction};

/// Depth that stands for the sky in comparisons, where infinity would give NaN.
const FAR: f32 = 1e30;

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

    /// Only the depth in the other camera, at most [`FAR`].
    #[inline(always)]
    fn depth(&self, pixel: Vec2, depth: f32) -> f32 {
        if depth >= FAR {
            return FAR;
        }
        (self.matrix.x_axis.z * pixel.x + self.matrix.y_axis.z * pixel.y + self.matrix.z_axis.z) * depth + self.offset.z
    }
}

/// What makes two pixels show the same surface.
#[derive(Clone, Copy)]
pub(super) struct Guide {
    pub(super) instance_id: u32,
    pub(super) normal: u32,
    /// Planar depth in the frame that is compared with, at most [`FAR`].
    pub(super) depth: f32,
}

impl Guide {
    /// A pixel of the frame itself.
    #[inline(always)]
    pub(super) fn of(planes: &Primary, index: usize) -> Guide {
        Guide {
            instance_id: planes.instance_id[index],
            normal: planes.normal[index],
            depth: planes.depth[index].min(FAR),
        }
    }

    /// A pixel of this frame, as the frame at the other end of `to` would have it.
    #[inline(always)]
    fn in_other_frame(planes: &Primary, index: usize, pixel: Vec2, to: &Reprojection) -> Guide {
        let depth = to.depth(pixel, planes.depth[index]);
        Guide { instance_id: planes.instance_id[index], normal: planes.normal[index], depth }
    }

    /// 1 for each of four pixels that shows this surface, else 0: same instance, depth within `tolerance` of it, normals
    /// within 26 degrees.
    #[inline(always)]
    pub(super) fn same_surface(&self, planes: &Primary, taps: [usize; 4], tolerance: f32) -> Vec4 {
        let depths = Vec4::from_array(taps.map(|i| planes.depth[i])).min(Vec4::splat(FAR));
        let near = (depths - Vec4::splat(self.depth)).abs().cmple(Vec4::splat(self.depth * tolerance));
        let mut same = Vec4::select(near, Vec4::ONE, Vec4::ZERO);
        let ids = taps.map(|i| planes.instance_id[i]);
        if ids != [self.instance_id; 4] {
            same *= Vec4::from_array(ids.map(|id| if id == self.instance_id { 1.0 } else { 0.0 }));
        }
        let normals = taps.map(|i| planes.normal[i]);
        if normals != [self.normal; 4] {
            same *= similar_normals(self.normal, normals);
        }
        same
    }
}

/// 1 where the cosine between packed normals is at least 0.9.
#[inline(always)]
fn similar_normals(normal: u32, others: [u32; 4]) -> Vec4 {
    let snorm = |v: u32| v as u16 as i16 as f32 * (1.0 / 32767.0);
    let (x, y) = (Vec4::from_array(others.map(snorm)), Vec4::from_array(others.map(|o| snorm(o >> 16))));
    // Numbers that are this close stand for directions within 20 degrees.
    let apart = (x - Vec4::splat(snorm(normal))).abs().max((y - Vec4::splat(snorm(normal >> 16))).abs());
    if apart.max_element() < 0.1 {
        return Vec4::ONE;
    }
    let n = decode_direction(normal);
    let z = Vec4::ONE - x.abs() - y.abs();
    let fold = (-z).max(Vec4::ZERO);
    let (x, y) = (x - fold.copysign(x), y - fold.copysign(y));
    let dot = x * n.x + y * n.y + z * n.z;
    let limit = (x * x + y * y + z * z) * (0.81 * n.length_squared());
    // The square loses the sign of the cosine: keep it.
    Vec4::select((dot * dot.abs()).cmpge(limit), Vec4::ONE, Vec4::ZERO)
}

/// Where a pixel reads the last frame: four neighbours, their weights, and how many frames they have gathered.
#[derive(Clone, Copy, Default)]
pub(super) struct HistoryTap {
    /// Index of the top left neighbour.
    pub(super) index: u32,
    /// Frames gathered; 0 where the surface was not visible: the neighbours are then only the best that there is.
    pub(super) length: u8,
    /// Age of the nearest neighbour.
    pub(super) age: u8,
    /// Of the four neighbours (top left, top right, bottom left, bottom right); the sum is 1.
    pub(super) weights: Vec4,
}

/// The last frame, as history taps read it.
pub(super) struct LastFrame<'a> {
    pub(super) extent: Extent,
    pub(super) planes: &'a Primary,
    pub(super) ages: &'a [u8],
    pub(super) lengths: &'a [u8],
    /// From this frame's camera to the last one's.
    pub(super) reprojection: Reprojection,
}

/// Relative difference of depth beyond which a surface is another one.
const HISTORY_DEPTH_TOLERANCE: f32 = 0.08;

impl LastFrame<'_> {
    /// Offsets of the right and the lower neighbour; none in a view one pixel wide or high.
    #[inline(always)]
    pub(super) fn steps(&self) -> (usize, usize) {
        let Extent { width, height } = self.extent;
        ((width > 1) as usize, if height > 1 { width as usize } else { 0 })
    }

    /// The tap for pixel `index` of `planes` at `pixel` (its centre), which was at `position` in the last frame.
    #[inline(always)]
    pub(super) fn tap(&self, planes: &Primary, index: usize, pixel: Vec2, position: Vec2) -> HistoryTap {
        let Extent { width, height } = self.extent;
        let (right, down) = self.steps();
        let last = Vec2::new((width - 1) as f32, (height - 1) as f32);
        let corner = position - 0.5;
        // False for NaN too.
        let inside = corner.x >= -0.5 && corner.y >= -0.5 && corner.x <= last.x + 0.5 && corner.y <= last.y + 0.5;
        // max before min, so that NaN becomes 0.
        let (cx, cy) = (corner.x.max(0.0).min(last.x), corner.y.max(0.0).min(last.y));
        let (x0, y0) = ((cx as u32).min(width.saturating_sub(2)), (cy as u32).min(height.saturating_sub(2)));
        let (fx, fy) = (cx - x0 as f32, cy - y0 as f32);
        let first = y0 as usize * width as usize + x0 as usize;
        let taps = [first, first + right, first + down, first + right + down];
        let bilinear = Vec4::new((1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy);
        let nearest = taps[(fx > 0.5) as usize + 2 * (fy > 0.5) as usize];
        let mut tap = HistoryTap { index: first as u32, length: 0, age: self.ages[nearest], weights: bilinear };
        if inside {
            let guide = Guide::in_other_frame(planes, index, pixel, &self.reprojection);
            let weights = bilinear * guide.same_surface(self.planes, taps, HISTORY_DEPTH_TOLERANCE);
            let sum = weights.element_sum();
            if sum > 0.05 {
                tap.weights = weights * (1.0 / sum);
                tap.length = self.lengths[nearest].max(1);
            }
        }
        tap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::encode_normal;

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

    #[test]
    fn another_instance_depth_or_normal_is_another_surface() {
        let up = encode_normal(Vec3::Y);
        let nearly_up = encode_normal(Vec3::new(0.1, 1.0, 0.1).normalize());
        let planes = Primary {
            depth: vec![5.0, 5.2, 9.0, 5.0, 5.0, f32::INFINITY],
            normal: vec![up, nearly_up, up, encode_normal(Vec3::NEG_Y), up, 0],
            instance_id: vec![3, 3, 3, 3, 4, 0],
            ..Primary::default()
        };
        let guide = Guide::of(&planes, 0);
        assert_eq!(guide.same_surface(&planes, [0, 1, 2, 3], 0.08).to_array(), [1.0, 1.0, 0.0, 0.0]);
        assert_eq!(guide.same_surface(&planes, [4, 5, 0, 0], 0.08).to_array(), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(Guide::of(&planes, 5).same_surface(&planes, [5, 0, 5, 1], 0.08).to_array(), [1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn walls_that_look_down_the_z_axis_are_one_surface() {
        // On the octahedron's fold the packed numbers jump, the directions do not.
        let a = encode_normal(Vec3::new(1e-3, 1e-3, -1.0).normalize());
        let b = encode_normal(Vec3::new(-1e-3, -1e-3, -1.0).normalize());
        assert_eq!(similar_normals(a, [b; 4]), Vec4::ONE);
    }
}
