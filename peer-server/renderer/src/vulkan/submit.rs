//! Recording dispatches, submitting them, and waiting for their fence.

use super::kernels::Pipeline;
use super::{Buffer, Context, Kernel, Kernels};
use crate::RendererError;
use ash::vk;
use std::any::Any;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for the GPU before it counts as hung. A CPU device on a loaded machine needs the room.
const WAIT_SECONDS: u64 = 120;
/// Rays along a side of what takes the place of a workgroup.
const LAUNCH_SIDE: u32 = 8;
/// Most time stamps of one submission.
const MAX_STAMPS: u32 = 16;

/// Makes recorders and runs one-time copies.
pub(crate) struct Submitter {
    context: Arc<Context>,
}

impl Submitter {
    pub(crate) fn new(context: Arc<Context>) -> Submitter {
        Submitter { context }
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Starts recording.
    pub(crate) fn record(&self) -> Result<Recorder, RendererError> {
        Recorder::new(&self.context)
    }

    /// Copies `bytes` bytes and waits for it.
    pub(super) fn copy_now(&self, from: &Buffer, to: &Buffer, bytes: u64) -> Result<(), RendererError> {
        let mut recorder = self.record()?;
        recorder.copy(from, to, bytes);
        recorder.submit(Box::new(()))?.wait()
    }
}

/// A command buffer being recorded.
pub(crate) struct Recorder {
    objects: Objects,
    stamps: u32,
}

impl Recorder {
    fn new(context: &Arc<Context>) -> Result<Recorder, RendererError> {
        let objects = Objects::new(context)?;
        let begin = vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        // SAFETY: the command buffer is fresh.
        unsafe {
            context
                .device
                .begin_command_buffer(objects.commands, &begin)
                .map_err(RendererError::vulkan("vkBeginCommandBuffer"))?;
            if objects.queries != vk::QueryPool::null() {
                context.device.cmd_reset_query_pool(objects.commands, objects.queries, 0, MAX_STAMPS);
            }
        }
        Ok(Recorder { objects, stamps: 0 })
    }

    /// Runs `groups` workgroups of 64 invocations of a kernel, of 8x8 where rays are launched.
    pub(crate) fn dispatch(&mut self, kernels: &Kernels, kernel: Kernel, groups: (u32, u32), push: &[u8]) {
        let (device, commands) = (&self.objects.context.device, self.objects.commands);
        // SAFETY: recording is under way; pipeline, layout and binding table belong to this device; `push` is at most
        // PUSH_BYTES long and a multiple of 4, as its types in `layout` assert.
        unsafe {
            device.cmd_push_constants(commands, kernels.layout, kernels.push_stages, 0, push);
            match kernels.pipeline(kernel) {
                Pipeline::Compute(pipeline) => {
                    device.cmd_bind_pipeline(commands, vk::PipelineBindPoint::COMPUTE, *pipeline);
                    device.cmd_dispatch(commands, groups.0, groups.1, 1);
                }
                Pipeline::Rays { pipeline, calls, table } => {
                    device.cmd_bind_pipeline(commands, vk::PipelineBindPoint::RAY_TRACING_KHR, *pipeline);
                    let (width, height) = (groups.0 * LAUNCH_SIDE, groups.1 * LAUNCH_SIDE);
                    let none = vk::StridedDeviceAddressRegionKHR::default();
                    calls.cmd_trace_rays(commands, &table.generation, &table.miss, &table.hit, &none, width, height, 1);
                }
            }
        }
    }

    /// For what other files of this module record.
    pub(super) fn commands(&self) -> vk::CommandBuffer {
        self.objects.commands
    }

    /// Acceleration structures that were built or copied before are there for everything after.
    pub(super) fn structures_barrier(&mut self) {
        use vk::{AccessFlags as Access, PipelineStageFlags as Stage};
        let (read, write) = (Access::ACCELERATION_STRUCTURE_READ_KHR, Access::ACCELERATION_STRUCTURE_WRITE_KHR);
        let barrier = [vk::MemoryBarrier::default().src_access_mask(write).dst_access_mask(read | write)];
        let (device, commands) = (&self.objects.context.device, self.objects.commands);
        let build = Stage::ACCELERATION_STRUCTURE_BUILD_KHR;
        let after = build | self.objects.context.shader_stages;
        let flags = vk::DependencyFlags::empty();
        // SAFETY: recording is under way; whoever has structures has their extension.
        unsafe { device.cmd_pipeline_barrier(commands, build, after, flags, &barrier, &[], &[]) };
    }

