//! The only unsafe code of this room: Vulkan behind safe types. Above this module nobody sees a raw handle.
//!
//! **A [`Buffer`] outlives the GPU's use of it because every submission keeps what it uses alive until its fence has
//! signalled** (see [`Submission`]); device addresses are plain numbers, so the shaders' reach is what callers put into
//! parameter blocks, and those are built from validated scenes only.
#![allow(unsafe_code, reason = "ash is a raw binding; this module is the one place that talks to it")]

mod acceleration;
mod buffer;
mod choose;
mod context;
mod instance;
mod kernels;
mod memory;
mod submit;

pub(crate) use acceleration::{AccelerationStructure, Geometry, PlacedStructure, Triangles};
pub(crate) use buffer::{Buffer, Place};
pub use choose::{DeviceKind, DeviceReport};
pub(crate) use choose::{candidates, choose};
pub(crate) use context::Context;
pub(crate) use instance::Instance;
pub(crate) use kernels::{Kernel, Kernels};
pub(crate) use memory::Memory;
pub(crate) use submit::{Recorder, Submission, Submitter};
