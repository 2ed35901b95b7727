//! What can go wrong between a scene and its planes, and what to do about it.

use ash::vk;

/// Why a device, a scene or a frame was refused or lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RasterError {
    /// There is no Vulkan loader on this machine.
    #[error("no Vulkan loader: {reason}; on Debian: apt-get install libvulkan1")]
    NoLoader {
        /// What the system said.
        reason: String,
    },
    /// No device can draw, or none has the name that was asked for.
    #[error("no usable Vulkan device: {reason}; install the GPU's driver, or Mesa's lavapipe for the CPU")]
    NoDevice {
        /// What each one lacks.
        reason: String,
    },
    /// The validation layer was asked for and is not installed.
    #[error("VK_LAYER_KHRONOS_validation is not installed; on Debian: apt-get install vulkan-validationlayers")]
    NoValidationLayer,
    /// A view of a size that cannot be drawn.
    #[error("a view of {width}x{height} pixels; each side must be 1 to {limit}")]
    Extent {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// The device's largest side.
        limit: u32,
    },
    /// The scene breaks a rule; whoever built it is at fault.
    #[error(transparent)]
    Scene(#[from] rayloom_scene::SceneError),
    /// The scene is more than the device can hold.
    #[error("the scene has {count} {what}, this device takes {limit}: use a smaller scene")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Nothing was loaded yet.
    #[error("there is no scene to draw: load one first")]
    NoScene,
    /// All slots of the readback ring are in use.
    #[error(
        "all {slots} slots of the readback ring are in use: take ready planes by poll, and drop those that were read"
    )]
    RingFull {
        /// How many slots there are.
        slots: usize,
    },
    /// A frame's cameras or transforms are impossible; the caller is at fault.
    #[error("frame {frame_id}: {reason}")]
    InvalidFrame {
        /// Which frame.
        frame_id: u64,
        /// What is wrong, with the value.
        reason: String,
    },
    /// The device has no room for this.
    #[error("out of GPU memory: {bytes} bytes for {what}; use a smaller scene or picture")]
    OutOfMemory {
        /// What it was for.
        what: &'static str,
        /// How many bytes were asked for.
        bytes: u64,
    },
    /// The GPU did not finish in time.
    #[error("the GPU did not finish within {seconds} s; it hangs or is shared with heavier work")]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
    /// A Vulkan call failed in a way that has no better name here.
    #[error("Vulkan: {call} failed: {result}")]
    Vulkan {
        /// Which call.
        call: &'static str,
        /// Its result.
        result: vk::Result,
    },
}

impl RasterError {
    pub(crate) fn vulkan(call: &'static str) -> impl FnOnce(vk::Result) -> RasterError {
        move |result| RasterError::Vulkan { call, result }
    }
}
