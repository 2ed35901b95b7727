//! A scene's textures as descriptors, and the pipelines: opaque and masked surfaces, and the sky.

use super::image::{Image, vk_format};
use super::{Device, Uploads};
use crate::RasterError;
use crate::layout::{GpuVertex, Push};
use crate::mips::Mips;
use crate::planes::PlaneKind;
use crate::shaders::{SCENE_FRAGMENT, SCENE_VERTEX, SKY_FRAGMENT, SKY_VERTEX, Shader};
use ash::vk;
use std::mem::offset_of;
use std::sync::Arc;

/// Sampled textures in one descriptor set.
pub(crate) struct Textures {
    device: Arc<Device>,
    layout: vk::DescriptorSetLayout,
    pool: vk::DescriptorPool,
    sampler: vk::Sampler,
    pub(super) set: vk::DescriptorSet,
    _images: Vec<Image>,
}

impl Textures {
    /// `texture` gives each of `count` textures in turn, and whether it is colour.
    pub(crate) fn new<E: From<RasterError>>(
        device: &Arc<Device>,
        uploads: &Uploads,
        count: usize,
        texture: impl Fn(usize) -> Result<(Mips, bool), E>,
    ) -> Result<Textures, E> {
        let l = &device.limits;
        let others = PlaneKind::ALL.len() as u32;
        let limit = [
            l.max_per_stage_descriptor_sampled_images,
            l.max_per_stage_descriptor_samplers,
            l.max_descriptor_set_sampled_images,
            l.max_descriptor_set_samplers,
            l.max_per_stage_resources.saturating_sub(others),
        ];
        let limit = limit.into_iter().min().unwrap_or(0) as usize;
        if count > limit {
            return Err(RasterError::TooMany { what: "textures", count, limit }.into());
        }
        let mut images = Vec::with_capacity(count.max(1));
        for i in 0..count {
            let (mips, color) = texture(i)?;
            images.push(uploads.texture(&mips, color)?);
        }
        if images.is_empty() {
            // A descriptor set has at least one; no material reads it.
            images.push(uploads.texture(&Mips::new(1, 1, vec![255; 4], false), false)?);
        }
        Ok(Textures::bind(device, images)?)
    }

    fn bind(device: &Arc<Device>, images: Vec<Image>) -> Result<Textures, RasterError> {
        let count = images.len() as u32;
        let mut t = Textures {
            device: device.clone(),
            layout: vk::DescriptorSetLayout::null(),
            pool: vk::DescriptorPool::null(),
            sampler: vk::Sampler::null(),
            set: vk::DescriptorSet::null(),
            _images: images,
        };
        let kind = vk::DescriptorType::COMBINED_IMAGE_SAMPLER;
        let bindings = [vk::DescriptorSetLayoutBinding::default()
            .descriptor_type(kind)
            .descriptor_count(count)
            .stage_flags(vk::ShaderStageFlags::FRAGMENT)];
        let sizes = [vk::DescriptorPoolSize::default().ty(kind).descriptor_count(count)];
        // Bilinear within the nearest mip, repeating: what the ray tracer does in its shader.
        let sampler = vk::SamplerCreateInfo::default()
            .mag_filter(vk::Filter::LINEAR)
            .min_filter(vk::Filter::LINEAR)
            .mipmap_mode(vk::SamplerMipmapMode::NEAREST)
            .max_lod(vk::LOD_CLAMP_NONE);
        let raw = &device.raw;
        // SAFETY: the infos' pointers are locals that live through the calls; views and sampler live as long as the set;
        // whatever was made is destroyed by Drop, also when a later call fails.
        unsafe {
            t.layout = raw
                .create_descriptor_set_layout(&vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings), None)
                .map_err(RasterError::vulkan("vkCreateDescriptorSetLayout"))?;
            t.pool = raw
                .create_descriptor_pool(&vk::DescriptorPoolCreateInfo::default().pool_sizes(&sizes).max_sets(1), None)
                .map_err(RasterError::vulkan("vkCreateDescriptorPool"))?;
            t.sampler = raw.create_sampler(&sampler, None).map_err(RasterError::vulkan("vkCreateSampler"))?;
            let layouts = [t.layout];
            let info = vk::DescriptorSetAllocateInfo::default().descriptor_pool(t.pool).set_layouts(&layouts);
            t.set = raw.allocate_descriptor_sets(&info).map_err(RasterError::vulkan("vkAllocateDescriptorSets"))?[0];
            let infos: Vec<_> = t
                ._images
                .iter()
                .map(|image| {
                    vk::DescriptorImageInfo::default()
                        .sampler(t.sampler)
                        .image_view(image.view)
                        .image_layout(vk::ImageLayout::SHADER_READ_ONLY_OPTIMAL)
                })
                .collect();
            let writes = [vk::WriteDescriptorSet::default().dst_set(t.set).descriptor_type(kind).image_info(&infos)];
            raw.update_descriptor_sets(&writes, &[]);
        }
        Ok(t)
    }
}

