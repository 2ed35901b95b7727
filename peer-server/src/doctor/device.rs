//! Findings about Vulkan: loader, drivers, devices, and why an NVIDIA GPU that is there is not among them.

use super::facts::{Nvidia, Vulkan};
use super::{Finding, gib};
use rayloom_peer::{DeviceKind, DeviceReport, FrontEnd};

/// A driver file for a library that has none.
const DRIVER_FILE: &str = "echo '{\"file_format_version\":\"1.0.0\",\"ICD\":{\"library_path\":\"libGLX_nvidia.so.0\",\
\"api_version\":\"1.3.277\"}}' > /etc/vulkan/icd.d/nvidia_icd.json";
const CAPABILITIES: &str = "NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility";

/// The loader's and each device's lines, then what is missing.
pub(super) fn device_findings(vulkan: &Vulkan) -> Vec<Finding> {
    let mut found: Vec<Finding> = vulkan
        .missing_driver_files
        .iter()
        .map(|(variable, file)| {
            let says = format!("{variable} names {}, which does not exist", file.display());
            Finding::warning("driver", says, format!("`unset {variable}`, or name a file that exists"))
        })
        .collect();
    let devices: &[DeviceReport] = match &vulkan.devices {
        // What the renderer says tells also what to install.
        Err(reason) => {
            let (says, fix) = reason.split_once(". ").unwrap_or((reason, "see --list-devices"));
            found.push(Finding::failure("vulkan", says, fix));
            &[]
        }
        Ok(devices) => {
            found.push(Finding::ok("vulkan", format!("the loader lists {} device(s)", devices.len())));
            devices
        }
    };
    for device in devices {
        found.push(usable(device));
        found.push(front_ends(device));
    }
    let is_nvidia = |device: &DeviceReport| device.name.contains("NVIDIA") || device.driver.contains("NVIDIA");
    if vulkan.nvidia.control_device && !devices.iter().any(is_nvidia) {
        found.push(nvidia(&vulkan.nvidia, &vulkan.loader_says));
    } else if !devices.is_empty() && devices.iter().all(|device| device.kind == DeviceKind::Cpu) {
        found.push(Finding::warning(
            "gpu",
            "only the CPU traces, hundreds of times slower than a GPU",
            "install the GPU's driver (NVIDIA: nvidia-driver and libvulkan1; Intel, AMD: mesa-vulkan-drivers), and let \
             the GPU into the container (docker: --gpus all, or --device /dev/dri)",
        ));
    }
    found
}

fn usable(device: &DeviceReport) -> Finding {
    let says = format!("{} ({:?}, {}, {})", device.name, device.kind, device.driver, gib(device.memory_bytes));
    match &device.unusable {
        None => Finding::ok("device", says),
        Some(reason) => Finding::warning(
            "device",
            format!("{says}: {reason}"),
            "update its driver, or use another device (--device)",
        ),
    }
}

/// Each front end that it offers, and what is missing for the others.
fn front_ends(device: &DeviceReport) -> Finding {
    let name = |front_end: &FrontEnd| front_end.name();
    let (there, missing): (Vec<FrontEnd>, Vec<FrontEnd>) =
        FrontEnd::ALL.iter().partition(|front_end| device.front_ends.contains(front_end));
    let says = format!("{}: front ends {}", device.name, there.iter().map(name).collect::<Vec<_>>().join(", "));
    let lacks = missing.iter().map(|front_end| {
        let absent = |extension: &&&str| !device.extensions.iter().any(|has| has == **extension);
        let absent: Vec<&str> = front_end.extensions().iter().filter(absent).copied().collect();
        format!(
            "{front_end} needs {}",
            if absent.is_empty() { "a feature of its extensions".into() } else { absent.join(", ") }
        )
    });
    let lacks: Vec<String> = lacks.collect();
    Finding::ok("features", if lacks.is_empty() { says } else { format!("{says} ({})", lacks.join("; ")) })
}

