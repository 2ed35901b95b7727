//! What the raster engine must do, in one program: its parts share scenes and the comparison with rays.

mod agrees_with_rays;
mod comparison;
mod conversion;
mod ring;
mod shaders;
mod small_scenes;