impl Drop for Textures {
    fn drop(&mut self) {
        // SAFETY: nothing submitted uses them any more (see the module's rule); null handles are allowed.
        unsafe {
            self.device.raw.destroy_sampler(self.sampler, None);
            self.device.raw.destroy_descriptor_pool(self.pool, None);
            self.device.raw.destroy_descriptor_set_layout(self.layout, None);
        }
    }
}

/// The pipelines of a scene.
pub(crate) struct Pipelines {
    device: Arc<Device>,
    pub(super) layout: vk::PipelineLayout,
    pub(super) opaque: vk::Pipeline,
    pub(super) masked: vk::Pipeline,
    pub(super) sky: vk::Pipeline,
}

impl Pipelines {
    pub(crate) fn new(device: &Arc<Device>, textures: &Textures) -> Result<Pipelines, RasterError> {
        let mut p = Pipelines {
            device: device.clone(),
            layout: vk::PipelineLayout::null(),
            opaque: vk::Pipeline::null(),
            masked: vk::Pipeline::null(),
            sky: vk::Pipeline::null(),
        };
        let stages = vk::ShaderStageFlags::VERTEX | vk::ShaderStageFlags::FRAGMENT;
        let push = [vk::PushConstantRange::default().stage_flags(stages).size(size_of::<Push>() as u32)];
        let sets = [textures.layout];
        let info = vk::PipelineLayoutCreateInfo::default().push_constant_ranges(&push).set_layouts(&sets);
        // SAFETY: the info's pointers are locals that live through the call.
        p.layout = unsafe { device.raw.create_pipeline_layout(&info, None) }
            .map_err(RasterError::vulkan("vkCreatePipelineLayout"))?;
        p.opaque = p.compile(SCENE_VERTEX, SCENE_FRAGMENT, Surface::Opaque)?;
        p.masked = p.compile(SCENE_VERTEX, SCENE_FRAGMENT, Surface::Masked)?;
        p.sky = p.compile(SKY_VERTEX, SKY_FRAGMENT, Surface::Sky)?;
        Ok(p)
    }

