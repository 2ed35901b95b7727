//! The logical device, its one queue and its memory.

use super::Instance;
use super::choose::Candidate;
use crate::{DeviceReport, RendererError};
use ash::vk;
use gpu_allocator::vulkan::{Allocator, AllocatorCreateDesc};
use gpu_allocator::{AllocationSizes, AllocatorDebugSettings};
use parking_lot::Mutex;
use std::mem::ManuallyDrop;

/// Memory blocks double from 16 MiB up to this: one large block would be paid for by a small scene too.
const MAX_BLOCK_BYTES: u64 = 256 << 20;

/// An open device.
pub(crate) struct Context {
    pub(crate) device: ash::Device,
    pub(crate) queue: Mutex<vk::Queue>,
    pub(crate) queue_family: u32,
    pub(crate) allocator: ManuallyDrop<Mutex<Allocator>>,
    pub(crate) report: DeviceReport,
    /// Nanoseconds per timestamp tick; `None` where the queue has no timestamps.
    pub(crate) timestamp_ns: Option<f64>,
    pub(crate) instance: Instance,
}

impl Context {
    pub(crate) fn new(instance: Instance, candidate: Candidate) -> Result<Context, RendererError> {
        let priorities = [1.0];
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(candidate.queue_family)
            .queue_priorities(&priorities)];
        let features = vk::PhysicalDeviceFeatures::default().shader_int64(true);
        let mut features12 =
            vk::PhysicalDeviceVulkan12Features::default().buffer_device_address(true).scalar_block_layout(true);
        let info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_features(&features)
            .push_next(&mut features12);
        // SAFETY: the physical device comes from this instance, and every feature was checked by `candidates`.
        let device = unsafe { instance.raw.create_device(candidate.physical, &info, None) }
            .map_err(RendererError::vulkan("vkCreateDevice"))?;
        // SAFETY: queue 0 of this family was just created; the physical device is valid.
        let (queue, properties) = unsafe {
            (
                device.get_device_queue(candidate.queue_family, 0),
                instance.raw.get_physical_device_properties(candidate.physical),
            )
        };
        let allocator = Allocator::new(&AllocatorCreateDesc {
            instance: instance.raw.clone(),
            device: device.clone(),
            physical_device: candidate.physical,
            debug_settings: AllocatorDebugSettings::default(),
            buffer_device_address: true,
            allocation_sizes: AllocationSizes::new(16 << 20, 16 << 20)
                .with_max_device_memblock_size(MAX_BLOCK_BYTES)
                .with_max_host_memblock_size(MAX_BLOCK_BYTES),
        });
        let allocator = match allocator {
            Ok(allocator) => allocator,
            Err(_) => {
                // SAFETY: nothing was made from the device yet.
                unsafe { device.destroy_device(None) };
                return Err(RendererError::OutOfMemory { what: "the memory allocator".into(), bytes: 0 });
            }
        };
        Ok(Context {
            device,
            queue: Mutex::new(queue),
            queue_family: candidate.queue_family,
            allocator: ManuallyDrop::new(Mutex::new(allocator)),
            report: candidate.report,
            timestamp_ns: candidate.timestamps.then_some(f64::from(properties.limits.timestamp_period)),
            instance,
        })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: buffers, kernels and submissions keep an `Arc` of the context, so nothing of it is left here, and the
        // allocator is dropped exactly once and before its device.
        unsafe {
            let _ = self.device.device_wait_idle();
            ManuallyDrop::drop(&mut self.allocator);
            self.device.destroy_device(None);
        }
    }
}
