//! The pipelines of the passes for one front end, and the driver's cache of them on disk.

use super::{Buffer, Context, Submitter};
use crate::shaders::{self, Shader};
use crate::{FrontEnd, RendererError};
use ash::{khr, vk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of push constants that every kernel takes (Vulkan guarantees 128).
pub(crate) const PUSH_BYTES: usize = 64;

/// A pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    Primary,
    Direct,
    Specular,
    Indirect,
    Transmission,
    Path,
    Rays,
    Planes,
    Filter,
    Deform,
    Denoise,
}

impl Kernel {
    pub(crate) const ALL: [Kernel; 11] = [
        Kernel::Primary,
        Kernel::Direct,
        Kernel::Specular,
        Kernel::Indirect,
        Kernel::Transmission,
        Kernel::Path,
        Kernel::Rays,
        Kernel::Planes,
        Kernel::Filter,
        Kernel::Deform,
        Kernel::Denoise,
    ];

    fn source(self) -> &'static str {
        match self {
            Kernel::Primary => "passes/primary.glsl",
            Kernel::Direct => "passes/direct.glsl",
            Kernel::Specular => "passes/specular.glsl",
            Kernel::Indirect => "passes/indirect.glsl",
            Kernel::Transmission => "passes/transmission.glsl",
            Kernel::Path => "passes/path.glsl",
            Kernel::Rays => "passes/rays.glsl",
            Kernel::Planes => "passes/planes.glsl",
            Kernel::Filter => "passes/filter.glsl",
            Kernel::Deform => "passes/deform.glsl",
            Kernel::Denoise => "passes/denoise.glsl",
        }
    }

    fn traces(self) -> bool {
        !matches!(self, Kernel::Planes | Kernel::Filter | Kernel::Deform | Kernel::Denoise)
    }
}

/// How a pass runs.
pub(super) enum Pipeline {
    Compute(vk::Pipeline),
    Rays { pipeline: vk::Pipeline, calls: Box<khr::ray_tracing_pipeline::Device>, table: Box<BindingTable> },
}

/// Where the device finds the shaders of a pipeline of rays: one record each.
pub(super) struct BindingTable {
    _buffer: Buffer,
    pub(super) generation: vk::StridedDeviceAddressRegionKHR,
    pub(super) miss: vk::StridedDeviceAddressRegionKHR,
    pub(super) hit: vk::StridedDeviceAddressRegionKHR,
}

/// All pipelines of a front end. They bind no descriptors: everything is reached by address.
pub(crate) struct Kernels {
    context: Arc<Context>,
    pub(super) layout: vk::PipelineLayout,
    pub(super) push_stages: vk::ShaderStageFlags,
    pipelines: Vec<Pipeline>,
    cache: vk::PipelineCache,
    cache_path: Option<PathBuf>,
}

impl Kernels {
    pub(crate) fn new(
        submitter: &Submitter,
        front_end: FrontEnd,
        cache_path: Option<&Path>,
    ) -> Result<Kernels, RendererError> {
        let context = submitter.context();
        // A missing or foreign cache only costs compile time: drivers check its header and ignore what isn't theirs.
        let stored = cache_path.and_then(|p| std::fs::read(p).ok()).unwrap_or_default();
        let device = &context.device;
        let cache_info = vk::PipelineCacheCreateInfo::default().initial_data(&stored);
        let mut push_stages = vk::ShaderStageFlags::COMPUTE;
        if front_end == FrontEnd::RtPipeline {
            push_stages |= vk::ShaderStageFlags::RAYGEN_KHR
                | vk::ShaderStageFlags::CLOSEST_HIT_KHR
                | vk::ShaderStageFlags::ANY_HIT_KHR;
        }
        let push = [vk::PushConstantRange::default().stage_flags(push_stages).size(PUSH_BYTES as u32)];
        let layout_info = vk::PipelineLayoutCreateInfo::default().push_constant_ranges(&push);
        let mut kernels = Kernels {
            context: context.clone(),
            layout: vk::PipelineLayout::null(),
            push_stages,
            pipelines: Vec::new(),
            cache: vk::PipelineCache::null(),
            cache_path: cache_path.map(Path::to_owned),
        };
        // SAFETY: the infos' pointers are locals that live through the calls.
        unsafe {
            kernels.cache = device
                .create_pipeline_cache(&cache_info, None)
                .map_err(RendererError::vulkan("vkCreatePipelineCache"))?;
            kernels.layout = device
                .create_pipeline_layout(&layout_info, None)
                .map_err(RendererError::vulkan("vkCreatePipelineLayout"))?;
        }
        for kernel in Kernel::ALL {
            let shader = shaders::find(kernel.source(), front_end);
            let pipeline = if kernel.traces() && front_end == FrontEnd::RtPipeline {
                kernels.rays(submitter, shader)?
            } else {
                Pipeline::Compute(kernels.compute(shader)?)
            };
            kernels.pipelines.push(pipeline);
        }
        Ok(kernels)
    }

