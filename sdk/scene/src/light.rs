//! Punctual lights, the sun and the sky, in radiometric units.

use glam::Vec3;

/// What shape a light has, with the units of its [`Light::color`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum LightShape {
    /// Infinitely far: `color` is irradiance on a surface that faces it (W/m2). `angle` is the disc's half angle in radians.
    Directional {
        /// Half angle of the disc in radians; 0 = hard shadows.
        angle: f32,
    },
    /// A point: `color` is radiant intensity (W/sr).
    Point,
    /// A cone about `direction`: `color` is radiant intensity on the axis (W/sr); angles in radians from the axis.
    Spot {
        /// Full intensity within this angle.
        inner: f32,
        /// None beyond this angle.
        outer: f32,
    },
}

/// One light.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Light {
    /// Its shape.
    pub shape: LightShape,
    /// Linear RGB in the unit that its shape names.
    pub color: Vec3,
    /// Position in metres (unused by directional lights).
    pub position: Vec3,
    /// Direction in which the light travels, normalised (unused by point lights).
    pub direction: Vec3,
    /// Distance in metres at which it has faded to nothing (glTF's windowing); 0 = unlimited.
    pub range: f32,
    /// The engine's own name for it.
    pub user_id: u64,
}

/// Radiance that arrives from where no surface is: a vertical gradient, seen by the camera and by secondary rays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Environment {
    /// Radiance straight up.
    pub zenith: Vec3,
    /// Radiance at the horizon.
    pub horizon: Vec3,
    /// Radiance straight down.
    pub ground: Vec3,
}

impl Environment {
    /// The same radiance from everywhere.
    pub fn constant(radiance: Vec3) -> Environment {
        Environment { zenith: radiance, horizon: radiance, ground: radiance }
    }
}
