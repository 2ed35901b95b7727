//! The smallest Vulkan that runs the trace kernel: one device, host-visible buffers, one dispatch at a time.
#![allow(unsafe_code)]

use super::rays::{RayHit, RaySet};
use super::scenes::BenchScene;
use ash::vk;
use rayloom_bvh::Ray;
use std::ffi::CStr;

type Result<T> = std::result::Result<T, String>;

fn failed(what: &str) -> impl Fn(vk::Result) -> String + '_ {
    move |e| format!("{what}: {e}")
}

/// The kernel, made by `glslc -O --target-env=vulkan1.3 -I peer-server/renderer/shaders` from `shaders/trace.comp`.
const KERNEL: &[u8] = include_bytes!("../../shaders/trace.spv");

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Push {
    tlas: u64,
    rays: u64,
    hits: u64,
    count: u32,
    pad: u32,
}

const WORKGROUP: u32 = 64;

pub(crate) struct Device {
    name: String,
    // Loaded code must outlive everything made by it.
    _entry: ash::Entry,
    instance: ash::Instance,
    device: ash::Device,
    memory: vk::PhysicalDeviceMemoryProperties,
    queue: vk::Queue,
    pool: vk::CommandPool,
    layout: vk::PipelineLayout,
    module: vk::ShaderModule,
    /// For nearest hits, for any hit.
    pipelines: [vk::Pipeline; 2],
}

