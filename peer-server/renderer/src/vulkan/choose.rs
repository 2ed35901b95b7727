//! Which device traces, and why: every device with the reason why it can't, and the choice among those that can.

use super::Instance;
use crate::{FrontEnd, RendererError};
use ash::vk;
use std::fmt;

/// Invocations that walk a tree together (`traverse.glsl`).
const TRAVERSAL_LANES: u32 = 8;

/// What kind of processor a Vulkan device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A graphics card with its own memory.
    Discrete,
    /// A GPU that shares memory with the CPU.
    Integrated,
    /// A GPU lent by a hypervisor.
    Virtual,
    /// A CPU that runs shaders (lavapipe, SwiftShader).
    Cpu,
    /// None of these.
    Other,
}

/// One Vulkan device of this machine.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    /// Its number in the list; may be given to name it.
    pub index: usize,
    /// Its name; a part of it may be given to name it.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Driver name and version, as the driver reports them.
    pub driver: String,
    /// Vulkan version: major, minor, patch.
    pub api_version: (u32, u32, u32),
    /// Size of its own memory in bytes.
    pub memory_bytes: u64,
    /// Names of the device extensions that it has, `VK_KHR_ray_query` for one.
    pub extensions: Vec<String>,
    /// The front ends that it offers.
    pub front_ends: Vec<FrontEnd>,
    /// Why it can't be used; `None` when it can.
    pub unusable: Option<String>,
}

impl fmt::Display for DeviceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.api_version;
        let gib = self.memory_bytes as f64 / (1u64 << 30) as f64;
        write!(
            f,
            "{}: {} ({:?}, {}, Vulkan {major}.{minor}.{patch}, {gib:.1} GiB): ",
            self.index, self.name, self.kind, self.driver
        )?;
        match &self.unusable {
            Some(reason) => write!(f, "unusable: {reason}"),
            None => {
                let names: Vec<&str> = self.front_ends.iter().map(|f| f.name()).collect();
                write!(f, "usable; front ends {}", names.join(", "))
            }
        }
    }
}

/// A device that can be opened.
pub(crate) struct Candidate {
    pub(crate) physical: vk::PhysicalDevice,
    pub(crate) queue_family: u32,
    pub(crate) timestamps: bool,
    pub(crate) report: DeviceReport,
}

/// All devices, in the loader's order.
pub(crate) fn candidates(instance: &Instance) -> Result<Vec<Candidate>, RendererError> {
    // SAFETY: the instance is alive.
    let devices = unsafe { instance.raw.enumerate_physical_devices() }.map_err(|result| match result {
        vk::Result::ERROR_INITIALIZATION_FAILED | vk::Result::ERROR_INCOMPATIBLE_DRIVER => {
            RendererError::NoDriver { reason: "no driver could be initialised".into() }
        }
        result => RendererError::Vulkan { call: "vkEnumeratePhysicalDevices", result },
    })?;
    Ok(devices.into_iter().enumerate().map(|(index, physical)| inspect(instance, index, physical)).collect())
}

