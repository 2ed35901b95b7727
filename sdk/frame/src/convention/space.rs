//! Directions, points, transforms and cameras of a convention, in glTF space.

use super::{CameraAxes, Convention, Handedness, UpAxis};
use glam::{Mat3, Vec3};

impl Convention {
    /// A direction of the world in glTF space.
    ///
    /// Right-handed +Y: itself. Left-handed +Y: (x, y, -z). Right-handed +Z: (x, z, -y). Left-handed +Z: (y, z, -x).
    #[inline]
    pub fn direction(&self, d: Vec3) -> Vec3 {
        match (self.up_axis, self.handedness) {
            (UpAxis::Y, Handedness::Right) => d,
            (UpAxis::Y, Handedness::Left) => Vec3::new(d.x, d.y, -d.z),
            (UpAxis::Z, Handedness::Right) => Vec3::new(d.x, d.z, -d.y),
            (UpAxis::Z, Handedness::Left) => Vec3::new(d.y, d.z, -d.x),
        }
    }

    /// [`Convention::direction`] as a matrix: orthonormal, its determinant -1 for left hands.
    pub fn axes(&self) -> Mat3 {
        Mat3::from_cols(self.direction(Vec3::X), self.direction(Vec3::Y), self.direction(Vec3::Z))
    }

    /// From the convention's camera space to glTF's (right +X, up +Y, forward -Z).
    pub fn camera_space(&self) -> Mat3 {
        let (right, up, forward) = match self.camera_axes {
            CameraAxes::BackZ => (Vec3::X, Vec3::Y, Vec3::NEG_Z),
            CameraAxes::ForwardZ => (Vec3::X, Vec3::Y, Vec3::Z),
            CameraAxes::ForwardX => (Vec3::Y, Vec3::Z, Vec3::X),
            CameraAxes::ForwardZDownY => (Vec3::X, Vec3::NEG_Y, Vec3::Z),
        };
        Mat3::from_cols(right, up, -forward).transpose()
    }
}
