//! A headless Vulkan ray tracer: scenes on the GPU, tiles of lighting layers and primary hits back. Knows no network.
//!
//! **A traced pixel is a function of (scene revision, frame state, camera, frame id, absolute pixel, sample index) and of
//! nothing else**: no history, no reservoirs between pixels, no dependence on the tile that it was traced in. Break that
//! and tiles of different peers no longer meet.
//!
//! ```no_run
//! use rayloom_frame::{Extent, LayerKind, LayerRequest};
//! use rayloom_renderer::{FrameState, Renderer, RendererOptions, TraceJob};
//! # fn show(scene: rayloom_scene::Scene, camera: rayloom_scene::Camera) -> Result<(), rayloom_renderer::RendererError> {
//! let renderer = Renderer::new(&RendererOptions { allow_cpu: true, ..Default::default() })?;
//! let gpu_scene = renderer.create_scene(&scene, &mut |_| ())?;
//! let frame = std::sync::Arc::new(gpu_scene.frame(&FrameState::default())?);
//! let extent = Extent::new(256, 144);
//! let layers = [LayerRequest { kind: LayerKind::Direct, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES }];
//! let job = TraceJob::whole_view(extent, camera, &layers);
//! let (tile, timings) = renderer.trace(&frame, &job)?;
//! # Ok(()) }
//! ```

mod deform;
mod denoise;
mod error;
mod frame;
mod front_end;
pub mod glass_table;
mod job;
mod layout;
mod light_tree;
mod lights;
mod luminous;
mod mesh;
mod placement;
pub mod rays;
mod renderer;
mod scene;
pub mod shaders;
mod texture;
mod tile;
mod vulkan;

pub use denoise::Denoiser;
pub use error::RendererError;
pub use frame::{FrameState, GpuFrame};
pub use front_end::FrontEnd;
pub use job::{MAX_BOUNCES, MAX_EXTENT, MAX_FILTER_RADIUS, TraceJob};
pub use rays::{RayBatch, RayHit, RayKind};
pub use renderer::{Renderer, RendererOptions, list_devices};
pub use scene::{GpuScene, Progress};
pub use tile::{MAX_IN_FLIGHT, Ticket, TraceTimings};
pub use vulkan::{DeviceKind, DeviceReport};
