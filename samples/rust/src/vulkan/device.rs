//! The logical device, its one queue, its memory, and the semaphore that counts what it has finished.

use super::choose::choose;
use super::instance::Instance;
use crate::RasterError;
use ash::vk;
use gpu_allocator::vulkan::{Allocator, AllocatorCreateDesc};
use gpu_allocator::{AllocationSizes, AllocatorDebugSettings};
use parking_lot::Mutex;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Memory blocks double from 16 MiB up to this: one large block would be paid for by a small scene too.
const MAX_BLOCK_BYTES: u64 = 256 << 20;
/// Longest wait for the GPU before it counts as hung. A CPU device on a loaded machine needs the room.
const WAIT: Duration = Duration::from_secs(120);

/// An open device.
pub(crate) struct Device {
    pub(super) raw: ash::Device,
    pub(super) allocator: ManuallyDrop<Mutex<Allocator>>,
    pub(super) pool: vk::CommandPool,
    pub(super) limits: vk::PhysicalDeviceLimits,
    queue: Mutex<vk::Queue>,
    /// A timeline: submission n sets it to n.
    finished: vk::Semaphore,
    submitted: AtomicU64,
    name: String,
    instance: Instance,
}

impl Device {
    /// Opens the device whose name contains `wish`, or the best.
    pub(crate) fn new(wish: Option<&str>, validation: bool) -> Result<Device, RasterError> {
        let instance = Instance::new(validation)?;
        let candidate = choose(&instance, wish)?;
        let priorities = [1.0];
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(candidate.queue_family)
            .queue_priorities(&priorities)];
        let features = vk::PhysicalDeviceFeatures::default()
            .shader_sampled_image_array_dynamic_indexing(true)
            .independent_blend(true);
        let mut features12 = vk::PhysicalDeviceVulkan12Features::default()
            .buffer_device_address(true)
            .timeline_semaphore(true)
            .runtime_descriptor_array(true);
        let mut features13 =
            vk::PhysicalDeviceVulkan13Features::default().dynamic_rendering(true).synchronization2(true);
        let info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_features(&features)
            .push_next(&mut features12)
            .push_next(&mut features13);
        // SAFETY: the physical device comes from this instance, and `choose` checked every feature.
        let raw = unsafe { instance.raw.create_device(candidate.physical, &info, None) }
            .map_err(RasterError::vulkan("vkCreateDevice"))?;
        let allocator = Allocator::new(&AllocatorCreateDesc {
            instance: instance.raw.clone(),
            device: raw.clone(),
            physical_device: candidate.physical,
            debug_settings: AllocatorDebugSettings::default(),
            buffer_device_address: true,
            allocation_sizes: AllocationSizes::new(16 << 20, 16 << 20)
                .with_max_device_memblock_size(MAX_BLOCK_BYTES)
                .with_max_host_memblock_size(MAX_BLOCK_BYTES),
        });
        let Ok(allocator) = allocator else {
            // SAFETY: nothing was made from the device yet.
            unsafe { raw.destroy_device(None) };
            return Err(RasterError::OutOfMemory { what: "the memory allocator", bytes: 0 });
        };
        // SAFETY: queue 0 of this family was just created.
        let queue = unsafe { raw.get_device_queue(candidate.queue_family, 0) };
        let mut device = Device {
            raw,
            allocator: ManuallyDrop::new(Mutex::new(allocator)),
            pool: vk::CommandPool::null(),
            limits: candidate.limits,
            queue: Mutex::new(queue),
            finished: vk::Semaphore::null(),
            submitted: AtomicU64::new(0),
            name: candidate.name,
            instance,
        };
        let pool = vk::CommandPoolCreateInfo::default()
            .flags(vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER)
            .queue_family_index(candidate.queue_family);
        let mut timeline = vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
        let semaphore = vk::SemaphoreCreateInfo::default().push_next(&mut timeline);
        // SAFETY: the infos' pointers are locals that live through the calls; Drop destroys what was made.
        unsafe {
            device.pool =
                device.raw.create_command_pool(&pool, None).map_err(RasterError::vulkan("vkCreateCommandPool"))?;
            device.finished =
                device.raw.create_semaphore(&semaphore, None).map_err(RasterError::vulkan("vkCreateSemaphore"))?;
        }
        Ok(device)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The longest side of a picture.
    pub(crate) fn max_extent(&self) -> u32 {
        self.limits
            .max_image_dimension2_d
            .min(self.limits.max_framebuffer_width)
            .min(self.limits.max_framebuffer_height)
    }

