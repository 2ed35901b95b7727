//! The only unsafe code of this crate: Vulkan behind safe types.
//!
//! **What the GPU uses outlives its use**: a [`Slot`] keeps what one submission reads and writes, its semaphore value tells
//! when that ended, and everything else is dropped only after the device was idle (see [`Device::wait_idle`]).
#![allow(unsafe_code, reason = "ash is a raw binding; this module is the one place that talks to it")]

mod buffer;
mod choose;
mod device;
mod image;
mod instance;
mod pipelines;
mod record;
mod slot;
mod uploads;

pub(crate) use buffer::{Buffer, Place};
pub(crate) use device::Device;
pub(crate) use image::Targets;
pub(crate) use pipelines::{Pipelines, Textures};
pub(crate) use record::{Draw, FrameInputs, submit};
pub(crate) use slot::{Readback, Slot};
pub(crate) use uploads::Uploads;
