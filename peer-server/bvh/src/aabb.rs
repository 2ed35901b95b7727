//! Axis-aligned boxes.

use glam::{Affine3A, Vec3};

/// An axis-aligned box; empty when any minimum exceeds its maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aabb {
    /// Smallest corner.
    pub min: Vec3,
    /// Largest corner.
    pub max: Vec3,
}

impl Aabb {
    /// The box that holds nothing and grows by any point.
    pub const EMPTY: Aabb = Aabb { min: Vec3::INFINITY, max: Vec3::NEG_INFINITY };

    /// True when it holds no point.
    pub fn is_empty(&self) -> bool {
        !self.min.cmple(self.max).all()
    }

    /// Half of its surface area; 0 where it is empty.
    pub fn half_area(&self) -> f32 {
        let e = (self.max - self.min).max(Vec3::ZERO);
        if self.is_empty() { 0.0 } else { e.x * e.y + e.y * e.z + e.z * e.x }
    }

    /// The smallest box that holds both.
    pub fn union(self, other: Aabb) -> Aabb {
        Aabb { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// The smallest box that holds this one and `point`.
    pub fn with_point(self, point: Vec3) -> Aabb {
        Aabb { min: self.min.min(point), max: self.max.max(point) }
    }

    /// A box that holds the image of every point under `transform`, widened by more than the rounding errors of this
    /// function and of a ray's way into the space of the instance.
    pub fn transformed(&self, transform: &Affine3A) -> Aabb {
        if self.is_empty() {
            return Aabb::EMPTY;
        }
        let matrix = transform.matrix3;
        let center = (self.min * 0.5 + self.max * 0.5).to_vec3a();
        let half = (self.max * 0.5 - self.min * 0.5).to_vec3a();
        let middle = matrix * center + transform.translation;
        let reach = matrix.x_axis.abs() * half.x + matrix.y_axis.abs() * half.y + matrix.z_axis.abs() * half.z;
        let size = matrix.x_axis.abs() * center.x.abs()
            + matrix.y_axis.abs() * center.y.abs()
            + matrix.z_axis.abs() * center.z.abs()
            + transform.translation.abs()
            + reach;
        let reach = reach + size * 4e-6;
        Aabb { min: (middle - reach).into(), max: (middle + reach).into() }
    }
}