/// Why a GPU whose driver runs is no Vulkan device: the first cause that explains it.
fn nvidia(nvidia: &Nvidia, loader_says: &[String]) -> Finding {
    let failure = |says: &str, fix: &str| {
        Finding::failure("nvidia", format!("/dev/nvidiactl exists, but no NVIDIA device: {says}"), fix)
    };
    let granted = nvidia.capabilities.as_deref().unwrap_or_default();
    let graphics = granted.split(',').any(|one| matches!(one.trim(), "all" | "graphics" | "display"));
    if nvidia.instances {
        return failure(
            "the GPU is cut into instances (MIG), which Vulkan does not support",
            "use a whole GPU: `nvidia-smi -mig 0` on the host, or rent one that is not cut",
        );
    }
    if nvidia.musl {
        return failure(
            "this system's C library is musl, the driver is built for glibc",
            "use an image with glibc (Debian, Ubuntu)",
        );
    }
    if nvidia.library.is_none() {
        return match (nvidia.in_container, graphics) {
            (true, false) => failure(
                &format!(
                    "libGLX_nvidia.so.0 is missing, the container lacks the capability graphics (it has {granted:?})"
                ),
                &format!("start the container with {CAPABILITIES} (docker: -e {CAPABILITIES})"),
            ),
            (true, true) => failure(
                "libGLX_nvidia.so.0 is missing though graphics is granted: the host's driver is installed without it",
                "on the host install the driver's graphics part (libnvidia-gl-VERSION, or nvidia-driver instead of a \
                 compute-only one), then start the container again",
            ),
            (false, _) => failure(
                "libGLX_nvidia.so.0 is missing",
                "install the driver's graphics part of the version in /proc/driver/nvidia/version (Debian: nvidia-driver-libs; \
                 Ubuntu: libnvidia-gl-VERSION)",
            ),
        };
    }
    if nvidia.driver_file.is_none() {
        return failure(
            "nvidia_icd.json is missing, so the Vulkan loader does not know of the driver",
            &format!("mkdir -p /etc/vulkan/icd.d && {DRIVER_FILE}"),
        );
    }
    let cause = match loader_says.iter().find(|line| line.contains("nvidia") || line.contains("GLIBC")) {
        Some(line) if line.contains("GLIBC") => {
            return failure(
                &format!("the driver needs a newer C library ({line})"),
                "use an image that is as new as the host, Debian 12 or Ubuntu 22.04 at least",
            );
        }
        Some(line) => format!("the loader says: {line}"),
        None => "its driver does not start".into(),
    };
    failure(
        &cause,
        &format!(
            "apt-get install libxext6 libegl1 libglvnd0 (the driver links them); in a container set {CAPABILITIES}; \
             VK_LOADER_DEBUG=all rayloom-peer --list-devices tells more"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::facts::{device, healthy};
    use super::super::{Level, findings};
    use super::*;

    /// A machine with NVIDIA's kernel driver, a container's CPU device, and nothing of the driver's libraries.
    fn container() -> Vulkan {
        let nvidia = Nvidia { control_device: true, in_container: true, ..Nvidia::default() };
        Vulkan { devices: Ok(vec![device("llvmpipe", DeviceKind::Cpu)]), nvidia, ..healthy().vulkan }
    }

    #[track_caller]
    fn says(vulkan: &Vulkan, level: Level, parts: &[&str]) {
        let mut facts = healthy();
        facts.vulkan = vulkan.clone();
        let found: Vec<_> = findings(&facts).into_iter().filter(|f| f.level != Level::Ok).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].level, level);
        let text = found[0].to_string();
        parts.iter().for_each(|part| assert!(text.contains(part), "{part:?} in {text}"));
    }

    #[test]
    fn a_container_without_the_graphics_capability() {
        let mut vulkan = container();
        vulkan.nvidia.capabilities = Some("compute,utility".into());
        says(&vulkan, Level::Failure, &["lacks the capability graphics", "compute,utility", CAPABILITIES]);
        vulkan.nvidia.capabilities = Some("all".into());
        says(&vulkan, Level::Failure, &["though graphics is granted", "on the host install"]);
        vulkan.nvidia.in_container = false;
        says(&vulkan, Level::Failure, &["libGLX_nvidia.so.0 is missing", "nvidia-driver-libs"]);
    }

    #[test]
    fn instances_of_a_gpu_and_musl_come_before_missing_libraries() {
        let mut vulkan = container();
        vulkan.nvidia.musl = true;
        says(&vulkan, Level::Failure, &["musl", "glibc"]);
        vulkan.nvidia.instances = true;
        says(&vulkan, Level::Failure, &["MIG", "nvidia-smi -mig 0"]);
    }

    #[test]
    fn a_driver_that_the_loader_does_not_know_or_cannot_load() {
        let mut vulkan = container();
        vulkan.nvidia.library = Some("/usr/lib/libGLX_nvidia.so.0".into());
        says(&vulkan, Level::Failure, &["nvidia_icd.json is missing", "/etc/vulkan/icd.d"]);
        vulkan.nvidia.driver_file = Some("/etc/vulkan/icd.d/nvidia_icd.json".into());
        says(&vulkan, Level::Failure, &["does not start", "libxext6"]);
        vulkan.loader_says = vec!["ERROR: libGLX_nvidia.so.0: libXext.so.6: cannot open".into()];
        says(&vulkan, Level::Failure, &["libXext.so.6: cannot open", "libxext6"]);
        vulkan.loader_says = vec!["ERROR: version `GLIBC_2.38' not found (required by libnvidia)".into()];
        says(&vulkan, Level::Failure, &["newer C library", "GLIBC_2.38", "as new as the host"]);
    }

    #[test]
    fn no_loader_and_no_driver_say_what_to_install() {
        let devices = Err("no Vulkan driver: the loader found none. On Debian install mesa-vulkan-drivers".into());
        let vulkan = Vulkan { devices, ..healthy().vulkan };
        says(&vulkan, Level::Failure, &["no Vulkan driver", "fix: On Debian install mesa-vulkan-drivers"]);
    }

    #[test]
    fn only_a_cpu_is_warned_of() {
        let devices = Ok(vec![device("llvmpipe", DeviceKind::Cpu)]);
        says(&Vulkan { devices, ..healthy().vulkan }, Level::Warning, &["only the CPU", "nvidia-driver", "--gpus all"]);
    }

    #[test]
    fn a_variable_that_leads_nowhere_is_named() {
        let missing_driver_files = vec![("VK_DRIVER_FILES".into(), "/nowhere.json".into())];
        let vulkan = Vulkan { missing_driver_files, ..healthy().vulkan };
        says(&vulkan, Level::Warning, &["/nowhere.json", "unset VK_DRIVER_FILES"]);
    }
}
