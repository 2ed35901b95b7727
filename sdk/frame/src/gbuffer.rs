//! The engine's own G-buffer: what its raster saw, in the formats and conventions that the rest of Rayloom uses.

mod convert;
mod decode;
mod format;
mod plane;
mod region;

use crate::{Extent, Primary};
pub use convert::convert;
pub(crate) use decode::{DepthDecode, MotionDecode, NormalDecode, StaticMotion};
pub use format::PlaneFormat;
pub use plane::{EnginePlane, EnginePlaneKind, MAX_EXTENT, check};

/// What the engine's raster saw of a whole view: every plane has `extent.pixels()` values, rows from the top.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GBuffer {
    /// Size of the view in pixels.
    pub extent: Extent,
    /// Depth, shading normal, base colour, material, motion and instance id, as [`crate::PlaneKind`] describes them. The
    /// instance id is any number that differs from surface to surface (0 = sky); all 1 on surfaces where the engine has none.
    pub primary: Primary,
    /// Octahedral normals of the triangles; empty = the shading normals.
    pub geometric_normal: Vec<u32>,
    /// Light that surfaces send out themselves, RGB9E5, scene-linear; empty = none.
    pub emissive: Vec<u32>,
    /// How far depth may be off, as a share of it: what its format and encoding round to. Rays start that far off.
    pub depth_error: f32,
}