    fn compute(&self, shader: &Shader) -> Result<vk::Pipeline, RendererError> {
        let module = Module::new(&self.context, shader)?;
        let stage = module.stage(vk::ShaderStageFlags::COMPUTE);
        let info = [vk::ComputePipelineCreateInfo::default().stage(stage).layout(self.layout)];
        // SAFETY: the module lives until the pipeline is made, and the layout belongs to this device.
        let made = unsafe { self.context.device.create_compute_pipelines(self.cache, &info, None) };
        let pipelines = made.map_err(|(_, r)| RendererError::vulkan("vkCreateComputePipelines")(r))?;
        Ok(pipelines[0])
    }

    /// A pass whose rays are generated by `shader`: one group each for generation, miss and hit.
    fn rays(&self, submitter: &Submitter, shader: &Shader) -> Result<Pipeline, RendererError> {
        let module = |shader| Module::new(&self.context, shader);
        let of = |source| module(shaders::find(source, FrontEnd::RtPipeline));
        let (generation, miss) = (module(shader)?, of("hit/miss.glsl")?);
        let (closest, masked) = (of("hit/closest.glsl")?, of("hit/masked.glsl")?);
        let stages = [
            generation.stage(vk::ShaderStageFlags::RAYGEN_KHR),
            miss.stage(vk::ShaderStageFlags::MISS_KHR),
            closest.stage(vk::ShaderStageFlags::CLOSEST_HIT_KHR),
            masked.stage(vk::ShaderStageFlags::ANY_HIT_KHR),
        ];
        let group = |kind| {
            vk::RayTracingShaderGroupCreateInfoKHR::default()
                .ty(kind)
                .general_shader(vk::SHADER_UNUSED_KHR)
                .closest_hit_shader(vk::SHADER_UNUSED_KHR)
                .any_hit_shader(vk::SHADER_UNUSED_KHR)
                .intersection_shader(vk::SHADER_UNUSED_KHR)
        };
        let groups = [
            group(vk::RayTracingShaderGroupTypeKHR::GENERAL).general_shader(0),
            group(vk::RayTracingShaderGroupTypeKHR::GENERAL).general_shader(1),
            group(vk::RayTracingShaderGroupTypeKHR::TRIANGLES_HIT_GROUP).closest_hit_shader(2).any_hit_shader(3),
        ];
        let info = [vk::RayTracingPipelineCreateInfoKHR::default()
            .stages(&stages)
            .groups(&groups)
            .max_pipeline_ray_recursion_depth(1)
            .layout(self.layout)];
        let device = self.context.ray_pipelines();
        // SAFETY: the modules live until the pipeline is made, and the layout belongs to this device.
        let made = unsafe {
            let at_once = vk::DeferredOperationKHR::null();
            device.calls.create_ray_tracing_pipelines(at_once, self.cache, &info, None)
        };
        let pipeline = made.map_err(|(_, r)| RendererError::vulkan("vkCreateRayTracingPipelinesKHR")(r))?[0];
        match self.binding_table(submitter, pipeline, groups.len()) {
            Ok(table) => Ok(Pipeline::Rays { pipeline, calls: Box::new(device.calls.clone()), table: Box::new(table) }),
            Err(e) => {
                // SAFETY: nothing uses it yet.
                unsafe { self.context.device.destroy_pipeline(pipeline, None) };
                Err(e)
            }
        }
    }