    fn compile(&self, vertex: &Shader, fragment: &Shader, surface: Surface) -> Result<vk::Pipeline, RasterError> {
        let is_sky = surface == Surface::Sky;
        let entries = [vk::SpecializationMapEntry::default().size(4)];
        let value = u32::from(surface == Surface::Masked).to_le_bytes();
        let masked = vk::SpecializationInfo::default().map_entries(&entries).data(&value);
        let modules = [self.module(vertex)?, self.module(fragment)?];
        let stage = |i: usize, stage| {
            vk::PipelineShaderStageCreateInfo::default().stage(stage).module(modules[i].handle).name(c"main")
        };
        let mut stages = [stage(0, vk::ShaderStageFlags::VERTEX), stage(1, vk::ShaderStageFlags::FRAGMENT)];
        if !is_sky {
            stages[1] = stages[1].specialization_info(&masked);
        }
        let bindings = [vk::VertexInputBindingDescription::default().stride(size_of::<GpuVertex>() as u32)];
        let attribute = |location, format, offset: usize| {
            vk::VertexInputAttributeDescription::default().location(location).format(format).offset(offset as u32)
        };
        let attributes = [
            attribute(0, vk::Format::R32G32B32_SFLOAT, offset_of!(GpuVertex, position)),
            attribute(1, vk::Format::R32G32B32_SFLOAT, offset_of!(GpuVertex, normal)),
            attribute(2, vk::Format::R32G32B32A32_SFLOAT, offset_of!(GpuVertex, tangent)),
            attribute(3, vk::Format::R32G32_SFLOAT, offset_of!(GpuVertex, uv)),
        ];
        let mut input = vk::PipelineVertexInputStateCreateInfo::default();
        if !is_sky {
            input = input.vertex_binding_descriptions(&bindings).vertex_attribute_descriptions(&attributes);
        }
        let assembly =
            vk::PipelineInputAssemblyStateCreateInfo::default().topology(vk::PrimitiveTopology::TRIANGLE_LIST);
        let viewport = vk::PipelineViewportStateCreateInfo::default().viewport_count(1).scissor_count(1);
        // Rays hit both sides of a triangle, so nothing is culled.
        let raster = vk::PipelineRasterizationStateCreateInfo::default()
            .cull_mode(vk::CullModeFlags::NONE)
            .front_face(vk::FrontFace::COUNTER_CLOCKWISE)
            .line_width(1.0);
        let samples =
            vk::PipelineMultisampleStateCreateInfo::default().rasterization_samples(vk::SampleCountFlags::TYPE_1);
        // Reversed: nearer is greater. The sky is at 0, where nothing was drawn.
        let depth = vk::PipelineDepthStencilStateCreateInfo::default()
            .depth_test_enable(true)
            .depth_write_enable(!is_sky)
            .depth_compare_op(if is_sky { vk::CompareOp::EQUAL } else { vk::CompareOp::GREATER });
        let colors = PlaneKind::ALL.into_iter().filter(|kind| *kind != PlaneKind::Depth);
        let blend: Vec<_> = colors
            .clone()
            .map(|kind| {
                let written = !is_sky || kind == PlaneKind::Motion;
                let mask = if written { vk::ColorComponentFlags::RGBA } else { vk::ColorComponentFlags::empty() };
                vk::PipelineColorBlendAttachmentState::default().color_write_mask(mask)
            })
            .collect();
        let blend = vk::PipelineColorBlendStateCreateInfo::default().attachments(&blend);
        let states = [vk::DynamicState::VIEWPORT, vk::DynamicState::SCISSOR];
        let dynamic = vk::PipelineDynamicStateCreateInfo::default().dynamic_states(&states);
        let formats: Vec<vk::Format> = colors.map(vk_format).collect();
        let mut rendering = vk::PipelineRenderingCreateInfo::default()
            .color_attachment_formats(&formats)
            .depth_attachment_format(vk_format(PlaneKind::Depth));
        let info = [vk::GraphicsPipelineCreateInfo::default()
            .stages(&stages)
            .vertex_input_state(&input)
            .input_assembly_state(&assembly)
            .viewport_state(&viewport)
            .rasterization_state(&raster)
            .multisample_state(&samples)
            .depth_stencil_state(&depth)
            .color_blend_state(&blend)
            .dynamic_state(&dynamic)
            .layout(self.layout)
            .push_next(&mut rendering)];
        // SAFETY: every pointer in `info` refers to a local that lives through the call; modules and layout belong to this
        // device.
        let made = unsafe { self.device.raw.create_graphics_pipelines(vk::PipelineCache::null(), &info, None) };
        Ok(made.map_err(|(_, r)| RasterError::vulkan("vkCreateGraphicsPipelines")(r))?[0])
    }

    fn module(&self, shader: &Shader) -> Result<Module<'_>, RasterError> {
        let words: Vec<u32> =
            shader.spirv.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let info = vk::ShaderModuleCreateInfo::default().code(&words);
        // SAFETY: the code is SPIR-V that spirv-val accepted when it was committed.
        let handle = unsafe { self.device.raw.create_shader_module(&info, None) }
            .map_err(RasterError::vulkan("vkCreateShaderModule"))?;
        Ok(Module { device: &self.device, handle })
    }
}

impl Drop for Pipelines {
    fn drop(&mut self) {
        // SAFETY: nothing submitted uses them any more (see the module's rule); null handles are allowed.
        unsafe {
            for pipeline in [self.opaque, self.masked, self.sky] {
                self.device.raw.destroy_pipeline(pipeline, None);
            }
            self.device.raw.destroy_pipeline_layout(self.layout, None);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Surface {
    Opaque,
    Masked,
    Sky,
}

/// A shader module while pipelines are made of it.
struct Module<'a> {
    device: &'a Device,
    handle: vk::ShaderModule,
}

impl Drop for Module<'_> {
    fn drop(&mut self) {
        // SAFETY: pipelines don't need their modules once they are made.
        unsafe { self.device.raw.destroy_shader_module(self.handle, None) };
    }
}