impl Device {
    /// The first device that can run the kernel, discrete ones first.
    pub(crate) fn new() -> Result<Device> {
        // SAFETY: the loader is Vulkan's own.
        let entry = unsafe { ash::Entry::load() }
            .map_err(|e| format!("no Vulkan loader (Debian: libvulkan1, mesa-vulkan-drivers): {e}"))?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        // SAFETY: the create info is complete and its pointers live until the call returns.
        let instance =
            unsafe { entry.create_instance(&vk::InstanceCreateInfo::default().application_info(&application), None) }
                .map_err(failed("vkCreateInstance"))?;
        // SAFETY: the instance is live.
        let mut physical = unsafe { instance.enumerate_physical_devices() }.map_err(failed("no Vulkan device"))?;
        // SAFETY: the handle comes from this instance.
        let properties = |p: vk::PhysicalDevice| unsafe { instance.get_physical_device_properties(p) };
        physical.retain(|&p| properties(p).api_version >= vk::API_VERSION_1_3);
        physical.sort_by_key(|&p| properties(p).device_type != vk::PhysicalDeviceType::DISCRETE_GPU);
        let physical = *physical.first().ok_or("no device has Vulkan 1.3")?;
        let name = properties(physical).device_name_as_c_str().map_or("?".into(), CStr::to_string_lossy).into_owned();
        // SAFETY: the handle comes from this instance.
        let families = unsafe { instance.get_physical_device_queue_family_properties(physical) };
        let family = families
            .iter()
            .position(|f| f.queue_flags.contains(vk::QueueFlags::COMPUTE))
            .ok_or("the device has no compute queue")? as u32;
        let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(family).queue_priorities(&[1.0])];
        let core = vk::PhysicalDeviceFeatures::default().shader_int64(true);
        let mut features12 =
            vk::PhysicalDeviceVulkan12Features::default().buffer_device_address(true).scalar_block_layout(true);
        let info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_features(&core)
            .push_next(&mut features12);
        // SAFETY: the create info is complete; a feature that is missing makes the call fail.
        let device = unsafe { instance.create_device(physical, &info, None) }.map_err(failed("vkCreateDevice"))?;
        // SAFETY: the queue was asked for above.
        let queue = unsafe { device.get_device_queue(family, 0) };
        let info = vk::CommandPoolCreateInfo::default().queue_family_index(family);
        // SAFETY: the device is live.
        let pool = unsafe { device.create_command_pool(&info, None) }.map_err(failed("vkCreateCommandPool"))?;
        // SAFETY: the handle comes from this instance.
        let memory = unsafe { instance.get_physical_device_memory_properties(physical) };
        let words =
            ash::util::read_spv(&mut std::io::Cursor::new(KERNEL)).map_err(|e| format!("trace.spv is damaged: {e}"))?;
        // SAFETY: the words are SPIR-V that spirv-val accepts.
        let module = unsafe { device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(&words), None) }
            .map_err(failed("vkCreateShaderModule"))?;
        let ranges = [vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(std::mem::size_of::<Push>() as u32)];
        // SAFETY: the device is live.
        let layout = unsafe {
            device.create_pipeline_layout(&vk::PipelineLayoutCreateInfo::default().push_constant_ranges(&ranges), None)
        }
        .map_err(failed("vkCreatePipelineLayout"))?;
        let entries = [vk::SpecializationMapEntry { constant_id: 0, offset: 0, size: 4 }];
        let mut pipelines = [vk::Pipeline::null(); 2];
        for (any_hit, pipeline) in pipelines.iter_mut().enumerate() {
            let data = (any_hit as u32).to_ne_bytes();
            let constants = vk::SpecializationInfo::default().map_entries(&entries).data(&data);
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(c"main")
                .specialization_info(&constants);
            let info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout);
            // SAFETY: module and layout are live and fit each other.
            *pipeline = unsafe { device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None) }
                .map_err(|(_, e)| format!("vkCreateComputePipelines: {e}"))?[0];
        }
        Ok(Device { name, _entry: entry, instance, device, memory, queue, pool, layout, module, pipelines })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A mapped buffer that shaders reach by address.
    fn buffer(&self, size: usize) -> Result<Buffer<'_>> {
        let usage = vk::BufferUsageFlags::STORAGE_BUFFER | vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS;
        let info = vk::BufferCreateInfo::default().size(size as u64).usage(usage);
        // SAFETY: the device is live.
        let buffer = unsafe { self.device.create_buffer(&info, None) }.map_err(failed("vkCreateBuffer"))?;
        // SAFETY: the buffer is live.
        let needs = unsafe { self.device.get_buffer_memory_requirements(buffer) };
        let wanted = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        let kind = (0..self.memory.memory_type_count)
            .find(|&i| {
                needs.memory_type_bits >> i & 1 == 1
                    && self.memory.memory_types[i as usize].property_flags.contains(wanted)
            })
            .ok_or("no host-visible memory")?;
        let mut flags = vk::MemoryAllocateFlagsInfo::default().flags(vk::MemoryAllocateFlags::DEVICE_ADDRESS);
        let info =
            vk::MemoryAllocateInfo::default().allocation_size(needs.size).memory_type_index(kind).push_next(&mut flags);
        // SAFETY: the type index is one that the buffer allows.
        let memory = unsafe { self.device.allocate_memory(&info, None) }.map_err(failed("vkAllocateMemory"))?;
        // SAFETY: buffer and memory are fresh, and the memory is large enough.
        unsafe { self.device.bind_buffer_memory(buffer, memory, 0) }.map_err(failed("vkBindBufferMemory"))?;
        // SAFETY: the memory is host-visible and not mapped yet.
        let mapped = unsafe { self.device.map_memory(memory, 0, vk::WHOLE_SIZE, vk::MemoryMapFlags::empty()) }
            .map_err(failed("vkMapMemory"))?;
        let info = vk::BufferDeviceAddressInfo::default().buffer(buffer);
        // SAFETY: the buffer was made with SHADER_DEVICE_ADDRESS and is bound.
        let address = unsafe { self.device.get_buffer_device_address(&info) };
        Ok(Buffer { device: self, buffer, memory, mapped: mapped.cast(), size, address })
    }

    fn filled(&self, bytes: &[u8]) -> Result<Buffer<'_>> {
        let buffer = self.buffer(bytes.len().max(16))?;
        // SAFETY: the mapping holds at least that many bytes, and no dispatch runs yet.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.mapped, bytes.len()) };
        Ok(buffer)
    }

    /// Builds the scene's structures and puts them, the rays and room for hits where the kernel reaches them.
    pub(crate) fn upload(&self, scene: &BenchScene, sets: &[RaySet; 4]) -> Result<Traced<'_>> {
        let (_, meshes) = scene.structures(|_| 0);
        let mut structures = meshes.iter().map(|m| self.filled(m.bytes())).collect::<Result<Vec<_>>>()?;
        let tlas = scene.tlas(&meshes, |mesh| structures[mesh].address);
        structures.push(self.filled(tlas.bytes())?);
        let rays = sets
            .iter()
            .map(|set| {
                let record = |r: &Ray| {
                    let (o, d) = (r.origin, r.direction);
                    [o.x, o.y, o.z, r.t_min, d.x, d.y, d.z, r.t_max]
                };
                let records: Vec<[f32; 8]> = set.rays.iter().map(record).collect();
                let hits = self.buffer(set.rays.len().max(1) * 16)?;
                Ok((self.filled(bytemuck::cast_slice(&records))?, hits, set.any_hit, set.rays.len()))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Traced { device: self, structures, rays })
    }

    fn dispatch(&self, pipeline: vk::Pipeline, push: &Push) -> Result<()> {
        let info = vk::CommandBufferAllocateInfo::default().command_pool(self.pool).command_buffer_count(1);
        // SAFETY: one queue and one thread use the device; every object below is live until the wait returns, and the
        // addresses in `push` are of buffers that hold what the kernel expects.
        unsafe {
            let commands = self.device.allocate_command_buffers(&info).map_err(failed("vkAllocateCommandBuffers"))?;
            let begin = vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
            self.device.begin_command_buffer(commands[0], &begin).map_err(failed("vkBeginCommandBuffer"))?;
            self.device.cmd_bind_pipeline(commands[0], vk::PipelineBindPoint::COMPUTE, pipeline);
            let constants = bytemuck::bytes_of(push);
            self.device.cmd_push_constants(commands[0], self.layout, vk::ShaderStageFlags::COMPUTE, 0, constants);
            self.device.cmd_dispatch(commands[0], push.count.div_ceil(WORKGROUP), 1, 1);
            self.device.end_command_buffer(commands[0]).map_err(failed("vkEndCommandBuffer"))?;
            let submit = vk::SubmitInfo::default().command_buffers(&commands);
            self.device.queue_submit(self.queue, &[submit], vk::Fence::null()).map_err(failed("vkQueueSubmit"))?;
            self.device.queue_wait_idle(self.queue).map_err(failed("vkQueueWaitIdle"))?;
            self.device.free_command_buffers(self.pool, &commands);
        }
        Ok(())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: every dispatch was waited for, and buffers borrow the device, so none is left.
        unsafe {
            self.pipelines.iter().for_each(|&p| self.device.destroy_pipeline(p, None));
            self.device.destroy_pipeline_layout(self.layout, None);
            self.device.destroy_shader_module(self.module, None);
            self.device.destroy_command_pool(self.pool, None);
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}

struct Buffer<'a> {
    device: &'a Device,
    buffer: vk::Buffer,
    memory: vk::DeviceMemory,
    mapped: *mut u8,
    size: usize,
    address: u64,
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: every dispatch was waited for.
        unsafe {
            self.device.device.destroy_buffer(self.buffer, None);
            self.device.device.free_memory(self.memory, None);
        }
    }
}