    fn binding_table(
        &self,
        submitter: &Submitter,
        pipeline: vk::Pipeline,
        groups: usize,
    ) -> Result<BindingTable, RendererError> {
        let device = self.context.ray_pipelines();
        let (handle, stride) = (device.handle_bytes, device.handle_bytes.next_multiple_of(device.table_alignment));
        // SAFETY: the pipeline has that many groups.
        let handles =
            unsafe { device.calls.get_ray_tracing_shader_group_handles(pipeline, 0, groups as u32, handle * groups) }
                .map_err(RendererError::vulkan("vkGetRayTracingShaderGroupHandlesKHR"))?;
        let mut bytes = vec![0; stride * groups];
        for (record, handle) in bytes.chunks_exact_mut(stride).zip(handles.chunks_exact(handle)) {
            record[..handle.len()].copy_from_slice(handle);
        }
        let usage = vk::BufferUsageFlags::SHADER_BINDING_TABLE_KHR;
        let buffer = Buffer::with_bytes_for(submitter, "binding table", &bytes, usage)?;
        let stride = stride as u64;
        let record = |index: u64| {
            let address = buffer.address() + index * stride;
            vk::StridedDeviceAddressRegionKHR::default().device_address(address).stride(stride).size(stride)
        };
        let (generation, miss, hit) = (record(0), record(1), record(2));
        Ok(BindingTable { _buffer: buffer, generation, miss, hit })
    }

    pub(super) fn pipeline(&self, kernel: Kernel) -> &Pipeline {
        &self.pipelines[kernel as usize]
    }

    /// Writes the driver's cache to disk, if a path was given; a failure only costs time at the next start.
    pub(crate) fn store_cache(&self) {
        let Some(path) = &self.cache_path else { return };
        // SAFETY: the cache belongs to this device.
        if let Ok(data) = unsafe { self.context.device.get_pipeline_cache_data(self.cache) } {
            // Written aside and renamed, so that another process never reads half a cache.
            let aside = path.with_extension(format!("{}.new", std::process::id()));
            if std::fs::write(&aside, data).and_then(|()| std::fs::rename(&aside, path)).is_err() {
                let _ = std::fs::remove_file(&aside);
            }
        }
    }
}

impl Drop for Kernels {
    fn drop(&mut self) {
        // SAFETY: submissions keep the kernels alive until their fence has signalled; null handles are allowed.
        unsafe {
            for pipeline in &self.pipelines {
                let (Pipeline::Compute(handle) | Pipeline::Rays { pipeline: handle, .. }) = pipeline;
                self.context.device.destroy_pipeline(*handle, None);
            }
            self.context.device.destroy_pipeline_layout(self.layout, None);
            self.context.device.destroy_pipeline_cache(self.cache, None);
        }
    }
}

/// A shader while pipelines are made of it.
struct Module<'a> {
    context: &'a Context,
    handle: vk::ShaderModule,
}

impl<'a> Module<'a> {
    fn new(context: &'a Context, shader: &Shader) -> Result<Module<'a>, RendererError> {
        let words: Vec<u32> = shader.spirv.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        let info = vk::ShaderModuleCreateInfo::default().code(&words);
        // SAFETY: the code is SPIR-V that spirv-val accepted when it was committed.
        let handle = unsafe { context.device.create_shader_module(&info, None) }
            .map_err(RendererError::vulkan("vkCreateShaderModule"))?;
        Ok(Module { context, handle })
    }

    fn stage(&self, stage: vk::ShaderStageFlags) -> vk::PipelineShaderStageCreateInfo<'static> {
        vk::PipelineShaderStageCreateInfo::default().stage(stage).module(self.handle).name(c"main")
    }
}

impl Drop for Module<'_> {
    fn drop(&mut self) {
        // SAFETY: pipelines don't need it once they are made.
        unsafe { self.context.device.destroy_shader_module(self.handle, None) };
    }
}
