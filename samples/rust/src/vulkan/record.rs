//! Records and submits a frame: draw into the targets, copy them into the slot's readback buffer.

use super::image::{all_of, aspect};
use super::{Buffer, Device, Pipelines, Slot, Targets, Textures};
use crate::RasterError;
use crate::layout::{FrameParams, GpuInstance, Push};
use crate::planes::PlaneKind;
use ash::vk;
use vk::{AccessFlags2 as Access, ImageLayout as Layout, PipelineStageFlags2 as Stage};

/// One draw call: a run of indices for a run of instances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    pub(crate) masked: bool,
    pub(crate) material: u32,
    pub(crate) first_index: u32,
    pub(crate) index_count: u32,
    pub(crate) vertex_offset: i32,
    pub(crate) first_instance: u32,
    pub(crate) instance_count: u32,
}

/// What a frame is drawn from. All of it stays alive and unchanged until the frame is finished.
pub(crate) struct FrameInputs<'a> {
    pub(crate) targets: &'a Targets,
    pub(crate) pipelines: &'a Pipelines,
    pub(crate) textures: &'a Textures,
    pub(crate) vertices: &'a Buffer,
    pub(crate) indices: &'a Buffer,
    pub(crate) materials: &'a Buffer,
    pub(crate) params: FrameParams,
    pub(crate) instances: &'a [GpuInstance],
    /// Where in the slot's inputs, and what, poses the instances that deform.
    pub(crate) deformations_at: usize,
    pub(crate) deformations: &'a [u8],
    /// Masked ones last: what is opaque hides many of their fragments.
    pub(crate) draws: &'a [Draw],
}

/// Hands a frame to the GPU; gives the number of its submission. The slot is not in flight, and its planes are returned.
pub(crate) fn submit(device: &Device, slot: &mut Slot, inputs: &FrameInputs<'_>) -> Result<u64, RasterError> {
    slot.inputs.write(0, bytemuck::bytes_of(&inputs.params));
    slot.inputs.write(size_of::<FrameParams>(), bytemuck::cast_slice(inputs.instances));
    slot.inputs.write(inputs.deformations_at, inputs.deformations);
    let (commands, frame) = (slot.commands, slot.inputs.address());
    let push = Push {
        frame,
        instances: frame + size_of::<FrameParams>() as u64,
        materials: inputs.materials.address(),
        ..Push::default()
    };
    let readback = slot.writable().expect("the engine draws only into slots that were returned").buffer.handle;
    let raw = &device.raw;
    let begin = vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
    // SAFETY: the command buffer is not in flight.
    unsafe { raw.begin_command_buffer(commands, &begin) }.map_err(RasterError::vulkan("vkBeginCommandBuffer"))?;
    to_attachments(raw, commands, inputs.targets);
    draw(raw, commands, inputs, push);
    to_copies(raw, commands, inputs.targets);
    copy(raw, commands, inputs.targets, readback);
    // SAFETY: recording is under way.
    unsafe { raw.end_command_buffer(commands) }.map_err(RasterError::vulkan("vkEndCommandBuffer"))?;
    device.submit(commands)
}

fn draw(raw: &ash::Device, commands: vk::CommandBuffer, inputs: &FrameInputs<'_>, push: Push) {
    let layout = inputs.targets.layout;
    let area = vk::Rect2D::default().extent(vk::Extent2D { width: layout.width, height: layout.height });
    let attachment = |(kind, image): (PlaneKind, &super::image::Image)| {
        let layout = match kind {
            PlaneKind::Depth => Layout::DEPTH_ATTACHMENT_OPTIMAL,
            _ => Layout::COLOR_ATTACHMENT_OPTIMAL,
        };
        // All planes are 0 where nothing is: bits of zero are zero in each format, infinitely far in reversed depth.
        vk::RenderingAttachmentInfo::default()
            .image_view(image.view)
            .image_layout(layout)
            .load_op(vk::AttachmentLoadOp::CLEAR)
            .store_op(vk::AttachmentStoreOp::STORE)
    };
    let all: Vec<_> = inputs.targets.planes().map(attachment).collect();
    let info = vk::RenderingInfo::default()
        .render_area(area)
        .layer_count(1)
        .depth_attachment(&all[0])
        .color_attachments(&all[1..]);
    let viewport = [vk::Viewport {
        width: layout.width as f32,
        height: layout.height as f32,
        max_depth: 1.0,
        ..vk::Viewport::default()
    }];
    let p = inputs.pipelines;
    let stages = vk::ShaderStageFlags::VERTEX | vk::ShaderStageFlags::FRAGMENT;
    // SAFETY: recording is under way; images are in these layouts; pipelines, layout and set belong together; indices,
    // vertices, instances and materials of the draws were checked when the scene was loaded.
    unsafe {
        raw.cmd_begin_rendering(commands, &info);
        raw.cmd_set_viewport(commands, 0, &viewport);
        raw.cmd_set_scissor(commands, 0, &[area]);
        raw.cmd_bind_descriptor_sets(
            commands,
            vk::PipelineBindPoint::GRAPHICS,
            p.layout,
            0,
            &[inputs.textures.set],
            &[],
        );
        raw.cmd_bind_vertex_buffers(commands, 0, &[inputs.vertices.handle], &[0]);
        raw.cmd_bind_index_buffer(commands, inputs.indices.handle, 0, vk::IndexType::UINT32);
        let mut bound = None;
        for d in inputs.draws {
            if bound != Some(d.masked) {
                let pipeline = if d.masked { p.masked } else { p.opaque };
                raw.cmd_bind_pipeline(commands, vk::PipelineBindPoint::GRAPHICS, pipeline);
                bound = Some(d.masked);
            }
            let push = Push { material: d.material, ..push };
            raw.cmd_push_constants(commands, p.layout, stages, 0, bytemuck::bytes_of(&push));
            raw.cmd_draw_indexed(
                commands,
                d.index_count,
                d.instance_count,
                d.first_index,
                d.vertex_offset,
                d.first_instance,
            );
        }
        raw.cmd_bind_pipeline(commands, vk::PipelineBindPoint::GRAPHICS, p.sky);
        raw.cmd_push_constants(commands, p.layout, stages, 0, bytemuck::bytes_of(&push));
        raw.cmd_draw(commands, 3, 1, 0, 0);
        raw.cmd_end_rendering(commands);
    }
}

