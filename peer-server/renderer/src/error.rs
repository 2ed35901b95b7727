//! What can go wrong on the way to a traced tile, and what to do about it.

use ash::vk;

/// How to get a Vulkan driver, appended to every message that misses one.
pub(crate) const INSTALL_VULKAN: &str = "On Debian 12 add the suite bookworm-backports of your mirror to the apt \
sources (`deb MIRROR bookworm-backports main`, MIRROR as in the sources that are there) and run `apt-get update && \
apt-get install --no-install-recommends -t bookworm-backports mesa-vulkan-drivers libvulkan1` (Intel, AMD, and lavapipe \
for the CPU). For NVIDIA install `libvulkan1` and the proprietary driver (`nvidia-driver`; in a container set \
NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility).";

/// Why a device, a scene or a tile was refused or lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RendererError {
    /// There is no Vulkan loader on this machine; its operator has to install one.
    #[error("no Vulkan loader: {reason}. {INSTALL_VULKAN}")]
    NoLoader {
        /// What the system said.
        reason: String,
    },
    /// The loader found no driver; the machine's operator has to install one.
    #[error("no Vulkan driver: {reason}. {INSTALL_VULKAN}")]
    NoDriver {
        /// What the loader said.
        reason: String,
    },
    /// Devices exist, but none fits what was asked for.
    #[error("no usable Vulkan device: {reason}. Devices: {devices}")]
    NoDevice {
        /// Which wish none of them meets.
        reason: String,
        /// One line per device.
        devices: String,
    },
    /// Only a CPU device is left, and the caller did not allow it.
    #[error(
        "the Vulkan device {device:?} is a CPU: it traces hundreds of times slower than a GPU. Install the GPU's driver, \
         name another device, or allow the CPU explicitly (--allow-cpu)"
    )]
    CpuRefused {
        /// The device's name.
        device: String,
    },
    /// The validation layer was asked for and is not installed.
    #[error("VK_LAYER_KHRONOS_validation is not installed; on Debian: apt-get install vulkan-validationlayers")]
    NoValidationLayer,
    /// The GPU reset, hung or was removed. The renderer is unusable from here on: make a new one.
    #[error("the GPU was lost during {during}; create a new renderer")]
    DeviceLost {
        /// What was under way.
        during: &'static str,
    },
    /// The GPU did not finish in time. The ticket's resources stay in use until it does.
    #[error("the GPU did not finish {during} within {seconds} s; it hangs or is shared with heavier work")]
    Timeout {
        /// What was under way.
        during: &'static str,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// The device has no room for this.
    #[error("out of GPU memory: {bytes} bytes for {what}; use a smaller scene or picture")]
    OutOfMemory {
        /// What it was for.
        what: String,
        /// How many bytes were asked for.
        bytes: u64,
    },
    /// Buffers would take more than the limit that was given when the device was opened.
    #[error(
        "{bytes} bytes for {what} would take more than the limit of {limit} bytes of GPU memory; raise the limit or use a smaller scene or picture"
    )]
    MemoryLimit {
        /// What it was for.
        what: String,
        /// How many bytes were asked for.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A front end was asked for that the device does not have.
    #[error(
        "{device} has no front end {front_end}: it lacks {missing}; choose another device, another front end, or auto"
    )]
    NoFrontEnd {
        /// The device's name.
        device: String,
        /// What was asked for.
        front_end: crate::FrontEnd,
        /// The extension or feature that is missing.
        missing: String,
    },
    /// More tiles in flight than this renderer keeps room for; the caller waits for one first.
    #[error("{limit} tiles are in flight already; wait for one before the next")]
    TooManyInFlight {
        /// The limit.
        limit: usize,
    },
    /// A scene breaks a rule that the GPU relies on; whoever built it is at fault.
    #[error("scene: {object}: {reason}")]
    InvalidScene {
        /// Which object.
        object: String,
        /// What is wrong, with the value.
        reason: String,
    },
    /// A job asks for something impossible; the caller is at fault.
    #[error("job: {0}")]
    InvalidJob(String),
    /// A Vulkan call failed in a way that has no better name here.
    #[error("Vulkan: {call} failed: {result}")]
    Vulkan {
        /// Which call.
        call: &'static str,
        /// Its result.
        result: vk::Result,
    },
}

impl RendererError {
    /// The error for a failed Vulkan call; lost devices and exhausted memory get their own names.
    pub(crate) fn vulkan(call: &'static str) -> impl FnOnce(vk::Result) -> RendererError {
        move |result| match result {
            vk::Result::ERROR_DEVICE_LOST => RendererError::DeviceLost { during: call },
            vk::Result::ERROR_OUT_OF_DEVICE_MEMORY | vk::Result::ERROR_OUT_OF_HOST_MEMORY => {
                RendererError::OutOfMemory { what: call.into(), bytes: 0 }
            }
            result => RendererError::Vulkan { call, result },
        }
    }
}
