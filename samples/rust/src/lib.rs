//! A raster engine in small, as games have one: it draws a scene into a G-buffer by Vulkan, headless, and reads the planes
//! back through a ring, frames later.
//!
//! **A slot of the ring is not drawn into while somebody holds its planes** ([`ReadyPlanes`] is the loan): what reads them
//! may take its time, and drawing never waits but reports [`RasterError::RingFull`].
//!
//! Surfaces, normal maps, alpha masks and texture filtering are those of the peers' ray tracer, so a ray through a pixel's
//! centre finds what the planes show there: the crate's tests compare the two pixel by pixel.
//!
//! ```no_run
//! use raster::{FrameDesc, PlaneKind, RasterEngine, RasterOptions};
//! # fn main() -> Result<(), raster::RasterError> {
//! let scene = rayloom_scene::city(200_000, 1);
//! let mut engine = RasterEngine::new(&RasterOptions::new(640, 360))?;
//! engine.load(&scene)?;
//! engine.draw(&FrameDesc::still(1, scene.default_camera(640.0 / 360.0)))?;
//! let planes = engine.wait()?.expect("a frame is under way");
//! println!("depth in the corner: {}", f32::from_bits(planes.plane(PlaneKind::Depth).word(0, 0)));
//! # Ok(()) }
//! ```

mod deformation;
mod description;
mod engine;
mod error;
mod geometry;
mod layout;
mod mips;
mod planes;
pub mod shaders;
mod visible;
mod vulkan;

pub use description::CONVENTION;
pub use engine::{FrameDesc, RING_SLOTS, RasterEngine, RasterOptions};
pub use error::RasterError;
pub use layout::NEAR;
pub use planes::{Plane, PlaneFormat, PlaneKind, ReadyPlanes};