fn inspect(instance: &Instance, index: usize, physical: vk::PhysicalDevice) -> Candidate {
    let mut driver = vk::PhysicalDeviceDriverProperties::default();
    let mut subgroups = vk::PhysicalDeviceSubgroupProperties::default();
    let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver).push_next(&mut subgroups);
    let mut features12 = vk::PhysicalDeviceVulkan12Features::default();
    let mut features = vk::PhysicalDeviceFeatures2::default();
    let mut structures = vk::PhysicalDeviceAccelerationStructureFeaturesKHR::default();
    let mut queries = vk::PhysicalDeviceRayQueryFeaturesKHR::default();
    let mut pipelines = vk::PhysicalDeviceRayTracingPipelineFeaturesKHR::default();
    let text = |c: Result<&std::ffi::CStr, _>| {
        c.map(|c: &std::ffi::CStr| c.to_string_lossy().into_owned()).unwrap_or_default()
    };
    // SAFETY: `physical` comes from this instance.
    let extensions = unsafe { instance.raw.enumerate_device_extension_properties(physical) }.unwrap_or_default();
    let extensions: Vec<String> = extensions.iter().map(|e| text(e.extension_name_as_c_str())).collect();
    let has_all = |names: &[&str]| names.iter().all(|name| extensions.iter().any(|e| e == name));
    let (has_queries, has_pipelines) =
        (has_all(FrontEnd::RayQuery.extensions()), has_all(FrontEnd::RtPipeline.extensions()));
    if has_queries || has_pipelines {
        features = features.push_next(&mut structures);
    }
    if has_queries {
        features = features.push_next(&mut queries);
    }
    if has_pipelines {
        features = features.push_next(&mut pipelines);
    }
    // SAFETY: `physical` comes from this instance; the version is checked before anything of 1.2 is asked.
    let (families, memory, version) = unsafe {
        let base = instance.raw.get_physical_device_properties(physical);
        if base.api_version >= vk::API_VERSION_1_2 {
            features = features.push_next(&mut features12);
            instance.raw.get_physical_device_properties2(physical, &mut properties);
            instance.raw.get_physical_device_features2(physical, &mut features);
        } else {
            properties.properties = base;
        }
        let families = instance.raw.get_physical_device_queue_family_properties(physical);
        (families, instance.raw.get_physical_device_memory_properties(physical), base.api_version)
    };
    let core = properties.properties;
    let int64 = features.features.shader_int64 == vk::TRUE;
    let queue_family = families.iter().position(|q| q.queue_flags.contains(vk::QueueFlags::COMPUTE));
    let in_compute = subgroups.supported_stages.contains(vk::ShaderStageFlags::COMPUTE);
    let subgroup = |operation| in_compute && subgroups.supported_operations.contains(operation);
    let missing = [
        (version < vk::API_VERSION_1_2, "Vulkan 1.2"),
        (features12.buffer_device_address == vk::FALSE, "bufferDeviceAddress"),
        (features12.scalar_block_layout == vk::FALSE, "scalarBlockLayout"),
        (!int64, "shaderInt64"),
        (!subgroup(vk::SubgroupFeatureFlags::ARITHMETIC), "subgroup arithmetic in compute"),
        (!subgroup(vk::SubgroupFeatureFlags::SHUFFLE), "subgroup shuffles in compute"),
        (subgroups.subgroup_size < TRAVERSAL_LANES, "subgroups of at least 8 invocations"),
        (queue_family.is_none(), "a compute queue"),
    ];
    let missing: Vec<&str> = missing.iter().filter(|m| m.0).map(|m| m.1).collect();
    let built = structures.acceleration_structure == vk::TRUE;
    let mut front_ends = vec![FrontEnd::Compute];
    if built && has_queries && queries.ray_query == vk::TRUE {
        front_ends.push(FrontEnd::RayQuery);
    }
    if built && has_pipelines && pipelines.ray_tracing_pipeline == vk::TRUE {
        front_ends.push(FrontEnd::RtPipeline);
    }
    let driver = format!("{} {}", text(driver.driver_name_as_c_str()), text(driver.driver_info_as_c_str()));
    let heaps = &memory.memory_heaps[..memory.memory_heap_count as usize];
    let local = heaps.iter().filter(|h| h.flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL)).map(|h| h.size).max();
    let report = DeviceReport {
        index,
        name: text(core.device_name_as_c_str()),
        kind: match core.device_type {
            vk::PhysicalDeviceType::DISCRETE_GPU => DeviceKind::Discrete,
            vk::PhysicalDeviceType::INTEGRATED_GPU => DeviceKind::Integrated,
            vk::PhysicalDeviceType::VIRTUAL_GPU => DeviceKind::Virtual,
            vk::PhysicalDeviceType::CPU => DeviceKind::Cpu,
            _ => DeviceKind::Other,
        },
        driver: driver.trim().to_owned(),
        api_version: (vk::api_version_major(version), vk::api_version_minor(version), vk::api_version_patch(version)),
        memory_bytes: local.unwrap_or(0),
        extensions,
        front_ends,
        unusable: (!missing.is_empty()).then(|| format!("it lacks {}", missing.join(", "))),
    };
    let family = queue_family.unwrap_or(0);
    let timestamps = families.get(family).is_some_and(|q| q.timestamp_valid_bits == 64);
    Candidate { physical, queue_family: family as u32, timestamps, report }
}

/// Takes the named device (index or part of its name), or the best: discrete, integrated, virtual, other, CPU.
pub(crate) fn choose(
    mut candidates: Vec<Candidate>,
    wish: Option<&str>,
    allow_cpu: bool,
) -> Result<(Candidate, String), RendererError> {
    if candidates.is_empty() {
        return Err(RendererError::NoDriver { reason: "the loader works but lists no device".into() });
    }
    let devices = candidates.iter().map(|c| c.report.to_string()).collect::<Vec<_>>().join("; ");
    let named = |c: &Candidate| match wish {
        None => true,
        Some(wish) => match wish.parse::<usize>() {
            Ok(index) => c.report.index == index,
            Err(_) => c.report.name.to_lowercase().contains(&wish.to_lowercase()),
        },
    };
    candidates.retain(named);
    if candidates.is_empty() {
        let reason = format!("none matches {:?}", wish.unwrap_or_default());
        return Err(RendererError::NoDevice { reason, devices });
    }
    candidates.retain(|c| c.report.unusable.is_none());
    let rank = |c: &Candidate| match c.report.kind {
        DeviceKind::Discrete => 0,
        DeviceKind::Integrated => 1,
        DeviceKind::Virtual => 2,
        DeviceKind::Other => 3,
        DeviceKind::Cpu => 4,
    };
    let count = candidates.len();
    let Some(best) = candidates.into_iter().min_by_key(rank) else {
        return Err(RendererError::NoDevice { reason: "what was asked for can't be used".into(), devices });
    };
    if best.report.kind == DeviceKind::Cpu && !allow_cpu {
        return Err(RendererError::CpuRefused { device: best.report.name });
    }
    let reason = match (wish, count) {
        (Some(wish), _) => format!("it matches {wish:?}"),
        (None, 1) => "it is the only usable device".into(),
        (None, n) => format!("it is the best kind ({:?}) of {n} usable devices", best.report.kind),
    };
    Ok((best, reason))
}
