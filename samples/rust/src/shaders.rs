//! The committed shaders: sources and SPIR-V, by which command the one becomes the other.
//!
//! To rebuild, run for each of [`SHADERS`], in `samples/rust/shaders`: `glslc` with [`GLSLC_ARGUMENTS`], then
//! `-o SPIRV SOURCE`, and check with `spirv-val --target-env vulkan1.2 SPIRV`. A test compares what is committed.

/// Arguments of glslc before `-o SPIRV SOURCE`.
pub const GLSLC_ARGUMENTS: &[&str] = &["-O", "--target-env=vulkan1.2"];

/// One stage of a pipeline.
#[derive(Debug)]
pub struct Shader {
    /// File name of its source in `shaders/`.
    pub source: &'static str,
    /// File name of its SPIR-V in `shaders/`.
    pub spirv_file: &'static str,
    /// The SPIR-V itself.
    pub spirv: &'static [u8],
}

macro_rules! shader {
    ($name:literal) => {
        Shader {
            source: $name,
            spirv_file: concat!($name, ".spv"),
            spirv: include_bytes!(concat!("../shaders/", $name, ".spv")),
        }
    };
}

pub(crate) const SCENE_VERTEX: &Shader = &shader!("scene.vert");
pub(crate) const SCENE_FRAGMENT: &Shader = &shader!("scene.frag");
pub(crate) const SKY_VERTEX: &Shader = &shader!("sky.vert");
pub(crate) const SKY_FRAGMENT: &Shader = &shader!("sky.frag");

/// All of them.
pub const SHADERS: &[&Shader] = &[SCENE_VERTEX, SCENE_FRAGMENT, SKY_VERTEX, SKY_FRAGMENT];
