//! The logical device, its one queue and its memory.

use super::choose::Candidate;
use super::{Instance, Memory};
use crate::{DeviceReport, FrontEnd, RendererError};
use ash::{khr, vk};
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
    /// Where shaders of the front ends run.
    pub(super) shader_stages: vk::PipelineStageFlags,
    /// What every buffer is aligned to: enough for scratch memory, structures and binding tables.
    pub(super) alignment: u64,
    pub(super) memory: Memory,
    structures: Option<khr::acceleration_structure::Device>,
    rays: Option<RayPipelines>,
    #[cfg(any(test, feature = "fault-injection"))]
    pub(crate) lost: std::sync::atomic::AtomicBool,
    pub(crate) instance: Instance,
}

/// What pipelines of rays need to be made.
pub(super) struct RayPipelines {
    pub(super) calls: khr::ray_tracing_pipeline::Device,
    pub(super) handle_bytes: usize,
    pub(super) table_alignment: usize,
}

/// Alignment of a structure in its buffer, by the specification.
const STRUCTURE_ALIGNMENT: u64 = 256;

impl Context {
    /// Opens a device with what these front ends need.
    pub(crate) fn new(
        instance: Instance,
        candidate: Candidate,
        front_ends: &[FrontEnd],
        memory_limit: Option<u64>,
    ) -> Result<Context, RendererError> {
        let hardware = front_ends.iter().any(|f| f.is_hardware());
        let (queries, pipelines) =
            (front_ends.contains(&FrontEnd::RayQuery), front_ends.contains(&FrontEnd::RtPipeline));
        let mut structure_features =
            vk::PhysicalDeviceAccelerationStructureFeaturesKHR::default().acceleration_structure(true);
        let mut query_features = vk::PhysicalDeviceRayQueryFeaturesKHR::default().ray_query(true);
        let mut pipeline_features =
            vk::PhysicalDeviceRayTracingPipelineFeaturesKHR::default().ray_tracing_pipeline(true);
        let mut extensions = Vec::new();
        if hardware {
            extensions.extend([khr::acceleration_structure::NAME, khr::deferred_host_operations::NAME]);
        }
        if queries {
            extensions.push(khr::ray_query::NAME);
        }
        if pipelines {
            extensions.push(khr::ray_tracing_pipeline::NAME);
        }
        let extensions: Vec<_> = extensions.into_iter().map(|name| name.as_ptr()).collect();
        let priorities = [1.0];
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(candidate.queue_family)
            .queue_priorities(&priorities)];
        let features = vk::PhysicalDeviceFeatures::default().shader_int64(true);
        let mut features12 =
            vk::PhysicalDeviceVulkan12Features::default().buffer_device_address(true).scalar_block_layout(true);
        let mut info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_features(&features)
            .enabled_extension_names(&extensions)
            .push_next(&mut features12);
        if hardware {
            info = info.push_next(&mut structure_features);
        }
        if queries {
            info = info.push_next(&mut query_features);
        }
        if pipelines {
            info = info.push_next(&mut pipeline_features);
        }
        // SAFETY: the physical device comes from this instance, and every feature was checked by `candidates`.
        let device = unsafe { instance.raw.create_device(candidate.physical, &info, None) }
            .map_err(RendererError::vulkan("vkCreateDevice"))?;
        let mut structure_limits = vk::PhysicalDeviceAccelerationStructurePropertiesKHR::default();
        let mut pipeline_limits = vk::PhysicalDeviceRayTracingPipelinePropertiesKHR::default();
        let mut properties = vk::PhysicalDeviceProperties2::default();
        if hardware {
            properties = properties.push_next(&mut structure_limits);
        }
        if pipelines {
            properties = properties.push_next(&mut pipeline_limits);
        }
        // SAFETY: queue 0 of this family was just created; the physical device is valid and has the extensions.
        let (queue, limits) = unsafe {
            instance.raw.get_physical_device_properties2(candidate.physical, &mut properties);
            (device.get_device_queue(candidate.queue_family, 0), properties.properties.limits)
        };
        let scratch_alignment = u64::from(structure_limits.min_acceleration_structure_scratch_offset_alignment);
        let table_alignment = pipeline_limits.shader_group_base_alignment;
        let alignment = match hardware {
            true => STRUCTURE_ALIGNMENT.max(scratch_alignment).max(table_alignment.into()),
            false => 1,
        };
        let mut shader_stages = vk::PipelineStageFlags::COMPUTE_SHADER;
        if pipelines {
            shader_stages |= vk::PipelineStageFlags::RAY_TRACING_SHADER_KHR;
        }
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
            shader_stages,
            alignment,
            memory: Memory::new(memory_limit),
            structures: hardware.then(|| khr::acceleration_structure::Device::new(&instance.raw, &device)),
            rays: pipelines.then(|| RayPipelines {
                calls: khr::ray_tracing_pipeline::Device::new(&instance.raw, &device),
                handle_bytes: pipeline_limits.shader_group_handle_size as usize,
                table_alignment: table_alignment as usize,
            }),
            #[cfg(any(test, feature = "fault-injection"))]
            lost: Default::default(),
            device,
            queue: Mutex::new(queue),
            queue_family: candidate.queue_family,
            allocator: ManuallyDrop::new(Mutex::new(allocator)),
            report: candidate.report,
            timestamp_ns: candidate.timestamps.then_some(f64::from(limits.timestamp_period)),
            instance,
        })
    }

    /// Of the device's own structures: only front ends that were named when it was opened make any.
    pub(super) fn structure_calls(&self) -> &khr::acceleration_structure::Device {
        self.structures.as_ref().expect("the device was opened for a front end that has structures")
    }

    pub(super) fn ray_pipelines(&self) -> &RayPipelines {
        self.rays.as_ref().expect("the device was opened for the RT pipeline")
    }

    /// Bytes of device memory that are in use.
    pub(crate) fn memory_taken(&self) -> u64 {
        self.memory.taken()
    }

    /// Where a lost device is reported in tests; drivers report it from the calls themselves.
    #[cfg(any(test, feature = "fault-injection"))]
    pub(super) fn alive(&self, during: &'static str) -> Result<(), RendererError> {
        match self.lost.load(std::sync::atomic::Ordering::Acquire) {
            true => Err(RendererError::DeviceLost { during }),
            false => Ok(()),
        }
    }

    #[cfg(not(any(test, feature = "fault-injection")))]
    #[inline]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "its twin for tests needs both")]
    pub(super) fn alive(&self, _during: &'static str) -> Result<(), RendererError> {
        Ok(())
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
