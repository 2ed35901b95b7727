//! Puts buffers and textures into the device's memory, one after the other.

use super::image::{Image, ImageKind, all_of};
use super::{Buffer, Device, Place};
use crate::RasterError;
use crate::mips::Mips;
use ash::vk;
use std::sync::Arc;

/// A command buffer that is recorded, submitted and waited for again and again.
pub(crate) struct Uploads {
    device: Arc<Device>,
    commands: vk::CommandBuffer,
}

impl Uploads {
    pub(crate) fn new(device: &Arc<Device>) -> Result<Uploads, RasterError> {
        Ok(Uploads { device: device.clone(), commands: device.command_buffer()? })
    }

    /// A buffer in the device's memory with these bytes.
    pub(crate) fn buffer(&self, what: &'static str, bytes: &[u8]) -> Result<Buffer, RasterError> {
        let buffer = Buffer::new(&self.device, what, bytes.len() as u64, Place::Device)?;
        if !bytes.is_empty() {
            let mut staging = Buffer::new(&self.device, "staging", bytes.len() as u64, Place::Upload)?;
            staging.write(0, bytes);
            let regions = [vk::BufferCopy::default().size(bytes.len() as u64)];
            self.run(|device, commands| {
                // SAFETY: recording is under way; both buffers hold the bytes and live until the work is done.
                unsafe { device.cmd_copy_buffer(commands, staging.handle, buffer.handle, &regions) };
            })?;
        }
        Ok(buffer)
    }

    /// A texture; `color` is sRGB-encoded.
    pub(super) fn texture(&self, mips: &Mips, color: bool) -> Result<Image, RasterError> {
        let (width, height, _) = mips.levels[0];
        let limit = self.device.limits.max_image_dimension2_d;
        if width > limit || height > limit {
            return Err(RasterError::Extent { width, height, limit });
        }
        let image = Image::new(
            &self.device,
            &ImageKind {
                what: "a texture",
                format: if color { vk::Format::R8G8B8A8_SRGB } else { vk::Format::R8G8B8A8_UNORM },
                extent: vk::Extent2D { width, height },
                mip_levels: mips.levels.len() as u32,
                usage: vk::ImageUsageFlags::SAMPLED | vk::ImageUsageFlags::TRANSFER_DST,
                aspect: vk::ImageAspectFlags::COLOR,
            },
        )?;
        let mut staging = Buffer::new(&self.device, "staging", mips.bytes.len() as u64, Place::Upload)?;
        staging.write(0, &mips.bytes);
        let region = |(level, (width, height, first)): (usize, &(u32, u32, usize))| {
            let of = vk::ImageSubresourceLayers::default().aspect_mask(vk::ImageAspectFlags::COLOR);
            vk::BufferImageCopy::default()
                .buffer_offset(*first as u64)
                .image_subresource(of.mip_level(level as u32).layer_count(1))
                .image_extent(vk::Extent3D { width: *width, height: *height, depth: 1 })
        };
        let regions: Vec<_> = mips.levels.iter().enumerate().map(region).collect();
        self.run(|device, commands| {
            use vk::{AccessFlags2 as Access, ImageLayout as Layout, PipelineStageFlags2 as Stage};
            let whole = vk::ImageMemoryBarrier2::default()
                .image(image.handle)
                .subresource_range(all_of(vk::ImageAspectFlags::COLOR));
            let before = whole
                .dst_stage_mask(Stage::COPY)
                .dst_access_mask(Access::TRANSFER_WRITE)
                .new_layout(Layout::TRANSFER_DST_OPTIMAL);
            let after = whole
                .src_stage_mask(Stage::COPY)
                .src_access_mask(Access::TRANSFER_WRITE)
                .old_layout(Layout::TRANSFER_DST_OPTIMAL)
                .dst_stage_mask(Stage::FRAGMENT_SHADER)
                .dst_access_mask(Access::SHADER_SAMPLED_READ)
                .new_layout(Layout::SHADER_READ_ONLY_OPTIMAL);
            let barrier = |barrier| {
                let barriers = [barrier];
                let dependency = vk::DependencyInfo::default().image_memory_barriers(&barriers);
                // SAFETY: recording is under way; the image is in the old layout.
                unsafe { device.cmd_pipeline_barrier2(commands, &dependency) };
            };
            barrier(before);
            // SAFETY: recording is under way; the staging buffer holds all levels; the image is in this layout.
            unsafe {
                let layout = Layout::TRANSFER_DST_OPTIMAL;
                device.cmd_copy_buffer_to_image(commands, staging.handle, image.handle, layout, &regions);
            }
            barrier(after);
        })?;
        Ok(image)
    }

    /// Records, submits and waits: what was recorded is no longer used by the GPU afterwards.
    fn run(&self, record: impl FnOnce(&ash::Device, vk::CommandBuffer)) -> Result<(), RasterError> {
        let begin = vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        // SAFETY: the command buffer is idle: every earlier use of it was waited for.
        unsafe { self.device.raw.begin_command_buffer(self.commands, &begin) }
            .map_err(RasterError::vulkan("vkBeginCommandBuffer"))?;
        record(&self.device.raw, self.commands);
        // SAFETY: recording is under way.
        unsafe { self.device.raw.end_command_buffer(self.commands) }
            .map_err(RasterError::vulkan("vkEndCommandBuffer"))?;
        let number = self.device.submit(self.commands)?;
        self.device.wait(number).inspect_err(|_| self.device.drain())
    }
}