/// A scene and its rays on the device.
pub(crate) struct Traced<'a> {
    device: &'a Device,
    /// One a mesh, and the top level last.
    structures: Vec<Buffer<'a>>,
    /// By kind: rays, hits, whether any hit will do, how many.
    rays: Vec<(Buffer<'a>, Buffer<'a>, bool, usize)>,
}

impl Traced<'_> {
    /// Traces all rays of a kind and waits.
    pub(crate) fn trace(&mut self, kind: usize) -> Result<()> {
        let (rays, hits, any_hit, count) = &self.rays[kind];
        if *count == 0 {
            return Ok(());
        }
        let tlas = self.structures.last().ok_or("a scene has a top level")?.address;
        let push = Push { tlas, rays: rays.address, hits: hits.address, count: *count as u32, pad: 0 };
        self.device.dispatch(self.device.pipelines[usize::from(*any_hit)], &push)
    }

    /// What the last [`Traced::trace`] of a kind found.
    pub(crate) fn hits(&self, kind: usize) -> Vec<RayHit> {
        let (_, hits, any_hit, count) = &self.rays[kind];
        assert!(count * 16 <= hits.size, "the buffer was made for all hits");
        // SAFETY: the mapping holds that many words, is aligned to more than 4, and no dispatch runs.
        let words = unsafe { std::slice::from_raw_parts(hits.mapped.cast::<[u32; 4]>(), *count) };
        words.iter().map(|w| RayHit { hit: w[0] != 0, t: if *any_hit { 0.0 } else { f32::from_bits(w[1]) } }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    /// The walk is the renderer's own file: a bench of an older one would measure what nobody runs.
    #[test]
    fn source_and_spirv_agree() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
        let made = std::env::temp_dir().join(format!("rayloom-trace-{}.spv", std::process::id()));
        let run = Command::new("glslc")
            .current_dir(&folder)
            .args(["-O", "--target-env=vulkan1.3", "-I../../peer-server/renderer/shaders", "-o"])
            .args([made.as_os_str(), "trace.comp".as_ref()])
            .output();
        let run = match run {
            Ok(run) => run,
            Err(e) => {
                assert!(std::env::var_os("CI").is_none(), "glslc does not run ({e}); apt-get install glslc");
                println!("SKIPPED: glslc does not run ({e}); apt-get install glslc");
                return;
            }
        };
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let same = std::fs::read(&made).unwrap() == std::fs::read(folder.join("trace.spv")).unwrap();
        std::fs::remove_file(&made).unwrap();
        assert!(same, "trace.spv is not what trace.comp compiles to: run the command above in bench/shaders");
    }
}
