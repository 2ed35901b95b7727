//! Which device draws: the best that can, or the one that was named.

use super::instance::Instance;
use crate::RasterError;
use crate::planes::PlaneKind;
use ash::vk;

/// A device that can draw.
pub(super) struct Candidate {
    pub(super) physical: vk::PhysicalDevice,
    pub(super) queue_family: u32,
    pub(super) name: String,
    pub(super) limits: vk::PhysicalDeviceLimits,
    kind: vk::PhysicalDeviceType,
}

/// Takes the first device whose name contains `wish`, or the best: discrete, integrated, virtual, other, CPU.
pub(super) fn choose(instance: &Instance, wish: Option<&str>) -> Result<Candidate, RasterError> {
    // SAFETY: the instance is alive.
    let devices = unsafe { instance.raw.enumerate_physical_devices() }.unwrap_or_default();
    let (mut usable, mut reasons) = (Vec::new(), Vec::new());
    for physical in devices {
        match inspect(instance, physical, wish) {
            Ok(candidate) => usable.push(candidate),
            Err(reason) => reasons.push(reason),
        }
    }
    let rank = |c: &Candidate| match c.kind {
        vk::PhysicalDeviceType::DISCRETE_GPU => 0,
        vk::PhysicalDeviceType::INTEGRATED_GPU => 1,
        vk::PhysicalDeviceType::VIRTUAL_GPU => 2,
        vk::PhysicalDeviceType::CPU => 4,
        _ => 3,
    };
    usable.into_iter().min_by_key(rank).ok_or_else(|| RasterError::NoDevice {
        reason: if reasons.is_empty() { "the loader lists none".into() } else { reasons.join("; ") },
    })
}

fn inspect(instance: &Instance, physical: vk::PhysicalDevice, wish: Option<&str>) -> Result<Candidate, String> {
    // SAFETY: `physical` comes from this instance.
    let (core, queues) = unsafe {
        (
            instance.raw.get_physical_device_properties(physical),
            instance.raw.get_physical_device_queue_family_properties(physical),
        )
    };
    let name = core.device_name_as_c_str().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if wish.is_some_and(|wish| !name.to_lowercase().contains(&wish.to_lowercase())) {
        return Err(format!("{name} is not {:?}", wish.unwrap_or_default()));
    }
    if core.api_version < vk::API_VERSION_1_3 {
        return Err(format!("{name} lacks Vulkan 1.3"));
    }
    let mut features12 = vk::PhysicalDeviceVulkan12Features::default();
    let mut features13 = vk::PhysicalDeviceVulkan13Features::default();
    let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut features12).push_next(&mut features13);
    // SAFETY: the device knows Vulkan 1.3, so it knows these structures.
    unsafe { instance.raw.get_physical_device_features2(physical, &mut features) };
    let features = features.features;
    let graphics = queues.iter().position(|q| q.queue_flags.contains(vk::QueueFlags::GRAPHICS));
    // All planes but depth are colour attachments.
    let attachments = PlaneKind::ALL.len() as u32 - 1;
    let missing = [
        (features12.buffer_device_address == vk::FALSE, "bufferDeviceAddress"),
        (features12.timeline_semaphore == vk::FALSE, "timelineSemaphore"),
        (features12.runtime_descriptor_array == vk::FALSE, "runtimeDescriptorArray"),
        (features13.dynamic_rendering == vk::FALSE, "dynamicRendering"),
        (features13.synchronization2 == vk::FALSE, "synchronization2"),
        (features.shader_sampled_image_array_dynamic_indexing == vk::FALSE, "shaderSampledImageArrayDynamicIndexing"),
        (features.independent_blend == vk::FALSE, "independentBlend"),
        (core.limits.max_color_attachments < attachments, "7 colour attachments"),
        (graphics.is_none(), "a graphics queue"),
    ];
    let missing: Vec<&str> = missing.iter().filter(|m| m.0).map(|m| m.1).collect();
    match graphics {
        Some(family) if missing.is_empty() => {
            Ok(Candidate { physical, queue_family: family as u32, name, limits: core.limits, kind: core.device_type })
        }
        _ => Err(format!("{name} lacks {}", missing.join(", "))),
    }
}
