//! The committed shaders: sources and SPIR-V, by which command the one becomes the other.
//!
//! To rebuild, run for each of [`SHADERS`], in `peer-server/renderer/shaders`: `glslc` with [`GLSLC_ARGUMENTS`] and the
//! shader's own, then `-o SPIRV SOURCE`, and check with `spirv-val --target-env vulkan1.2 SPIRV`. A test compares what is
//! committed, and rebuilds it with `RAYLOOM_REBUILD_SHADERS=1 cargo test -p rayloom-renderer --test shaders`.

use crate::FrontEnd;

/// Arguments of glslc before a shader's own.
pub const GLSLC_ARGUMENTS: &[&str] = &["-O", "--target-env=vulkan1.2"];

/// One shader.
#[derive(Debug)]
pub struct Shader {
    /// Path of its source in `shaders/`.
    pub source: &'static str,
    /// Path of its SPIR-V in `shaders/`.
    pub spirv_file: &'static str,
    /// Its stage, and the front end that its pass is compiled for.
    pub arguments: &'static [&'static str],
    /// The SPIR-V itself.
    pub spirv: &'static [u8],
    /// The front end that uses it; all do where there is none.
    pub front_end: Option<FrontEnd>,
}

macro_rules! shader {
    ($source:literal, $spirv:literal, $front_end:expr, $($argument:literal),*) => {
        Shader {
            source: $source,
            spirv_file: concat!("spirv/", $spirv, ".spv"),
            arguments: &[$($argument),*],
            spirv: include_bytes!(concat!("../shaders/spirv/", $spirv, ".spv")),
            front_end: $front_end,
        }
    };
}

/// All shaders: those of the passes in their order, one for each front end, and those that rays of the RT pipeline run.
pub const SHADERS: &[Shader] = &[
    shader!("passes/primary.glsl", "primary.compute", Some(FrontEnd::Compute), "-fshader-stage=compute"),
    shader!(
        "passes/primary.glsl",
        "primary.ray_query",
        Some(FrontEnd::RayQuery),
        "-fshader-stage=compute",
        "-DRAY_QUERY"
    ),
    shader!(
        "passes/primary.glsl",
        "primary.rt_pipeline",
        Some(FrontEnd::RtPipeline),
        "-fshader-stage=rgen",
        "-DRT_PIPELINE"
    ),
    shader!("passes/direct.glsl", "direct.compute", Some(FrontEnd::Compute), "-fshader-stage=compute"),
    shader!(
        "passes/direct.glsl",
        "direct.ray_query",
        Some(FrontEnd::RayQuery),
        "-fshader-stage=compute",
        "-DRAY_QUERY"
    ),
    shader!(
        "passes/direct.glsl",
        "direct.rt_pipeline",
        Some(FrontEnd::RtPipeline),
        "-fshader-stage=rgen",
        "-DRT_PIPELINE"
    ),
    shader!("passes/specular.glsl", "specular.compute", Some(FrontEnd::Compute), "-fshader-stage=compute"),
    shader!(
        "passes/specular.glsl",
        "specular.ray_query",
        Some(FrontEnd::RayQuery),
        "-fshader-stage=compute",
        "-DRAY_QUERY"
    ),
    shader!(
        "passes/specular.glsl",
        "specular.rt_pipeline",
        Some(FrontEnd::RtPipeline),
        "-fshader-stage=rgen",
        "-DRT_PIPELINE"
    ),
    shader!("passes/indirect.glsl", "indirect.compute", Some(FrontEnd::Compute), "-fshader-stage=compute"),
    shader!(
        "passes/indirect.glsl",
        "indirect.ray_query",
        Some(FrontEnd::RayQuery),
        "-fshader-stage=compute",
        "-DRAY_QUERY"
    ),
    shader!(
        "passes/indirect.glsl",
        "indirect.rt_pipeline",
        Some(FrontEnd::RtPipeline),
        "-fshader-stage=rgen",
        "-DRT_PIPELINE"
    ),
    shader!("passes/transmission.glsl", "transmission.compute", Some(FrontEnd::Compute), "-fshader-stage=compute"),
    shader!(
        "passes/transmission.glsl",
        "transmission.ray_query",
        Some(FrontEnd::RayQuery),
        "-fshader-stage=compute",
        "-DRAY_QUERY"
    ),
    shader!(
        "passes/transmission.glsl",
        "transmission.rt_pipeline",
        Some(FrontEnd::RtPipeline),
        "-fshader-stage=rgen",
        "-DRT_PIPELINE"
    ),
    shader!("passes/path.glsl", "path.compute", Some(FrontEnd::Compute), "-fshader-stage=compute"),
    shader!("passes/path.glsl", "path.ray_query", Some(FrontEnd::RayQuery), "-fshader-stage=compute", "-DRAY_QUERY"),
    shader!("passes/path.glsl", "path.rt_pipeline", Some(FrontEnd::RtPipeline), "-fshader-stage=rgen", "-DRT_PIPELINE"),
    shader!("passes/rays.glsl", "rays.compute", Some(FrontEnd::Compute), "-fshader-stage=compute"),
    shader!("passes/rays.glsl", "rays.ray_query", Some(FrontEnd::RayQuery), "-fshader-stage=compute", "-DRAY_QUERY"),
    shader!("passes/rays.glsl", "rays.rt_pipeline", Some(FrontEnd::RtPipeline), "-fshader-stage=rgen", "-DRT_PIPELINE"),
    shader!("passes/planes.glsl", "planes", None, "-fshader-stage=compute"),
    shader!("passes/filter.glsl", "filter", None, "-fshader-stage=compute"),
    shader!("passes/deform.glsl", "deform", None, "-fshader-stage=compute"),
    shader!("passes/denoise.glsl", "denoise", None, "-fshader-stage=compute"),
    shader!("hit/closest.glsl", "closest", Some(FrontEnd::RtPipeline), "-fshader-stage=rchit"),
    shader!("hit/masked.glsl", "masked", Some(FrontEnd::RtPipeline), "-fshader-stage=rahit"),
    shader!("hit/miss.glsl", "miss", Some(FrontEnd::RtPipeline), "-fshader-stage=rmiss"),
];

/// The shader of a pass for a front end, or the one for all.
pub(crate) fn find(source: &str, front_end: FrontEnd) -> &'static Shader {
    let fits = |s: &&Shader| s.source == source && s.front_end.is_none_or(|f| f == front_end);
    SHADERS.iter().find(fits).expect("the table has every pass for every front end")
}
