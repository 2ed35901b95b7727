//! The pinhole camera that every room shares: rays out of pixels, pixels out of points.

use glam::{Quat, Vec2, Vec3};

/// A pinhole camera in glTF space: it looks along its own -Z, +Y is up, +X is right.
///
/// Pixel (0, 0) is the top left one; rays go through pixel centres, moved by [`Camera::jitter`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Camera {
    /// Position in metres.
    pub position: Vec3,
    /// Rotation from camera to world; normalised.
    pub rotation: Quat,
    /// Tangent of half the field of view, horizontally and vertically; both > 0.
    pub tan_half_fov: Vec2,
    /// Offset of the principal point in normalised device coordinates (off-centre projections); usually zero.
    pub center: Vec2,
    /// Sub-pixel offset of the sample position in pixels, +x right, +y down, in [-0.5, 0.5].
    pub jitter: Vec2,
}

impl Camera {
    /// A camera at `position` that looks at `target`, with the vertical field of view in radians and width / height.
    pub fn look_at(position: Vec3, target: Vec3, vertical_fov: f32, aspect: f32) -> Camera {
        let forward = (target - position).normalize_or(Vec3::NEG_Z);
        let up = if forward.y.abs() > 0.9999 { Vec3::Z } else { Vec3::Y };
        let right = forward.cross(up).normalize();
        let rotation = Quat::from_mat3(&glam::Mat3::from_cols(right, right.cross(forward), -forward)).normalize();
        Camera { position, rotation, ..Camera::with_fov(vertical_fov, aspect) }
    }

    /// A camera at the origin with the vertical field of view in radians and width / height.
    pub fn with_fov(vertical_fov: f32, aspect: f32) -> Camera {
        let tan = (vertical_fov * 0.5).tan();
        Camera {
            position: Vec3::ZERO,
            rotation: Quat::IDENTITY,
            tan_half_fov: Vec2::new(tan * aspect, tan),
            center: Vec2::ZERO,
            jitter: Vec2::ZERO,
        }
    }

    /// True when every field is finite, the rotation is a unit quaternion and the field of view is positive.
    pub fn is_valid(&self) -> bool {
        self.position.is_finite()
            && self.rotation.is_finite()
            && (self.rotation.length_squared() - 1.0).abs() < 1e-3
            && self.tan_half_fov.is_finite()
            && self.tan_half_fov.min_element() > 0.0
            && self.center.is_finite()
            && self.jitter.is_finite()
            && self.jitter.abs().max_element() <= 0.5
    }

    /// Direction (not normalised: its component along the view axis is 1) of the ray through `pixel` (in pixels from the
    /// top left corner; the first pixel's centre is (0.5, 0.5)) of an image of `extent` pixels.
    ///
    /// Multiplying it by a planar depth gives the offset from [`Camera::position`].
    pub fn ray(&self, pixel: Vec2, extent: Vec2) -> Vec3 {
        let p = (pixel + self.jitter) / extent;
        let ndc = Vec2::new(p.x * 2.0 - 1.0, 1.0 - p.y * 2.0) - self.center;
        self.rotation * (ndc * self.tan_half_fov).extend(-1.0)
    }

    /// Pixel position and planar depth (metres along the view axis) of a world point; depth <= 0 is behind the camera.
    pub fn project(&self, world: Vec3, extent: Vec2) -> (Vec2, f32) {
        let local = self.rotation.inverse() * (world - self.position);
        let depth = -local.z;
        let ndc = local.truncate() / (depth * self.tan_half_fov) + self.center;
        let p = Vec2::new(ndc.x * 0.5 + 0.5, 0.5 - ndc.y * 0.5) * extent - self.jitter;
        (p, depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projecting_a_ray_gives_its_pixel_back() {
        let camera = Camera::look_at(Vec3::new(1.0, 2.0, 3.0), Vec3::new(-4.0, 0.5, 0.0), 0.9, 16.0 / 9.0);
        let extent = Vec2::new(320.0, 180.0);
        for pixel in [Vec2::new(0.5, 0.5), Vec2::new(160.0, 90.0), Vec2::new(319.5, 12.5)] {
            let (p, depth) = camera.project(camera.position + camera.ray(pixel, extent) * 7.0, extent);
            assert!((p - pixel).length() < 2e-3, "{p} is not {pixel}");
            assert!((depth - 7.0).abs() < 1e-4);
        }
    }

    #[test]
    fn up_is_up_and_right_is_right() {
        let camera = Camera::look_at(Vec3::ZERO, Vec3::NEG_Z, 1.0, 1.0);
        let extent = Vec2::splat(100.0);
        assert!(camera.ray(Vec2::new(50.0, 0.5), extent).y > 0.0);
        assert!(camera.ray(Vec2::new(99.5, 50.0), extent).x > 0.0);
    }
}