    /// What shaders wrote before is there for structures that are built after.
    pub(crate) fn build_inputs_barrier(&mut self) {
        use vk::{AccessFlags as Access, PipelineStageFlags as Stage};
        let barrier =
            [vk::MemoryBarrier::default().src_access_mask(Access::SHADER_WRITE).dst_access_mask(Access::SHADER_READ)];
        let (device, commands) = (&self.objects.context.device, self.objects.commands);
        let (before, after) = (Stage::COMPUTE_SHADER, Stage::ACCELERATION_STRUCTURE_BUILD_KHR);
        let flags = vk::DependencyFlags::empty();
        // SAFETY: recording is under way; whoever builds structures has their extension.
        unsafe { device.cmd_pipeline_barrier(commands, before, after, flags, &barrier, &[], &[]) };
    }

    /// Sets a buffer's first bytes to zero.
    pub(crate) fn clear(&mut self, buffer: &Buffer, offset: u64, bytes: u64) {
        let (device, commands) = (&self.objects.context.device, self.objects.commands);
        // SAFETY: recording is under way, the range lies within the buffer and is a multiple of 4.
        unsafe { device.cmd_fill_buffer(commands, buffer.handle, offset, bytes.next_multiple_of(4), 0) };
    }

    /// Copies the first `bytes` bytes.
    pub(crate) fn copy(&mut self, from: &Buffer, to: &Buffer, bytes: u64) {
        let region = [vk::BufferCopy::default().size(bytes)];
        let (device, commands) = (&self.objects.context.device, self.objects.commands);
        // SAFETY: recording is under way, both buffers hold `bytes` bytes and have the transfer usages.
        unsafe { device.cmd_copy_buffer(commands, from.handle, to.handle, &region) };
    }

    /// Everything recorded before is visible to everything after, and to the CPU once the fence has signalled.
    pub(crate) fn barrier(&mut self) {
        use vk::{AccessFlags as Access, PipelineStageFlags as Stage};
        let stages = self.objects.context.shader_stages | Stage::TRANSFER;
        let writes = Access::SHADER_WRITE | Access::TRANSFER_WRITE;
        let reads = Access::SHADER_READ | Access::TRANSFER_READ | Access::HOST_READ;
        let barrier = [vk::MemoryBarrier::default().src_access_mask(writes).dst_access_mask(reads | writes)];
        let (device, commands) = (&self.objects.context.device, self.objects.commands);
        // SAFETY: recording is under way.
        unsafe {
            let flags = vk::DependencyFlags::empty();
            device.cmd_pipeline_barrier(commands, stages, stages | Stage::HOST, flags, &barrier, &[], &[]);
        }
    }

    /// Stamps the time at which everything before is done.
    pub(crate) fn stamp(&mut self) {
        if self.objects.queries == vk::QueryPool::null() || self.stamps == MAX_STAMPS {
            return;
        }
        let (device, commands) = (&self.objects.context.device, self.objects.commands);
        // SAFETY: recording is under way and query `stamps` is below the pool's size.
        unsafe {
            let stage = vk::PipelineStageFlags::BOTTOM_OF_PIPE;
            device.cmd_write_timestamp(commands, stage, self.objects.queries, self.stamps);
        }
        self.stamps += 1;
    }

    /// Hands the work to the GPU; `keeps` stays alive until it is done.
    pub(crate) fn submit(self, keeps: Box<dyn Any + Send + Sync>) -> Result<Submission, RendererError> {
        let objects = self.objects;
        let commands = [objects.commands];
        let submits = [vk::SubmitInfo::default().command_buffers(&commands)];
        let device = &objects.context.device;
        // SAFETY: recording ends here; the queue is used under its lock; fence and commands are unused so far.
        unsafe {
            device.end_command_buffer(objects.commands).map_err(RendererError::vulkan("vkEndCommandBuffer"))?;
            let queue = objects.context.queue.lock();
            objects.context.alive("vkQueueSubmit")?;
            device.queue_submit(*queue, &submits, objects.fence).map_err(RendererError::vulkan("vkQueueSubmit"))?;
        }
        Ok(Submission { objects: ManuallyDrop::new(objects), stamps: self.stamps, keeps: Some(keeps) })
    }
}

/// Work that the GPU has been given.
pub(crate) struct Submission {
    objects: ManuallyDrop<Objects>,
    stamps: u32,
    keeps: Option<Box<dyn Any + Send + Sync>>,
}

impl Submission {
    /// True when it is finished.
    pub(crate) fn poll(&self) -> Result<bool, RendererError> {
        // SAFETY: the fence belongs to this device and was submitted.
        unsafe { self.objects.context.device.get_fence_status(self.objects.fence) }
            .map_err(RendererError::vulkan("vkGetFenceStatus"))
    }