/// From the copies of the frame before, whose contents no longer matter, to attachments.
fn to_attachments(raw: &ash::Device, commands: vk::CommandBuffer, targets: &Targets) {
    transition(raw, commands, targets, |kind, barrier| {
        let barrier = barrier.src_stage_mask(Stage::COPY).old_layout(Layout::UNDEFINED);
        match kind {
            PlaneKind::Depth => barrier
                .dst_stage_mask(Stage::EARLY_FRAGMENT_TESTS | Stage::LATE_FRAGMENT_TESTS)
                .dst_access_mask(Access::DEPTH_STENCIL_ATTACHMENT_READ | Access::DEPTH_STENCIL_ATTACHMENT_WRITE)
                .new_layout(Layout::DEPTH_ATTACHMENT_OPTIMAL),
            _ => barrier
                .dst_stage_mask(Stage::COLOR_ATTACHMENT_OUTPUT)
                .dst_access_mask(Access::COLOR_ATTACHMENT_WRITE)
                .new_layout(Layout::COLOR_ATTACHMENT_OPTIMAL),
        }
    });
}

fn to_copies(raw: &ash::Device, commands: vk::CommandBuffer, targets: &Targets) {
    transition(raw, commands, targets, |kind, barrier| {
        let barrier = match kind {
            PlaneKind::Depth => barrier
                .src_stage_mask(Stage::EARLY_FRAGMENT_TESTS | Stage::LATE_FRAGMENT_TESTS)
                .src_access_mask(Access::DEPTH_STENCIL_ATTACHMENT_WRITE)
                .old_layout(Layout::DEPTH_ATTACHMENT_OPTIMAL),
            _ => barrier
                .src_stage_mask(Stage::COLOR_ATTACHMENT_OUTPUT)
                .src_access_mask(Access::COLOR_ATTACHMENT_WRITE)
                .old_layout(Layout::COLOR_ATTACHMENT_OPTIMAL),
        };
        barrier
            .dst_stage_mask(Stage::COPY)
            .dst_access_mask(Access::TRANSFER_READ)
            .new_layout(Layout::TRANSFER_SRC_OPTIMAL)
    });
}

fn transition<'a>(
    raw: &ash::Device,
    commands: vk::CommandBuffer,
    targets: &Targets,
    barrier: impl Fn(PlaneKind, vk::ImageMemoryBarrier2<'a>) -> vk::ImageMemoryBarrier2<'a>,
) {
    let barriers: Vec<_> = targets
        .planes()
        .map(|(kind, image)| {
            let of_image =
                vk::ImageMemoryBarrier2::default().image(image.handle).subresource_range(all_of(aspect(kind)));
            barrier(kind, of_image)
        })
        .collect();
    let dependency = vk::DependencyInfo::default().image_memory_barriers(&barriers);
    // SAFETY: recording is under way; the images belong to this device.
    unsafe { raw.cmd_pipeline_barrier2(commands, &dependency) };
}

/// Copies all planes; the CPU sees them once the submission is finished.
fn copy(raw: &ash::Device, commands: vk::CommandBuffer, targets: &Targets, readback: vk::Buffer) {
    let layout = targets.layout;
    for (kind, image) in targets.planes() {
        let pixels_a_row = layout.row_pitch(kind) / kind.format().bytes_per_pixel();
        let region = [vk::BufferImageCopy::default()
            .buffer_offset(layout.offset(kind) as u64)
            .buffer_row_length(pixels_a_row as u32)
            .image_subresource(vk::ImageSubresourceLayers::default().aspect_mask(aspect(kind)).layer_count(1))
            .image_extent(vk::Extent3D { width: layout.width, height: layout.height, depth: 1 })];
        // SAFETY: recording is under way; the buffer was made for this layout; the image is in the source layout.
        unsafe {
            raw.cmd_copy_image_to_buffer(commands, image.handle, Layout::TRANSFER_SRC_OPTIMAL, readback, &region);
        }
    }
    let to_host = [vk::MemoryBarrier2::default()
        .src_stage_mask(Stage::COPY)
        .src_access_mask(Access::TRANSFER_WRITE)
        .dst_stage_mask(Stage::HOST)
        .dst_access_mask(Access::HOST_READ)];
    // SAFETY: recording is under way.
    unsafe { raw.cmd_pipeline_barrier2(commands, &vk::DependencyInfo::default().memory_barriers(&to_host)) };
}