    /// The first messages of the validation layer; empty without it.
    pub(crate) fn validation_messages(&self) -> Vec<String> {
        self.instance.messages()
    }

    /// A command buffer of the device's pool.
    pub(super) fn command_buffer(&self) -> Result<vk::CommandBuffer, RasterError> {
        let info = vk::CommandBufferAllocateInfo::default().command_pool(self.pool).command_buffer_count(1);
        // SAFETY: the pool belongs to this device, and all of the crate's calls on it are from the engine's thread.
        let made = unsafe { self.raw.allocate_command_buffers(&info) };
        Ok(made.map_err(RasterError::vulkan("vkAllocateCommandBuffers"))?[0])
    }

    /// Hands a recorded command buffer to the GPU; gives the number that [`Device::reached`] reports when it is done.
    pub(super) fn submit(&self, commands: vk::CommandBuffer) -> Result<u64, RasterError> {
        let queue = self.queue.lock();
        let number = self.submitted.load(Ordering::Relaxed) + 1;
        let buffers = [vk::CommandBufferSubmitInfo::default().command_buffer(commands)];
        let signals = [vk::SemaphoreSubmitInfo::default()
            .semaphore(self.finished)
            .value(number)
            .stage_mask(vk::PipelineStageFlags2::ALL_COMMANDS)];
        let submits = [vk::SubmitInfo2::default().command_buffer_infos(&buffers).signal_semaphore_infos(&signals)];
        // SAFETY: the commands are recorded and idle, the queue is used under its lock, the value grows by one each time.
        unsafe { self.raw.queue_submit2(*queue, &submits, vk::Fence::null()) }
            .map_err(RasterError::vulkan("vkQueueSubmit2"))?;
        self.submitted.store(number, Ordering::Relaxed);
        Ok(number)
    }

    /// True when the submission of this number is finished.
    pub(crate) fn reached(&self, number: u64) -> Result<bool, RasterError> {
        // SAFETY: the semaphore is a timeline of this device.
        let value = unsafe { self.raw.get_semaphore_counter_value(self.finished) };
        Ok(value.map_err(RasterError::vulkan("vkGetSemaphoreCounterValue"))? >= number)
    }

    /// Waits for the submission of this number.
    pub(crate) fn wait(&self, number: u64) -> Result<(), RasterError> {
        let (semaphores, values) = ([self.finished], [number]);
        let info = vk::SemaphoreWaitInfo::default().semaphores(&semaphores).values(&values);
        // SAFETY: the semaphore is a timeline of this device.
        match unsafe { self.raw.wait_semaphores(&info, WAIT.as_nanos() as u64) } {
            Ok(()) => Ok(()),
            Err(vk::Result::TIMEOUT) => Err(RasterError::Timeout { seconds: WAIT.as_secs() }),
            Err(result) => Err(RasterError::vulkan("vkWaitSemaphores")(result)),
        }
    }

    /// Waits until everything submitted is finished.
    pub(crate) fn wait_idle(&self) -> Result<(), RasterError> {
        self.wait(self.submitted.load(Ordering::Relaxed))
    }

    /// Waits, however long it takes, until the GPU uses nothing any more: before things that it may use are dropped.
    pub(crate) fn drain(&self) {
        let _queue = self.queue.lock();
        // SAFETY: the queue is not used meanwhile. A failure means that the device is lost, and uses nothing either.
        let _ = unsafe { self.raw.device_wait_idle() };
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: everything made from the device keeps an `Arc` of it, so nothing of it is left here; the allocator is
        // dropped exactly once and before its device; null handles are allowed.
        unsafe {
            let _ = self.raw.device_wait_idle();
            self.raw.destroy_semaphore(self.finished, None);
            self.raw.destroy_command_pool(self.pool, None);
            ManuallyDrop::drop(&mut self.allocator);
            self.raw.destroy_device(None);
        }
    }
}
