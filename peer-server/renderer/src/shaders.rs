//! The committed shaders: sources and SPIR-V, by which command the one becomes the other.
//!
//! To rebuild, run for each of [`SHADERS`], in `peer-server/renderer/shaders`: `glslc` with [`GLSLC_ARGUMENTS`], then
//! `-o SPIRV SOURCE`, and check with `spirv-val --target-env vulkan1.2 SPIRV`. A test compares what is committed.

/// Arguments of glslc before `-o SPIRV SOURCE`.
pub const GLSLC_ARGUMENTS: &[&str] = &["-O", "--target-env=vulkan1.2"];

/// One compute shader.
#[derive(Debug)]
pub struct Shader {
    /// File name of its source in `shaders/`; it includes the `.glsl` files beside it.
    pub source: &'static str,
    /// File name of its SPIR-V in `shaders/`.
    pub spirv_file: &'static str,
    /// The SPIR-V itself.
    pub spirv: &'static [u8],
}

macro_rules! shader {
    ($name:literal) => {
        Shader {
            source: concat!($name, ".comp"),
            spirv_file: concat!($name, ".spv"),
            spirv: include_bytes!(concat!("../shaders/", $name, ".spv")),
        }
    };
}

/// All shaders, in the order of the renderer's passes.
pub const SHADERS: &[Shader] =
    &[shader!("primary"), shader!("direct"), shader!("specular"), shader!("indirect"), shader!("filter")];