    /// Waits until it is finished.
    pub(crate) fn wait(&self) -> Result<(), RendererError> {
        self.wait_for_fence()?;
        self.objects.context.alive("vkWaitForFences")
    }

    fn wait_for_fence(&self) -> Result<(), RendererError> {
        let timeout = Duration::from_secs(WAIT_SECONDS).as_nanos() as u64;
        // SAFETY: the fence belongs to this device and was submitted.
        match unsafe { self.objects.context.device.wait_for_fences(&[self.objects.fence], true, timeout) } {
            Ok(()) => Ok(()),
            Err(vk::Result::TIMEOUT) => Err(RendererError::Timeout { during: "a submission", seconds: WAIT_SECONDS }),
            Err(result) => Err(RendererError::vulkan("vkWaitForFences")(result)),
        }
    }

    /// Time between consecutive stamps; empty where the device has none. Call after [`Submission::wait`].
    pub(crate) fn intervals(&self) -> Vec<Duration> {
        let Some(tick_ns) = self.objects.context.timestamp_ns else { return Vec::new() };
        let mut ticks = vec![0u64; self.stamps as usize];
        if ticks.is_empty() {
            return Vec::new();
        }
        // SAFETY: the fence has signalled, so the first `stamps` queries of the pool are available.
        let read = unsafe {
            let flags = vk::QueryResultFlags::TYPE_64;
            self.objects.context.device.get_query_pool_results(self.objects.queries, 0, &mut ticks, flags)
        };
        match read {
            Ok(()) => ticks
                .windows(2)
                .map(|w| Duration::from_nanos((w[1].saturating_sub(w[0]) as f64 * tick_ns) as u64))
                .collect(),
            Err(_) => Vec::new(),
        }
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        if self.wait_for_fence().is_err_and(|e| matches!(e, RendererError::Timeout { .. })) {
            // The GPU may still write: leaking is the only safe thing left.
            std::mem::forget(self.keeps.take());
            return;
        }
        // SAFETY: dropped once, here.
        unsafe { ManuallyDrop::drop(&mut self.objects) };
    }
}

/// The Vulkan objects of one submission.
struct Objects {
    context: Arc<Context>,
    pool: vk::CommandPool,
    commands: vk::CommandBuffer,
    fence: vk::Fence,
    queries: vk::QueryPool,
}

impl Objects {
    fn new(context: &Arc<Context>) -> Result<Objects, RendererError> {
        let mut objects = Objects {
            context: context.clone(),
            pool: vk::CommandPool::null(),
            commands: vk::CommandBuffer::null(),
            fence: vk::Fence::null(),
            queries: vk::QueryPool::null(),
        };
        let device = &context.device;
        // SAFETY: plain creation calls; whatever was made is destroyed by Drop, also when a later one fails.
        unsafe {
            let pool = vk::CommandPoolCreateInfo::default()
                .flags(vk::CommandPoolCreateFlags::TRANSIENT)
                .queue_family_index(context.queue_family);
            objects.pool =
                device.create_command_pool(&pool, None).map_err(RendererError::vulkan("vkCreateCommandPool"))?;
            let allocate = vk::CommandBufferAllocateInfo::default().command_pool(objects.pool).command_buffer_count(1);
            objects.commands = device
                .allocate_command_buffers(&allocate)
                .map_err(RendererError::vulkan("vkAllocateCommandBuffers"))?[0];
            objects.fence = device
                .create_fence(&vk::FenceCreateInfo::default(), None)
                .map_err(RendererError::vulkan("vkCreateFence"))?;
            if context.timestamp_ns.is_some() {
                let info =
                    vk::QueryPoolCreateInfo::default().query_type(vk::QueryType::TIMESTAMP).query_count(MAX_STAMPS);
                objects.queries =
                    device.create_query_pool(&info, None).map_err(RendererError::vulkan("vkCreateQueryPool"))?;
            }
        }
        Ok(objects)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // SAFETY: a submission waits for its fence before its objects are dropped; null handles are allowed.
        unsafe {
            self.context.device.destroy_query_pool(self.queries, None);
            self.context.device.destroy_fence(self.fence, None);
            self.context.device.destroy_command_pool(self.pool, None);
        }
    }
}
