//! The compute pipelines, and the driver's cache of them on disk.

use super::Context;
use crate::RendererError;
use crate::shaders::{SHADERS, Shader};
use ash::vk;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of push constants that every kernel takes (Vulkan guarantees 128).
pub(crate) const PUSH_BYTES: usize = 64;

/// A compute pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    Primary,
    Direct,
    Specular,
    Indirect,
    Filter,
}

impl Kernel {
    pub(crate) const ALL: [Kernel; 5] =
        [Kernel::Primary, Kernel::Direct, Kernel::Specular, Kernel::Indirect, Kernel::Filter];

    fn shader(self) -> &'static Shader {
        &SHADERS[self as usize]
    }
}

/// All pipelines of a device. They bind no descriptors: everything is reached by address.
pub(crate) struct Kernels {
    context: Arc<Context>,
    pub(super) layout: vk::PipelineLayout,
    pipelines: Vec<vk::Pipeline>,
    cache: vk::PipelineCache,
    cache_path: Option<PathBuf>,
}

impl Kernels {
    pub(crate) fn new(context: &Arc<Context>, cache_path: Option<&Path>) -> Result<Kernels, RendererError> {
        // A missing or foreign cache only costs compile time: drivers check its header and ignore what isn't theirs.
        let stored = cache_path.and_then(|p| std::fs::read(p).ok()).unwrap_or_default();
        let device = &context.device;
        let cache_info = vk::PipelineCacheCreateInfo::default().initial_data(&stored);
        let push =
            [vk::PushConstantRange::default().stage_flags(vk::ShaderStageFlags::COMPUTE).size(PUSH_BYTES as u32)];
        let layout_info = vk::PipelineLayoutCreateInfo::default().push_constant_ranges(&push);
        let mut kernels = Kernels {
            context: context.clone(),
            layout: vk::PipelineLayout::null(),
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
            let pipeline = kernels.compile(kernel.shader())?;
            kernels.pipelines.push(pipeline);
        }
        Ok(kernels)
    }

    fn compile(&self, shader: &Shader) -> Result<vk::Pipeline, RendererError> {
        let device = &self.context.device;
        let words: Vec<u32> =
            shader.spirv.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let info = vk::ShaderModuleCreateInfo::default().code(&words);
        // SAFETY: the code is SPIR-V that spirv-val accepted when it was committed; the module lives until the pipeline
        // is made, and the layout belongs to this device.
        unsafe {
            let module =
                device.create_shader_module(&info, None).map_err(RendererError::vulkan("vkCreateShaderModule"))?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(c"main");
            let info = [vk::ComputePipelineCreateInfo::default().stage(stage).layout(self.layout)];
            let made = device.create_compute_pipelines(self.cache, &info, None);
            device.destroy_shader_module(module, None);
            let pipelines = made.map_err(|(_, r)| RendererError::vulkan("vkCreateComputePipelines")(r))?;
            Ok(pipelines[0])
        }
    }

    pub(super) fn pipeline(&self, kernel: Kernel) -> vk::Pipeline {
        self.pipelines[kernel as usize]
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
                self.context.device.destroy_pipeline(*pipeline, None);
            }
            self.context.device.destroy_pipeline_layout(self.layout, None);
            self.context.device.destroy_pipeline_cache(self.cache, None);
        }
    }
}
